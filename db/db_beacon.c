/*
 * Verified values of beacons (db_beacon.h). Runs in engine.
 */
#include "db/db_beacon.h"

#include <string.h>

#include "db/db_sql.h"
#include "policy/be.h"

enum { PUT, GET, NEWEST_PUT, NEWEST };
static const char *const texts[] = {
    [PUT] = "INSERT INTO beacons (kind, source, at, value, before, stored_ms)"
	    " VALUES ($1, $2, $3, $4, $5, $6)",
    [GET] = "SELECT value, before, stored_ms FROM beacons"
	    " WHERE kind = $1 AND source = $2 AND at = $3",
    [NEWEST_PUT] = "INSERT INTO beacon_newest (source, round, signature, seen_ms)"
		   " VALUES ($1, $2, $3, $4) ON CONFLICT (source) DO UPDATE"
		   " SET round = excluded.round, signature = excluded.signature,"
		   " seen_ms = excluded.seen_ms WHERE excluded.round > beacon_newest.round",
    [NEWEST] = "SELECT round, signature FROM beacon_newest WHERE source = $1",
};
DB_SQL_LIST(beacon, texts);

/* The key of a value; chain is where a number's bytes stand until the statement has run. */
static int put_key(struct db_st *st, const struct beacon *b, uint8_t chain[8])
{
	bool drand = b->kind == BEACON_DRAND;
	uint64_t at = drand ? b->round : b->at_ms;

	if (at > INT64_MAX)
		return KE_RANGE;
	be_put64(chain, b->chain);
	db_in_int(st, drand ? 1 : 2);
	if (drand)
		db_in_blob(st, b->chain_hash, sizeof b->chain_hash);
	else
		db_in_blob(st, chain, 8);
	db_in_int(st, (int64_t)at);
	return KE_OK;
}

int db_beacon_put(struct db *d, const struct db_beacon *v)
{
	struct db_st *st = db_sql(d, DB_NOUN_beacon, PUT);
	uint8_t chain[8];
	int r = put_key(st, &v->b, chain);

	if (r != KE_OK)
		return r;
	if (v->b.kind == BEACON_DRAND)
		db_in_blob(st, v->b.signature, sizeof v->b.signature);
	else
		db_in_blob(st, v->pulse, v->pulse_len);
	if (v->before_len != 0)
		db_in_blob(st, v->before, v->before_len);
	else
		db_in_null(st);
	db_in_int(st, v->stored_ms);
	return db_exec(st);
}

int db_beacon_get(struct db *d, struct db_beacon *v)
{
	struct db_st *st = db_sql(d, DB_NOUN_beacon, GET);
	uint8_t chain[8];
	int r = put_key(st, &v->b, chain);

	if (r == KE_OK)
		r = db_step(st);
	if (r != KE_OK)
		return r;
	v->pulse_len = 0;
	if (v->b.kind == BEACON_DRAND)
		db_out_blob(st, v->b.signature, sizeof v->b.signature);
	else
		db_out_bytes(st, v->pulse, sizeof v->pulse, &v->pulse_len);
	db_out_bytes(st, v->before, sizeof v->before, &v->before_len);
	v->stored_ms = db_out_int(st);
	return db_end(st);
}

int db_beacon_newest_put(struct db *d, const struct beacon *b, int64_t seen_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_beacon, NEWEST_PUT);

	if (b->round > INT64_MAX)
		return KE_RANGE;
	db_in_blob(st, b->chain_hash, sizeof b->chain_hash);
	db_in_int(st, (int64_t)b->round);
	db_in_blob(st, b->signature, sizeof b->signature);
	db_in_int(st, seen_ms);
	return db_exec(st);
}

int db_beacon_newest(struct db *d, struct beacon *b)
{
	struct db_st *st = db_sql(d, DB_NOUN_beacon, NEWEST);
	int r;

	db_in_blob(st, b->chain_hash, sizeof b->chain_hash);
	r = db_step(st);
	if (r != KE_OK)
		return r;
	b->kind = BEACON_DRAND;
	b->round = (uint64_t)db_out_int(st);
	db_out_blob(st, b->signature, sizeof b->signature);
	return db_end(st);
}
