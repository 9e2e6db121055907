/*
 * Stored answers (db_idem.h). Runs in engine.
 */
#include <string.h>

#include "db/db_behind.h"
#include "db/db_idem.h"
#include "policy/hash.h"

/* Of a scope that was purged and given again the index may still name a number that is gone. */
#define ITS " WHERE no = " DB_ANSWER_OF " AND scope = $1"

enum { GET, FIND, PUT, INDEX, FINISH, PURGE };
static const char *const texts[] = {
    [GET] = "SELECT body_hash, status, created_ms, answer FROM idempotency" ITS,
    [FIND] = "SELECT no FROM idempotency" ITS,
    [PUT] = "INSERT INTO idempotency (no, scope, body_hash, status, answer, created_ms)"
	    " VALUES ($1, $2, $3, $4, $5, $6)",
    [INDEX] = "INSERT INTO recent_scopes (scope, no) VALUES ($1, $2)"
	      " ON CONFLICT (scope) DO UPDATE SET no = excluded.no",
    [FINISH] = "UPDATE idempotency SET status = $3, answer = $4"
	       " WHERE no = $1 AND body_hash = $2 AND status = 0",
    /* Rows are in order of time, so the oldest stand first. */
    [PURGE] = "DELETE FROM idempotency WHERE (created_ms < $1 OR created_ms > $2)"
	      " AND no IN (SELECT no FROM idempotency ORDER BY no LIMIT $3)",
};
DB_SQL_LIST(idem, texts);

#define SCOPE_MAX (16 + 64 + 1 + 256)

int db_idem_scope(const struct db_idem_key *k, uint8_t out[16])
{
	uint8_t in[SCOPE_MAX], hash[32];
	size_t rn = strlen(k->route);

	if (rn > 64 || k->key_len > 256)
		return KE_LONG;
	memcpy(in, k->user, 16);
	memcpy(in + 16, k->route, rn);
	in[16 + rn] = 0;
	memcpy(in + 17 + rn, k->key, k->key_len);
	hash_sha256(hash, in, 17 + rn + k->key_len);
	memcpy(out, hash, 16);
	return KE_OK;
}

/* Statement i with the scope as its first parameter; scope must live until it ends. */
static struct db_st *sql_of(struct db *d, size_t i, const uint8_t scope[16])
{
	struct db_st *st = db_sql(d, DB_NOUN_idem, i);

	db_in_id(st, scope);
	return st;
}

int db_idem_get(struct db *d, const struct db_idem_key *k, struct db_idem *v, void *buf, size_t cap)
{
	uint8_t scope[16];

	int r = db_idem_scope(k, scope);
	if (r)
		return r;
	struct db_st *st = sql_of(d, GET, scope);
	r = db_step(st);
	if (r)
		return r;
	db_out_blob(st, v->body_hash, 32);
	v->status = (uint16_t)db_out_int(st);
	v->created_ms = db_out_int(st);
	const void *p = db_out_view(st, &v->answer_len);
	if (v->answer_len > cap)
		r = KE_LONG;
	else if (p)
		memcpy(buf, p, v->answer_len);
	v->answer = buf;
	int e = db_end(st);
	return r ? r : e;
}

/* The number of the scope's row; KE_NOTFOUND. */
static int find(struct db *d, const uint8_t scope[16], int64_t *no)
{
	return db_exec_int(sql_of(d, FIND, scope), no);
}

static int insert(struct db *d, const uint8_t scope[16], const struct db_idem *v)
{
	struct db_st *st = db_sql(d, DB_NOUN_idem, PUT);
	int64_t no = ++db_head(d)->idem;

	db_in_int(st, no);
	db_in_id(st, scope);
	db_in_blob(st, v->body_hash, 32);
	db_in_int(st, v->status);
	db_in_blob(st, v->answer, v->answer_len);
	db_in_int(st, v->created_ms);
	int r = db_exec(st);
	if (r)
		return r;
	st = sql_of(d, INDEX, scope);
	db_in_int(st, no);
	db_behind_grew(d, 1);
	return db_exec(st);
}

static int finish(struct db *d, int64_t no, const struct db_idem *v)
{
	struct db_st *st = db_sql(d, DB_NOUN_idem, FINISH);

	db_in_int(st, no);
	db_in_blob(st, v->body_hash, 32);
	db_in_int(st, v->status);
	db_in_blob(st, v->answer, v->answer_len);
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_EXISTS : r;
}

int db_idem_put(struct db *d, const struct db_idem_key *k, const struct db_idem *v)
{
	uint8_t scope[16];
	int64_t no;

	int r = db_idem_scope(k, scope);
	if (!r && v->answer_len > DB_ANSWER_MAX)
		r = KE_LONG;
	if (r)
		return r;
	r = find(d, scope, &no);
	if (r == KE_NOTFOUND)
		return insert(d, scope, v);
	return r ? r : finish(d, no, v);
}

int db_idem_promise(struct db *d, const struct db_idem_name *name, int64_t now_ms)
{
	struct db_idem v = {.created_ms = now_ms, .answer = ""};
	int64_t no;

	if (!name->keyed)
		return KE_OK;
	memcpy(v.body_hash, name->body_hash, sizeof v.body_hash);
	int r = find(d, name->scope, &no);
	return r == KE_NOTFOUND ? insert(d, name->scope, &v) : r;
}

int db_idem_purge(struct db *d, int64_t before_ms, int64_t after_ms, int64_t most, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_idem, PURGE);

	db_in_int(st, before_ms);
	db_in_int(st, after_ms);
	db_in_int(st, most);
	return db_exec_many(st, n);
}
