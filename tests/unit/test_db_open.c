/*
 * Opening the store: what is there, wrong key, damage, schema from the future, migrations and
 * their snapshot, what is shut afterwards. On real SQLCipher files.
 */
#include "tests/unit/db_env.h"

#include <sys/wait.h>

#include "db/db_audit.h"
#include "db/db_meta.h"

static const uint8_t other_key[32] = {0x43};

static void fill(struct env *e)
{
	uint8_t id[16];

	assert_int_equal(db_turn_begin(e->d), KE_OK);
	for (unsigned i = 0; i < 300; i++) {
		env_user(e, i, id);
		env_fund(e, id, 100);
		assert_int_equal(db_audit_append(e->d, 5, id, "tell.tale", NULL,
				     "{\"word\":\"kleroterion\"}", 22),
		    KE_OK);
	}
	assert_int_equal(db_turn_commit(e->d, NULL), KE_OK);
}

static int64_t users(struct env *e)
{
	int64_t n = -1;

	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_user_count(e->d, &n), KE_OK);
	db_turn_rollback(e->d);
	return n;
}

static void test_create_and_reopen(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	assert_int_equal(db_schema(e->d), db_schema_newest());
	fill(e);
	env_close(e);
	env_open(e, 0);
	assert_int_equal(users(e), 300);
	env_close(e);
	env_open(e, DB_CREATE); /* an existing store is opened, not made anew */
	assert_int_equal(users(e), 300);
	assert_int_equal(db_scan(e->d), KE_OK);
}

static void test_missing(void **state)
{
	struct env *e = *state;

	assert_int_equal(env_try(e, env_key, 0), KE_NOTFOUND);
	assert_non_null(strstr(e->why, "restore a backup"));
	assert_int_equal(env_size(e, DB_FILE), -1);
	assert_int_equal(env_size(e, DB_CHECK_FILE), -1);
	assert_int_equal(db_open(&e->d, "/nonexistent/folder", env_key, 0, e->why), KE_NOTFOUND);
	assert_int_equal(db_open(&e->d, "/nonexistent/folder", env_key, DB_CREATE, e->why), KE_IO);
}

static void test_wrong_key(void **state)
{
	struct env *e = *state;
	int64_t before;

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	before = env_size(e, DB_FILE);
	assert_int_equal(env_try(e, other_key, 0), KE_WRONG_KEY);
	assert_non_null(strstr(e->why, "wrong key"));
	assert_null(e->d);
	assert_int_equal(env_try(e, other_key, DB_CREATE), KE_WRONG_KEY);
	assert_int_equal(env_size(e, DB_FILE), before);
	env_open(e, 0);
	assert_int_equal(users(e), 300);
}

static void test_check_file_lost(void **state)
{
	struct env *e = *state;
	char path[128];

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	env_path(e, DB_CHECK_FILE, path);
	unlink(path);
	assert_int_equal(env_try(e, other_key, 0), KE_DAMAGED);
	assert_non_null(strstr(e->why, "wrong key"));
	assert_non_null(strstr(e->why, DB_CHECK_FILE));
	assert_int_equal(env_size(e, DB_CHECK_FILE), -1);
	env_open(e, 0); /* the right key makes it again */
	env_close(e);
	assert_int_equal(env_try(e, other_key, 0), KE_WRONG_KEY);
}

static void test_check_file_damaged(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	env_close(e);
	for (long at = 0; at < env_size(e, DB_CHECK_FILE); at += 7) {
		env_flip(e, DB_CHECK_FILE, at, 1);
		assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
		assert_non_null(strstr(e->why, DB_CHECK_FILE));
		env_flip(e, DB_CHECK_FILE, at, 1);
	}
	env_open(e, 0);
}

