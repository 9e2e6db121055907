/*
 * The layer over SQLite's page cache (db_pcache.h): a commit does not walk over the cache although
 * pages have borrowed the lock page's number meanwhile, and what a rollback takes off the file's
 * end leaves the cache.
 */
#include "tests/unit/db_env.h"

#include "db/db_idem.h"

#define TURNS     200
#define LOCK_PAGE (0x40000000U / 4096 + 1)

/* What reaches SQLite's own cache. */
static struct {
	sqlite3_pcache_methods2 own;
	long cuts, borrowed;
} below;

static void cut(sqlite3_pcache *p, unsigned first)
{
	below.cuts++;
	below.own.xTruncate(p, first);
}

static void rekey(sqlite3_pcache *p, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
	below.borrowed += to == LOCK_PAGE;
	below.own.xRekey(p, page, from, to);
}

static int install(void **state)
{
	sqlite3_pcache_methods2 m;

	(void)state;
	if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &below.own) != SQLITE_OK)
		return -1;
	m = below.own;
	m.xTruncate = cut;
	m.xRekey = rekey;
	return sqlite3_config(SQLITE_CONFIG_PCACHE2, &m) == SQLITE_OK ? 0 : -1;
}

/* Keys of no order: the index of answers splits anywhere. */
static void put_answers(struct env *e, int n)
{
	struct db_idem_key k = {.route = "raffle_buy", .key_len = 16};
	struct db_idem v = {.status = 201, .answer = "{}", .answer_len = 2};
	char key[16];

	k.key = key;
	for (int i = 0; i < n; i++) {
		randombytes_buf(key, sizeof key);
		assert_int_equal(db_idem_put(e->d, &k, &v), KE_OK);
	}
}

static void test_commit_walks_not(void **state)
{
	struct env *e = *state;

	env_round(e, 1); /* each commit sweeps: the index on the disk splits, too */
	put_answers(e, 1000);
	env_commit(e);
	below.cuts = below.borrowed = 0;
	for (int i = 0; i < TURNS; i++) {
		put_answers(e, 50);
		env_commit(e);
	}
	assert_true(below.borrowed > 0);
	assert_int_equal(below.cuts, 0);
}

static void test_rollback_cuts(void **state)
{
	struct env *e = *state;
	char words[64];

	put_answers(e, 1000);
	env_commit(e);
	below.cuts = 0;
	put_answers(e, 20000);
	db_turn_rollback(e->d);
	assert_int_equal(below.cuts, 2); /* the file's pages, and those of what is kept in memory */
	/* the same pages, with other content, and again after they have left the cache */
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	put_answers(e, 15000);
	assert_int_equal(db_turn_commit(e->d, NULL), KE_OK);
	assert_int_equal(db_scan(e->d), KE_OK);
	env_close(e);
	env_open(e, 0);
	assert_int_equal(db_scan(e->d), KE_OK);
	snprintf(words, sizeof words, "SELECT 1 / (count(*) = 16000) FROM idempotency");
	assert_int_equal(env_raw(e, words), SQLITE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_commit_walks_not, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_rollback_cuts, env_start_turn, env_stop),
	};
	return cmocka_run_group_tests(tests, install, NULL);
}
