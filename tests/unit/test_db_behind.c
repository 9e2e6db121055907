/*
 * Balances, holdings and the index of answers written behind: thousands of random sales and kept
 * answers against a model, with savepoints and turns undone, answers purged, processes that die at
 * any moment, and rounds so short that every step of the sweep is met; what the store refuses, and
 * what an opening does not take for good.
 */
#include "tests/unit/behind_model.h"

#include "db/db_behind.h"

/* A process that dies leaves what is committed, and no last sweep. */
static void die(struct env *e)
{
	db_turn_rollback(e->d);
	db_head(e->d)->sweep.own = false;
	env_close(e);
}

static void begin(struct env *e, int64_t round)
{
	env_open(e, DB_CREATE);
	e->d->round = round;
	env_ok(e, db_behind_start(e->d)); /* again, for that round */
	env_ok(e, db_turn_begin(e->d));
}

static void some_steps(struct env *e, struct model *m, uint32_t *seed)
{
	for (unsigned i = env_next(seed) % 6; i; i--) {
		struct model saved = *m;

		env_ok(e, db_savepoint(e->d));
		for (unsigned n = 1 + env_next(seed) % 3; n; n--)
			step(e, m, seed);
		if (env_next(seed) % 3) {
			env_ok(e, db_release(e->d));
		} else {
			env_ok(e, db_rollback_to(e->d));
			*m = saved;
		}
	}
}

/* One life of a process; it may end in a turn. */
static void live(struct env *e, struct model *m, uint32_t *seed, int64_t round)
{
	struct model turn = *m;

	begin(e, round);
	compare(e, m);
	for (unsigned k = env_next(seed) % 40; k; k--) {
		turn = *m;
		some_steps(e, m, seed);
		if (env_next(seed) % 5 == 0) {
			db_turn_rollback(e->d);
			env_ok(e, db_turn_begin(e->d));
			*m = turn;
		} else {
			env_commit(e);
			turn = *m;
		}
		/* what a start would have to read: two rounds and a half, and a turn more */
		assert_true(number(e, "SELECT max(seq) - (SELECT entry FROM swept) FROM entries") <=
			    5 * round / 2 + round / 8 + 121);
		assert_true(number(e, "SELECT coalesce(max(no), 0) - (SELECT answer FROM swept)"
				      " FROM idempotency") <= 5 * round / 2 + round / 8 + 121);
	}
	compare(e, m);
	if (env_next(seed) % 2) {
		some_steps(e, m, seed);
		*m = turn;
	}
	if (env_next(seed) % 4) {
		die(e);
	} else {
		db_turn_rollback(e->d);
		env_close(e);
	}
}

static void test_random(void **state)
{
	static const int64_t rounds[] = {1, 10, 60, 300, DB_ROUND};
	struct env *e = *state;

	for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) {
		uint32_t seed = 20261122 + (uint32_t)i;
		struct model m;

		env_empty(e->folder);
		begin(e, rounds[i]);
		fill(e, &m);
		env_ok(e, db_turn_commit(e->d, NULL));
		die(e);
		for (int life = 0; life < 25; life++)
			live(e, &m, &seed, rounds[i]);
	}
}

/* After a clean end the tables alone say everything, and the next start computes nothing. */
static void test_clean_end(void **state)
{
	static const char what[] =
	    "SELECT count(*) FROM balances b WHERE b.balance <> (SELECT coalesce(sum(amount), 0)"
	    " FROM entries e WHERE e.account = b.account)";
	static const char tickets[] =
	    "SELECT count(*) FROM holdings g WHERE g.tickets <> (SELECT count(*) FROM tickets t"
	    " WHERE t.holder = g.holder)";
	struct env *e = *state;
	struct model m;
	uint32_t seed = 7;

	begin(e, DB_ROUND);
	fill(e, &m);
	for (int i = 0; i < 200; i++)
		step(e, &m, &seed);
	env_ok(e, db_turn_commit(e->d, NULL));
	assert_true(number(e, what) > 2);
	assert_true(number(e, tickets) > 2);
	assert_true(number(e, "SELECT count(*) FROM recent_balances") > 2);
	assert_int_equal(number(e, "PRAGMA temp.page_size"), 512);
	env_close(e);
	begin(e, DB_ROUND);
	assert_int_equal(number(e, what), 0);
	assert_int_equal(number(e, tickets), 0);
	assert_int_equal(number(e, "SELECT count(*) FROM recent_balances"), 0);
	assert_int_equal(number(e, "SELECT count(*) FROM recent_holdings"), 0);
	assert_int_equal(number(e, "SELECT count(*) FROM recent_scopes"), 0);
	assert_int_equal(number(e, "SELECT count(*) FROM scopes") -
			     number(e, "SELECT count(*) FROM idempotency"),
	    0);
	assert_int_equal(number(e, "SELECT max(seq) - (SELECT entry FROM swept) FROM entries"), 0);
	compare(e, &m);
}

