/*
 * What the store's tests share: a folder of their own, opening, a population. Each test program
 * includes it once.
 */
#ifndef TESTS_UNIT_DB_ENV_H
#define TESTS_UNIT_DB_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_ledger.h"
#include "db/db_open.h"
#include "db/db_sqlite.h"
#include "db/db_user.h"

#define UNUSED __attribute__((unused))

static const uint8_t env_key[32] = {0x42, 1, 2, 3};
static const uint8_t env_zero[16];

struct env {
	char folder[64];
	char why[DB_WHY_MAX];
	struct db *d;
};

static UNUSED int env_start(void **state)
{
	struct env *e = calloc(1, sizeof *e);

	if (!e || sodium_init() < 0)
		return -1;
	snprintf(e->folder, sizeof e->folder, "/tmp/klero-db.XXXXXX");
	if (!mkdtemp(e->folder))
		return -1;
	*state = e;
	return 0;
}

static UNUSED void env_empty(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *f;

	assert_non_null(dir);
	while ((f = readdir(dir)))
		if (f->d_name[0] != '.')
			unlinkat(dirfd(dir), f->d_name, 0);
	closedir(dir);
}

static UNUSED int env_stop(void **state)
{
	struct env *e = *state;

	db_close(e->d);
	env_empty(e->folder);
	rmdir(e->folder);
	free(e);
	return 0;
}

static UNUSED int env_try(struct env *e, const uint8_t key[32], unsigned flags)
{
	return db_open(&e->d, e->folder, key, flags, e->why);
}

/* KE_OK, or its words on the way to a failed test. */
static UNUSED void env_ok(struct env *e, int r)
{
	if (r)
		print_error("%s: %s\n", ke_words(r), e->d ? db_why(e->d) : e->why);
	assert_int_equal(r, KE_OK);
}

static UNUSED void env_open(struct env *e, unsigned flags)
{
	env_ok(e, env_try(e, env_key, flags));
	assert_non_null(e->d);
	assert_string_equal(e->why, "");
}

static UNUSED void env_close(struct env *e)
{
	db_close(e->d);
	e->d = NULL;
}

/* A store and an open turn. */
static UNUSED int env_start_turn(void **state)
{
	if (env_start(state))
		return -1;
	struct env *e = *state;
	env_open(e, DB_CREATE);
	return db_turn_begin(e->d);
}

static UNUSED void env_commit(struct env *e)
{
	assert_int_equal(db_turn_commit(e->d, NULL), KE_OK);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
}

static UNUSED void env_id(uint8_t id[16], unsigned n)
{
	memset(id, 0, 16);
	id[0] = 0x10;
	id[14] = (uint8_t)(n >> 8);
	id[15] = (uint8_t)n;
}

static UNUSED void env_user(struct env *e, unsigned n, uint8_t id[16])
{
	struct db_user u = {.roles = 1, .created_ms = 1000 + n};

	env_id(id, n);
	memcpy(u.id, id, 16);
	snprintf(u.email, sizeof u.email, "user%u@example.org", n);
	snprintf(u.credential, sizeof u.credential, "$argon2id$v=19$%u", n);
	assert_int_equal(db_user_create(e->d, &u), KE_OK);
}

/* How much is appended until all that is written behind has been swept (db/db_behind.h). */
static UNUSED void env_round(struct env *e, int64_t round)
{
	db_head(e->d)->sweep.length = e->d->round = round;
}

/* The next of the numbers that a seed gives: the same on every machine. */
static UNUSED uint32_t env_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Brings money in from outside. */
static UNUSED void env_fund(struct env *e, const uint8_t user[16], int64_t amount)
{
	struct db_account out, in;

	assert_int_equal(db_account_open(e->d, DB_ACCOUNT_PROVIDER, env_zero, "EUR", &out), KE_OK);
	assert_int_equal(db_account_open(e->d, DB_ACCOUNT_USER, user, "EUR", &in), KE_OK);
	assert_int_equal(
	    db_ledger_transfer(e->d, &out, &in, amount, "deposit", user, 1, NULL), KE_OK);
}

/* Runs raw SQL behind the store's back; the door is opened for it. Returns SQLite's code. */
static UNUSED int env_raw(struct env *e, const char *sql)
{
	e->d->shut = false;
	int rc = sqlite3_exec(e->d->sq, sql, NULL, NULL, NULL);
	e->d->shut = true;
	return rc;
}

static UNUSED void env_path(const struct env *e, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", e->folder, name);
}

static UNUSED int64_t env_size(const struct env *e, const char *name)
{
	struct stat st;
	char path[128];

	env_path(e, name, path);
	return stat(path, &st) ? -1 : (int64_t)st.st_size;
}

/* Flips the bits `mask` of the byte at `at`. */
static UNUSED void env_flip(const struct env *e, const char *name, long at, unsigned mask)
{
	char path[128];
	uint8_t b;

	env_path(e, name, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b = (uint8_t)(b ^ mask);
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* Does a file hold these bytes anywhere? */
static UNUSED bool env_holds(const struct env *e, const char *name, const char *what)
{
	char path[128];
	int64_t n = env_size(e, name);

	if (n <= 0)
		return false;
	env_path(e, name, path);
	FILE *f = fopen(path, "rb");
	char *all = malloc((size_t)n);
	assert_true(f && all);
	assert_int_equal(fread(all, 1, (size_t)n, f), n);
	bool found = memmem(all, (size_t)n, what, strlen(what)) != NULL;
	fclose(f);
	free(all);
	return found;
}

#endif
