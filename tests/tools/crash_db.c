/*
 * Writes to a store whose disk is recorded, and looks at what a power cut has left of it; for
 * tests/crash. No daemon and no token: the key is the tests' own, so that thousands of states can
 * be looked at.
 *	crash_db FOLDER run FIRST LAST     turns FIRST to LAST, each acknowledged in FOLDER/acks
 *	crash_db FOLDER migrate            brings the store up to a schema of the tests' own
 *	crash_db FOLDER check LEAST MOST   opens it as engine does; how many turns are there?
 *	crash_db FOLDER check-migrated LEAST MOST
 *	crash_db FOLDER snapshot LEAST MOST   the snapshot from before the migration is a whole
 *store
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_open.h"
#include "tests/unit/db_turns.h"

#define CHECKPOINT_EVERY 8

static const uint8_t key[32] = {0x42, 1, 2, 3};

/* The product's migrations and one more, which rewrites what there is. */
static struct db_migration list[64];
static size_t list_n;

static void load_list(bool more)
{
	const struct db_migration *all = db_migrations(&list_n);

	memcpy(list, all, list_n * sizeof *all);
	if (!more)
		return;
	list[list_n] = (struct db_migration){list[list_n - 1].version + 1, "the tests' own",
	    "CREATE TABLE crash_copy (seq INTEGER PRIMARY KEY, detail TEXT NOT NULL) STRICT;"
	    "INSERT INTO crash_copy SELECT seq, detail FROM audit;"
	    "ALTER TABLE jobs ADD COLUMN crash INTEGER NOT NULL DEFAULT 1;"
	    "CREATE INDEX crash_by_detail ON crash_copy (detail, seq);"};
	list_n++;
}

static int fail(const char *what, int r, const char *why)
{
	printf("%s: %s: %s\n", what, ke_words(r), why);
	return 1;
}

static int open_store(const char *folder, bool more, struct db **d)
{
	char why[DB_WHY_MAX] = "";

	load_list(more);
	int r = db_open_with(d, folder, key, DB_CREATE, list, list_n, why);
	return r ? fail("open", r, why) : 0;
}

static int run(const char *folder, int64_t first, int64_t last)
{
	struct db *d;
	char path[512];
	int r = open_store(folder, false, &d), acks;

	snprintf(path, sizeof path, "%s/acks", folder);
	acks = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (r || acks < 0)
		return 1;
	for (int64_t n = first; n <= last; n++) {
		r = turns_one(d, n);
		if (r)
			return fail("turn", r, db_why(d));
		if (write(acks, &n, sizeof n) != sizeof n)
			return 1;
		r = n % CHECKPOINT_EVERY == 0 ? db_checkpoint(d) : KE_OK;
		if (r)
			return fail("checkpoint", r, db_why(d));
	}
	db_close(d);
	return 0;
}

static int migrate(const char *folder)
{
	struct db *d;

	if (open_store(folder, true, &d))
		return 1;
	db_close(d);
	return 0;
}

static int check(const char *folder, bool more, int64_t least, int64_t most)
{
	struct db *d;
	int64_t n = 0;

	if (open_store(folder, more, &d))
		return 1;
	int r = turns_count(d, &n);
	if (!r)
		r = db_scan(d);
	if (r)
		return fail("check", r, db_why(d));
	if (n < least || n > most) {
		printf("%lld turns are there, %lld to %lld must be\n", (long long)n,
		    (long long)least, (long long)most);
		return 1;
	}
	r = turns_one(d, n + 1); /* and it goes on */
	db_close(d);
	return r ? fail("turn", r, "") : 0;
}

/* As an operator who restores it: in a folder of its own, under the store's name. */
static int snapshot(const char *folder, int64_t least, int64_t most)
{
	char from[512], to[600], aside[520];
	int r;

	load_list(false);
	snprintf(from, sizeof from, "%s/" DB_SNAPSHOT_FMT, folder, list[list_n - 1].version);
	snprintf(aside, sizeof aside, "%s/restored", folder);
	snprintf(to, sizeof to, "%s/" DB_FILE, aside);
	if (mkdir(aside, 0700) != 0 || link(from, to) != 0)
		return fail("snapshot", KE_NOTFOUND, from);
	r = check(aside, false, least, most);
	return r;
}

int main(int argc, char **argv)
{
	if (argc < 3 || sodium_init() < 0)
		return 2;
	int64_t a = argc == 5 ? strtoll(argv[3], NULL, 10) : 0;
	int64_t b = argc == 5 ? strtoll(argv[4], NULL, 10) : 0;
	if (strcmp(argv[2], "run") == 0)
		return run(argv[1], a, b);
	if (strcmp(argv[2], "migrate") == 0)
		return migrate(argv[1]);
	if (strcmp(argv[2], "check") == 0)
		return check(argv[1], false, a, b);
	if (strcmp(argv[2], "check-migrated") == 0)
		return check(argv[1], true, a, b);
	return strcmp(argv[2], "snapshot") == 0 ? snapshot(argv[1], a, b) : 2;
}
