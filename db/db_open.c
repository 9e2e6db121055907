/*
 * Opening the store: what is there, is the key right, which version, snapshot, migration, first
 * look (db.h). Runs in engine at start, before its sandbox closes the door.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db_audit.h"
#include "db/db_behind.h"
#include "db/db_file.h"
#include "db/db_head.h"
#include "db/db_key.h"
#include "db/db_open.h"

struct opening {
	struct db *d;
	const char *folder;
	const uint8_t *key;
	char path[PATH_MAX];
	bool no_check; /* there is a store, but no klero.check */
};

static int absent(struct opening *o, unsigned flags)
{
	if (!(flags & DB_CREATE))
		return db_fail(o->d, KE_NOTFOUND,
		    "store missing: no %s in %.120s: restore a backup", DB_FILE, o->folder);
	/* Empty, but with our mode: SQLite would make it readable for all, and its log likewise. */
	if (db_key_write(o->folder, o->key) || db_file_write(o->folder, DB_FILE, "", 0))
		return db_fail(o->d, KE_IO, "cannot write %s in %.120s: check its owner and space",
		    DB_CHECK_FILE, o->folder);
	return KE_OK;
}

static int check_key(struct opening *o)
{
	int r = db_key_check(o->folder, o->key);

	if (r == KE_NOTFOUND) {
		o->no_check = true;
		return KE_OK;
	}
	if (r == KE_WRONG_KEY)
		return db_fail(o->d, r,
		    "wrong key: the database key does not belong to %.120s/%s: use the keys and "
		    "the "
		    "token it was made with",
		    o->folder, DB_FILE);
	if (r == KE_DAMAGED)
		return db_fail(o->d, r, "damaged: %.120s/%s: restore it from a backup", o->folder,
		    DB_CHECK_FILE);
	if (r)
		return db_fail(o->d, r, "cannot read %.120s/%s", o->folder, DB_CHECK_FILE);
	return KE_OK;
}

static int look_at_header(struct opening *o)
{
	static const char plain[16] = "SQLite format 3";
	char head[16];
	size_t n;
	int r = db_file_read(o->folder, DB_FILE, head, sizeof head, &n);

	if (r && r != KE_LONG)
		return db_fail(o->d, KE_IO, "cannot read %.120s/%s", o->folder, DB_FILE);
	if (n == sizeof head && memcmp(head, plain, sizeof head) == 0)
		return db_fail(o->d, KE_DAMAGED,
		    "%.120s/%s is not encrypted: it is no store of ours", o->folder, DB_FILE);
	return KE_OK;
}

/* Is there a store, and is the key right? Nothing is opened and, without DB_CREATE, nothing
 * written. */
static int survey(struct opening *o, unsigned flags)
{
	int64_t size;
	int r = db_file_size(o->folder, DB_FILE, &size);

	if (r == KE_NOTFOUND)
		return absent(o, flags);
	if (r)
		return db_fail(o->d, KE_IO, "cannot read %.120s/%s", o->folder, DB_FILE);
	if (size == 0 && (flags & DB_CREATE))
		return absent(o, flags); /* an earlier start died while making it */
	if (size == 0)
		return db_fail(o->d, KE_DAMAGED, "damaged: %.120s/%s is empty: restore a backup",
		    o->folder, DB_FILE);
	r = look_at_header(o);
	return r ? r : check_key(o);
}

/* The cause, for the operator: which file, and whether the key can be blamed. */
static int explain(struct opening *o, int r)
{
	char cause[DB_WHY_MAX];

	memcpy(cause, o->d->why, sizeof cause);
	if (r == KE_DAMAGED && o->no_check)
		return db_fail(o->d, r,
		    "damaged, or the wrong key (%s is missing too): %.100s/%s: restore a backup",
		    DB_CHECK_FILE, o->folder, DB_FILE);
	if (r == KE_DAMAGED)
		return db_fail(o->d, r,
		    "damaged: %.90s/%s does not open (the key is right): restore a "
		    "backup: %.60s",
		    o->folder, DB_FILE, cause);
	if (r == KE_UNAVAIL)
		return db_fail(
		    o->d, r, "in use: another process has %.120s/%s open", o->folder, DB_FILE);
	if (r == KE_IO)
		return db_fail(o->d, r, "cannot use %.90s/%s: check its owner and space: %.80s",
		    o->folder, DB_FILE, cause);
	return r;
}

static int open_file(struct opening *o)
{
	int r = db_sqlite_open(o->d, o->path, o->key);
	return r ? explain(o, r) : KE_OK;
}

static int check_version(struct opening *o, int newest)
{
	int64_t tables;
	int r = db_sqlite_version(o->d, &o->d->schema, &tables);

	if (r)
		return explain(o, r);
	if (o->d->schema > newest)
		return db_fail(o->d, KE_VERSION,
		    "schema %d of %.100s/%s is newer than this program's %d: install the newer "
		    "program",
		    o->d->schema, o->folder, DB_FILE, newest);
	if (o->d->schema < 0 || (o->d->schema == 0) != (tables == 0))
		return db_fail(o->d, KE_DAMAGED, "damaged: %.120s/%s has tables without a version",
		    o->folder, DB_FILE);
	return KE_OK;
}

