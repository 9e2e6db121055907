/*
 * Inside db/ only (and its tests): opening with another list of migrations.
 */
#ifndef DB_DB_OPEN_H
#define DB_DB_OPEN_H

#include "db/db_migrate.h"

/* The copy of klero.db taken before a migration from `version`: "klero.db.v000001". */
#define DB_SNAPSHOT_FMT DB_FILE ".v%06d"

int db_open_with(struct db **out, const char *folder, const uint8_t key[32], unsigned flags,
    const struct db_migration *list, size_t n, char *why) KE_CHECK;

#endif
