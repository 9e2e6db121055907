/*
 * The words for networks: each that there is, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "policy/chain.h"

static void test_networks(void **state)
{
	static const struct {
		const char *text;
		struct chain is;
	} good[] = {
	    {"evm:1", {PAYOUT_EVM, 1}},
	    {"evm:9007199254740991", {PAYOUT_EVM, CHAIN_ID_MAX}},
	    {"solana", {PAYOUT_SOLANA, 1}},
	    {"solana:mainnet-beta", {PAYOUT_SOLANA, 1}},
	    {"solana:testnet", {PAYOUT_SOLANA, 2}},
	    {"solana:devnet", {PAYOUT_SOLANA, 3}},
	};
	struct chain c;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(chain_parse(&c, good[i].text, strlen(good[i].text)), KE_OK);
		assert_int_equal(c.kind, good[i].is.kind);
		assert_int_equal(c.network, good[i].is.network);
		assert_int_equal(chain_check(&c), KE_OK);
	}
	assert_string_equal(chain_cluster(3), "devnet");
	assert_null(chain_cluster(0));
	assert_null(chain_cluster(4));
}

static void test_refused(void **state)
{
	static const char *const wrong[] = {"", "evm", "evm:", "evm:0", "evm:01", "evm:-1",
	    "evm:1 ", "evm:9007199254740992", "evm:0x1", "EVM:1", "solana:", "solana:main",
	    "solana:devnets", "solanas", "solana ", "bitcoin", "1"};
	static const struct chain none[] = {
	    {PAYOUT_EVM, 0}, {PAYOUT_EVM, CHAIN_ID_MAX + 1}, {PAYOUT_SOLANA, 4}, {0, 1}, {3, 1}};
	struct chain c;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(chain_parse(&c, wrong[i], strlen(wrong[i])), KE_FORMAT);
	assert_int_equal(chain_parse(&c, "evm:12", 5), KE_OK); /* as long as it is said to be */
	assert_int_equal(c.network, 1);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_int_equal(chain_check(&none[i]), KE_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
