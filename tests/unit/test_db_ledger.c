/*
 * The ledger: transfers and their refusals, holds, lists, what the store itself refuses, and the
 * invariants after thousands of random operations with savepoints undone in between.
 */
#include "tests/unit/db_env.h"

#include "db/db_sqlite.h"
#include "policy/rules.h"

static struct db_account get(
    struct env *e, enum db_account_kind kind, const uint8_t owner[16], const char *currency)
{
	struct db_account a;

	env_ok(e, db_account_open(e->d, kind, owner, currency, &a));
	return a;
}

static int64_t balance(struct env *e, const uint8_t user[16])
{
	return get(e, DB_ACCOUNT_USER, user, "EUR").balance;
}

static void test_accounts(void **state)
{
	struct env *e = *state;
	uint8_t id[16] = {1}, other[16] = {2};
	struct db_account a, b;

	assert_int_equal(db_account_get(e->d, DB_ACCOUNT_USER, id, "EUR", &a), KE_NOTFOUND);
	a = get(e, DB_ACCOUNT_USER, id, "EUR");
	b = get(e, DB_ACCOUNT_USER, id, "EUR");
	assert_int_equal(a.id, b.id);
	assert_int_not_equal(get(e, DB_ACCOUNT_USER, id, "USD").id, a.id);
	assert_int_not_equal(get(e, DB_ACCOUNT_POT, id, "EUR").id, a.id);
	assert_int_not_equal(get(e, DB_ACCOUNT_USER, other, "EUR").id, a.id);
	assert_int_equal(db_account_open(e->d, DB_ACCOUNT_USER, id, "X", &a), KE_RANGE);
	assert_int_equal(db_account_open(e->d, DB_ACCOUNT_USER, id, "ABCDEFGHI", &a), KE_LONG);
	assert_int_equal(db_account_open(e->d, (enum db_account_kind)9, id, "EUR", &a), KE_RANGE);
	env_commit(e);
	env_ok(e, db_account_get(e->d, DB_ACCOUNT_USER, id, "EUR", &a));
	assert_int_equal(a.id, b.id);
}

static void test_transfers(void **state)
{
	struct env *e = *state;
	uint8_t id[16] = {1}, raffle[16] = {2};
	struct db_ledger_report rep;
	int64_t t1 = 0, t2 = 0;

	env_fund(e, id, 1000);
	assert_int_equal(balance(e, id), 1000);
	struct db_account w = get(e, DB_ACCOUNT_USER, id, "EUR");
	struct db_account p = get(e, DB_ACCOUNT_POT, raffle, "EUR");
	struct db_account usd = get(e, DB_ACCOUNT_POT, raffle, "USD");
	struct db_account stale = w;
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, 1001, "buy", raffle, 5, NULL), KE_FUNDS);
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, 0, "buy", raffle, 5, NULL), KE_RANGE);
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, -5, "buy", raffle, 5, NULL), KE_RANGE);
	assert_int_equal(
	    db_ledger_transfer(e->d, &w, &p, INT64_MAX, "buy", raffle, 5, NULL), KE_RANGE);
	assert_int_equal(db_ledger_transfer(e->d, &w, &usd, 5, "buy", raffle, 5, NULL), KE_FORMAT);
	assert_int_equal(db_ledger_transfer(e->d, &w, &w, 5, "buy", raffle, 5, NULL), KE_FORMAT);
	env_ok(e, db_ledger_transfer(e->d, &w, &p, 400, "buy", raffle, 5, &t1));
	assert_int_equal(w.balance, 600);
	assert_int_equal(p.balance, 400);
	env_ok(e, db_ledger_transfer(e->d, &w, &p, 600, "buy", raffle, 6, &t2));
	assert_true(t2 > t1);
	assert_int_equal(balance(e, id), 0);
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, 1, "buy", raffle, 7, NULL), KE_FUNDS);
	env_ok(e, db_savepoint(e->d));
	assert_int_equal(
	    db_ledger_transfer(e->d, &stale, &p, 400, "buy", raffle, 8, NULL), KE_CONFLICT);
	env_ok(e, db_rollback_to(e->d));
	env_ok(e, db_ledger_check(e->d, &rep));
	assert_int_equal(rep.transfers, 3);
	assert_int_equal(rep.entries, 6);
	assert_int_equal(rep.accounts, 4);
}

