/*
 * Solana's transfers against what others have published.
 */
#include "tests/unit/vectors.h"

#include "policy/solana.h"

/*
 * trustwallet/wallet-core, tests/chains/Solana/TransactionTests.cpp, TransferMessageData and
 * TransferSerializeTransaction; @solana/web3.js 1.99.0 makes the first of them, too.
 */
static const struct {
	const char *from, *to, *signature, *transaction;
} published[] = {
    {"6eoo7i1khGhVm8tLBMAdq4ax2FxkKP4G7mCcfHyr3STN", "56B334QvCDMSirsmtEJGfanZm8GqeQarrSjdAb2MbeNM",
	NULL,
	"0100010353f9d600fe925083bb399907ea648d23a6a081fc7e9059202fd725f7edd281dd3cc1ff9b"
	"a3c7a876c8082df2f8a36ea9342ce3819dd4b6fa72d4a18e04a5363a000000000000000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"00000000000000000000000001020200010c020000002a00000000000000"},
    {"41a5jYky56M6EWDsFfLaZRxoRtgAJSRWxJnxaJNJELn5", "4iSnyfDKaejniaPc2pBBckwQqV3mDS93go15NdxWJq2y",
	"46SRiQGvtPb1iivDfnuC3dW1GzXkfQPTjdUyvFqF2sdPvFrsfx94fys2xpNKR6UiAj7RgKWdJG6mEfe85up6i1"
	"JT",
	"019abda83fb68c77c698cba9ae8e7c21b06cbe39aca3bb34deb3dbcd061683bd47371d2eec06417e"
	"203ee19d88672819ee3319e7089ee0117128d95bf5ba57460c010001032cb8775e08dca27a9b7236"
	"11f42d474c5e809df576e242816cfee4bfc56835da373109b0e40ba3d915ac3ae2417dfd0544369b"
	"f31f5ce6e3b8329cdf4e6b058a000000000000000000000000000000000000000000000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000000000010202"
	"00010c020000002a00000000000000"},
};

static void get58(uint8_t *out, size_t n, const char *s)
{
	assert_int_equal(base58_get(out, n, s, strlen(s)), KE_OK);
}

static void test_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
		struct payout p = {.kind = PAYOUT_SOLANA, .value = u256_of(42)};
		uint8_t pub[32], sig[64], message[PAYOUT_TX_MAX], tx[PAYOUT_TX_MAX];
		size_t n, len;

		get58(pub, 32, published[i].from);
		get58(p.to, 32, published[i].to);
		assert_int_equal(solana_message(&p, pub, message, sizeof message, &n), KE_OK);
		if (published[i].signature == NULL) {
			assert_hex(message, n, published[i].transaction);
			continue;
		}
		get58(sig, 64, published[i].signature);
		assert_int_equal(solana_signed(sig, message, n, tx, sizeof tx, &len), KE_OK);
		assert_hex(tx, len, published[i].transaction);
		for (size_t cap = 0; cap < len; cap++)
			assert_int_equal(solana_signed(sig, message, n, tx, cap, &len), KE_FULL);
	}
}

static void test_refused(void **state)
{
	struct payout p = {.kind = PAYOUT_SOLANA, .value = u256_of(42), .to = {1}};
	uint8_t pub[32] = {2}, out[PAYOUT_TX_MAX];
	size_t n, len;

	(void)state;
	assert_int_equal(solana_message(&p, pub, out, sizeof out, &len), KE_OK);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(solana_message(&p, pub, out, cap, &n), KE_FULL);
	pub[0] = 1; /* to itself */
	assert_int_equal(solana_message(&p, pub, out, sizeof out, &n), KE_RANGE);
	pub[0] = 2;
	p.value = u256_mul(UINT64_MAX, 2);
	assert_int_equal(solana_message(&p, pub, out, sizeof out, &n), KE_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
