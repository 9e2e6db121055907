/*
 * The driver over SQLCipher: opening, settings, errors, what may still be prepared once the store
 * is open. Runs in engine. Trusts the file as far as the page MACs carry. Everything that only
 * SQLite knows (PRAGMA, authorizer, log and lock modes) is here.
 */
#include <ctype.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db_pcache.h"
#include "db/db_sqlite.h"

#if SQLITE_VERSION_NUMBER < 3046000
#error "SQLCipher 4.6 or newer (SQLite 3.46) is needed"
#endif

int db_fail(struct db *d, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->why, sizeof d->why, fmt, ap);
	va_end(ap);
	return r;
}

static int constraint(int ext)
{
	switch (ext) {
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_ROWID:
		return KE_EXISTS;
	case SQLITE_CONSTRAINT_CHECK:
		return KE_RANGE;
	case SQLITE_CONSTRAINT_TRIGGER:
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return KE_STATE;
	default:
		return KE_INTERNAL;
	}
}

static int translate(int ext)
{
	switch (ext & 0xff) {
	case SQLITE_CONSTRAINT:
		return constraint(ext);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* at a step: SQLCipher's word for a page whose MAC fails */
		return KE_DAMAGED;
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		return KE_IO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return KE_UNAVAIL;
	case SQLITE_NOMEM:
		return KE_NOMEM;
	default:
		return KE_INTERNAL;
	}
}

int db_sqlite_error(struct db *d, int rc, const char *doing)
{
	int ext = d->sq ? sqlite3_extended_errcode(d->sq) : rc;
	int r = translate((ext & 0xff) == (rc & 0xff) ? ext : rc);

	/* The message names constraints and files, never a stored value. */
	db_fail(
	    d, r, "%.60s: %s (%d)", doing, d->sq ? sqlite3_errmsg(d->sq) : sqlite3_errstr(rc), ext);
	if (d->turn && d->sq && sqlite3_get_autocommit(d->sq))
		d->lost = true;
	return r;
}

int db_sqlite_exec(struct db *d, const char *sql)
{
	int rc = sqlite3_exec(d->sq, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? KE_OK : db_sqlite_error(d, rc, sql);
}

/* First column of the first row as text, "" when there is none. */
static int ask(struct db *d, const char *sql, char *out, size_t cap)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(d->sq, sql, -1, &s, NULL);

	out[0] = '\0';
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(s);
		const unsigned char *t = rc == SQLITE_ROW ? sqlite3_column_text(s, 0) : NULL;
		if (t)
			snprintf(out, cap, "%s", (const char *)t);
	}
	int r = rc == SQLITE_ROW || rc == SQLITE_DONE ? KE_OK : db_sqlite_error(d, rc, sql);
	sqlite3_finalize(s);
	return r;
}

/*
 * Once the store is shut, statements can only read and change rows: no ATTACH, no PRAGMA, no
 * change of the schema, no loading of anything. (SQLite prepares a cached statement again by
 * itself now and then; those pass.)
 */