/* A round after another, memory fills and empties. */
static void test_rounds(void **state)
{
	struct env *e = *state;
	struct model m;
	int64_t swept = 0, kept = 0;
	int ends = 0;

	begin(e, 100);
	fill(e, &m);
	for (int i = 0; i < 300; i++) {
		fund(e, &m, (unsigned)i % PEOPLE, 100);
		sell(e, &m, (unsigned)i % PEOPLE, (unsigned)i % RAFFLES, 1);
		keep(e, &m, (unsigned)i % KEYS);
		env_commit(e);
		kept += number(e, "SELECT count(*) FROM recent_balances");
		if (number(e, "SELECT entry FROM swept") > swept) {
			swept = number(e, "SELECT entry FROM swept");
			ends++;
		}
	}
	/* five entries and tickets a step, and at first an answer; some rows at any time */
	assert_in_range(ends, 300 * 5 / 100 - 1, 300 * 6 / 100);
	assert_true(kept > 300 * 4);
}

/* The scopes of purged answers go as the sweep comes by, and their numbers are not given again. */
static void test_purged(void **state)
{
	struct env *e = *state;
	struct model m;

	begin(e, 10);
	fill(e, &m);
	for (unsigned i = 0; i < KEYS; i++)
		keep(e, &m, i);
	env_commit(e);
	m.now_ms += 2 * KEEP_MS;
	purge(e, &m);
	assert_int_equal(number(e, "SELECT count(*) FROM idempotency"), 0);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_close(e);
	begin(e, 10);
	assert_int_equal(number(e, "SELECT count(*) FROM scopes"), KEYS);
	compare_answers(e, &m);
	keep(e, &m, 7);
	compare_answers(e, &m);
	assert_int_equal(number(e, "SELECT min(no) FROM idempotency"), KEYS + 1);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_close(e);
	begin(e, 10);
	assert_int_equal(number(e, "SELECT count(*) FROM scopes"), 1);
	compare_answers(e, &m);
}

/* A purged answer's number is another's now, and its scope still stands: it is no answer. */
static void test_number_of_another(void **state)
{
	struct env *e = *state;
	struct model m;

	begin(e, 2 * KEYS);
	fill(e, &m);
	env_commit(e);
	for (unsigned i = 0; i < KEYS; i++)
		keep(e, &m, i);
	env_commit(e);
	assert_true(number(e, "SELECT count(*) FROM scopes") > KEYS / 5);
	m.now_ms += 2 * KEEP_MS;
	purge(e, &m);
	env_ok(e, db_turn_commit(e->d, NULL));
	die(e);
	begin(e, 2 * KEYS);
	assert_int_equal(number(e, "SELECT answer FROM swept"), 0);
	for (unsigned i = KEYS / 2; i < KEYS; i++)
		keep(e, &m, i);
	assert_int_equal(number(e, "SELECT min(no) FROM idempotency"), 1);
	compare_answers(e, &m);
}

/* Who only looks leaves the file as it is. */
static void test_looking_writes_nothing(void **state)
{
	struct env *e = *state;
	struct model m;

	begin(e, DB_ROUND);
	fill(e, &m);
	fund(e, &m, 1, 100);
	env_ok(e, db_turn_commit(e->d, NULL));
	die(e);
	begin(e, DB_ROUND);
	compare(e, &m);
	db_turn_rollback(e->d);
	env_close(e);
	begin(e, DB_ROUND);
	assert_int_equal(number(e, "SELECT entry FROM swept"), 0);
	assert_int_equal(number(e, "SELECT count(*) FROM recent_balances"), 2);
}