/*
 * The encrypted file as it is, copied while it is closed and its log is folded in: never a word
 * in clear (SQLite's own backup into a target without a key would write plain text, silently),
 * and never a second descriptor on the open file (closing it would drop SQLite's locks).
 */
static int snapshot(struct opening *o)
{
	char name[64];
	int r = db_sqlite_fold(o->d);

	if (r)
		return explain(o, r);
	snprintf(name, sizeof name, DB_SNAPSHOT_FMT, o->d->schema);
	db_sqlite_close(o->d);
	if (db_file_copy(o->folder, DB_FILE, name))
		return db_fail(o->d, KE_IO,
		    "cannot write the snapshot %.100s/%s: no migration without it", o->folder,
		    name);
	return open_file(o);
}

/*
 * A commit that a failing disk has called failed may stand in the log all the same. The snapshot
 * takes its place, so that the program before this one finds its store; then the log goes, which
 * before that would still have fitted.
 */
static void put_back(struct opening *o)
{
	char name[64], cause[DB_WHY_MAX];

	memcpy(cause, o->d->why, sizeof cause);
	snprintf(name, sizeof name, DB_SNAPSHOT_FMT, o->d->schema);
	db_sqlite_close(o->d);
	if (db_file_copy(o->folder, name, DB_FILE) || db_file_remove(o->folder, DB_FILE "-wal") ||
	    db_file_remove(o->folder, DB_FILE "-shm"))
		snprintf(o->d->why, sizeof o->d->why, "%.150s; put %s in the place of " DB_FILE,
		    cause, name);
	else
		memcpy(o->d->why, cause, sizeof cause);
}

static int migrate(struct opening *o, const struct db_migration *list, size_t n)
{
	bool older = o->d->schema > 0 && o->d->schema < list[n - 1].version;
	int r = older ? snapshot(o) : KE_OK;

	if (r)
		return r;
	r = db_migrate(o->d, list, n);
	if (r && older)
		put_back(o);
	return r;
}

static int bring_up(struct opening *o, unsigned flags, const struct db_migration *list, size_t n)
{
	int r = open_file(o);

	if (!r)
		r = check_version(o, list[n - 1].version);
	if (!r && (flags & DB_AS_IS) != 0 && o->d->schema < list[n - 1].version)
		return db_fail(o->d, KE_STATE,
		    "schema %d of %.100s/%s is older than this program's %d: klerod brings it up "
		    "to "
		    "date when it starts",
		    o->d->schema, o->folder, DB_FILE, list[n - 1].version);
	if (!r)
		r = migrate(o, list, n);
	if (!r && o->no_check && db_key_write(o->folder, o->key))
		r = db_fail(o->d, KE_IO, "cannot write %.120s/%s", o->folder, DB_CHECK_FILE);
	return r;
}

int db_open_with(struct db **out, const char *folder, const uint8_t key[32], unsigned flags,
    const struct db_migration *list, size_t n, char *why)
{
	struct opening o = {.folder = folder, .key = key};
	int r = KE_INTERNAL;

	*out = NULL;
	why[0] = '\0';
	o.d = calloc(1, sizeof *o.d);
	if (!o.d)
		return KE_NOMEM;
	if (snprintf(o.path, sizeof o.path, "%s/" DB_FILE, folder) >= (int)sizeof o.path) {
		r = db_fail(o.d, KE_LONG, "the store's path is too long");
		goto out;
	}
	r = survey(&o, flags);
	if (!r)
		r = bring_up(&o, flags, list, n);
	if (r)
		goto out;
	r = db_behind_open(o.d);
	if (!r)
		r = db_sqlite_prepare(o.d);
	if (!r)
		r = db_head_load(o.d);
	if (!r)
		r = db_behind_start(o.d);
	if (r) {
		r = explain(&o, r);
		goto out;
	}
	*out = o.d;
	return KE_OK;
out:
	memcpy(why, o.d->why, DB_WHY_MAX);
	db_sqlite_close(o.d);
	free(o.d);
	return r;
}

int db_open(struct db **out, const char *folder, const uint8_t key[32], unsigned flags, char *why)
{
	size_t n;
	const struct db_migration *list = db_migrations(&n);

	return db_open_with(out, folder, key, flags, list, n, why);
}

void db_close(struct db *d)
{
	if (!d)
		return;
	db_turn_rollback(d);
	db_behind_finish(d);
	db_sqlite_close(d);
	free(d);
}

const char *db_why(const struct db *d)
{
	return d->why;
}

int db_schema(const struct db *d)
{
	return d->schema;
}

struct db_head *db_head(struct db *d)
{
	return &d->head;
}
