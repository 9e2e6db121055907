/*
 * Sessions (db_session.h). Runs in engine.
 */
#include "db/db_session.h"
#include "db/db_sql.h"

enum { CREATE, GET, ROTATE, REVOKE, REVOKE_ALL, REVOKE_EVERYBODY, PURGE, EXISTS };
static const char *const texts[] = {
    [CREATE] = "INSERT INTO sessions (id, user_id, created_ms, rotated_ms, expires_ms, generation)"
	       " VALUES ($1, $2, $3, $3, $4, 1)",
    [GET] = "SELECT id, user_id, generation, created_ms, rotated_ms, expires_ms, revoked_ms"
	    " FROM sessions WHERE id = $1",
    [ROTATE] = "UPDATE sessions SET generation = generation + 1, rotated_ms = $3, expires_ms = $4"
	       " WHERE id = $1 AND generation = $2 AND revoked_ms = 0",
    [REVOKE] = "UPDATE sessions SET revoked_ms = $2 WHERE id = $1 AND revoked_ms = 0",
    [REVOKE_ALL] = "UPDATE sessions SET revoked_ms = $2 WHERE user_id = $1 AND revoked_ms = 0",
    [REVOKE_EVERYBODY] = "UPDATE sessions SET revoked_ms = $1 WHERE revoked_ms = 0",
    [PURGE] = "DELETE FROM sessions WHERE id IN"
	      " (SELECT id FROM sessions WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)",
    [EXISTS] = "SELECT 1 FROM sessions WHERE id = $1",
};
DB_SQL_LIST(session, texts);

int db_session_create(struct db *d, const struct db_session *s)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, CREATE);

	db_in_id(st, s->id);
	db_in_id(st, s->user);
	db_in_int(st, s->created_ms);
	db_in_int(st, s->expires_ms);
	return db_exec(st);
}

int db_session_get(struct db *d, const uint8_t id[16], struct db_session *s)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, GET);

	db_in_id(st, id);
	int r = db_step(st);
	if (r)
		return r;
	db_out_blob(st, s->id, 16);
	db_out_blob(st, s->user, 16);
	s->generation = (uint32_t)db_out_int(st);
	s->created_ms = db_out_int(st);
	s->rotated_ms = db_out_int(st);
	s->expires_ms = db_out_int(st);
	s->revoked_ms = db_out_int(st);
	return db_end(st);
}

/* The query that tells a missing session from one in another state. */
static struct db_st *exists(struct db *d, const uint8_t id[16])
{
	struct db_st *st = db_sql(d, DB_NOUN_session, EXISTS);

	db_in_id(st, id);
	return st;
}

int db_session_rotate(
    struct db *d, const uint8_t id[16], uint32_t expected, int64_t now_ms, int64_t expires_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, ROTATE);

	db_in_id(st, id);
	db_in_int(st, expected);
	db_in_int(st, now_ms);
	db_in_int(st, expires_ms);
	return db_exec_cas(st, exists(d, id), KE_CONFLICT);
}

int db_session_revoke(struct db *d, const uint8_t id[16], int64_t now_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, REVOKE);

	db_in_id(st, id);
	db_in_int(st, now_ms);
	return db_exec_cas(st, exists(d, id), KE_OK);
}

int db_session_revoke_all(struct db *d, const uint8_t user[16], int64_t now_ms, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, REVOKE_ALL);

	db_in_id(st, user);
	db_in_int(st, now_ms);
	return db_exec_many(st, n);
}

int db_session_revoke_everybody(struct db *d, int64_t now_ms, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, REVOKE_EVERYBODY);

	db_in_int(st, now_ms);
	return db_exec_many(st, n);
}

int db_session_purge_expired(struct db *d, int64_t before_ms, int64_t most, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_session, PURGE);

	db_in_int(st, before_ms);
	db_in_int(st, most);
	return db_exec_many(st, n);
}
