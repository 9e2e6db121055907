/*
 * Inside db/ only: the driver over SQLCipher. Nothing but db_sqlite.c, db_turn.c and db_stmt.c
 * speaks SQLite; db_open.c and db_migrate.c call what stands here.
 */
#ifndef DB_DB_SQLITE_H
#define DB_DB_SQLITE_H

#include "db/db_sql.h"

struct sqlite3;
struct sqlite3_stmt;

#define DB_PARAMS_MAX 16

struct db_st {
	struct db *d;
	struct sqlite3_stmt *s;
	int n;       /* parameters it has */
	int in, out; /* parameters filled, columns read */
	int err;     /* first trouble since db_sql() */
	/* SQLite takes $2 for a name and numbers names as they appear: where $k really is. */
	unsigned char at[DB_PARAMS_MAX + 1];
};

/* The driver's own statements. */
enum db_turn_sql { DB_BEGIN, DB_COMMIT, DB_ROLLBACK, DB_SAVE, DB_RELEASE, DB_UNDO, DB_TURN_SQL };

struct db {
	struct sqlite3 *sq;
	struct db_st *st[DB_NOUN_COUNT];
	struct db_st turn_st[DB_TURN_SQL];
	bool shut; /* the authorizer lets only data statements through */
	bool turn, saved, lost;
	bool refuses; /* what would write */
	struct db_head head, head_turn, head_saved;
	int64_t round;     /* entries, tickets and answers in which all pages are swept once */
	int log_pages;     /* in the log after the last commit */
	bool held;         /* the log is not written back: a backup reads klero.db */
	int64_t held_most; /* bytes of log at which it is all the same */
	int schema;
	char why[DB_WHY_MAX];
};

/*
 * Opens and keys the file, which is there (empty for a new store), sets every PRAGMA, reads the
 * header. KE_DAMAGED when the first page does not open under the key: the caller knows whether the
 * key is right.
 */
int db_sqlite_open(struct db *d, const char *path, const uint8_t key[32]) KE_CHECK;
/* Finalises every statement and closes; the struct can be opened again. */
void db_sqlite_close(struct db *d);
/* The schema's version as stored, 0 for an empty store; *tables how many there are. */
int db_sqlite_version(struct db *d, int *version, int64_t *tables) KE_CHECK;
/*
 * One transaction for all migrations, so that a program that fails leaves a store which the one
 * before it still opens: begins it, runs one migration's text and sets its version, and ends it,
 * by a commit when r is KE_OK, otherwise undone.
 */
int db_sqlite_migrate_begin(struct db *d) KE_CHECK;
int db_sqlite_migrate(struct db *d, const char *sql, int version) KE_CHECK;
int db_sqlite_migrate_end(struct db *d, int r) KE_CHECK;
/* Statements without parameters and rows, before the store is shut. */
int db_sqlite_exec(struct db *d, const char *sql) KE_CHECK;
/* Prepares every statement of every noun, and shuts the store. */
int db_sqlite_prepare(struct db *d) KE_CHECK;
/* Empties the log into the file, so that the file alone is the store. */
int db_sqlite_fold(struct db *d) KE_CHECK;
/* SQLite's code as ours, words into why. */
int db_sqlite_error(struct db *d, int rc, const char *doing);

#endif
