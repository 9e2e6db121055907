/*
 * Paged lists and their cursors: see list.h. Runs in engine.
 */
#include "daemon/engine/list.h"

#include <stdio.h>
#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"
#include "policy/text.h"

static void check_of(const char *scope, const void *pos, size_t n, uint8_t out[32])
{
	char head[16 + LIST_SCOPE];
	int len = snprintf(head, sizeof head, "klero-cursor %s", scope);

	/* the final NUL belongs to it: it ends the scope */
	hash_sha256_2(out, head, (size_t)len + 1, pos, n);
}

void cursor_put(char out[CURSOR_TEXT], const char *scope, const void *pos, size_t n)
{
	uint8_t raw[CURSOR_POS + CURSOR_CHECK], check[32];

	check_of(scope, pos, n, check);
	memcpy(raw, pos, n);
	memcpy(raw + n, check, CURSOR_CHECK);
	if (text_b64url(out, CURSOR_TEXT, raw, n + CURSOR_CHECK) < 0)
		out[0] = '\0';
}

int cursor_get(const char *scope, const uint8_t *text, size_t len, void *pos, size_t n)
{
	uint8_t raw[CURSOR_POS + CURSOR_CHECK + 1], check[32];
	size_t got;

	if (text_unb64url(raw, sizeof raw, &got, (const char *)text, len) != KE_OK ||
	    got != n + CURSOR_CHECK)
		return KE_FORMAT;
	check_of(scope, raw, n, check);
	if (memcmp(raw + n, check, CURSOR_CHECK) != 0)
		return KE_FORMAT;
	memcpy(pos, raw, n);
	return KE_OK;
}

int list_begin(struct list *l, struct rq *q, unsigned first, const char *filter, size_t pos_len)
{
	const struct api_value *limit = rq_field(q, first), *cursor = rq_field(q, first + 1);

	*l = (struct list){.q = q, .pos_len = pos_len};
	l->limit = limit->present ? limit->i : LIST_DEFAULT;
	snprintf(l->scope, sizeof l->scope, "%s/%s", q->row->name, filter);
	if (cursor->present) {
		if (cursor_get(l->scope, cursor->p, cursor->n, l->pos, pos_len) != KE_OK)
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
