/*
 * Users (db_user.h). Runs in engine.
 */
#include <string.h>

#include "db/db_sql.h"
#include "db/db_user.h"

#define COLUMNS "id, email, phc, display_name, roles, version, created_ms"

enum { CREATE, BY_ID, BY_EMAIL, PROFILE, ROLES, PHC, ADD, COUNT, EXISTS };
static const char *const texts[] = {
    [CREATE] = "INSERT INTO users (id, email, phc, display_name, roles, created_ms, version)"
	       " VALUES ($1, $2, $3, $4, $5, $6, 1)",
    [BY_ID] = "SELECT " COLUMNS " FROM users WHERE id = $1",
    [BY_EMAIL] = "SELECT " COLUMNS " FROM users WHERE email = $1",
    [PROFILE] = "UPDATE users SET display_name = $3, version = version + 1"
		" WHERE id = $1 AND version = $2",
    [ROLES] = "UPDATE users SET roles = $2, version = version + 1 WHERE id = $1",
    [PHC] = "UPDATE users SET phc = $2, version = version + 1 WHERE id = $1",
    [ADD] = "UPDATE counts SET n = n + 1 WHERE name = 'users'",
    [COUNT] = "SELECT n FROM counts WHERE name = 'users'",
    [EXISTS] = "SELECT 1 FROM users WHERE id = $1",
};
DB_SQL_LIST(user, texts);

static bool has_upper(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			return true;
	return false;
}

int db_user_create(struct db *d, const struct db_user *u)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, CREATE);

	if (has_upper(u->email, strlen(u->email)))
		return KE_FORMAT;
	db_in_id(st, u->id);
	db_in_cstr(st, u->email);
	db_in_cstr(st, u->phc);
	db_in_cstr(st, u->display_name);
	db_in_int(st, u->roles);
	db_in_int(st, u->created_ms);
	int r = db_exec(st);
	return r ? r : db_exec_one(db_sql(d, DB_NOUN_user, ADD));
}

static int one(struct db_st *st, struct db_user *u)
{
	int r = db_step(st);

	if (r)
		return r;
	db_out_blob(st, u->id, 16);
	db_out_text(st, u->email, sizeof u->email);
	db_out_text(st, u->phc, sizeof u->phc);
	db_out_text(st, u->display_name, sizeof u->display_name);
	u->roles = (uint8_t)db_out_int(st);
	u->version = db_out_int(st);
	u->created_ms = db_out_int(st);
	return db_end(st);
}

int db_user_by_id(struct db *d, const uint8_t id[16], struct db_user *u)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, BY_ID);

	db_in_id(st, id);
	return one(st, u);
}

int db_user_by_email(struct db *d, const char *email, size_t n, struct db_user *u)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, BY_EMAIL);

	if (has_upper(email, n))
		return KE_FORMAT;
	db_in_text(st, email, n);
	return one(st, u);
}

int db_user_update_profile(
    struct db *d, const uint8_t id[16], int64_t version, const char *display_name, size_t n)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, PROFILE);
	struct db_st *row = db_sql(d, DB_NOUN_user, EXISTS);

	if (n > DB_NAME_MAX)
		return KE_LONG;
	db_in_id(st, id);
	db_in_int(st, version);
	db_in_text(st, display_name, n);
	db_in_id(row, id);
	return db_exec_cas(st, row, KE_CONFLICT);
}

int db_user_set_roles(struct db *d, const uint8_t id[16], uint8_t roles)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, ROLES);

	db_in_id(st, id);
	db_in_int(st, roles);
	return db_exec_one(st);
}

int db_user_set_phc(struct db *d, const uint8_t id[16], const char *phc)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, PHC);

	if (strlen(phc) > DB_PHC_MAX)
		return KE_LONG;
	db_in_id(st, id);
	db_in_cstr(st, phc);
	return db_exec_one(st);
}

int db_user_count(struct db *d, int64_t *n)
{
	return db_exec_int(db_sql(d, DB_NOUN_user, COUNT), n);
}
