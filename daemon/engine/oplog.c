/*
 * The operator log: see oplog.h. Runs in engine.
 */
#include "daemon/engine/oplog.h"

#include <string.h>

#include "daemon/engine/ckpt.h"
#include "daemon/engine/engine.h"

int oplog_append(struct engine *e, const uint8_t raffle[16], enum record2_kind kind,
    const char *text, size_t n, int64_t now_ms, uint64_t *index)
{
	struct db_record r = {.kind = kind, .at_ms = now_ms, .text = text, .len = n};
	int err;

	memcpy(r.raffle, raffle, sizeof r.raffle);
	record2_leaf(r.leaf, text, n);
	err = db_log_append(e->db, &r);
	if (err != KE_OK)
		return err;
	*index = r.index;
	ckpt_kick(e);
	return KE_OK;
}

static int take(void *arg, const struct db_record *r)
{
	struct oplog_record *rec = arg;

	rec->kind = (enum record2_kind)r->kind;
	rec->index = r->index;
	rec->at_ms = r->at_ms;
	memcpy(rec->leaf, r->leaf, sizeof rec->leaf);
	rec->len = r->len;
	memcpy(rec->text, r->text, r->len);
	rec->text[r->len] = '\0';
	return KE_OK;
}

int oplog_get(
    struct engine *e, const uint8_t raffle[16], enum record2_kind kind, struct oplog_record *rec)
{
	int r;

	rec->len = 0;
	r = db_log_records_of(e->db, raffle, kind, take, rec);
	return r == KE_OK && rec->len == 0 ? KE_NOTFOUND : r;
}
