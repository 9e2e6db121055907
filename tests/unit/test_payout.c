/*
 * Payouts: the wire form, what is refused, what one can cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "policy/paylimit.h"
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
	assert_int_equal(payout_pub_len(3), 0);
	assert_int_equal(payout_to_len(3), 0);
	p = evm();
	memset(p.to, 0, sizeof p.to);
	refuse(p);
	p = solana();
	p.value = u256_mul(UINT64_MAX, 2);
	refuse(p);
	p = solana();
	p.value = u256_of(0);
	refuse(p);
}

/* Well-formed bytes of a payout that there cannot be: to nobody. */
static void test_to_nobody(void **state)
{
	struct payout p = evm(), back;
	uint8_t buf[PAYOUT_WIRE_MAX], *to;
	size_t n;

	(void)state;
	memset(p.to, 0xee, 20);
	assert_int_equal(payout_put(&p, buf, sizeof buf, &n), KE_OK);
	assert_int_equal(payout_get(&back, buf, n), KE_OK);
	to = memmem(buf, n, p.to, 20);
	assert_non_null(to);
	memset(to, 0, 20);
	assert_int_equal(payout_get(&back, buf, n), KE_FORMAT);
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

static void test_limit_text(void **state)
{
	static const char *const bad[] = {"", "evm:1", "evm:1 1", "evm:1 1 2", "evm:1 1 2/",
	    "evm:1 1 2/0", "evm:1 1 2/31622401", "evm:1 1 2/60 ", " evm:1 1 2/60", "evm:1  1 2/60",
	    "evm: 1 2/60", "evm:0 1 2/60", "evm:01 1 2/60", "evm:1 1e18 2/60", "evm:1 -1 2/60",
	    "evm:18446744073709551616 1 2/60", "solana:1 1 2/60", "Solana 1 2/60", "evm:1/1 2/60",
	    ("evm:1 115792089237316195423570985008687907853269984665640564039457584007913129639936 "
	     "1/2")};
	struct paylimit l;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(paylimit_parse(&l, bad[i]), KE_FORMAT);
	assert_int_equal(paylimit_parse(&l, "evm:1 3 2/60"), KE_RANGE);
	assert_int_equal(paylimit_parse(&l, "evm:1 0 0/60"), KE_RANGE);
	assert_int_equal(paylimit_parse(&l, "evm:18446744073709551615 2 2/31622400"), KE_OK);
	assert_true(l.kind == PAYOUT_EVM && l.chain_id == UINT64_MAX && l.window_s == 31622400);
	assert_int_equal(paylimit_parse(&l, "solana 0 2/1"), KE_OK);
	assert_true(l.kind == PAYOUT_SOLANA && l.window_s == 1);
	assert_int_equal(u256_cmp(&l.approval, &l.each), 0); /* none is above it */
	assert_int_equal(paylimit_parse(&l, "evm:1 2 2/60 0"), KE_OK);
	assert_int_equal(u256_cmp(&l.approval, &(struct u256){.be = {0}}), 0);
	assert_int_equal(paylimit_parse(&l, "evm:1 2 2/60 "), KE_FORMAT);
	assert_int_equal(paylimit_parse(&l, "evm:1 2 2/60 1 1"), KE_FORMAT);
	assert_int_equal(paylimit_parse(&l, "evm:1 2 2/60  1"), KE_FORMAT);
	assert_int_equal(paylimit_parse(&l, "evm:1 2 2/60 x"), KE_FORMAT);
}

static void test_limit_spend(void **state)
{
	struct paylimit_spent spent = {.start_s = 0};
	struct u256 four = u256_of(4), five = u256_of(5), six = u256_of(6), one = u256_of(1), most;
	struct paylimit l;

	(void)state;
	assert_int_equal(paylimit_parse(&l, "evm:1 5 9/60"), KE_OK);
	assert_int_equal(paylimit_spend(&l, &spent, &six, 600), KE_LIMIT);
	assert_int_equal(paylimit_spend(&l, &spent, &five, 600), KE_OK);
	assert_int_equal(paylimit_spend(&l, &spent, &five, 659), KE_LIMIT);
	assert_int_equal(paylimit_spend(&l, &spent, &four, 659), KE_OK);
	assert_int_equal(paylimit_spend(&l, &spent, &one, 659), KE_LIMIT);
	/* a clock set back gives nothing back */
	assert_int_equal(paylimit_spend(&l, &spent, &one, 1), KE_LIMIT);
	assert_int_equal(paylimit_spend(&l, &spent, &five, 660), KE_OK);
	assert_true(spent.start_s == 660);
	/* sums do not wrap */
	memset(most.be, 0xff, 32);
	l.each = l.total = most;
	assert_int_equal(paylimit_spend(&l, &spent, &most, 661), KE_LIMIT);
	assert_int_equal(paylimit_spend(&l, &spent, &most, 720), KE_OK);
	assert_int_equal(paylimit_spend(&l, &spent, &one, 721), KE_LIMIT);
}

static void test_limit_find(void **state)
{
	struct paylimit l[3];
	struct payout p = evm(), s = solana();

	(void)state;
	assert_int_equal(paylimit_parse(&l[0], "evm:1 1 1/60"), KE_OK);
	assert_int_equal(paylimit_parse(&l[1], "solana 1 1/60"), KE_OK);
	assert_int_equal(paylimit_parse(&l[2], "evm:11155111 1 1/60"), KE_OK);
	assert_ptr_equal(paylimit_find(l, 3, &p), &l[2]);
	assert_ptr_equal(paylimit_find(l, 3, &s), &l[1]);
	assert_null(paylimit_find(l, 2, &p));
	assert_null(paylimit_find(l, 1, &s));
	assert_null(paylimit_find(l, 0, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_to_nobody),
	    cmocka_unit_test(test_cost),
	    cmocka_unit_test(test_limit_text),
	    cmocka_unit_test(test_limit_spend),
	    cmocka_unit_test(test_limit_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
