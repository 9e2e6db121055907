/*
 * The store: opening, turns, savepoints, checks. Runs in engine (and in klero's own tools with
 * the engine stopped); trusts the file only as far as SQLCipher's page MACs carry.
 * db/ is the only code that knows SQL; what leaves it are typed functions, one header per noun.
 *
 * Everything happens inside a turn:
 *
 *	db_turn_begin
 *	    db_savepoint … db_release or db_rollback_to      one per request, not nested
 *	db_turn_commit                                       durable when it returns KE_OK
 *
 * When a function returns KE_IO, KE_DAMAGED or KE_INTERNAL the turn may be lost as a whole:
 * db_turn_lost() tells, every later call answers KE_IO, and db_turn_rollback() ends it.
 * Ids are 16 bytes, times unix milliseconds, money minor units, texts UTF-8.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define DB_FILE       "klero.db"
#define DB_CHECK_FILE "klero.check" /* tells a wrong key from a damaged store */
#define DB_WHY_MAX    256

#define DB_CREATE 1u /* make the store when there is none; an existing one is opened */
#define DB_AS_IS  2u /* an older schema is not migrated: KE_STATE */

struct db;

/*
 * Opens the store in `folder` with its raw key, migrates it, prepares every statement, and shuts
 * the door (no ATTACH, no PRAGMA). The key is copied and wiped by SQLCipher; the caller wipes its
 * own. *out is for db_close(). On failure nothing is altered and `why` (DB_WHY_MAX bytes) is one
 * line that names the thing and what to do:
 *	KE_NOTFOUND   no store there (restore a backup)
 *	KE_WRONG_KEY  the key is not this store's
 *	KE_DAMAGED    the key is right, the store is not
 *	KE_VERSION    a newer program wrote it
 *	KE_STATE      an older program wrote it, and DB_AS_IS
 *	KE_UNAVAIL    another process has it open
 *	KE_IO         folder, disk or permission
 * Looks at: the key check, SQLCipher's version, the MACs of all pages it needs (header, schema,
 * the newest rows of entries and audit), that every statement fits the schema. It does not read
 * the whole store: db_scan() does.
 */
int db_open(
    struct db **out, const char *folder, const uint8_t key[32], unsigned flags, char *why) KE_CHECK;
/* Writes what is written behind, checkpoints and closes; NULL is allowed. Rolls an open turn back.
 */
void db_close(struct db *d);
/* Words for the last trouble, for a log line; no stored value is in it. */
const char *db_why(const struct db *d);
/* Version of the store's schema, and the newest this program knows. */
int db_schema(const struct db *d);
int db_schema_newest(void);

int db_turn_begin(struct db *d) KE_CHECK;
/*
 * Makes the turn durable: KE_OK only after fsync. *wrote (may be NULL) is false when nothing was
 * written, and then nothing was synced either. On failure the turn is rolled back whole and over.
 */
int db_turn_commit(struct db *d, bool *wrote) KE_CHECK;
void db_turn_rollback(struct db *d);
bool db_turn_open(const struct db *d);
bool db_turn_lost(const struct db *d);
/* Has this turn written anything so far? */
bool db_turn_wrote(const struct db *d);
/*
 * Until it is taken back: what would change the store answers KE_IO and is not tried, in this turn
 * and those that follow. What only reads goes on as ever.
 */
void db_refuse_writes(struct db *d, bool refuse);

/* One at a time within a turn; KE_STATE when nested or outside a turn. */
int db_savepoint(struct db *d) KE_CHECK;
int db_release(struct db *d) KE_CHECK;
int db_rollback_to(struct db *d) KE_CHECK; /* undone and released */

/*
 * Reads the whole store: every page's MAC, then SQLite's own quick_check. Seconds per GiB; outside
 * a turn. KE_DAMAGED with words in db_why().
 */
int db_scan(struct db *d) KE_CHECK;
/*
 * For a backup: from now on klero.db stays as it is, and what is committed goes to the log alone,
 * until it is let go. Both files together, the log up to db_held_log() bytes, are the store as it
 * stood when that was asked. Outside a turn; KE_STATE when it is held already. db_held() turns
 * false by itself when the log has grown by `most` bytes: then it is written back, and what was
 * copied is worth nothing.
 */
int db_hold(struct db *d, int64_t most) KE_CHECK;
bool db_held(const struct db *d);
int64_t db_held_log(const struct db *d);
void db_let_go(struct db *d);
/* Writes the log back into klero.db now; happens by itself every 4,000 pages and at db_close(). */
int db_checkpoint(struct db *d) KE_CHECK;

#endif