static int authorize(
    void *arg, int act, const char *a, const char *b, const char *schema, const char *trigger)
{
	const struct db *d = arg;

	(void)a, (void)b, (void)schema, (void)trigger;
	if (!d->shut)
		return SQLITE_OK;
	switch (act) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_FUNCTION:
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int give_key(struct db *d, const uint8_t key[32])
{
	char spec[2 + 64 + 2] = "x'";

	sodium_bin2hex(spec + 2, 65, key, 32);
	spec[66] = '\'';
	int rc = sqlite3_key(d->sq, spec, 67);
	sodium_memzero(spec, sizeof spec);
	return rc == SQLITE_OK ? KE_OK : db_sqlite_error(d, rc, "key");
}

static int assert_cipher(struct db *d)
{
	char v[64];
	int major = 0, minor = 0;
	int r = ask(d, "PRAGMA cipher_version", v, sizeof v);

	if (r)
		return r;
	if (sscanf(v, "%d.%d", &major, &minor) != 2 || major < 4 || (major == 4 && minor < 6))
		return db_fail(d, KE_VERSION,
		    "SQLCipher 4.6 or newer is needed, the library says \"%s\": run "
		    "packaging/deps.sh",
		    v);
	return KE_OK;
}

/*
 * Part of the store's format: pages of 4,096 bytes, AES-256-CBC, HMAC-SHA256 (where the processor
 * has SHA instructions it takes half the time of SQLCipher's default SHA-512, and a durable sale
 * a fifth less).
 *
 * Exclusive: one process, one connection; so the log's index is in our memory and there is no
 * -shm file, no lock call per turn, and a second engine is refused.
 * cipher_memory_security stays off: it locks and wipes every allocation of SQLite's, for which a
 * sale takes some eight times as long, while the page cache holds clear pages by design. What
 * SQLCipher allocates for keys is locked and wiped in either case; the process has no core.
 * Temporary tables and journals in memory: nothing clear ever reaches a disk. Their pages are
 * small, for a turn keeps a copy of each that it changes, and few of the rows of db_behind.c. A
 * cache of at most 128 MiB, which fills as pages are used: with a million users each sale looks at
 * some ten pages of their own that no other sale of the moment needs. When ten thousand of them
 * buy, 64 MiB miss 2.7 pages a sale, which are read, authenticated and decrypted, 128 MiB 0.7.
 */
static int settings(struct db *d, const uint8_t key[32])
{
	static const char *const before[] = {
	    "PRAGMA cipher_log_level = NONE", /* it would read /etc/localtime; our words are
						 db_why() */
	    NULL,
	};
	static const char *const after[] = {
	    "PRAGMA cipher_hmac_algorithm = HMAC_SHA256",
	    "PRAGMA cipher_page_size = 4096",
	    "PRAGMA cipher_memory_security = OFF",
	    "PRAGMA locking_mode = EXCLUSIVE",
	    "PRAGMA mmap_size = 0",
	    "PRAGMA temp_store = MEMORY",
	    "PRAGMA temp.page_size = 512",
	    "PRAGMA cache_size = -131072",
	    "PRAGMA trusted_schema = OFF",
	    "PRAGMA foreign_keys = ON",
	    "PRAGMA recursive_triggers = OFF",
	    "PRAGMA cell_size_check = ON",
	    NULL,
	};
	int r = KE_OK;

	for (size_t i = 0; !r && before[i]; i++)
		r = db_sqlite_exec(d, before[i]);
	if (!r)
		r = give_key(d, key);
	for (size_t i = 0; !r && after[i]; i++)
		r = db_sqlite_exec(d, after[i]);
	return r;
}

/* How large a statement or a value may be, once the migrations (which need more) are done. */
static void limits(struct db *d)
{
	static const int limit[][2] = {
	    {SQLITE_LIMIT_LENGTH, 4 << 20},
	    {SQLITE_LIMIT_SQL_LENGTH, 64 << 10},
	    {SQLITE_LIMIT_COLUMN, 64},
	    {SQLITE_LIMIT_EXPR_DEPTH, 50},
	    {SQLITE_LIMIT_COMPOUND_SELECT, 8},
	    {SQLITE_LIMIT_VDBE_OP, 50000},
	    {SQLITE_LIMIT_FUNCTION_ARG, 8},
	    {SQLITE_LIMIT_ATTACHED, 0},
	    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 16},
	    {SQLITE_LIMIT_VARIABLE_NUMBER, 64},
	    {SQLITE_LIMIT_TRIGGER_DEPTH, 4},
	    {SQLITE_LIMIT_WORKER_THREADS, 0},
	};

	for (size_t i = 0; i < sizeof limit / sizeof limit[0]; i++)
		sqlite3_limit(d->sq, limit[i][0], limit[i][1]);
}

