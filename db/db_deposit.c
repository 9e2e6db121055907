/*
 * Deposits (db_deposit.h). Runs in engine.
 */
#include <string.h>

#include "db/db_deposit.h"
#include "db/db_sql.h"

#define COLUMNS                                                                                    \
	"id, user_id, amount, currency, provider, reference, state, created_ms, decided_by, "      \
	"decided_ms"

enum { CREATE, GET, DECIDE, EXISTS, PAGE, PAGE_STATE };
static const char *const texts[] = {
    [CREATE] =
	"INSERT INTO deposits (id, user_id, amount, currency, provider, reference, created_ms)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [GET] = "SELECT " COLUMNS " FROM deposits WHERE id = $1",
    [DECIDE] = "UPDATE deposits SET state = $2, decided_by = $3, decided_ms = $4"
	       " WHERE id = $1 AND state = 0",
    [EXISTS] = "SELECT 1 FROM deposits WHERE id = $1",
    [PAGE] = "SELECT " COLUMNS " FROM deposits WHERE id < $1 ORDER BY id DESC LIMIT $2",
    [PAGE_STATE] = "SELECT " COLUMNS " FROM deposits WHERE id < $1 AND state = $3"
		   " ORDER BY id DESC LIMIT $2",
};
DB_SQL_LIST(deposit, texts);

const char *db_deposit_word(enum db_deposit_state s)
{
	static const char *const word[DB_DEPOSIT_STATES] = {"pending", "confirmed", "rejected"};

	return s < DB_DEPOSIT_STATES ? word[s] : "unknown";
}

int db_deposit_create(struct db *d, const struct db_deposit *p)
{
	struct db_st *st = db_sql(d, DB_NOUN_deposit, CREATE);

	db_in_id(st, p->id);
	db_in_id(st, p->user);
	db_in_int(st, p->amount);
	db_in_cstr(st, p->currency);
	db_in_cstr(st, p->provider);
	db_in_cstr(st, p->reference);
	db_in_int(st, p->created_ms);
	return db_exec(st);
}

static void read_row(struct db_st *st, struct db_deposit *p)
{
	db_out_blob(st, p->id, 16);
	db_out_blob(st, p->user, 16);
	p->amount = db_out_int(st);
	db_out_text(st, p->currency, sizeof p->currency);
	db_out_text(st, p->provider, sizeof p->provider);
	db_out_text(st, p->reference, sizeof p->reference);
	p->state = (enum db_deposit_state)db_out_int(st);
	p->created_ms = db_out_int(st);
	db_out_blob(st, p->decided_by, 16);
	p->decided_ms = db_out_int(st);
}

int db_deposit_get(struct db *d, const uint8_t id[16], struct db_deposit *p)
{
	struct db_st *st = db_sql(d, DB_NOUN_deposit, GET);

	db_in_id(st, id);
	int r = db_step(st);
	if (r)
		return r;
	read_row(st, p);
	return db_end(st);
}

int db_deposit_decide(struct db *d, const uint8_t id[16], enum db_deposit_state to,
    const uint8_t by[16], int64_t now_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_deposit, DECIDE);
	struct db_st *row = db_sql(d, DB_NOUN_deposit, EXISTS);

	if (to != DB_DEPOSIT_CONFIRMED && to != DB_DEPOSIT_REJECTED)
		return KE_RANGE;
	db_in_id(st, id);
	db_in_int(st, to);
	db_in_id(st, by);
	db_in_int(st, now_ms);
	db_in_id(row, id);
	return db_exec_cas(st, row, KE_STATE);
}

struct page {
	int (*each)(void *arg, const struct db_deposit *p);
	void *arg;
};

static int page_row(struct db_st *st, void *arg)
{
	const struct page *pg = arg;
	struct db_deposit p;

	read_row(st, &p);
	return pg->each(pg->arg, &p);
}

int db_deposit_page(struct db *d, int state, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_deposit *p), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_deposit, state < 0 ? PAGE : PAGE_STATE);
	struct page pg = {each, arg};

	db_in_id(st, before ? before : db_id_last);
	db_in_int(st, limit);
	if (state >= 0)
		db_in_int(st, state);
	return db_each(st, page_row, &pg);
}
