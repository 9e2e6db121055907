/*
 * Inside db/ only: bringing the schema up to date. The list is db/migrations.def.
 */
#ifndef DB_DB_MIGRATE_H
#define DB_DB_MIGRATE_H

#include "db/db_sqlite.h"

struct db_migration {
	int version;
	const char *what;
	const char *sql;
};

/* This program's list, versions 1, 2, … *n. */
const struct db_migration *db_migrations(size_t *n);

/*
 * Runs what is newer than d->schema, all in one transaction; d->schema follows. On failure the
 * store stands as it was, for the program before this one, and `why` names the migration that
 * failed.
 */
int db_migrate(struct db *d, const struct db_migration *list, size_t n) KE_CHECK;

#endif