static void guards(struct db *d)
{
	sqlite3_db_config(d->sq, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->sq, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	/* Until the store is known to be good, closing it must not write the log back. */
	sqlite3_db_config(d->sq, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_extended_result_codes(d->sq, 1);
}

/* The log's file: a header, and each page with one of its own. */
#define PAGE     4096
#define LOG_HEAD 32
#define PAGE_LOG (24 + PAGE)
/*
 * Nobody is served while the log is written back: the longer it is, the fewer pages are written
 * twice, and the longer everybody waits. With 4,000 pages (16 MB) the slowest sale waits about 20
 * ms, with 16,000 it waited up to 100, for 8 % more sales of a small store and none of a large one.
 */
#define LOG_PAGES 4000

int64_t db_held_log(const struct db *d)
{
	return d->log_pages > 0 ? LOG_HEAD + (int64_t)d->log_pages * PAGE_LOG : 0;
}

/* In the place of SQLite's own automatic checkpoint, which knows no backup. */
static int committed(void *arg, sqlite3 *sq, const char *name, int pages)
{
	struct db *d = arg;

	d->log_pages = pages;
	if (d->held && db_held_log(d) > d->held_most)
		d->held = false;
	/* what cannot be written back now is written back later */
	if (!d->held && pages >= LOG_PAGES)
		(void)sqlite3_wal_checkpoint_v2(sq, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* Log mode needs the first read, so the key has shown itself right or wrong by then. */
static int journal(struct db *d)
{
	char mode[16];
	int r = db_sqlite_exec(d, "SELECT count(*) FROM sqlite_schema");

	if (!r)
		r = ask(d, "PRAGMA journal_mode = WAL", mode, sizeof mode);
	if (!r && strcmp(mode, "wal") != 0)
		return db_fail(
		    d, KE_IO, "the file system of the store cannot keep a write-ahead log");
	if (!r)
		r = db_sqlite_exec(d, "PRAGMA synchronous = FULL");
	sqlite3_wal_hook(d->sq, committed, d);
	/* After one large turn the log does not stay larger for ever. */
	if (!r)
		r = db_sqlite_exec(d, "PRAGMA journal_size_limit = 67108864");
	return r;
}

int db_sqlite_open(struct db *d, const char *path, const uint8_t key[32])
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	d->shut = false;
	db_pcache_install();
	int rc = sqlite3_open_v2(path, &d->sq, flags, NULL);
	if (rc != SQLITE_OK)
		return db_sqlite_error(d, rc, "opening");
	/*
	 * Who has the store open is not waited for: a dead engine's locks go with it, before parent
	 * starts another; and SQLite would sleep by a system call that the sandbox does not know.
	 */
	sqlite3_busy_timeout(d->sq, 0);
	guards(d);
	int r = settings(d, key);
	if (!r)
		r = assert_cipher(d);
	if (!r)
		r = journal(d);
	return r;
}

static void finalise(struct db_st *st, size_t n)
{
	for (size_t i = 0; st && i < n; i++) {
		sqlite3_finalize(st[i].s);
		st[i].s = NULL;
	}
}

static const struct db_sql_list *const lists[] = {
#define X(noun) &db_##noun##_sql,
    DB_NOUNS(X)
#undef X
};

void db_sqlite_close(struct db *d)
{
	for (size_t i = 0; i < DB_NOUN_COUNT; i++) {
		finalise(d->st[i], lists[i]->n);
		free(d->st[i]);
		d->st[i] = NULL;
	}
	finalise(d->turn_st, DB_TURN_SQL);
	sqlite3_close(d->sq);
	d->sq = NULL;
	d->shut = false;
}

int db_sqlite_version(struct db *d, int *version, int64_t *tables)
{
	char text[32];
	int r = ask(d, "PRAGMA user_version", text, sizeof text);

	*version = (int)strtol(text, NULL, 10);
	if (!r)
		r = ask(d, "SELECT count(*) FROM sqlite_schema", text, sizeof text);
	*tables = strtoll(text, NULL, 10);
	return r;
}

int db_sqlite_migrate_begin(struct db *d)
{
	return db_sqlite_exec(d, "BEGIN IMMEDIATE");
}

int db_sqlite_migrate(struct db *d, const char *sql, int version)
{
	char set[64];
	int r = db_sqlite_exec(d, sql);

	snprintf(set, sizeof set, "PRAGMA user_version = %d", version);
	return r ? r : db_sqlite_exec(d, set);
}

int db_sqlite_migrate_end(struct db *d, int r)
{
	if (!r)
		r = db_sqlite_exec(d, "COMMIT");
	if (r && !sqlite3_get_autocommit(d->sq))
		sqlite3_exec(d->sq, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* Finds $1, $2, … of a statement; they must be there without gaps. */
static int number_parameters(struct db *d, struct db_st *st, const char *sql)
{
	st->n = sqlite3_bind_parameter_count(st->s);
	for (int k = 1; k <= st->n; k++) {
		char name[16];
		snprintf(name, sizeof name, "$%d", k);
		int at = k <= DB_PARAMS_MAX ? sqlite3_bind_parameter_index(st->s, name) : 0;
		if (!at)
			return db_fail(d, KE_INTERNAL, "statement without %s: %.100s", name, sql);
		st->at[k] = (unsigned char)at;
	}
	return KE_OK;
}

static int prepare(struct db *d, struct db_st *st, const char *sql)
{
	st->d = d;
	int rc = sqlite3_prepare_v3(d->sq, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->s, NULL);
	/* KE_DAMAGED when a text does not fit the tables: they are not what their version says. */
	if (rc != SQLITE_OK)
		return db_sqlite_error(d, rc, sql);
	return number_parameters(d, st, sql);
}

int db_sqlite_prepare(struct db *d)
{
	static const char *const turn[DB_TURN_SQL] = {
	    [DB_BEGIN] = "BEGIN",
	    [DB_COMMIT] = "COMMIT",
	    [DB_ROLLBACK] = "ROLLBACK",
	    [DB_SAVE] = "SAVEPOINT step",
	    [DB_RELEASE] = "RELEASE step",
	    [DB_UNDO] = "ROLLBACK TO step",
	};
	int r = KE_OK;

	limits(d);
	sqlite3_set_authorizer(d->sq, authorize, d);
	for (size_t i = 0; !r && i < DB_TURN_SQL; i++)
		r = prepare(d, &d->turn_st[i], turn[i]);
	for (size_t i = 0; !r && i < DB_NOUN_COUNT; i++) {
		d->st[i] = calloc(lists[i]->n, sizeof(struct db_st));
		if (!d->st[i])
			return db_fail(d, KE_NOMEM, "out of memory");
		for (size_t j = 0; !r && j < lists[i]->n; j++)
			r = prepare(d, &d->st[i][j], lists[i]->text[j]);
	}
	if (!r)
		sqlite3_db_config(d->sq, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (!r)
		d->shut = true;
	return r;
}

int db_sqlite_fold(struct db *d)
{
	int rc = sqlite3_wal_checkpoint_v2(d->sq, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_sqlite_error(d, rc, "writing the log back");
	d->log_pages = 0;
	return KE_OK;
}

int db_checkpoint(struct db *d)
{
	if (d->turn || d->held)
		return db_fail(d, KE_STATE, "not within a turn, nor while a backup is made");
	return db_sqlite_fold(d);
}

int db_hold(struct db *d, int64_t most)
{
	int r = db_checkpoint(d);

	if (r)
		return r;
	d->held = true;
	d->held_most = most;
	return KE_OK;
}

bool db_held(const struct db *d)
{
	return d->held;
}

void db_let_go(struct db *d)
{
	d->held = false;
}

int db_scan(struct db *d)
{
	char words[DB_WHY_MAX];

	if (d->turn || d->held)
		return db_fail(d, KE_STATE, "not within a turn, nor while a backup is made");
	d->shut = false;
	/* The page MACs are those of the file: what is still in the log has to be there first. */
	int r = db_sqlite_fold(d);
	if (!r)
		r = ask(d, "PRAGMA cipher_integrity_check", words, sizeof words);
	if (!r && words[0])
		r = db_fail(d, KE_DAMAGED, "%s", words);
	if (!r)
		r = ask(d, "PRAGMA quick_check(1)", words, sizeof words);
	if (!r && strcmp(words, "ok") != 0)
		r = db_fail(d, KE_DAMAGED, "%s", words);
	d->shut = true;
	return r;
}
