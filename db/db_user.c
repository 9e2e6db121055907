/*
 * Users (db_user.h). Runs in engine.
 */
#include <string.h>

#include "db/db_sql.h"
#include "db/db_user.h"

#define COLUMNS "id, email, phc, display_name, roles, version, created_ms"

enum {
	CREATE,
	BY_ID,
	BY_EMAIL,
	PROFILE,
	ROLES,
	CREDENTIAL,
	ADD,
	COUNT,
	EXISTS,
	HEAD,
	MORE,
	LESS,
	HEAD_COUNT,
	NEXT_HEAD,
	HAS_HEAD,
	WITH_HEAD,
	RESEAL
};
static const char *const texts[] = {
    [CREATE] = "INSERT INTO users (id, email, phc, display_name, roles, created_ms, version)"
	       " VALUES ($1, $2, $3, $4, $5, $6, 1)",
    [BY_ID] = "SELECT " COLUMNS " FROM users WHERE id = $1",
    [BY_EMAIL] = "SELECT " COLUMNS " FROM users WHERE email = $1",
    [PROFILE] = "UPDATE users SET display_name = $3, version = version + 1"
		" WHERE id = $1 AND version = $2",
    [ROLES] = "UPDATE users SET roles = $2, version = version + 1 WHERE id = $1",
    [CREDENTIAL] = "UPDATE users SET phc = $2, version = version + 1 WHERE id = $1",
    [ADD] = "UPDATE counts SET n = n + 1 WHERE name = 'users'",
    [COUNT] = "SELECT n FROM counts WHERE name = 'users'",
    [EXISTS] = "SELECT 1 FROM users WHERE id = $1",
    [HEAD] = "SELECT substr(phc, 1, 21) FROM users WHERE id = $1",
    [MORE] = "INSERT INTO counts (name, n) VALUES ('phc ' || substr($1, 1, 21), $2)"
	     " ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
    /* whoever takes a number that was kept wrongly to heart must not stand still for it */
    [LESS] = "UPDATE counts SET n = CASE WHEN n > $2 THEN n - $2 ELSE 0 END"
	     " WHERE name = 'phc ' || substr($1, 1, 21)",
    [HEAD_COUNT] = "SELECT n FROM counts WHERE name = 'phc ' || $1",
    [NEXT_HEAD] = "SELECT substr(phc, 1, 21) FROM users WHERE substr(phc, 1, 21) > $1"
		  " AND substr(phc, 1, 21) <> $2 ORDER BY substr(phc, 1, 21) LIMIT 1",
    [HAS_HEAD] = "SELECT 1 FROM users WHERE substr(phc, 1, 21) = $1 LIMIT 1",
    [WITH_HEAD] = "SELECT id, phc FROM users WHERE substr(phc, 1, 21) = $1 AND id > $2"
		  " ORDER BY id LIMIT $3",
    [RESEAL] = "UPDATE users SET phc = $3 WHERE id = $1 AND phc = $2",
};
DB_SQL_LIST(user, texts);

static bool has_upper(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			return true;
	return false;
}

/* The numbers of a head, which is the beginning of text. */
static int more(struct db *d, const char *text, int64_t n)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, MORE);

	db_in_cstr(st, text);
	db_in_int(st, n);
	return db_exec(st);
}

static int less(struct db *d, const char *text, int64_t n)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, LESS);

	db_in_cstr(st, text);
	db_in_int(st, n);
	return db_exec(st);
}

int db_user_moved(struct db *d, const char *from, const char *to, int64_t n)
{
	int r = n == 0 ? KE_OK : less(d, from, n);

	return r || n == 0 ? r : more(d, to, n);
}

int db_user_create(struct db *d, const struct db_user *u)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, CREATE);

	if (has_upper(u->email, strlen(u->email)))
		return KE_FORMAT;
	db_in_id(st, u->id);
	db_in_cstr(st, u->email);
	db_in_cstr(st, u->credential);
	db_in_cstr(st, u->display_name);
	db_in_int(st, u->roles);
	db_in_int(st, u->created_ms);
	int r = db_exec(st);
	if (!r)
		r = more(d, u->credential, 1);
	return r ? r : db_exec_one(db_sql(d, DB_NOUN_user, ADD));
}

static int one(struct db_st *st, struct db_user *u)
{
	int r = db_step(st);

	if (r)
		return r;
	db_out_blob(st, u->id, 16);
	db_out_text(st, u->email, sizeof u->email);
	db_out_text(st, u->credential, sizeof u->credential);
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

int db_user_set_credential(struct db *d, const uint8_t id[16], const char *credential)
{
	struct db_st *was = db_sql(d, DB_NOUN_user, HEAD);
	struct db_st *st = db_sql(d, DB_NOUN_user, CREDENTIAL);
	char head[DB_HEAD_LEN + 1] = "";
	size_t n;

	if (strlen(credential) > DB_CREDENTIAL_MAX)
		return KE_LONG;
	db_in_id(was, id);
	int r = db_exec_copy(was, head, DB_HEAD_LEN, &n);
	if (r)
		return r;
	head[n] = '\0';
	db_in_id(st, id);
	db_in_cstr(st, credential);
	r = db_exec_one(st);
	return r ? r : db_user_moved(d, head, credential, 1);
}

int db_user_count(struct db *d, int64_t *n)
{
	return db_exec_int(db_sql(d, DB_NOUN_user, COUNT), n);
}

int db_user_next_head(struct db *d, const char *after, const char *but, char head[DB_HEAD_LEN + 1])
{
	struct db_st *st = db_sql(d, DB_NOUN_user, NEXT_HEAD);
	size_t n = 0;

	db_in_cstr(st, after);
	db_in_cstr(st, but);
	int r = db_exec_copy(st, head, DB_HEAD_LEN, &n);
	head[r ? 0 : n] = '\0';
	return r;
}

int db_user_has_head(struct db *d, const char *head)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, HAS_HEAD);
	int64_t one;

	db_in_cstr(st, head);
	return db_exec_int(st, &one);
}

struct credentials {
	int (*each)(void *arg, const struct db_credential *c);
	void *arg;
};

static int credential_row(struct db_st *st, void *arg)
{
	const struct credentials *all = arg;
	struct db_credential c;

	db_out_blob(st, c.id, sizeof c.id);
	db_out_text(st, c.text, sizeof c.text);
	return all->each(all->arg, &c);
}

int db_user_with_head(struct db *d, const char *head, const uint8_t after[16], int64_t limit,
    int (*each)(void *arg, const struct db_credential *c), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, WITH_HEAD);
	struct credentials all = {each, arg};

	db_in_cstr(st, head);
	db_in_id(st, after);
	db_in_int(st, limit);
	return db_each(st, credential_row, &all);
}

int db_user_count_head(struct db *d, const char *head, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, HEAD_COUNT);

	*n = 0;
	db_in_cstr(st, head);
	int r = db_exec_int(st, n);
	return r == KE_NOTFOUND ? KE_OK : r;
}

int db_user_reseal(struct db *d, const uint8_t id[16], const char *was, const char *credential)
{
	struct db_st *st = db_sql(d, DB_NOUN_user, RESEAL);

	if (strlen(credential) > DB_CREDENTIAL_MAX)
		return KE_LONG;
	db_in_id(st, id);
	db_in_cstr(st, was);
	db_in_cstr(st, credential);
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_STATE : r;
}
