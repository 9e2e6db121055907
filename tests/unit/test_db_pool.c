/*
 * Pools and payouts in the store: every function and every refusal, on a real one, and what the
 * store itself refuses whatever a program asks of it.
 */
#include "tests/unit/db_env.h"

#include "db/db_payout.h"
#include "db/db_pool.h"
#include "db/db_sqlite.h"

#define EVM_1    "klero:1:deposit:v000001:"
#define EVM_2    "klero:1:deposit:v000002:"
#define SOLANA_1 "klero:1:deposit25519:v000001:"
#define SOLANA_2 "klero:1:deposit25519:v000002:"

static struct db_pool pool(uint8_t n, enum payout_kind chain)
{
	struct db_pool p = {.id = {n}, .chain = chain, .network = n, .created_ms = 7};

	p.public_len = chain == PAYOUT_EVM ? 65 : 32;
	memset(p.public_key, n, p.public_len);
	snprintf(p.name, sizeof p.name, "pool %u", n);
	snprintf(p.address, sizeof p.address, "address%u", n);
	snprintf(p.key, sizeof p.key, "%sx%u", chain == PAYOUT_EVM ? EVM_1 : SOLANA_1, n);
	return p;
}

static struct db_payout payout(uint8_t n, const struct db_pool *of, const uint8_t user[16])
{
	struct db_payout p = {.idem = {n}, .created_ms = 9};
	struct payout *y = &p.say;

	y->id[0] = n;
	y->kind = (uint8_t)of->chain;
	memcpy(p.pool, of->id, 16);
	memcpy(p.created_by, user, 16);
	memset(y->to, 0xab, payout_to_len(y->kind));
	y->value = u256_of(5);
	if (y->kind == PAYOUT_EVM) {
		y->chain_id = (uint64_t)of->network;
		y->nonce = n;
		y->max_fee = 30;
		y->priority_fee = 2;
		y->gas_limit = 21000;
	} else {
		memset(y->blockhash, n, sizeof y->blockhash);
	}
	return p;
}

struct seen {
	int n, stop_at;
	uint8_t id[40];
};

static int see(struct seen *s, uint8_t id)
{
	if (s->stop_at && s->n == s->stop_at)
		return KE_FULL;
	s->id[s->n++] = id;
	return KE_OK;
}

static int take_pool(void *arg, const struct db_pool *p)
{
	return see(arg, p->id[0]);
}

static int take_payout(void *arg, const struct db_payout *p)
{
	return see(arg, p->say.id[0]);
}

static void test_pools(void **state)
{
	struct env *e = *state;
	struct db_pool a = pool(1, PAYOUT_EVM), b = pool(2, PAYOUT_SOLANA), p;
	uint8_t nobody[16] = {99};
	struct seen s = {0};
	int64_t n;

	memset(b.created_by, 5, 16);
	b.imported = true;
	env_ok(e, db_pool_create(e->d, &a));
	assert_int_equal(db_pool_create(e->d, &a), KE_EXISTS);
	p = b;
	memcpy(p.address, a.address, sizeof p.address);
	assert_int_equal(db_pool_create(e->d, &p), KE_EXISTS); /* the address */
	p = b;
	p.public_len = 33;
	assert_int_equal(db_pool_create(e->d, &p), KE_RANGE);
	p = b;
	p.network = 0;
	assert_int_equal(db_pool_create(e->d, &p), KE_RANGE);
	p.network = 1;
	p.chain = (enum payout_kind)3;
	assert_int_equal(db_pool_create(e->d, &p), KE_RANGE);
	env_ok(e, db_pool_create(e->d, &b));
	env_commit(e);
	env_ok(e, db_pool_get(e->d, a.id, &p));
	assert_string_equal(p.name, "pool 1");
	assert_int_equal(p.chain, PAYOUT_EVM);
	assert_int_equal(p.public_len, 65);
	assert_memory_equal(p.public_key, a.public_key, 65);
	assert_string_equal(p.key, a.key);
	assert_false(p.imported);
	assert_memory_equal(p.created_by, env_zero, 16);
	env_ok(e, db_pool_by_address(e->d, "address2", &p));
	assert_int_equal(p.id[0], 2);
	assert_true(p.imported);
	assert_int_equal(p.created_by[3], 5);
	assert_int_equal(p.created_ms, 7);
	assert_int_equal(p.network, 2);
	assert_int_equal(db_pool_get(e->d, nobody, &p), KE_NOTFOUND);
	assert_int_equal(db_pool_by_address(e->d, "address", &p), KE_NOTFOUND);
	env_ok(e, db_pool_page(e->d, NULL, 9, take_pool, &s));
	assert_int_equal(s.n, 2);
	assert_int_equal(s.id[0], 2);
	s = (struct seen){0};
	env_ok(e, db_pool_page(e->d, b.id, 9, take_pool, &s));
	assert_int_equal(s.n, 1);
	env_ok(e, db_pool_count(e->d, &n));
	assert_int_equal(n, 2);
}

