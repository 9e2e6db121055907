/*
 * Statements: filling parameters, stepping, reading columns. Runs in engine.
 * Column types are checked on the way out: a value of the wrong type or size is a damaged store.
 */
#include <sqlite3.h>
#include <string.h>

#include "db/db_sqlite.h"

const uint8_t db_id_last[16] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct db_st *db_sql(struct db *d, enum db_noun noun, size_t i)
{
	struct db_st *st = &d->st[noun][i];

	st->in = 0;
	st->out = 0;
	st->err = !d->turn ? KE_STATE : d->lost ? KE_IO : KE_OK;
	if (d->refuses && !st->err && !sqlite3_stmt_readonly(st->s))
		st->err = db_fail(d, KE_IO, "the store is only read");
	/* A callback that runs the very statement it is called from would end it: both fail. */
	if (sqlite3_stmt_busy(st->s))
		st->err = db_fail(d, KE_INTERNAL, "a statement is used within itself");
	return st;
}

static void note(struct db_st *st, int rc)
{
	if (rc != SQLITE_OK && !st->err)
		st->err = db_sqlite_error(st->d, rc, "binding");
}

/* Where the next parameter, $1, $2, …, is bound; SQLite refuses position 0. */
static int next(struct db_st *st)
{
	return st->in < DB_PARAMS_MAX ? st->at[++st->in] : 0;
}

void db_in_int(struct db_st *st, int64_t v)
{
	note(st, sqlite3_bind_int64(st->s, next(st), v));
}

void db_in_blob(struct db_st *st, const void *p, size_t n)
{
	note(st, sqlite3_bind_blob64(st->s, next(st), n ? p : "", n, SQLITE_STATIC));
}

void db_in_text(struct db_st *st, const char *s, size_t n)
{
	note(st, sqlite3_bind_text64(st->s, next(st), n ? s : "", n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_in_cstr(struct db_st *st, const char *s)
{
	db_in_text(st, s, strlen(s));
}

void db_in_null(struct db_st *st)
{
	note(st, sqlite3_bind_null(st->s, next(st)));
}

void db_in_id(struct db_st *st, const uint8_t *id)
{
	if (id)
		db_in_blob(st, id, 16);
	else
		db_in_null(st);
}

int db_step(struct db_st *st)
{
	/* A parameter left out would keep its value of the time before. */
	if (!st->err && st->in != st->n)
		st->err = db_fail(
		    st->d, KE_INTERNAL, "a parameter is missing: %.100s", sqlite3_sql(st->s));
	if (st->err) {
		sqlite3_reset(st->s);
		return st->err;
	}
	int rc = sqlite3_step(st->s);
	if (rc == SQLITE_ROW) {
		st->out = 0;
		return KE_OK;
	}
	if (rc == SQLITE_DONE) {
		sqlite3_reset(st->s);
		return KE_NOTFOUND;
	}
	int r = db_sqlite_error(st->d, rc, "statement");
	sqlite3_reset(st->s);
	return r;
}

/* The next column when it has the type, -1 when it is NULL or of another one. */
static int column(struct db_st *st, int type)
{
	int c = st->out++;
	int t = sqlite3_column_type(st->s, c);

	if (t == type)
		return c;
	if (t != SQLITE_NULL)
		st->err = db_fail(
		    st->d, KE_DAMAGED, "column %s has another type", sqlite3_column_name(st->s, c));
	return -1;
}

int64_t db_out_int(struct db_st *st)
{
	int c = column(st, SQLITE_INTEGER);
	return c < 0 ? 0 : sqlite3_column_int64(st->s, c);
}

bool db_out_isnull(struct db_st *st)
{
	return sqlite3_column_type(st->s, st->out) == SQLITE_NULL;
}

static void too_long(struct db_st *st, int c)
{
	st->err =
	    db_fail(st->d, KE_DAMAGED, "column %s has another size", sqlite3_column_name(st->s, c));
}

void db_out_bytes(struct db_st *st, void *dst, size_t cap, size_t *n)
{
	int c = column(st, SQLITE_BLOB);

	*n = 0;
	if (c < 0)
		return;
	const void *p = sqlite3_column_blob(st->s, c);
	size_t have = (size_t)sqlite3_column_bytes(st->s, c);
	if (have > cap) {
		too_long(st, c);
		return;
	}
	if (have)
		memcpy(dst, p, have);
	*n = have;
}

void db_out_blob(struct db_st *st, void *dst, size_t n)
{
	size_t have;
	bool null = db_out_isnull(st);

	memset(dst, 0, n);
	db_out_bytes(st, dst, n, &have);
	if (!null && have != n && !st->err)
		too_long(st, st->out - 1);
}

void db_out_text(struct db_st *st, char *dst, size_t cap)
{
	int c = column(st, SQLITE_TEXT);

	dst[0] = '\0';
	if (c < 0)
		return;
	const void *p = sqlite3_column_text(st->s, c);
	size_t have = (size_t)sqlite3_column_bytes(st->s, c);
	if (have >= cap || !p) {
		too_long(st, c);
		return;
	}
	memcpy(dst, p, have);
	dst[have] = '\0';
}

const void *db_out_view(struct db_st *st, size_t *n)
{
	int c = st->out++;
	int t = sqlite3_column_type(st->s, c);

	*n = 0;
	if (t == SQLITE_NULL)
		return NULL;
	if (t != SQLITE_BLOB && t != SQLITE_TEXT) {
		too_long(st, c);
		return NULL;
	}
	const void *p = sqlite3_column_blob(st->s, c);
	*n = (size_t)sqlite3_column_bytes(st->s, c);
	return *n ? p : NULL;
}

int db_end(struct db_st *st)
{
	sqlite3_reset(st->s);
	return st->err;
}

int db_exec(struct db_st *st)
{
	int r = db_step(st);

	if (r == KE_NOTFOUND)
		return KE_OK;
	if (r == KE_OK) {
		sqlite3_reset(st->s);
		return db_fail(st->d, KE_INTERNAL, "a statement without rows answered one");
	}
	return r;
}

int db_exec_many(struct db_st *st, int64_t *n)
{
	int r = db_exec(st);

	if (n)
		*n = r ? 0 : sqlite3_changes64(st->d->sq);
	return r;
}

int db_exec_one(struct db_st *st)
{
	int64_t n;
	int r = db_exec_many(st, &n);

	if (r)
		return r;
	return n ? KE_OK : KE_NOTFOUND;
}

int db_exec_cas(struct db_st *st, struct db_st *row, int otherwise)
{
	int r = db_exec_one(st);

	if (r != KE_NOTFOUND)
		return r;
	r = db_step(row);
	if (r)
		return r;
	r = db_end(row);
	return r ? r : otherwise;
}

int db_exec_copy(struct db_st *st, void *buf, size_t cap, size_t *n)
{
	int r = db_step(st);

	if (r)
		return r;
	const void *p = db_out_view(st, n);
	if (*n > cap)
		r = KE_LONG;
	else if (p)
		memcpy(buf, p, *n);
	int e = db_end(st);
	return r ? r : e;
}

int db_exec_int(struct db_st *st, int64_t *v)
{
	int r = db_step(st);

	if (r)
		return r;
	*v = db_out_int(st);
	return db_end(st);
}

int db_each(struct db_st *st, int (*row)(struct db_st *st, void *arg), void *arg)
{
	int r;

	while ((r = db_step(st)) == KE_OK) {
		r = row(st, arg);
		if (!r)
			r = st->err;
		if (r) {
			sqlite3_reset(st->s);
			return r;
		}
	}
	return r == KE_NOTFOUND ? KE_OK : r;
}