/* The sum of all balances, taken in steps with bookings on both sides between them. */
static void test_walk(void **state)
{
	struct env *e = *state;
	uint8_t id[16] = {1}, two[16] = {2};
	struct db_account a, b;
	bool whole = false;

	env_fund(e, id, 1000);
	env_fund(e, two, 1000);
	a = get(e, DB_ACCOUNT_USER, id, "EUR"); /* the second of three accounts */
	b = get(e, DB_ACCOUNT_USER, two, "EUR");
	assert_int_equal(db_ledger_walk(e->d, 2, &whole), KE_AGAIN);
	env_ok(e, db_ledger_transfer(e->d, &a, &b, 300, "gift", id, 1, NULL));
	env_ok(e, db_savepoint(e->d));
	env_ok(e, db_ledger_transfer(e->d, &b, &a, 100, "undone", id, 1, NULL));
	assert_int_equal(db_ledger_walk(e->d, 2, &whole), KE_AGAIN);
	env_ok(e, db_rollback_to(e->d)); /* the step, too */
	assert_int_equal(db_ledger_walk(e->d, 1, &whole), KE_AGAIN);
	a = get(e, DB_ACCOUNT_USER, id, "EUR");
	b = get(e, DB_ACCOUNT_USER, two, "EUR");
	env_ok(e, db_ledger_transfer(e->d, &a, &b, 300, "gift", id, 1, NULL));
	env_fund(e, two, 7); /* both behind the walk */
	assert_int_equal(db_ledger_walk(e->d, 1, &whole), KE_OK);
	assert_true(whole);
	for (int left = 9; db_ledger_walk(e->d, 1, &whole) == KE_AGAIN; left--)
		assert_true(left > 0);
	assert_true(whole);
	assert_int_equal(db_ledger_walk(e->d, 1, &whole), KE_AGAIN);
	env_fund(e, (uint8_t[16]){3}, 5); /* an account that is made behind its back */
	assert_int_equal(
	    env_raw(e, "DROP TRIGGER recent_balances_follow;"
		       "UPDATE recent_balances SET balance = balance + 1 WHERE account = 2"),
	    SQLITE_OK);
	while (db_ledger_walk(e->d, 1, &whole) == KE_AGAIN)
		;
	assert_false(whole);
}

static void test_limits(void **state)
{
	struct env *e = *state;
	uint8_t id[16] = {1}, two[16] = {2};
	struct db_account out, in, w;

	out = get(e, DB_ACCOUNT_PROVIDER, env_zero, "EUR");
	in = get(e, DB_ACCOUNT_USER, id, "EUR");
	env_ok(e, db_ledger_transfer(e->d, &out, &in, RULES_MONEY_MAX, "deposit", id, 1, NULL));
	assert_int_equal(out.balance, -RULES_MONEY_MAX);
	assert_int_equal(db_ledger_transfer(e->d, &out, &in, 1, "deposit", id, 1, NULL), KE_RANGE);
	w = get(e, DB_ACCOUNT_USER, two, "EUR");
	assert_int_equal(db_ledger_transfer(e->d, &out, &w, 1, "deposit", id, 1, NULL), KE_RANGE);
	env_ok(e, db_ledger_transfer(e->d, &in, &w, 1, "gift", id, 1, NULL));
	assert_int_equal(
	    db_ledger_transfer(e->d, &in, &w, RULES_MONEY_MAX, "gift", id, 1, NULL), KE_FUNDS);
	env_ok(e, db_ledger_transfer(e->d, &in, &out, RULES_MONEY_MAX - 1, "back", id, 1, NULL));
}

