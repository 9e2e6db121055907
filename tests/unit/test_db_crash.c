/*
 * What no test may lose: kill -9 while turns commit, a disk that fills up. Acknowledged means:
 * db_turn_commit() said KE_OK. Whatever was acknowledged is there afterwards, whatever was not is
 * there whole or not at all.
 */
#include "tests/unit/db_env.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/db_turns.h"

#undef setrlimit /* the limit is what is tested: tests/lint/memcheck.h takes it away */

static int64_t turns(struct env *e)
{
	int64_t n;

	env_ok(e, turns_count(e->d, &n));
	return n;
}

static _Noreturn void commit_for_ever(const char *folder, int64_t n, int report)
{
	char why[DB_WHY_MAX];
	struct db *d;

	if (db_open(&d, folder, env_key, 0, why))
		_exit(2);
	for (;;) {
		if (turns_one(d, ++n))
			_exit(3);
		if (write(report, &n, sizeof n) != sizeof n)
			_exit(4);
	}
}

static void test_kill(void **state)
{
	struct env *e = *state;
	int64_t acknowledged = 0, kept;
	uint32_t rounds_with_work = 0;

	env_open(e, DB_CREATE);
	env_close(e);
	for (unsigned round = 0; round < 15; round++) {
		int p[2], status;
		assert_int_equal(pipe(p), 0);
		pid_t child = fork();
		if (child == 0)
			commit_for_ever(e->folder, acknowledged, p[1]);
		close(p[1]);
		int64_t n = 0, seen = 0;
		/* Killed at no particular moment: after some turns and a fraction of one. */
		while (seen < 10 + (int64_t)round * 7 && read(p[0], &n, sizeof n) == sizeof n)
			seen++;
		nanosleep(
		    &(struct timespec){.tv_nsec = (long)(randombytes_uniform(1500) * 1000)}, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		while (read(p[0], &n, sizeof n) == sizeof n)
			seen++;
		close(p[0]);
		rounds_with_work += seen > 10;
		env_open(e, 0);
		kept = turns(e);
		assert_true(kept == n || kept == n + 1); /* the last may lack only its report */
		acknowledged = kept;
		if (round % 5 == 0)
			env_ok(e, db_scan(e->d));
		env_close(e);
	}
	assert_true(rounds_with_work > 10);
}

/* Turns until the disk is full; afterwards every acknowledged one is there, and reading works. */
static void fill_up(struct env *e)
{
	int64_t n = turns(e), tried = 0;
	int r;

	while ((r = turns_one(e->d, n + 1)) == KE_OK && tried++ < 5000)
		n++;
	assert_int_equal(r, KE_IO);
	assert_false(db_turn_open(e->d));
	for (int i = 0; i < 5; i++) { /* refused again and again, nothing breaks */
		r = turns_one(e->d, n + 1);
		if (r == KE_OK)
			n++;
		else
			assert_int_equal(r, KE_IO);
	}
	assert_int_equal(turns(e), n);
	env_close(e);
	env_open(e, 0);
	assert_int_equal(turns(e), n);
}

static void in_child(void (*body)(struct env *e, int64_t limit), struct env *e, int64_t limit)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		body(e, limit);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void with_file_limit(struct env *e, int64_t limit)
{
	const struct rlimit rl = {(rlim_t)limit, (rlim_t)limit};

	signal(SIGXFSZ, SIG_IGN);
	env_open(e, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
	fill_up(e);
	env_close(e);
}

/* No file may grow further: write() answers EFBIG. In a child, for the limit stays. */
static void test_file_limit(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	env_close(e);
	for (int64_t limit = 300000; limit < 4000000; limit = limit * 2 + 777)
		in_child(with_file_limit, e, limit);
	env_open(e, 0);
	int64_t n = turns(e);
	assert_true(n > 20);
	env_ok(e, turns_one(e->d, n + 1)); /* room again: goes on */
	env_ok(e, db_scan(e->d));
}

/* A real full disk: ENOSPC. Needs root for the tmpfs. */
static void test_disk_full(void **state)
{
	struct env *e = *state;

	if (mount("none", e->folder, "tmpfs", MS_NODEV | MS_NOSUID, "size=2m,mode=0700") != 0) {
		print_message("not tested: a full disk needs a tmpfs (%s)\n", strerror(errno));
		skip();
	}
	env_open(e, DB_CREATE);
	fill_up(e);
	assert_int_equal(mount("none", e->folder, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	int64_t n = turns(e);
	env_ok(e, turns_one(e->d, n + 1));
	env_ok(e, db_scan(e->d));
}

/* The tmpfs goes whether the test held or not. */
static int stop_disk(void **state)
{
	struct env *e = *state;

	env_close(e);
	(void)!umount(e->folder);
	return env_stop(state);
}

/* A turn whose pages no longer fit the cache meets the full disk before its commit. */
static void lose_a_turn(struct env *e, int64_t limit)
{
	const struct rlimit rl = {(rlim_t)limit, (rlim_t)limit};
	static char big[DB_META_VALUE_MAX];
	char key[32];
	size_t n;
	int r = KE_OK;

	memset(big, 'b', sizeof big);
	signal(SIGXFSZ, SIG_IGN);
	env_open(e, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
	env_ok(e, db_turn_begin(e->d));
	env_ok(e, db_savepoint(e->d));
	for (int i = 0; i < 50000 && !r; i++) {
		snprintf(key, sizeof key, "k%d", i);
		r = db_meta_set(e->d, key, big, sizeof big);
	}
	assert_int_equal(r, KE_IO);
	assert_true(db_turn_lost(e->d));
	assert_int_equal(db_meta_set(e->d, "x", "y", 1), KE_IO);
	assert_int_equal(db_meta_get(e->d, "k0", big, sizeof big, &n), KE_IO);
	assert_int_equal(db_rollback_to(e->d), KE_IO);
	assert_int_equal(db_savepoint(e->d), KE_STATE);
	assert_int_equal(db_turn_commit(e->d, NULL), KE_IO);
	assert_false(db_turn_open(e->d));
	env_ok(e, db_turn_begin(e->d));
	assert_int_equal(db_meta_get(e->d, "k0", big, sizeof big, &n), KE_NOTFOUND);
	env_ok(e, db_meta_set(e->d, "small", "y", 1));
	env_ok(e, db_turn_commit(e->d, NULL));
	env_close(e);
}

static void test_lost_turn(void **state)
{
	struct env *e = *state;
	char buf[8];
	size_t n;

	env_open(e, DB_CREATE);
	env_close(e);
	in_child(lose_a_turn, e, 1000000);
	env_open(e, 0);
	env_ok(e, db_turn_begin(e->d));
	env_ok(e, db_meta_get(e->d, "small", buf, sizeof buf, &n));
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_kill), T(test_file_limit),
	    cmocka_unit_test_setup_teardown(test_disk_full, env_start, stop_disk),
	    T(test_lost_turn)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
