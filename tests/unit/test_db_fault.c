/*
 * Fault injection under the store: the Nth write, sync or truncation, or the Nth allocation,
 * fails, for every N that a run of turns reaches. Each failure is reported, the store stays usable
 * or says that it is not, and what was acknowledged is there after a reopening.
 */
#include "tests/unit/db_env.h"

#include "db/db_audit.h"
#include "db/db_meta.h"
#include "db/db_pcache.h"

/* Counts down to the failure; 0: none planned. */
static struct {
	long at, every, calls;
	sqlite3_vfs base;
	sqlite3_io_methods io[2]; /* of the log and of the store: only the latter knows locks */
	const sqlite3_io_methods *real;
	sqlite3_mem_methods mem;
	bool mem_on, full; /* full: a write finds no room */
} fault;

static bool hit(void)
{
	fault.calls++;
	return fault.at && (fault.calls == fault.at || (fault.every && fault.calls > fault.at));
}

static int fail_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	bool fails = hit();

	if (fails && fault.full)
		return SQLITE_FULL;
	if (fails) {
		/* half of it may have reached the disk */
		(void)fault.real->xWrite(f, p, n / 2, at);
		return SQLITE_IOERR_WRITE;
	}
	return fault.real->xWrite(f, p, n, at);
}

static int fail_sync(sqlite3_file *f, int flags)
{
	return hit() ? SQLITE_IOERR_FSYNC : fault.real->xSync(f, flags);
}

static int fail_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return hit() ? SQLITE_IOERR_TRUNCATE : fault.real->xTruncate(f, size);
}

/* The real file, with three of its methods replaced. */
static int fault_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = v->pAppData;
	int rc = real->xOpen(real, name, f, flags, out);

	if (rc != SQLITE_OK || !f->pMethods)
		return rc;
	sqlite3_io_methods *io = &fault.io[(flags & SQLITE_OPEN_MAIN_DB) != 0];
	fault.real = f->pMethods; /* writing, syncing, truncating are the same for both */
	*io = *f->pMethods;
	io->xWrite = fail_write;
	io->xSync = fail_sync;
	io->xTruncate = fail_truncate;
	f->pMethods = io;
	return rc;
}

static void *fail_malloc(int n)
{
	return fault.mem_on && hit() ? NULL : fault.mem.xMalloc(n);
}

static void *fail_realloc(void *p, int n)
{
	return fault.mem_on && hit() ? NULL : fault.mem.xRealloc(p, n);
}

static void install(void)
{
	sqlite3_mem_methods m;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.mem), SQLITE_OK);
	m = fault.mem;
	m.xMalloc = fail_malloc;
	m.xRealloc = fail_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &m), SQLITE_OK);
	db_pcache_install();
	assert_int_equal(sqlite3_initialize(), SQLITE_OK);
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	fault.base = *real;
	fault.base.pAppData = real;
	fault.base.zName = "fault";
	fault.base.xOpen = fault_open;
	assert_int_equal(sqlite3_vfs_register(&fault.base, 1), SQLITE_OK);
}

/* --- the run --- */

static const uint8_t user[16] = {1};

static int request(struct db *d, int64_t n)
{
	struct db_account out, in;

	int r = db_account_open(d, DB_ACCOUNT_PROVIDER, env_zero, "EUR", &out);
	if (!r)
		r = db_account_open(d, DB_ACCOUNT_USER, user, "EUR", &in);
	if (!r)
		r = db_ledger_transfer(d, &out, &in, 1, "deposit", user, n, NULL);
	if (!r)
		r = db_audit_append(d, n, user, "a.b", NULL, "{}", 2);
	if (!r)
		r = db_meta_set(d, "turn", &n, sizeof n);
	return r;
}

/* A turn of one request that stays and one that is undone. */
static int turn(struct db *d, int64_t n)
{
	int r = db_turn_begin(d);

	if (!r)
		r = db_savepoint(d);
	if (!r)
		r = request(d, n);
	if (!r)
		r = db_release(d);
	if (!r)
		r = db_savepoint(d);
	if (!r)
		r = request(d, n + 1);
	if (!r)
		r = db_rollback_to(d);
	if (r) {
		db_turn_rollback(d);
		return r;
	}
	return db_turn_commit(d, NULL);
}

static int64_t turns(struct env *e)
{
	struct db_ledger_report rep;
	int64_t n = 0, lines;
	size_t len;

	env_ok(e, db_turn_begin(e->d));
	env_ok(e, db_ledger_check(e->d, &rep));
	env_ok(e, db_audit_check(e->d, &lines, NULL));
	int r = db_meta_get(e->d, "turn", &n, sizeof n, &len);
	if (r != KE_NOTFOUND)
		env_ok(e, r);
	assert_int_equal(lines, n);
	assert_int_equal(rep.transfers, n);
	db_turn_rollback(e->d);
	return n;
}

static bool expected(int r)
{
	return r == KE_OK || r == KE_IO || r == KE_NOMEM || r == KE_DAMAGED;
}

