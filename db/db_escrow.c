/*
 * Escrow bundles: see db_escrow.h. Runs in engine.
 */
#include "db/db_escrow.h"

#include "db/db_sql.h"

enum { PUT, GET };
static const char *const texts[] = {
    [PUT] = "INSERT INTO escrows (raffle, bundle, made_ms) VALUES ($1, $2, $3)"
	    " ON CONFLICT (raffle) DO UPDATE SET bundle = excluded.bundle,"
	    " made_ms = excluded.made_ms",
    [GET] = "SELECT bundle FROM escrows WHERE raffle = $1",
};
DB_SQL_LIST(escrow, texts);

int db_escrow_put(
    struct db *d, const uint8_t raffle[16], const char *text, size_t n, int64_t now_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_escrow, PUT);

	if (n > DB_ESCROW_MAX)
		return KE_LONG;
	db_in_id(st, raffle);
	db_in_text(st, text, n);
	db_in_int(st, now_ms);
	return db_exec(st);
}

int db_escrow_get(struct db *d, const uint8_t raffle[16], char *text, size_t cap, size_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_escrow, GET);

	db_in_id(st, raffle);
	return db_exec_copy(st, text, cap, n);
}