/* held is the table's: the balance is brought there first. */
static void test_hold(void **state)
{
	struct env *e = *state;
	struct model m;
	struct db_account a;
	uint8_t user[16];

	begin(e, DB_ROUND);
	fill(e, &m);
	fund(e, &m, 1, 100);
	env_id(user, 1);
	env_ok(e, db_account_get(e->d, DB_ACCOUNT_USER, user, "EUR", &a));
	env_ok(e, db_ledger_hold(e->d, &a, 60));
	sell(e, &m, 1, 0, 3);
	env_commit(e);
	die(e);
	begin(e, DB_ROUND);
	env_ok(e, db_account_get(e->d, DB_ACCOUNT_USER, user, "EUR", &a));
	assert_int_equal(a.balance, 100 - 3 * PRICE);
	assert_int_equal(a.held, 60);
	assert_int_equal(db_ledger_hold(e->d, &a, 20), KE_FUNDS);
	env_ok(e, db_ledger_hold(e->d, &a, 19));
	compare(e, &m);
}

static void test_guards(void **state)
{
	static const char *const edits[] = {
	    /* account 2 has 50 by entry 2, which was the first; 4 is account 3's */
	    "UPDATE recent_balances SET balance = 51 WHERE account = 2",
	    "UPDATE recent_balances SET last_entry = 4 WHERE account = 2",
	    "UPDATE recent_balances SET may_owe = 1 WHERE account = 2",
	    "UPDATE recent_balances SET held = 1 WHERE account = 2",
	    "UPDATE recent_balances SET account = 9 WHERE account = 2",
	    "UPDATE recent_balances SET balance = -1 WHERE account = 2",
	    "DELETE FROM recent_balances WHERE account = 2;"
	    "INSERT INTO recent_balances VALUES (2, 0, 51, 0, 2)",
	    "DELETE FROM recent_balances WHERE account = 2;"
	    "INSERT INTO recent_balances VALUES (2, 1, 50, 0, 2)",
	    "DELETE FROM recent_balances WHERE account = 2;"
	    "INSERT INTO recent_balances VALUES (2, 0, 50, 1, 2)",
	    "INSERT INTO recent_balances VALUES (77, 0, 50, 0, 2)",
	    "UPDATE balances SET balance = 51 WHERE account = 2",
	    "UPDATE balances SET balance = 50, last_entry = 4 WHERE account = 2",
	    "UPDATE swept SET entry = 5", "UPDATE swept SET entry = -1", "DELETE FROM swept",
	    "UPDATE swept SET answer = -1", "INSERT INTO swept VALUES (2, 1, 1)", NULL};
	struct env *e = *state;
	struct model m;

	begin(e, DB_ROUND);
	fill(e, &m);
	fund(e, &m, 1, 50);
	fund(e, &m, 2, 60);
	env_commit(e);
	assert_int_equal(number(e, "SELECT account FROM entries WHERE seq = 4"), 3);
	for (int i = 0; edits[i]; i++) {
		if (env_raw(e, edits[i]) == SQLITE_OK)
			fail_msg("not refused: %s", edits[i]);
		db_turn_rollback(e->d);
		env_ok(e, db_turn_begin(e->d));
	}
	/* what the sweep itself does is not refused */
	assert_int_equal(
	    env_raw(e, "DELETE FROM recent_balances WHERE account = 2;"
		       "INSERT INTO recent_balances VALUES (2, 0, 50, 0, 2);"
		       "UPDATE balances SET balance = 50, last_entry = 2 WHERE account = 2"),
	    SQLITE_OK);
}

