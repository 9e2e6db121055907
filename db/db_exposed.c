/*
 * What a compromised key may have opened or made: see db_exposed.h.
 */
#include "db/db_exposed.h"

#include "db/db_sql.h"

/* the newest raffles, and of those the first that fit: bounded, however large the store is */
#define NEWEST                                                                                     \
	"SELECT id FROM (SELECT id, no, opened_ms, drawn_ms FROM raffles"                          \
	" ORDER BY no DESC LIMIT $3)"

enum { SESSIONS, SEEDS, RECORDS };
static const char *const texts[] = {
    [SESSIONS] = "SELECT count(*) FROM (SELECT 1 FROM sessions"
		 " WHERE expires_ms >= $1 AND created_ms < $2 LIMIT $3)",
    [SEEDS] = NEWEST " WHERE opened_ms > 0 AND opened_ms < $2"
		     " AND (drawn_ms = 0 OR drawn_ms >= $1) LIMIT $4",
    [RECORDS] = NEWEST " WHERE drawn_ms > 0 AND drawn_ms >= $1 AND drawn_ms < $2 LIMIT $4",
};
DB_SQL_LIST(exposed, texts);

int db_exposed_sessions(struct db *d, int64_t their_end_ms, int64_t until_ms, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_exposed, SESSIONS);

	db_in_int(st, their_end_ms);
	db_in_int(st, until_ms);
	db_in_int(st, DB_EXPOSED_SESSIONS + 1);
	return db_exec_int(st, n);
}

struct call {
	int (*row)(void *arg, const uint8_t id[16]);
	void *arg;
};

static int give(struct db_st *st, void *arg)
{
	struct call *c = arg;
	uint8_t id[16];

	db_out_blob(st, id, sizeof id);
	return c->row(c->arg, id);
}

static int raffles(struct db *d, size_t which, int64_t from_ms, int64_t until_ms, struct call *c)
{
	struct db_st *st = db_sql(d, DB_NOUN_exposed, which);

	db_in_int(st, from_ms);
	db_in_int(st, until_ms);
	db_in_int(st, DB_EXPOSED_LOOK);
	db_in_int(st, DB_EXPOSED_RAFFLES);
	return db_each(st, give, c);
}

int db_exposed_seeds(struct db *d, int64_t from_ms, int64_t until_ms,
    int (*row)(void *arg, const uint8_t id[16]), void *arg)
{
	return raffles(d, SEEDS, from_ms, until_ms, &(struct call){row, arg});
}

int db_exposed_records(struct db *d, int64_t from_ms, int64_t until_ms,
    int (*row)(void *arg, const uint8_t id[16]), void *arg)
{
	return raffles(d, RECORDS, from_ms, until_ms, &(struct call){row, arg});
}
