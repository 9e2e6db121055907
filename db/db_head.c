/*
 * The newest numbers of each table (db_head.h). Runs in engine at start.
 */
#include "db/db_head.h"

enum { TRANSFER, ENTRY, ACCOUNT, HOLDER, RAFFLE, IDEM, AUDIT };
static const char *const texts[] = {
    [TRANSFER] = "SELECT max(id) FROM transfers",
    [ENTRY] = "SELECT max(seq) FROM entries",
    [ACCOUNT] = "SELECT max(id) FROM accounts",
    [HOLDER] = "SELECT max(no) FROM holders",
    [RAFFLE] = "SELECT max(no) FROM raffles",
    [IDEM] = "SELECT max(no) FROM idempotency",
    [AUDIT] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
};
DB_SQL_LIST(head, texts);

static int newest(struct db *d, size_t i, int64_t *v)
{
	return db_exec_int(db_sql(d, DB_NOUN_head, i), v);
}

static int load(struct db *d)
{
	struct db_head *h = db_head(d);
	int64_t *const to[] = {
	    &h->transfer, &h->entry, &h->account, &h->holder, &h->raffle, &h->idem};

	for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
		int r = newest(d, i, to[i]);
		if (r)
			return r;
	}
	struct db_st *st = db_sql(d, DB_NOUN_head, AUDIT);
	int r = db_step(st);
	if (r == KE_NOTFOUND)
		return KE_OK;
	if (r)
		return r;
	h->audit = db_out_int(st);
	db_out_blob(st, h->audit_hash, 32);
	return db_end(st);
}

int db_head_load(struct db *d)
{
	int r = db_turn_begin(d);

	if (r)
		return r;
	r = load(d);
	if (r) {
		db_turn_rollback(d);
		return r;
	}
	return db_turn_commit(d, NULL);
}