/* A stale view of an account or a holding, from before it was kept in memory or after. */
static void test_stale(void **state)
{
	struct env *e = *state;
	uint8_t user[16], raffle[16];
	struct db_account first, w, p;
	struct db_holder h, none;
	struct model m;

	begin(e, DB_ROUND);
	fill(e, &m);
	fund(e, &m, 1, 100);
	sell(e, &m, 1, 0, 1);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_close(e);
	begin(e, DB_ROUND);
	env_id(user, 1);
	raffle_id(raffle, 0);
	env_ok(e, db_account_get(e->d, DB_ACCOUNT_USER, user, "EUR", &first));
	env_ok(e, db_account_get(e->d, DB_ACCOUNT_POT, raffle, "EUR", &p));
	env_ok(e, db_holder_get(e->d, 1, user, &none));
	for (int i = 0; i < 2; i++) {
		w = first;
		w.last_entry -= 1; /* of nothing that is in memory yet, and then of something */
		env_ok(e, db_savepoint(e->d));
		assert_int_equal(
		    db_ledger_transfer(e->d, &w, &p, 7, "buy", raffle, 1, NULL), KE_CONFLICT);
		env_ok(e, db_rollback_to(e->d));
		h = none;
		h.tickets += 1;
		env_ok(e, db_savepoint(e->d));
		assert_int_equal(db_ticket_issue(e->d, &h,
				     &(struct db_ticket){.index = 90 + i, .client_seed = ""}, 1),
		    KE_CONFLICT);
		env_ok(e, db_rollback_to(e->d));
		sell(e, &m, 1, 0, 1);
		env_ok(e, db_account_get(e->d, DB_ACCOUNT_POT, raffle, "EUR", &p));
	}
	/* as balances still has it */
	w = first;
	env_ok(e, db_savepoint(e->d));
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, 7, "buy", raffle, 1, NULL), KE_CONFLICT);
	env_ok(e, db_rollback_to(e->d));
	h = none;
	assert_int_equal(
	    db_ticket_issue(e->d, &h, &(struct db_ticket){.index = 99, .client_seed = ""}, 1),
	    KE_CONFLICT);
}

/* What is in the tables and what was appended do not fit: not opened. */
static void test_damage(void **state)
{
	static const char *const edits[] = {
	    "UPDATE balances SET balance = balance + 1 WHERE account = 2",
	    "UPDATE entries SET amount = amount + 1 WHERE account = 2 AND seq > 4",
	    "DELETE FROM entries WHERE seq = (SELECT max(seq) - 3 FROM entries WHERE account = 2)",
	    "UPDATE holdings SET last = -1 WHERE holder = 1",
	    "UPDATE holdings SET last = 1 WHERE holder = 1",
	    "UPDATE tickets SET prev = -1 WHERE raffle = 1 AND idx = 4", "DELETE FROM swept", NULL};
	struct env *e = *state;
	char why[DB_WHY_MAX];
	struct model m;

	for (int i = 0; edits[i]; i++) {
		env_empty(e->folder);
		begin(e, DB_ROUND);
		fill(e, &m);
		fund(e, &m, 1, 500);
		for (int n = 0; n < 4; n++)
			sell(e, &m, 1, 0, 1);
		env_ok(e, db_turn_commit(e->d, NULL));
		env_close(e);
		begin(e, DB_ROUND);
		for (int n = 0; n < 4; n++)
			sell(e, &m, 1, 0, 1);
		env_ok(e, db_turn_commit(e->d, NULL));
		sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
		assert_int_equal(env_raw(e, edits[i]), SQLITE_OK);
		die(e);
		int r = db_open(&e->d, e->folder, env_key, 0, why);
		if (r != KE_DAMAGED)
			fail_msg("%s: %s", edits[i], ke_words(r));
		assert_true(strlen(why) > 20);
	}
}

/* The row under a swept balance has been changed behind the store's back: no commit goes over it.
 */
static void test_sweep_refused(void **state)
{
	struct env *e = *state;
	struct model m;

	begin(e, DB_ROUND);
	fill(e, &m);
	fund(e, &m, 1, 500);
	env_commit(e);
	sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	assert_int_equal(env_raw(e, "UPDATE balances SET last_entry = 1000"), SQLITE_OK);
	sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_ok(e, db_turn_begin(e->d));
	db_head(e->d)->sweep.length = 1;
	fund(e, &m, 1, 1);
	assert_int_equal(db_turn_commit(e->d, NULL), KE_STATE);
	assert_false(db_turn_open(e->d));
	die(e);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_random), T(test_clean_end), T(test_rounds),
	    T(test_purged), T(test_number_of_another), T(test_looking_writes_nothing), T(test_hold),
	    T(test_guards), T(test_stale), T(test_damage), T(test_sweep_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
