/*
 * A store that is held for a backup (db.h): its main file does not change while turns are
 * committed, not even when the log is long enough to be written back; both files together, copied
 * in the middle of it all, are the store as it stood when the log's end was asked for; and the log
 * does not grow without a bound.
 */
#include "tests/unit/db_env.h"
#include "tests/unit/db_turns.h"

#include "policy/hash.h"

#define TURNS 40

static void path_of(char path[128], const char *folder, const char *name)
{
	snprintf(path, 128, "%s/%s", folder, name);
}

/* The first `most` bytes, or all; the caller frees. */
static uint8_t *slurp(const char *folder, const char *name, int64_t most, size_t *n)
{
	char path[128];
	struct stat st;
	uint8_t *p;
	int fd;

	path_of(path, folder, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*n = (size_t)(most >= 0 && most < st.st_size ? most : st.st_size);
	p = malloc(*n + 1);
	assert_non_null(p);
	assert_int_equal(read(fd, p, *n), (ssize_t)*n);
	close(fd);
	return p;
}

static void copy(const char *from, const char *to, const char *name, int64_t most)
{
	char path[128];
	size_t n;
	uint8_t *p = slurp(from, name, most, &n);
	int fd;

	path_of(path, to, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
	free(p);
}

static void fingerprint(const struct env *e, uint8_t hash[32])
{
	size_t n;
	uint8_t *p = slurp(e->folder, DB_FILE, -1, &n);

	hash_sha256(hash, p, n);
	free(p);
}

static void some_turns(struct env *e, int64_t *done, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		assert_int_equal(turns_one(e->d, ++*done), KE_OK);
}

static int64_t turns_in(const char *folder)
{
	char why[DB_WHY_MAX];
	struct db *d;
	int64_t n;

	assert_int_equal(db_open(&d, folder, env_key, 0, why), KE_OK);
	assert_int_equal(db_scan(d), KE_OK);
	assert_int_equal(turns_count(d, &n), KE_OK);
	db_close(d);
	return n;
}

/* Copied while the store changes: the main file early, the log up to where it ended at some time.
 */
static void test_held(void **state)
{
	struct env *e = *state;
	char other[] = "/tmp/klero-hold.XXXXXX";
	uint8_t before[32], after[32];
	int64_t done = 0, log, cut;

	assert_int_equal(env_try(e, env_key, DB_CREATE), KE_OK);
	assert_non_null(mkdtemp(other));
	some_turns(e, &done, TURNS);
	assert_int_equal(db_hold(e->d, INT64_MAX), KE_OK);
	assert_true(db_held(e->d));
	assert_int_equal(db_hold(e->d, INT64_MAX), KE_STATE);
	assert_int_equal(db_checkpoint(e->d), KE_STATE);
	assert_int_equal(db_scan(e->d), KE_STATE);
	assert_int_equal(db_held_log(e->d), 0);
	fingerprint(e, before);
	some_turns(e, &done, TURNS / 2);
	copy(e->folder, other, DB_FILE, -1);
	some_turns(e, &done, TURNS / 2);
	log = db_held_log(e->d);
	cut = done;
	some_turns(e, &done, TURNS);
	assert_true(db_held_log(e->d) > log);
	copy(e->folder, other, DB_FILE "-wal", log);
	copy(e->folder, other, DB_CHECK_FILE, -1);
	fingerprint(e, after);
	assert_memory_equal(before, after, 32);
	db_let_go(e->d);
	assert_int_equal(db_checkpoint(e->d), KE_OK);
	fingerprint(e, after);
	assert_memory_not_equal(before, after, 32);
	assert_int_equal(turns_in(other), cut);
	env_empty(other);
	rmdir(other);
}

/* A thousand pages at once: each turn waits for the disk. */
static void large_turn(struct env *e)
{
	static char detail[4000];

	memset(detail, 'x', sizeof detail);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
		    db_audit_append(e->d, 1, NULL, "a.b", NULL, detail, sizeof detail), KE_OK);
	assert_int_equal(db_turn_commit(e->d, NULL), KE_OK);
}

/* More than the 4,000 pages at which the log is written back by itself. */
static void test_held_for_long(void **state)
{
	struct env *e = *state;
	uint8_t before[32], after[32];

	assert_int_equal(env_try(e, env_key, DB_CREATE), KE_OK);
	assert_int_equal(db_hold(e->d, INT64_MAX), KE_OK);
	fingerprint(e, before);
	for (int i = 0; i < 18; i++)
		large_turn(e);
	assert_true(db_held_log(e->d) > INT64_C(4000) * 4120);
	fingerprint(e, after);
	assert_memory_equal(before, after, 32);
	db_let_go(e->d);
	large_turn(e);
	fingerprint(e, after);
	assert_memory_not_equal(before, after, 32);
}

/* A backup that takes too long loses, not the disk. */
static void test_bound(void **state)
{
	struct env *e = *state;
	int64_t done = 0, n;

	assert_int_equal(env_try(e, env_key, DB_CREATE), KE_OK);
	assert_int_equal(db_hold(e->d, 100000), KE_OK);
	while (db_held(e->d))
		some_turns(e, &done, 1);
	assert_true(db_held_log(e->d) > 100000 && db_held_log(e->d) < 300000);
	assert_int_equal(db_checkpoint(e->d), KE_OK);
	assert_int_equal(turns_count(e->d, &n), KE_OK);
	assert_int_equal(n, done);
	/* within a turn nothing is held */
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_hold(e->d, 100000), KE_STATE);
	db_turn_rollback(e->d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_held, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_held_for_long, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_bound, env_start, env_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
