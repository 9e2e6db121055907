/*
 * Numbered migrations, forward-only (DESIGN.md section 6). Runs in engine at start.
 */
#include <stdio.h>
#include <string.h>

#include "db/db_migrate.h"

static const struct db_migration list_of_all[] = {
#define MIGRATION(version, what, sql) {version, what, sql},
#include "db/migrations.def"
#undef MIGRATION
};

const struct db_migration *db_migrations(size_t *n)
{
	*n = sizeof list_of_all / sizeof list_of_all[0];
	return list_of_all;
}

int db_schema_newest(void)
{
	return list_of_all[sizeof list_of_all / sizeof list_of_all[0] - 1].version;
}

/* The first that fails is named by *failed. */
static int run_all(struct db *d, const struct db_migration *list, size_t n, size_t *failed)
{
	int r = KE_OK;

	for (size_t i = 0; !r && i < n; i++) {
		*failed = i;
		if (list[i].version > d->schema)
			r = db_sqlite_migrate(d, list[i].sql, list[i].version);
	}
	return r;
}

int db_migrate(struct db *d, const struct db_migration *list, size_t n)
{
	char cause[DB_WHY_MAX];
	size_t at = 0;
	int r;

	if (d->schema >= list[n - 1].version)
		return KE_OK;
	r = db_sqlite_migrate_begin(d);
	if (!r)
		r = db_sqlite_migrate_end(d, run_all(d, list, n, &at));
	if (r) {
		memcpy(cause, d->why, sizeof cause);
		return db_fail(d, r,
		    "migration %d (%s) failed, the store stands as it was, at %d: %.150s",
		    list[at].version, list[at].what, d->schema, cause);
	}
	d->schema = list[n - 1].version;
	return KE_OK;
}