static void test_holds(void **state)
{
	struct env *e = *state;
	uint8_t id[16] = {1}, raffle[16] = {2};

	env_fund(e, id, 100);
	struct db_account w = get(e, DB_ACCOUNT_USER, id, "EUR");
	struct db_account p = get(e, DB_ACCOUNT_POT, raffle, "EUR");
	struct db_account stale = w;
	assert_int_equal(db_ledger_hold(e->d, &w, 101), KE_FUNDS);
	assert_int_equal(db_ledger_hold(e->d, &w, -1), KE_RANGE);
	env_ok(e, db_ledger_hold(e->d, &w, 60));
	assert_int_equal(w.held, 60);
	assert_int_equal(db_ledger_hold(e->d, &w, 41), KE_FUNDS);
	assert_int_equal(db_ledger_hold(e->d, &stale, 100), KE_CONFLICT); /* CHECK */
	assert_int_equal(db_ledger_transfer(e->d, &w, &p, 41, "buy", raffle, 5, NULL), KE_FUNDS);
	env_ok(e, db_savepoint(e->d));
	assert_int_equal(
	    db_ledger_transfer(e->d, &stale, &p, 41, "buy", raffle, 5, NULL), KE_CONFLICT);
	env_ok(e, db_rollback_to(e->d));
	env_ok(e, db_ledger_transfer(e->d, &w, &p, 40, "buy", raffle, 5, NULL));
	env_ok(e, db_ledger_hold(e->d, &w, -60));
	env_ok(e, db_ledger_transfer(e->d, &w, &p, 60, "buy", raffle, 5, NULL));
}

