/*
 * Payouts: the wire form, what is refused, what one can cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "policy/payout.h"

static struct payout evm(void)
{
	struct payout p = {.id = "a payout's id",
	    .kind = PAYOUT_EVM,
	    .chain_id = 11155111,
	    .nonce = 7,
	    .priority_fee = 1500000000,
	    .max_fee = 30000000000,
	    .gas_limit = 21000,
	    .value = u256_of(1000000000000000000)};

	memset(p.to, 0xab, 20);
	return p;
}

static struct payout solana(void)
{
	struct payout p = {
	    .id = "another payout", .kind = PAYOUT_SOLANA, .value = u256_of(1000000000)};

	memset(p.to, 0xcd, 32);
	memset(p.blockhash, 0xef, 32);
	return p;
}

/* There and back; every other length is refused. */
static void round_trip(struct payout p, size_t want)
{
	uint8_t buf[PAYOUT_WIRE_MAX + 1], again[PAYOUT_WIRE_MAX];
	struct payout back;
	size_t n, m;

	assert_int_equal(payout_put(&p, buf, PAYOUT_WIRE_MAX, &n), KE_OK);
	assert_int_equal(n, want);
	assert_int_equal(payout_get(&back, buf, n), KE_OK);
	assert_int_equal(payout_put(&back, again, sizeof again, &m), KE_OK);
	assert_int_equal(m, n);
	assert_memory_equal(buf, again, n);
	buf[n] = 0;
	for (size_t i = 0; i <= n + 1; i++)
		if (i != n)
			assert_int_equal(payout_get(&back, buf, i), KE_FORMAT);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(payout_put(&p, again, i, &m), KE_FULL);
	buf[16] = 0;
	assert_int_equal(payout_get(&back, buf, n), KE_FORMAT);
	buf[16] = 3;
	assert_int_equal(payout_get(&back, buf, n), KE_FORMAT);
}

static void test_wire(void **state)
{
	(void)state;
	round_trip(evm(), 109);
	round_trip(solana(), 89);
}

static void refuse(struct payout p)
{
	uint8_t buf[PAYOUT_WIRE_MAX];
	struct u256 cost;
	size_t n;

	assert_int_equal(payout_check(&p), KE_RANGE);
	assert_int_equal(payout_put(&p, buf, sizeof buf, &n), KE_RANGE);
	assert_int_equal(payout_cost(&p, &cost), KE_RANGE);
}

static void test_check(void **state)
{
	struct payout p = evm();

	(void)state;
	p.chain_id = 0;
	refuse(p);
	p = evm();
	p.value = u256_of(0);
	refuse(p);
	p = evm();
	p.gas_limit = 20999;
	refuse(p);
	p = evm();
	p.priority_fee = p.max_fee + 1;
	refuse(p);
	p = evm();
	p.kind = 3;
	refuse(p);
	p = solana();
	p.value = u256_mul(UINT64_MAX, 2);
	refuse(p);
	p = solana();
	p.value = u256_of(0);
	refuse(p);
}

static void test_cost(void **state)
{
	char text[U256_TEXT_MAX + 1];
	struct payout p = evm();
	struct u256 cost;

	(void)state;
	assert_int_equal(payout_cost(&p, &cost), KE_OK);
	u256_text(text, &cost);
	assert_string_equal(text, "1000630000000000000"); /* 10^18 + 21000 * 30 * 10^9 */
	p = solana();
	assert_int_equal(payout_cost(&p, &cost), KE_OK);
	u256_text(text, &cost);
	assert_string_equal(text, "1000005000");
	/* a value and fees that do not fit into one number */
	p = evm();
	memset(p.value.be, 0xff, 32);
	assert_int_equal(payout_check(&p), KE_OK);
	assert_int_equal(payout_cost(&p, &cost), KE_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
