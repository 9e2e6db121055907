/*
 * Facts about the store itself (db_meta.h). Runs in engine.
 */
#include "db/db_meta.h"
#include "db/db_sql.h"

enum { GET, SET };
static const char *const texts[] = {
    [GET] = "SELECT value FROM meta WHERE key = $1",
    [SET] = "INSERT INTO meta (key, value) VALUES ($1, $2)"
	    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
DB_SQL_LIST(meta, texts);

int db_meta_get(struct db *d, const char *key, void *buf, size_t cap, size_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_meta, GET);

	db_in_cstr(st, key);
	return db_exec_copy(st, buf, cap, n);
}

int db_meta_set(struct db *d, const char *key, const void *value, size_t n)
{
	struct db_st *st = db_sql(d, DB_NOUN_meta, SET);

	if (n > DB_META_VALUE_MAX)
		return KE_LONG;
	db_in_cstr(st, key);
	db_in_blob(st, value, n);
	return db_exec(st);
}