/* A flipped bit in page 1 shows at open, one anywhere else when the page is read. */
static void test_flipped_bits(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	for (long at = 0; at < 4096; at += 511) {
		env_flip(e, DB_FILE, at, 0x10);
		assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
		assert_non_null(strstr(e->why, "the key is right"));
		env_flip(e, DB_FILE, at, 0x10);
	}
	long pages = (long)(env_size(e, DB_FILE) / 4096);
	assert_true(pages > 20);
	for (long p = 1; p < pages; p += 5) {
		env_flip(e, DB_FILE, p * 4096 + 2000, 0x01);
		int r = env_try(e, env_key, 0);
		if (r == KE_OK) {
			assert_int_equal(db_scan(e->d), KE_DAMAGED);
			env_close(e);
		} else {
			assert_int_equal(r, KE_DAMAGED);
		}
		env_flip(e, DB_FILE, p * 4096 + 2000, 0x01);
	}
	env_open(e, 0);
	assert_int_equal(db_scan(e->d), KE_OK);
}

/* A damaged page met in a turn: an error, never data, and the store says so. */
static void test_damage_in_a_turn(void **state)
{
	struct env *e = *state;
	struct db_ledger_report rep;
	int r = KE_OK;

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	long pages = (long)(env_size(e, DB_FILE) / 4096);
	int met = 0;
	for (long p = 1; p < pages; p++) {
		env_flip(e, DB_FILE, p * 4096 + 100, 0x80);
		if (env_try(e, env_key, 0) == KE_OK) {
			assert_int_equal(db_turn_begin(e->d), KE_OK);
			r = db_ledger_check(e->d, &rep);
			met += r == KE_DAMAGED;
			assert_true(r == KE_OK || r == KE_DAMAGED);
			db_turn_rollback(e->d);
			env_close(e);
		}
		env_flip(e, DB_FILE, p * 4096 + 100, 0x80);
	}
	assert_true(met > 2);
}

static void test_truncated(void **state)
{
	struct env *e = *state;
	char path[128];

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	env_path(e, DB_FILE, path);
	assert_int_equal(truncate(path, env_size(e, DB_FILE) - 4096 * 3 - 100), 0);
	int r = env_try(e, env_key, 0);
	if (r == KE_OK)
		r = db_scan(e->d);
	assert_int_equal(r, KE_DAMAGED);
	env_close(e);
	assert_int_equal(truncate(path, 3000), 0);
	assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
	assert_non_null(strstr(e->why, "restore a backup"));
}

static void test_not_ours(void **state)
{
	struct env *e = *state;
	char path[128];
	sqlite3 *sq;

	env_path(e, DB_FILE, path);
	assert_int_equal(sqlite3_open(path, &sq), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sq, "CREATE TABLE t (a)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sq);
	assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
	assert_non_null(strstr(e->why, "not encrypted"));
}

static void test_from_the_future(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	fill(e);
	assert_int_equal(env_raw(e, "PRAGMA user_version = 99"), SQLITE_OK);
	env_close(e);
	assert_int_equal(env_try(e, env_key, 0), KE_VERSION);
	assert_non_null(strstr(e->why, "newer"));
	assert_non_null(strstr(e->why, "99"));
}

static void test_tables_missing(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	assert_int_equal(
	    sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL), SQLITE_OK);
	assert_int_equal(env_raw(e, "DROP TABLE idempotency"), SQLITE_OK);
	env_close(e);
	assert_int_equal(env_try(e, env_key, 0), KE_DAMAGED);
}