/* What the store refuses whoever asks, and what the check finds when it is made to accept it. */
static void test_tampering(void **state)
{
	static const char *const edits[] = {
	    "UPDATE balances SET balance = balance + 5 WHERE account = 2",
	    "UPDATE balances SET balance = balance + 5, last_entry = 4 WHERE account = 2",
	    "UPDATE balances SET may_owe = 1 WHERE account = 2",
	    "UPDATE balances SET last_entry = 2 WHERE account = 2",
	    "INSERT INTO accounts VALUES (77, x'00000000000000000000000000000077', 1, 'EUR');"
	    "INSERT INTO balances VALUES (77, 0, 5, 0, 0)",
	    /* with an entry, but not a fitting one: amount, balance, account, predecessor */
	    "INSERT INTO entries VALUES (99, 2, 1, 6, 155, 4);"
	    "UPDATE balances SET balance = 155, last_entry = 99 WHERE account = 2",
	    "INSERT INTO entries VALUES (99, 2, 1, 5, 156, 4);"
	    "UPDATE balances SET balance = 155, last_entry = 99 WHERE account = 2",
	    "INSERT INTO entries VALUES (99, 1, 1, 5, 155, 4);"
	    "UPDATE balances SET balance = 155, last_entry = 99 WHERE account = 2",
	    "INSERT INTO entries VALUES (99, 2, 1, 5, 155, 2);"
	    "UPDATE balances SET balance = 155, last_entry = 99 WHERE account = 2",
	    "DELETE FROM balances WHERE account = 2", "DELETE FROM accounts WHERE id = 2",
	    "UPDATE accounts SET currency = 'USD' WHERE id = 2",
	    "UPDATE entries SET amount = 5 WHERE seq = 2",
	    "UPDATE entries SET prev = 0 WHERE seq = 4", "DELETE FROM entries WHERE seq = 2",
	    "DELETE FROM transfers WHERE id = 1", NULL};
	static const char *const found[] = {
	    "UPDATE balances SET balance = balance + 5 WHERE account = 2",
	    "UPDATE balances SET balance = balance + 5 WHERE account = 2;"
	    "UPDATE balances SET balance = balance - 5 WHERE account = 1",
	    "UPDATE balances SET may_owe = 1 WHERE account = 2",
	    "UPDATE balances SET last_entry = 2 WHERE account = 2",
	    "UPDATE entries SET amount = 5 WHERE seq = 2", "UPDATE entries SET amount = amount * 2",
	    "UPDATE entries SET prev = 0 WHERE seq = 4",
	    "UPDATE entries SET balance_after = 7 WHERE seq = 2",
	    "DELETE FROM entries WHERE seq = 2", "DELETE FROM entries",
	    "DELETE FROM entries WHERE transfer = 1", "DELETE FROM transfers WHERE id = 1",
	    "UPDATE accounts SET currency = 'USD' WHERE id = 2",
	    "UPDATE entries SET account = 1 WHERE seq = 2", NULL};
	struct env *e = *state;
	struct db_ledger_report rep;
	bool whole = true;
	uint8_t id[16] = {1}, other[16] = {2};

	env_fund(e, id, 100);
	env_fund(e, id, 50);
	env_fund(e, other, 50);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_close(e); /* so that balances itself says it */
	env_open(e, 0);
	env_ok(e, db_turn_begin(e->d));
	for (int i = 0; edits[i]; i++) {
		assert_int_not_equal(env_raw(e, edits[i]), SQLITE_OK);
		db_turn_rollback(e->d);
		env_ok(e, db_turn_begin(e->d));
		env_ok(e, db_ledger_check(e->d, &rep));
	}
	/* only the one that fits */
	assert_int_equal(
	    env_raw(e, "INSERT INTO entries VALUES (99, 2, 1, 5, 155, 4);"
		       "UPDATE balances SET balance = 155, last_entry = 99 WHERE account = 2"),
	    SQLITE_OK);
	db_turn_rollback(e->d);
	env_ok(e, db_turn_begin(e->d));
	sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
	for (int i = 0; found[i]; i++) {
		assert_int_equal(env_raw(e, found[i]), SQLITE_OK);
		if (db_ledger_check(e->d, &rep) != KE_DAMAGED)
			fail_msg("not found: %s", found[i]);
		assert_true(strlen(rep.why) > 20);
		db_turn_rollback(e->d);
		env_ok(e, db_turn_begin(e->d));
	}
	assert_int_equal(env_raw(e, found[0]), SQLITE_OK);
	while (db_ledger_walk(e->d, 100, &whole) == KE_AGAIN)
		;
	assert_false(whole);
}

/* --- lists --- */

struct seen {
	int n;
	int64_t seq[500];
	char currency[500][DB_CURRENCY_MAX + 1];
};

static int take(void *arg, const struct db_entry *x)
{
	struct seen *s = arg;

	s->seq[s->n] = x->seq;
	memcpy(s->currency[s->n++], x->currency, sizeof x->currency);
	assert_true(x->amount != 0);
	assert_string_equal(x->kind, "deposit");
	return KE_OK;
}

static int count(void *arg, const struct db_account *a)
{
	int *n = arg;

	assert_int_equal(a->kind, DB_ACCOUNT_USER);
	*n += 1;
	return a->balance < 0 ? KE_DAMAGED : KE_OK;
}

/* Steps of SQLite's machine that the ledger's statements have made. */
static int steps(struct env *e)
{
	int n = 0;

	for (size_t i = 0; i < db_ledger_sql.n; i++)
		n += sqlite3_stmt_status(
		    e->d->st[DB_NOUN_ledger][i].s, SQLITE_STMTSTATUS_VM_STEP, 0);
	return n;
}

/*
 * Pages of every size, one after the other, give every entry of the user once, newest first; none
 * costs more than the first, which has no more rows to read than any other.
 */
