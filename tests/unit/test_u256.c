/*
 * Amounts of 256 bits: bounds, decimal text, products. Python's integers are the other side of the
 * constants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "policy/u256.h"

/* 2^256 - 1 */
#define MOST "115792089237316195423570985008687907853269984665640564039457584007913129639935"

static struct u256 dec(const char *s)
{
	struct u256 a = {{0}};

	assert_int_equal(u256_parse(&a, s, strlen(s)), KE_OK);
	return a;
}

static void assert_dec(const struct u256 *a, const char *want)
{
	char text[U256_TEXT_MAX + 1];

	assert_int_equal(u256_text(text, a), strlen(want));
	assert_string_equal(text, want);
}

static void test_text(void **state)
{
	static const char *const good[] = {
	    "0", "9", "10", "18446744073709551616", "1000000000000000000", MOST};
	static const char *const bad[] = {
	    "", "00", "01", "-1", "+1", " 1", "1 ", "1e18", "0x1", "1.0", "1,000"};
	struct u256 a = u256_of(7);

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct u256 v = dec(good[i]);

		assert_dec(&v, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(u256_parse(&a, bad[i], strlen(bad[i])), KE_FORMAT);
	/* one more than the most, ten times the most, a digit more */
	assert_int_equal(u256_parse(&a,
			     "115792089237316195423570985008687907853269984665640564039457584007913"
			     "129639936",
			     78),
	    KE_RANGE);
	assert_int_equal(u256_parse(&a, MOST "0", 79), KE_FORMAT);
	assert_dec(&a, "7"); /* untouched by what failed */
}

static void test_sums(void **state)
{
	struct u256 most = dec(MOST), one = u256_of(1), sum, big = u256_mul(UINT64_MAX, UINT64_MAX);
	uint64_t v;

	(void)state;
	assert_int_equal(u256_add(&most, &most, &one), KE_RANGE);
	assert_dec(&most, MOST);
	assert_dec(&big, "340282366920938463426481119284349108225");
	assert_int_equal(u256_add(&sum, &big, &one), KE_OK);
	assert_dec(&sum, "340282366920938463426481119284349108226");
	sum = u256_mul(21000, 200000000000);
	assert_dec(&sum, "4200000000000000");
	sum = u256_mul(4294967295, 4294967297);
	assert_dec(&sum, "18446744073709551615");
	assert_int_equal(u256_to_u64(&sum, &v), KE_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(u256_add(&sum, &sum, &one), KE_OK);
	assert_int_equal(u256_to_u64(&sum, &v), KE_RANGE);
	assert_true(u256_cmp(&one, &sum) < 0 && u256_cmp(&sum, &one) > 0);
	assert_int_equal(u256_cmp(&one, &one), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
