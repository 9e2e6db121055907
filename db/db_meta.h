/*
 * Facts about the store itself, key → bytes: "appliance" (16 bytes), and what later issues add.
 */
#ifndef DB_DB_META_H
#define DB_DB_META_H

#include "db/db.h"

#define DB_META_KEY_MAX   63
#define DB_META_VALUE_MAX 4096
#define DB_META_APPLIANCE "appliance"
/* SHA-256 of the code that makes the first admin, and until when (u64 big-endian, Unix seconds);
 * anything shorter: it was used. */
#define DB_META_ENROL     "enrol"
#define DB_META_ENROL_LEN 40

/* KE_NOTFOUND; KE_LONG when cap is too small. */
int db_meta_get(struct db *d, const char *key, void *buf, size_t cap, size_t *n) KE_CHECK;
int db_meta_set(struct db *d, const char *key, const void *value, size_t n) KE_CHECK;

#endif