static void test_wrapped_anew(void **state)
{
	struct env *e = *state;
	struct db_pool p;
	struct seen s = {0};
	int64_t n;

	for (uint8_t i = 1; i <= 6; i++) {
		p = pool(i, i % 2 ? PAYOUT_EVM : PAYOUT_SOLANA);
		env_ok(e, db_pool_create(e->d, &p));
	}
	env_ok(e, db_pool_old_keys(e->d, PAYOUT_EVM, EVM_1, 9, 0, take_pool, &s));
	assert_int_equal(s.n, 0);
	env_ok(e, db_pool_old_keys(e->d, PAYOUT_EVM, EVM_2, 2, 0, take_pool, &s));
	assert_int_equal(s.n, 2);
	env_ok(e, db_pool_old_keys(e->d, PAYOUT_EVM, EVM_2, 9, 3, take_pool, &s));
	assert_int_equal(s.n, 2);
	env_ok(e, db_pool_old_keys(e->d, PAYOUT_SOLANA, SOLANA_2, 9, 0, take_pool, &s));
	assert_int_equal(s.n, 5);
	env_ok(e, db_pool_count_keys(e->d, PAYOUT_SOLANA, SOLANA_1, &n));
	assert_int_equal(n, 3);
	p = pool(3, PAYOUT_EVM);
	env_ok(e, db_pool_set_key(e->d, &p, EVM_2 "y"));
	assert_int_equal(db_pool_set_key(e->d, &p, EVM_2 "z"), KE_STATE);
	env_ok(e, db_pool_count_keys(e->d, PAYOUT_EVM, EVM_2, &n));
	assert_int_equal(n, 1);
	/* after a roll-back the newer version is the other one */
	s = (struct seen){0};
	env_ok(e, db_pool_old_keys(e->d, PAYOUT_EVM, EVM_1, 9, 0, take_pool, &s));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.id[0], 3);
	s = (struct seen){.stop_at = 1};
	assert_int_equal(db_pool_old_keys(e->d, PAYOUT_EVM, EVM_2, 9, 0, take_pool, &s), KE_FULL);
	assert_int_equal(
	    db_pool_old_keys(e->d, (enum payout_kind)3, EVM_2, 9, 0, take_pool, &s), KE_RANGE);
	assert_int_equal(db_pool_count_keys(e->d, (enum payout_kind)3, EVM_2, &n), KE_RANGE);
}

/* --- payouts --- */

struct place {
	struct db_pool evm, solana;
	uint8_t user[16];
};

static void make_pools(struct env *e, struct place *at)
{
	at->evm = pool(1, PAYOUT_EVM);
	at->solana = pool(2, PAYOUT_SOLANA);
	env_user(e, 1, at->user);
	env_ok(e, db_pool_create(e->d, &at->evm));
	env_ok(e, db_pool_create(e->d, &at->solana));
}

static void counted(struct env *e, enum db_payout_state s, int64_t want)
{
	int64_t n;

	env_ok(e, db_payout_count(e->d, s, &n));
	assert_int_equal(n, want);
}

