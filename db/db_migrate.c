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

int db_migrate(struct db *d, const struct db_migration *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].version <= d->schema)
			continue;
		int r = db_sqlite_migrate(d, list[i].sql, list[i].version);
		if (r) {
			char cause[DB_WHY_MAX];
			memcpy(cause, d->why, sizeof cause);
			return db_fail(d, r,
			    "migration %d (%s) failed, nothing of it remains: %.150s",
			    list[i].version, list[i].what, cause);
		}
		d->schema = list[i].version;
	}
	return KE_OK;
}
