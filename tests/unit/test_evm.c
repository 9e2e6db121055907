/*
 * Keccak-256, addresses, EIP-1559 transactions and secp256k1 against what others have published.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/evm.h"
#include "policy/keccak.h"
#include "policy/secp256k1.h"
#include "tests/unit/vectors.h"

/*
 * The empty string and the fox: the Keccak team's announcement and Wikipedia's SHA-3 before FIPS
 * 202; "abc": the KAT of the submission (KeccakKAT-3, Len 24). Runs of 'a' around the rate of 136
 * bytes: ethers 6.17.0 (@noble/hashes).
 */
static void test_keccak(void **state)
{
	static const struct {
		const char *text;
		size_t a;
		const char *want;
	} all[] = {
	    {"", 0, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
	    {"abc", 0, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
	    {"The quick brown fox jumps over the lazy dog", 0,
		"4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15"},
	    {"", 1, "3ac225168df54212a25c1c01fd35bebfea408fdac2e31ddd6f80a4bbf9a5f1cb"},
	    {"", 135, "34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446"},
	    {"", 136, "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e"},
	    {"", 137, "d869f639c7046b4929fc92a4d988a8b22c55fbadb802c0c66ebcd484f1915f39"},
	    {"", 271, "132f47effd6c8b1b299efa53fe68aece77ec8ae4eb2e294f668eec94f76001e1"},
	    {"", 272, "cf7fcd4f705ee749930d19ca84561a9bf62516bd90a471545fa2f49fdc7e63c8"},
	    {"", 273, "5a7b8187d2778e614097fac3097573de1fee4d972304d3360796a857029bb176"},
	    {"", 1000, "b6a4ac1f51884d71f30fa397a5e155de3099e11fc0edef5d08b646e621e19de9"},
	};
	uint8_t out[32];
	char run[1001];

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		memset(run, 'a', sizeof run);
		run[all[i].a] = '\0';
		if (all[i].a > 0)
			keccak_256(out, run, all[i].a);
		else
			keccak_256(out, all[i].text, strlen(all[i].text));
		assert_hex(out, 32, all[i].want);
	}
}

/* The test cases of EIP-55 itself. */
static void test_address(void **state)
{
	static const char *const good[] = {
	    "0x52908400098527886E0F7030069857D2E4169EE7",
	    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
	    "0xde709f2102306220921060314715629080e2fb77",
	    "0x27b1fdb04752bbc536007a920d24acb045561c26",
	    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
	    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	};
	static const char *const bad[] = {"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	    "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
	    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0",
	    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
	    " 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe"};
	char text[EVM_ADDRESS_TEXT + 1];
	uint8_t raw[20];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(evm_address_parse(raw, good[i], EVM_ADDRESS_TEXT), KE_OK);
		evm_address_text(text, raw);
		assert_string_equal(text, good[i]);
		/* one capital wrong */
		for (size_t c = 2; c < EVM_ADDRESS_TEXT && i >= 4; c++) {
			memcpy(text, good[i], sizeof text);
			text[c] = (char)(text[c] ^ 0x20);
			if (good[i][c] > '9')
				assert_int_equal(
				    evm_address_parse(raw, text, EVM_ADDRESS_TEXT), KE_CRYPTO);
		}
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(evm_address_parse(raw, bad[i], strlen(bad[i])), KE_FORMAT);
	/* without a checksum */
	assert_int_equal(
	    evm_address_parse(raw, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", 42), KE_OK);
	assert_int_equal(
	    evm_address_parse(raw, "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", 42), KE_OK);
}

/* Private key 1 has the generator for its point (SEC 2) and this address (every wallet's). */
static void test_public(void **state)
{
	/* the group's order */
	static const char order[] =
	    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
	uint8_t secret[32] = {0}, pub[65], address[20];
	char text[EVM_ADDRESS_TEXT + 1];

	(void)state;
	assert_int_equal(secp256k1_public(pub, secret), KE_RANGE);
	secret[31] = 1;
	assert_int_equal(secp256k1_public(pub, secret), KE_OK);
	assert_hex(pub, 65,
	    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
	evm_address(address, pub);
	evm_address_text(text, address);
	assert_string_equal(text, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
	assert_int_equal(vectors_hex(order, secret, 32), 32);
	assert_int_equal(secp256k1_public(pub, secret), KE_RANGE);
	secret[31]--;
	assert_int_equal(secp256k1_public(pub, secret), KE_OK);
	assert_hex(pub + 1, 32, "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
}

struct published {
	uint64_t nonce, value, gas, priority, max;
	const char *rlp; /* without the outer string's head */
};

/* ethereumjs-monorepo, packages/tx/test/json/eip1559.json: chain id 7822, one private key. */
#define JS_KEY "8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63"
#define JS_TO  "94000000000000000000000000000000000000aaaa"
static const struct published published[] = {
    {819, 43203529, 35552, 75853, 121212,
	"02f870821e8e8203338301284d8301d97c828ae0" JS_TO
	"8402933bc980c080a0d067f2167008c59219652f91cbf8788dbca5f771f6e91e2b7657e85b78b472e0"
	"a01d305af9fe81fdba43f0dfcd400ed24dcace0a7e30d4e85701dcaaf484cd079e"},
    {353, 61901619, 32593, 38850, 136295,
	"02f86f821e8e8201618297c283021467827f51" JS_TO
	"8403b08b3380c001a004205678f13fc1d7b10feea6513dfa76e24418b6e08097d95c6f93a3b64e536d"
	"a01d45ad61bfece43862de2cce7d2575a8c1d08c26c87f3cb5f26d7b0be54a91b2"},
    {985, 32531825, 68541, 66377, 136097,
	"02f871821e8e8203d983010349830213a183010bbd" JS_TO
	"8401f0657180c001a0e6d23c5ecc0f388a4d41a9523c3ad171e98083a61288c340b968dfe0903a6741"
	"a07319e8d54a4fd8f0c081d3ce093d869f9df598481991c8534bfd8f2c163884b4"},
    {939, 2782905, 45047, 45216, 91648,
	"02f86e821e8e8203ab82b0a08301660082aff7" JS_TO
	"832a76b980c001a0a0e7d9b07c7ec68f24788a554f993b99d59a3f08439cc6c942f62ea0341f2aeb"
	"a078122b9957c146f7c87811bd58a7e9916ca8c07dabcf875b97bbdef79cb9c197"},
    {119, 65456115, 62341, 24721, 107729,
	"02f86d821e8e778260918301a4d182f385" JS_TO
	"8403e6c7f380c001a0e38e239770801eb995498c821e55ac9c19ae09184bb27b34be105e02fe3b7615"
	"a067c64ca6bd6d9107e85fd581ab2e70a14b637eb36505bb40861ef9d6e800cab6"},
};

static struct payout payout_of(const struct published *v)
{
	struct payout p = {.kind = PAYOUT_EVM,
	    .chain_id = 7822,
	    .nonce = v->nonce,
	    .priority_fee = v->priority,
	    .max_fee = v->max,
	    .gas_limit = v->gas,
	    .value = u256_of(v->value)};

	p.to[18] = p.to[19] = 0xaa;
	return p;
}

/* n - s, the other signature that verifies */
static void flip_s(uint8_t s[32])
{
	uint8_t order[32];
	int borrow = 0;

	vectors_hex32("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", order);
	for (unsigned i = 32; i-- > 0;) {
		int d = order[i] - s[i] - borrow;

		borrow = d < 0;
		s[i] = (uint8_t)d;
	}
}

static void check_published(const struct published *v)
{
	uint8_t secret[32], pub[65], want[256], out[256], digest[32], sig[64], high[64];
	struct payout p = payout_of(v);
	size_t n, len = vectors_hex(v->rlp, want, sizeof want);
	unsigned odd = 2, parity = want[len - 67];

	vectors_hex32(JS_KEY, secret);
	assert_int_equal(secp256k1_public(pub, secret), KE_OK);
	memcpy(sig, want + len - 65, 32);
	memcpy(sig + 32, want + len - 32, 32);
	assert_int_equal(evm_signed(&p, sig, parity == 1, out, sizeof out, &n), KE_OK);
	assert_int_equal(n, len);
	assert_memory_equal(out, want, len);
	/* their signature is over our unsigned bytes, and its parity is what we find */
	assert_int_equal(evm_unsigned(&p, out, sizeof out, &n), KE_OK);
	keccak_256(digest, out, n);
	memcpy(high, sig, 64);
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_OK);
	assert_int_equal(odd, parity == 1);
	flip_s(high + 32);
	assert_memory_not_equal(high, sig, 64);
	odd = 2;
	assert_int_equal(secp256k1_finish(pub, digest, high, &odd), KE_OK);
	assert_memory_equal(high, sig, 64);
	assert_int_equal(odd, parity == 1);
	for (size_t i = 0; i < 64; i++) {
		memcpy(high, sig, 64);
		high[i] ^= 1;
		assert_int_equal(secp256k1_finish(pub, digest, high, &odd), KE_CRYPTO);
	}
	for (size_t i = 0; i <= n; i++)
		assert_int_equal(evm_unsigned(&p, out, i, &len), i < n ? KE_FULL : KE_OK);
}

static void test_transactions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
		check_published(&published[i]);
}

/* Numbers that RLP writes in forms of their own: 0, below 128, 128, all bytes. */
static void test_rlp(void **state)
{
	struct payout p = {.kind = PAYOUT_EVM,
	    .chain_id = 127,
	    .nonce = 0,
	    .priority_fee = 128,
	    .max_fee = UINT64_MAX,
	    .gas_limit = 256};
	uint8_t out[256];
	size_t n;

	(void)state;
	memset(p.value.be, 0xff, 32);
	assert_int_equal(evm_unsigned(&p, out, sizeof out, &n), KE_OK);
	assert_hex(out, n,
	    "02f8487f80818088ffffffffffffffff8201009400000000000000000000000000000000000000"
	    "00a0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff80c0");
	/* a list of at most 55 bytes has one byte of head */
	p.value = u256_of(1);
	assert_int_equal(evm_unsigned(&p, out, sizeof out, &n), KE_OK);
	assert_hex(out, n,
	    "02e87f80818088ffffffffffffffff8201009400000000000000000000000000000000000000000180c0");
}

static void test_not_signed(void **state)
{
	uint8_t pub[65], secret[32] = {[31] = 2}, digest[32] = {7}, sig[64] = {0};
	unsigned odd;

	(void)state;
	assert_int_equal(secp256k1_public(pub, secret), KE_OK);
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_CRYPTO); /* 0, 0 */
	memset(sig, 0xff, 64);
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_CRYPTO); /* above the order */
	memset(sig, 1, 64);
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_CRYPTO);
	pub[40] ^= 1; /* no point of the curve */
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_CRYPTO);
	pub[0] = 0;
	assert_int_equal(secp256k1_finish(pub, digest, sig, &odd), KE_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keccak),
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_public),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_rlp),
	    cmocka_unit_test(test_not_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