static void walk(struct env *e, const uint8_t user[16], int64_t page, int want)
{
	struct db_entries_at at = {.n = 0};
	struct seen s = {0};
	int first = 0;

	do {
		int before = s.n, began = steps(e);

		env_ok(e, db_wallet_entries(e->d, user, &at, page, take, &s));
		assert_true(s.n - before <= page);
		if (first == 0)
			first = steps(e) - began;
		assert_true(steps(e) - began <= first);
	} while (at.n);
	assert_int_equal(s.n, want);
	for (int i = 1; i < s.n; i++)
		assert_true(s.seq[i] < s.seq[i - 1]);
}

/* n deposits, every fifth of them to the second user. */
static void deposits(struct env *e, uint8_t id[2][16], int n, const char *(*currency)(int i))
{
	for (int i = 0; i < n; i++) {
		const char *c = currency(i);
		const uint8_t *user = id[i % 5 == 0];
		struct db_account out = get(e, DB_ACCOUNT_PROVIDER, env_zero, c);
		struct db_account in = get(e, DB_ACCOUNT_USER, user, c);
		env_ok(e, db_ledger_transfer(e->d, &out, &in, 1 + i, "deposit", user, i, NULL));
	}
}

static const char *mixed(int i)
{
	static const char *const currency[] = {"EUR", "USD", "BTC"};

	return i % 2 ? "EUR" : currency[(i / 2) % 3];
}

/* The oldest entries are of one currency, all others of another. */
static const char *one_after_the_other(int i)
{
	return i < 12 ? "EUR" : "USD";
}

static void test_wallet(void **state)
{
	struct env *e = *state;
	uint8_t id[2][16] = {{1}, {2}};
	int n = 0;

	deposits(e, id, 240, mixed);
	env_ok(e, db_wallet_list(e->d, id[0], count, &n));
	assert_int_equal(n, 3);
	for (int64_t page = 1; page < 200; page = page * 2 + 1) {
		walk(e, id[0], page, 192);
		walk(e, id[1], page, 48);
	}
}

static void test_wallet_of_long_chains(void **state)
{
	struct env *e = *state;
	uint8_t id[2][16] = {{1}, {2}};

	deposits(e, id, 500, one_after_the_other);
	walk(e, id[0], 7, 400);
	walk(e, id[1], 7, 100);
}

/* Where a list goes on comes back from a stranger. */
static void test_wallet_from_elsewhere(void **state)
{
	static const int64_t bad[] = {1000000, -3, 0, INT64_MAX, INT64_MIN, 2}; /* 2: the other's */
	struct env *e = *state;
	uint8_t id[2][16] = {{1}, {2}};
	struct db_entries_at at = {.n = 0};
	struct seen s = {0};

	deposits(e, id, 40, mixed);
	env_ok(e, db_wallet_entries(e->d, env_zero, &at, 10, take, &s));
	assert_int_equal(s.n, 0);
	assert_int_equal(at.n, 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		at = (struct db_entries_at){.n = 1, .seq = {bad[i]}};
		assert_int_equal(db_wallet_entries(e->d, id[0], &at, 10, take, &s), KE_RANGE);
	}
	at.n = 0;
	env_ok(e, db_wallet_entries(e->d, id[0], &at, 1, take, &s));
	assert_true(at.n > 1);
	at.seq[1] = at.seq[0]; /* one currency twice */
	assert_int_equal(db_wallet_entries(e->d, id[0], &at, 10, take, &s), KE_RANGE);
	/* the page before what was shown: nothing but the user's own */
	at = (struct db_entries_at){.n = 1, .seq = {s.seq[0]}};
	env_ok(e, db_wallet_entries(e->d, id[0], &at, 1, take, &s));
	assert_int_equal(s.seq[0], s.seq[1]);
}

/* --- random operations against a model --- */

#define PEOPLE 6

struct model {
	int64_t balance[PEOPLE], held[PEOPLE], outside, pot;
	int64_t transfers;
};

static void deposit(struct env *e, struct model *m, const uint8_t id[16], int i, int64_t amount)
{
	env_fund(e, id, amount);
	m->balance[i] += amount;
	m->outside -= amount;
	m->transfers++;
}

