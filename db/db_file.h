/*
 * Inside db/ only: whole files in the store's folder, durably. Never used on klero.db while it is
 * open: closing another descriptor of it would drop SQLite's locks.
 */
#ifndef DB_DB_FILE_H
#define DB_DB_FILE_H

#include "db/db.h"

/* Size in bytes; KE_NOTFOUND, KE_IO (also for what is no plain file). */
int db_file_size(const char *folder, const char *name, int64_t *size) KE_CHECK;
/* The first cap bytes at most; KE_LONG when the file has more than cap. KE_NOTFOUND, KE_IO. */
int db_file_read(const char *folder, const char *name, void *buf, size_t cap, size_t *n) KE_CHECK;
/* Replaces the file: written aside, synced, renamed, folder synced. KE_IO leaves the old one. */
int db_file_write(const char *folder, const char *name, const void *p, size_t n) KE_CHECK;
/* A durable copy under another name, in the same way. */
int db_file_copy(const char *folder, const char *from, const char *to) KE_CHECK;

/* Takes a file away, durably; one that is not there is none the less gone. */
int db_file_remove(const char *folder, const char *name) KE_CHECK;

#endif