/*
 * Five turns and a checkpoint, the at'th call failing. Returns whether the failure was reached.
 * A failed turn may be there afterwards only if it is the last that was tried.
 */
static bool run(struct env *e, long at, long every, int64_t *held)
{
	int64_t acknowledged = *held, tried = *held;

	env_open(e, 0);
	env_round(e, 3); /* so that sweeps fail, too */
	assert_int_equal(turns(e), *held);
	fault.calls = 0;
	fault.at = at;
	fault.every = every;
	for (int i = 0; i < 5; i++) {
		tried = acknowledged + 1;
		int r = turn(e->d, tried);
		assert_true(expected(r));
		assert_false(db_turn_open(e->d));
		if (r == KE_OK)
			acknowledged = tried;
		if (i == 2)
			assert_true(expected(db_checkpoint(e->d)));
	}
	bool reached = fault.calls >= at;
	env_close(e);
	fault.at = 0;
	env_open(e, 0);
	*held = turns(e);
	assert_true(*held == acknowledged || *held == tried);
	env_close(e);
	return reached;
}

/*
 * Which N is tried after this one: of many allocations some, of writes each. Sanitizers are five
 * times as slow, and try every fifth of either after the first twenty.
 */
static long next(long n)
{
	const long some =
#ifdef KLERO_SANITIZE
	    n > 20 ? 5 :
#endif
		   1;

	return n + (fault.mem_on && n > 200 ? 17 : some);
}

static long all_n(struct env *e, long every)
{
	int64_t held = 0;
	long n = 1;

	env_open(e, DB_CREATE);
	env_close(e);
	while (run(e, n, every, &held))
		n = next(n);
	env_open(e, 0);
	env_ok(e, db_scan(e->d));
	assert_int_equal(turns(e), held);
	return n;
}

static void test_one_write_fails(void **state)
{
	assert_true(all_n(*state, 0) > 20);
}

static void test_disk_dies(void **state)
{
	assert_true(all_n(*state, 1) > 20);
}

static void test_one_malloc_fails(void **state)
{
	fault.mem_on = true;
	long n = all_n(*state, 0);
	fault.mem_on = false;
	assert_true(n > 20);
}

/* The first opening, which makes the store: any failure leaves something that opens the next time.
 */
static void test_creation(void **state)
{
	struct env *e = *state;
	long n = 1;

	for (bool reached = true; reached; n = next(n)) {
		env_empty(e->folder);
		fault.calls = 0;
		fault.at = n;
		fault.every = 0;
		int r = env_try(e, env_key, DB_CREATE);
		reached = fault.calls >= n;
		fault.at = 0;
		assert_true(expected(r));
		assert_true(r == KE_OK || strlen(e->why) > 10);
		env_close(e);
		env_open(e, DB_CREATE);
		assert_int_equal(turns(e), 0);
		env_close(e);
	}
	assert_true(n > 10);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start, env_stop)

/* --- an upgrade --- */

#define TURNS 30

/*
 * The Nth write of a start with a newer program fails, once or from then on, with an error or for
 * want of room: the program before it opens the store as it was.
 */
static bool upgrade_with(struct env *e, long at, bool dead, bool full)
{
	static struct db_migration list[64];
	size_t n;
	const struct db_migration *own = db_migrations(&n);
	int r;

	memcpy(list, own, n * sizeof *own);
	list[n] = (struct db_migration){list[n - 1].version + 1, "one",
	    "CREATE TABLE one (a BLOB) STRICT; INSERT INTO one SELECT randomblob(4000) FROM audit"};
	list[n + 1] = (struct db_migration){list[n].version + 1, "two",
	    "CREATE TABLE two (a BLOB) STRICT; INSERT INTO two SELECT a FROM one; DELETE FROM one"};
	fault.calls = 0;
	fault.at = at;
	fault.every = dead;
	fault.full = full;
	r = db_open_with(&e->d, e->folder, env_key, 0, list, n + 2, e->why);
	fault.at = 0;
	fault.full = false;
	env_close(e);
	if (r == KE_OK)
		return true;
	env_open(e, 0);
	assert_int_equal(db_schema(e->d), db_schema_newest());
	assert_int_equal(turns(e), TURNS);
	env_close(e);
	return false;
}

static void test_upgrade(void **state)
{
	struct env *e = *state;
	long at, tried = 0;

	for (int how = 0; how < 4; how++) {
		env_empty(e->folder);
		env_open(e, DB_CREATE);
		for (int64_t i = 1; i <= TURNS; i++)
			assert_int_equal(turn(e->d, i), KE_OK);
		env_close(e);
		for (at = 1; !upgrade_with(e, at, (how & 1) != 0, (how & 2) != 0); at = next(at))
			tried++;
		assert_int_equal(env_try(e, env_key, 0), KE_VERSION);
	}
	assert_true(tried > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_one_write_fails), T(test_disk_dies),
	    T(test_one_malloc_fails), T(test_creation), T(test_upgrade)};

	install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