static void test_payouts(void **state)
{
	struct env *e = *state;
	struct place at;
	struct db_payout a, b, p;
	struct seen s = {0};
	uint8_t nobody[16] = {99};

	make_pools(e, &at);
	a = payout(1, &at.evm, at.user);
	b = payout(2, &at.solana, at.user);
	p = a;
	memset(p.created_by, 9, 16);
	assert_int_equal(db_payout_create(e->d, &p), KE_STATE); /* nobody */
	p = a;
	p.pool[0] = 77;
	assert_int_equal(db_payout_create(e->d, &p), KE_STATE); /* nowhere */
	p = a;
	p.say.priority_fee = p.say.max_fee + 1;
	assert_int_equal(db_payout_create(e->d, &p), KE_RANGE);
	p = a;
	p.say.nonce = (uint64_t)INT64_MAX + 1;
	assert_int_equal(db_payout_create(e->d, &p), KE_RANGE);
	env_ok(e, db_payout_create(e->d, &a));
	env_ok(e, db_payout_create(e->d, &b));
	env_commit(e);
	env_ok(e, db_payout_get(e->d, a.say.id, &p));
	assert_memory_equal(&p.say, &a.say, sizeof p.say);
	assert_memory_equal(p.pool, a.pool, 16);
	assert_memory_equal(p.created_by, at.user, 16);
	assert_int_equal(p.created_ms, 9);
	assert_int_equal(p.tx_len, 0);
	env_ok(e, db_payout_by_idem(e->d, b.idem, &p));
	assert_memory_equal(&p.say, &b.say, sizeof p.say);
	assert_int_equal(db_payout_get(e->d, nobody, &p), KE_NOTFOUND);
	assert_int_equal(db_payout_by_idem(e->d, nobody, &p), KE_NOTFOUND);
	env_ok(e, db_payout_waiting(e->d, NULL, 9, take_payout, &s));
	env_ok(e, db_payout_waiting(e->d, a.say.id, 9, take_payout, &s));
	assert_int_equal(s.n, 3);
	assert_int_equal(s.id[0], 1);
	assert_int_equal(s.id[2], 2);
	s = (struct seen){0};
	env_ok(e, db_payout_page(e->d, at.evm.id, NULL, 9, take_payout, &s));
	assert_int_equal(s.n, 1);
	env_ok(e, db_payout_page(e->d, at.evm.id, a.say.id, 9, take_payout, &s));
	assert_int_equal(s.n, 1);
	counted(e, DB_PAYOUT_REQUESTED, 2);
	assert_string_equal(db_payout_word(DB_PAYOUT_SIGNED), "signed");
	assert_string_equal(db_payout_word(DB_PAYOUT_STATES), "unknown");
}

static void test_once(void **state)
{
	struct env *e = *state;
	struct place at;
	struct db_payout a, b, p;

	make_pools(e, &at);
	a = payout(1, &at.evm, at.user);
	b = payout(2, &at.solana, at.user);
	env_ok(e, db_payout_create(e->d, &a));
	env_ok(e, db_payout_create(e->d, &b));
	p = payout(3, &at.evm, at.user);
	p.say.nonce = 1;
	assert_int_equal(db_payout_create(e->d, &p), KE_EXISTS); /* the nonce */
	p.say.nonce = 3;
	p.idem[0] = 1;
	assert_int_equal(db_payout_create(e->d, &p), KE_EXISTS); /* the request */
	p = payout(4, &at.solana, at.user);
	memcpy(p.say.blockhash, b.say.blockhash, 32);
	assert_int_equal(db_payout_create(e->d, &p), KE_EXISTS); /* the very same transaction */
	p.say.value.be[31] = 6;
	env_ok(e, db_payout_create(e->d, &p));
	/* what was refused takes no place */
	env_ok(e, db_payout_set_refused(e->d, a.say.id, 50));
	p = payout(5, &at.evm, at.user);
	p.say.nonce = 1;
	env_ok(e, db_payout_create(e->d, &p));
	counted(e, DB_PAYOUT_REQUESTED, 3);
	counted(e, DB_PAYOUT_REFUSED, 1);
}

