/*
 * Paged lists: see list.h. Runs in engine.
 */
#include "daemon/engine/list.h"

#include <stdio.h>
#include <string.h>

#include "policy/be.h"

int list_begin(struct list *l, struct rq *q, unsigned first, const char *filter, size_t pos_len)
{
	const struct api_value *limit = rq_field(q, first), *cursor = rq_field(q, first + 1);

	*l = (struct list){.q = q, .pos_len = pos_len};
	l->limit = limit->present ? limit->i : LIST_DEFAULT;
	snprintf(l->scope, sizeof l->scope, "%s/%s", q->row->name, filter);
	if (cursor->present) {
		if (cursor_get(l->scope, cursor->p, cursor->n, l->pos, &l->pos_len) != KE_OK ||
		    (pos_len != LIST_ANY && l->pos_len != pos_len))
			return rq_refuse(q, PB_CURSOR);
		l->from = true;
	}
	l->w = rq_json(q);
	jsonw_object(l->w);
	jsonw_key(l->w, "items");
	jsonw_array(l->w);
	return KE_OK;
}

int64_t list_wanted(const struct list *l)
{
	return l->limit + 1;
}

bool list_take(struct list *l, const void *pos)
{
	if (l->n == l->limit) {
		l->more = true;
		return false;
	}
	l->n++;
	memcpy(l->pos, pos, l->pos_len);
	return true;
}

void list_goes_on(struct list *l, const void *pos, size_t n)
{
	l->more = n > 0;
	l->pos_len = n;
	memcpy(l->pos, pos, n);
}

int list_end(struct list *l)
{
	char cursor[CURSOR_TEXT];

	jsonw_array_end(l->w);
	jsonw_key(l->w, "next_cursor");
	if (l->more) {
		cursor_put(cursor, l->scope, l->pos, l->pos_len);
		jsonw_cstr(l->w, cursor);
	} else {
		jsonw_null(l->w);
	}
	jsonw_object_end(l->w);
	return rq_json_end(l->q);
}

int64_t list_number(const struct list *l)
{
	return (int64_t)be_get64(l->pos);
}

bool list_take_number(struct list *l, int64_t pos)
{
	uint8_t raw[8];

	be_put64(raw, (uint64_t)pos);
	return list_take(l, raw);
}