static void test_one_at_a_time(void **state)
{
	struct env *e = *state;
	char why[DB_WHY_MAX];
	struct db *second;

	env_open(e, DB_CREATE);
	fill(e);
	pid_t child = fork();
	if (child == 0)
		_exit(db_open(&second, e->folder, env_key, 0, why) == KE_UNAVAIL &&
			      strstr(why, "in use")
			  ? 0
			  : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(users(e), 300);
}

/* Nothing readable on disk: file, log, snapshot. */
static void test_no_plaintext(void **state)
{
	static const char *const words[] = {"SQLite format 3", "kleroterion", "example.org",
	    "argon2id", "CREATE TABLE", "tell.tale", NULL};
	static const char *const files[] = {DB_FILE, DB_FILE "-wal", NULL};
	struct env *e = *state;

	env_open(e, DB_CREATE);
	fill(e);
	assert_true(env_size(e, DB_FILE "-wal") > 4096);
	for (int i = 0; files[i]; i++)
		for (int j = 0; words[j]; j++)
			assert_false(env_holds(e, files[i], words[j]));
	env_close(e);
	assert_true(env_size(e, DB_FILE) > 4096);
	for (int j = 0; words[j]; j++)
		assert_false(env_holds(e, DB_FILE, words[j]));
	assert_int_equal(env_size(e, DB_FILE "-shm"), -1);
}

/* Files that no other user may read, whatever the umask. */
static void test_modes(void **state)
{
	static const char *const files[] = {DB_FILE, DB_FILE "-wal", DB_CHECK_FILE, NULL};
	struct env *e = *state;
	struct stat st;
	char path[128];
	mode_t before = umask(0);

	env_open(e, DB_CREATE);
	fill(e);
	for (int i = 0; files[i]; i++) {
		env_path(e, files[i], path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	umask(before);
}

/* The format on disk, as another program would open it: it may not change unnoticed. */
static void test_format(void **state)
{
	struct env *e = *state;
	char path[128], sql[200], hex[65];
	sqlite3 *sq;

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	env_path(e, DB_FILE, path);
	sodium_bin2hex(hex, sizeof hex, env_key, 32);
	snprintf(sql, sizeof sql,
	    "PRAGMA key = \"x'%s'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;"
	    "SELECT count(*) FROM users",
	    hex);
	assert_int_equal(sqlite3_open_v2(path, &sq, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sq, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sq);
}

static void test_shut(void **state)
{
	static const char *const refused[] = {"ATTACH ':memory:' AS other",
	    "ATTACH '/tmp/klero-plain.db' AS other KEY ''", "PRAGMA user_version = 5",
	    "PRAGMA key = 'x'", "PRAGMA rekey = 'x'", "PRAGMA user_version",
	    "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = ON", "VACUUM",
	    "VACUUM INTO '/tmp/klero-plain.db'", "CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)",
	    "DROP TABLE users", "ALTER TABLE users ADD COLUMN x",
	    "CREATE TRIGGER t AFTER INSERT ON users"
	    " BEGIN SELECT 1; END",
	    "DROP TRIGGER entries_stay", "CREATE INDEX i ON users (phc)",
	    "CREATE VIEW v AS SELECT 1", "DETACH main", "REINDEX", "ANALYZE", NULL};
	struct env *e = *state;

	env_open(e, DB_CREATE);
	fill(e);
	for (int i = 0; refused[i]; i++)
		assert_int_not_equal(
		    sqlite3_exec(e->d->sq, refused[i], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(e->d->sq, "SELECT count(*) FROM users", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(access("/tmp/klero-plain.db", F_OK), -1);
	assert_int_equal(users(e), 300);
	assert_int_equal(db_scan(e->d), KE_OK);
	assert_int_not_equal(
	    sqlite3_exec(e->d->sq, "PRAGMA user_version", NULL, NULL, NULL), SQLITE_OK);
}

/* --- migrations --- */

/* The program's own migrations and `more` after them, numbered on; *n is how many in all. */
static const struct db_migration *with(const struct db_migration *more, size_t add, size_t *n)
{
	static struct db_migration all[32];
	const struct db_migration *own = db_migrations(n);

	assert_true(*n + add <= 32);
	memcpy(all, own, *n * sizeof *own);
	for (size_t i = 0; i < add; i++) {
		all[*n] = more[i];
		all[*n].version = all[*n - 1].version + 1;
		++*n;
	}
	return all;
}

/* Name of the snapshot that is taken of a store of the program's own version. */
static const char *snapshot_name(void)
{
	static char name[64];

	snprintf(name, sizeof name, DB_SNAPSHOT_FMT, db_schema_newest());
	return name;
}

static int open_with(struct env *e, const struct db_migration *more, size_t add)
{
	size_t n;
	const struct db_migration *list = with(more, add, &n);

	return db_open_with(&e->d, e->folder, env_key, 0, list, n, e->why);
}

static void test_migration(void **state)
{
	struct env *e = *state;
	const struct db_migration list[] = {{0, "a column",
	    "ALTER TABLE users ADD COLUMN phone TEXT; CREATE TABLE later (a INTEGER) STRICT;"
	    "INSERT INTO later SELECT count(*) FROM users"}};
	char path[128], kept[128];

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	env_ok(e, open_with(e, list, 1));
	assert_int_equal(db_schema(e->d), db_schema_newest() + 1);
	assert_int_equal(users(e), 300);
	assert_int_equal(env_raw(e, "INSERT INTO later VALUES (1)"), SQLITE_OK);
	env_close(e);
	assert_int_equal(env_try(e, env_key, 0), KE_VERSION);
	/* The snapshot is a whole store of the version before, encrypted with the same key. */
	assert_false(env_holds(e, snapshot_name(), "SQLite format 3"));
	assert_false(env_holds(e, snapshot_name(), "kleroterion"));
	env_path(e, snapshot_name(), kept);
	env_path(e, DB_FILE, path);
	assert_int_equal(rename(kept, path), 0);
	env_open(e, 0);
	assert_int_equal(db_schema(e->d), db_schema_newest());
	assert_int_equal(users(e), 300);
	assert_int_equal(db_scan(e->d), KE_OK);
}

static void test_no_snapshot_of_nothing(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	assert_int_equal(env_size(e, "klero.db.v000000"), -1);
	env_close(e);
	env_open(e, 0);
	assert_int_equal(env_size(e, snapshot_name()), -1);
}

static void test_failing_migration(void **state)
{
	struct env *e = *state;
	const struct db_migration list[] = {{0, "good", "CREATE TABLE good (a INTEGER) STRICT"},
	    {0, "bad",
		"CREATE TABLE half (a INTEGER) STRICT; DELETE FROM users; INSERT INTO nowhere "
		"VALUES (1)"}};
	const struct db_migration mended[] = {
	    list[0], {0, "mended", "CREATE TABLE half (a) STRICT"}};

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	assert_int_not_equal(open_with(e, list, 2), KE_OK);
	assert_null(e->d);
	assert_non_null(strstr(e->why, "(bad) failed"));
	env_open(e, 0); /* the program before it goes on as if nothing had been */
	assert_int_equal(db_schema(e->d), db_schema_newest());
	assert_int_equal(users(e), 300);
	assert_int_not_equal(env_raw(e, "SELECT * FROM good"), SQLITE_OK);
	env_close(e);
	assert_int_not_equal(open_with(e, mended, 2), KE_OK); /* STRICT wants a type */
}

/* A store of every older schema, with somebody in it, comes up; what it was before is kept. */
static void test_every_older_schema(void **state)
{
	static const char people[] =
	    "INSERT INTO users (id, email, phc, display_name, roles, version, created_ms) VALUES "
	    "(randomblob(16), 'a@b', '', '', 1, 1, 1), (randomblob(16), 'b@b', '', '', 1, 1, 1);";
	static char first[32768];
	struct env *e = *state;
	struct db_migration list[64];
	char name[64];
	size_t n;
	const struct db_migration *own = db_migrations(&n);

	assert_true(
	    (size_t)snprintf(first, sizeof first, "%s%s", own[0].sql, people) < sizeof first);
	memcpy(list, own, n * sizeof *own);
	list[0].sql = first;
	for (size_t old = 1; old < n; old++) {
		env_empty(e->folder);
		int r = db_open_with(&e->d, e->folder, env_key, DB_CREATE, list, old, e->why);
		assert_true(r == KE_OK || r == KE_DAMAGED);
		env_close(e);
		assert_int_equal(env_try(e, env_key, DB_AS_IS), KE_STATE);
		env_open(e, 0);
		assert_int_equal(users(e), 2);
		env_close(e);
		snprintf(name, sizeof name, DB_SNAPSHOT_FMT, (int)old);
		assert_true(env_size(e, name) > 0);
		assert_int_equal(
		    db_open_with(&e->d, e->folder, env_key, 0, list, old, e->why), KE_VERSION);
	}
}

static void test_snapshot_impossible(void **state)
{
	struct env *e = *state;
	const struct db_migration list[] = {{0, "more", "CREATE TABLE more (a INTEGER) STRICT"}};
	char path[160];

	env_open(e, DB_CREATE);
	fill(e);
	env_close(e);
	env_path(e, snapshot_name(), path);
	strcat(path, ".part");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_with(e, list, 1), KE_IO);
	assert_non_null(strstr(e->why, "snapshot"));
	rmdir(path);
	env_open(e, 0);
	assert_int_equal(db_schema(e->d), db_schema_newest());
	assert_int_equal(users(e), 300);
}

/* What the second version counts was there before it. */
static void test_second_version_counts(void **state)
{
	struct env *e = *state;
	size_t n;
	const struct db_migration *own = db_migrations(&n);
	struct db_migration list[64] = {own[0],
	    {2, "three people",
		"INSERT INTO users (id, email, phc, display_name, roles, version, created_ms) "
		"VALUES"
		" (zeroblob(16), 'a@b', '', '', 1, 1, 1), (randomblob(16), 'b@b', '', '', 1, 1, 1),"
		" (randomblob(16), 'c@b', '', '', 1, 1, 1)"}};

	assert_true(n < 64);
	for (size_t i = 1; i < n; i++) {
		struct db_migration later = {own[i].version + 1, own[i].what, own[i].sql};

		memcpy(&list[i + 1], &later, sizeof later);
	}
	env_ok(e, db_open_with(&e->d, e->folder, env_key, DB_CREATE, list, n + 1, e->why));
	assert_int_equal(users(e), 3);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	uint8_t id[16];
	env_user(e, 9, id);
	env_commit(e);
	db_turn_rollback(e->d);
	assert_int_equal(users(e), 4);
}

static void test_meta(void **state)
{
	struct env *e = *state;
	char buf[32];
	size_t n;

	env_open(e, DB_CREATE);
	assert_int_equal(db_meta_set(e->d, "appliance", "x", 1), KE_STATE); /* no turn */
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_get(e->d, DB_META_APPLIANCE, buf, sizeof buf, &n), KE_NOTFOUND);
	assert_int_equal(db_meta_set(e->d, DB_META_APPLIANCE, "0123456789abcdef", 16), KE_OK);
	assert_int_equal(db_meta_set(e->d, DB_META_APPLIANCE, "fedcba9876543210", 16), KE_OK);
	assert_int_equal(db_meta_get(e->d, DB_META_APPLIANCE, buf, 15, &n), KE_LONG);
	assert_int_equal(db_meta_get(e->d, DB_META_APPLIANCE, buf, sizeof buf, &n), KE_OK);
	assert_int_equal(n, 16);
	assert_memory_equal(buf, "fedcba9876543210", 16);
	assert_int_equal(db_turn_begin(e->d), KE_STATE);
	assert_int_equal(db_scan(e->d), KE_STATE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_create_and_reopen), T(test_missing),
	    T(test_wrong_key), T(test_check_file_lost), T(test_check_file_damaged),
	    T(test_flipped_bits), T(test_damage_in_a_turn), T(test_truncated), T(test_not_ours),
	    T(test_from_the_future), T(test_tables_missing), T(test_one_at_a_time),
	    T(test_no_plaintext), T(test_modes), T(test_format), T(test_shut), T(test_migration),
	    T(test_no_snapshot_of_nothing), T(test_failing_migration), T(test_every_older_schema),
	    T(test_snapshot_impossible), T(test_second_version_counts), T(test_meta)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