static void test_settled_once(void **state)
{
	struct env *e = *state;
	struct place at;
	struct db_payout a, b, p;
	uint8_t nobody[16] = {99};
	int64_t n;

	make_pools(e, &at);
	a = payout(1, &at.evm, at.user);
	b = payout(2, &at.solana, at.user);
	env_ok(e, db_payout_create(e->d, &a));
	env_ok(e, db_payout_create(e->d, &b));
	a.tx_len = PAYOUT_TX_MAX;
	memset(a.tx, 0xee, a.tx_len);
	a.tx_hash_len = 32;
	memset(a.tx_hash, 0xdd, 32);
	env_ok(e, db_payout_set_signed(e->d, &a, 50));
	assert_int_equal(db_payout_set_signed(e->d, &a, 51), KE_STATE);
	assert_int_equal(db_payout_set_refused(e->d, a.say.id, 51), KE_STATE);
	assert_int_equal(db_payout_set_refused(e->d, nobody, 51), KE_NOTFOUND);
	env_ok(e, db_payout_set_refused(e->d, b.say.id, 52));
	b.tx_len = b.tx_hash_len = 1;
	assert_int_equal(db_payout_set_signed(e->d, &b, 53), KE_STATE);
	env_commit(e);
	env_ok(e, db_payout_get(e->d, a.say.id, &p));
	assert_int_equal(p.state, DB_PAYOUT_SIGNED);
	assert_int_equal(p.settled_ms, 50);
	assert_int_equal(p.tx_len, PAYOUT_TX_MAX);
	assert_memory_equal(p.tx, a.tx, a.tx_len);
	assert_int_equal(p.tx_hash_len, 32);
	env_ok(e, db_payout_get(e->d, b.say.id, &p));
	assert_int_equal(p.state, DB_PAYOUT_REFUSED);
	assert_int_equal(p.settled_ms, 52);
	counted(e, DB_PAYOUT_REQUESTED, 0);
	counted(e, DB_PAYOUT_SIGNED, 1);
	counted(e, DB_PAYOUT_REFUSED, 1);
	assert_int_equal(db_payout_count(e->d, DB_PAYOUT_STATES, &n), KE_RANGE);
}

/* Whatever a program asks: these do not change. */
static void test_fixed(void **state)
{
	static const char *const wrong[] = {
	    "DELETE FROM pools",
	    "UPDATE pools SET address = 'other'",
	    "UPDATE pools SET public_key = zeroblob(65) WHERE chain = 1",
	    "UPDATE pools SET chain = 2",
	    "UPDATE pools SET network = network + 1",
	    "DELETE FROM payouts",
	    "UPDATE payouts SET to_address = zeroblob(20)",
	    "UPDATE payouts SET amount = zeroblob(32)",
	    "UPDATE payouts SET nonce = 7",
	    "UPDATE payouts SET pool = zeroblob(16)",
	    "UPDATE payouts SET state = 0, tx = NULL, tx_hash = NULL",
	    "UPDATE payouts SET tx = x'00'",
	    "UPDATE payouts SET state = 3, tx = x'00'",
	    "UPDATE payouts SET state = 2, tx = NULL, tx_hash = NULL",
	};
	struct env *e = *state;
	struct place at;
	struct db_payout a;

	make_pools(e, &at);
	a = payout(1, &at.evm, at.user);
	a.tx_len = a.tx_hash_len = 1;
	a.tx[0] = 1;
	env_ok(e, db_payout_create(e->d, &a));
	env_ok(e, db_payout_set_signed(e->d, &a, 50));
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if ((sqlite3_exec(e->d->sq, wrong[i], NULL, NULL, NULL) & 0xff) !=
		    SQLITE_CONSTRAINT)
			fail_msg("the store allows: %s", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_pools, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_wrapped_anew, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_payouts, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_once, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_settled_once, env_start_turn, env_stop),
	    cmocka_unit_test_setup_teardown(test_fixed, env_start_turn, env_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