static void pay(struct env *e, struct model *m, const uint8_t id[16], int i, int64_t amount)
{
	struct db_account w = get(e, DB_ACCOUNT_USER, id, "EUR");
	struct db_account p = get(e, DB_ACCOUNT_POT, env_zero, "EUR");
	int r = db_ledger_transfer(e->d, &w, &p, amount, "buy", id, 1, NULL);

	if (m->balance[i] - m->held[i] < amount) {
		assert_int_equal(r, KE_FUNDS);
		return;
	}
	env_ok(e, r);
	m->balance[i] -= amount;
	m->pot += amount;
	m->transfers++;
}

static void hold(struct env *e, struct model *m, const uint8_t id[16], int i, int64_t amount)
{
	struct db_account w = get(e, DB_ACCOUNT_USER, id, "EUR");
	int r = db_ledger_hold(e->d, &w, amount);

	if (m->held[i] + amount < 0)
		assert_int_equal(r, KE_RANGE);
	else if (m->balance[i] - m->held[i] < amount)
		assert_int_equal(r, KE_FUNDS);
	else
		m->held[i] += amount;
}

static void compare(struct env *e, const struct model *m)
{
	struct db_ledger_report rep;
	struct db_account a;

	env_ok(e, db_ledger_check(e->d, &rep));
	assert_int_equal(rep.transfers, m->transfers);
	for (unsigned i = 0; i < PEOPLE; i++) {
		uint8_t id[16];
		env_id(id, i);
		a = get(e, DB_ACCOUNT_USER, id, "EUR");
		assert_int_equal(a.balance, m->balance[i]);
		assert_int_equal(a.held, m->held[i]);
	}
	assert_int_equal(get(e, DB_ACCOUNT_POT, env_zero, "EUR").balance, m->pot);
	assert_int_equal(get(e, DB_ACCOUNT_PROVIDER, env_zero, "EUR").balance, m->outside);
}

static void step(struct env *e, struct model *m, uint32_t *seed)
{
	int i = (int)(env_next(seed) % PEOPLE);
	int64_t amount = 1 + env_next(seed) % 200;
	uint8_t id[16];

	env_id(id, (unsigned)i);
	switch (env_next(seed) % 4) {
	case 0:
		deposit(e, m, id, i, amount);
		break;
	case 1:
	case 2:
		pay(e, m, id, i, amount);
		break;
	default:
		hold(e, m, id, i, (env_next(seed) & 1) ? amount : -amount);
	}
}

static void test_random(void **state)
{
	struct env *e = *state;
	struct model m = {0}, turn, saved;
	uint32_t seed = 20261121;

	for (int k = 0; k < 200; k++) {
		turn = m;
		for (int i = 0; i < 12; i++) {
			saved = m;
			env_ok(e, db_savepoint(e->d));
			for (unsigned n = 1 + env_next(&seed) % 3; n; n--)
				step(e, &m, &seed);
			if (env_next(&seed) % 3 == 0) {
				env_ok(e, db_rollback_to(e->d));
				m = saved;
			} else {
				env_ok(e, db_release(e->d));
			}
		}
		if (env_next(&seed) % 5 == 0) {
			db_turn_rollback(e->d);
			env_ok(e, db_turn_begin(e->d));
			m = turn;
		} else {
			env_commit(e);
		}
		if (k % 20 == 0)
			compare(e, &m);
	}
	compare(e, &m);
	assert_true(m.transfers > 500);
	db_turn_rollback(e->d);
	env_close(e);
	env_open(e, 0);
	env_ok(e, db_turn_begin(e->d));
	compare(e, &m);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start_turn, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_accounts), T(test_transfers), T(test_walk),
	    T(test_limits), T(test_holds), T(test_tampering), T(test_wallet),
	    T(test_wallet_of_long_chains), T(test_wallet_from_elsewhere), T(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
