/*
 * policy/ without memory: each allocation of each operation that allocates fails once. The answer
 * is KE_NOMEM (or "does not verify" where a caller may learn no more), nothing leaks into a later
 * call, and with memory the same operation works.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"

#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include "policy/audit_records.h"
#include "policy/complete.h"
#include "policy/json.h"
#include "policy/p256.h"
#include "policy/secp256k1.h"

#include "tests/unit/bundle2_make.h"
#include "tests/unit/bundle_make.h"

static struct made made;
static struct made2 made2;
static char *bundle;
static size_t bundle_len;

static int check_bundle(void)
{
	struct bundle_result res;
	int r = bundle_check(bundle, bundle_len, NULL, NULL, &res);

	assert_int_equal(r, res.err);
	if (r != KE_OK)
		assert_string_equal(res.why, "out of memory");
	return r;
}

static int check_many_keys(void)
{
	static char text[8192];
	size_t n = 0, tokens, at;

	if (text[0] == '\0') {
		n += (size_t)snprintf(text, sizeof text, "{");
		for (int i = 0; i < 500; i++)
			n += (size_t)snprintf(
			    text + n, sizeof text - n, "%s\"k%d\":1", i > 0 ? "," : "", i);
		snprintf(text + n, sizeof text - n, "}");
	}
	return json_check(text, strlen(text), 4096, &tokens, &at);
}

static int shuffle(void)
{
	uint64_t out[40];

	return draw_shuffle(out, 40, 1000000, made.rec.server_seed);
}

static int draw_again(void)
{
	const char *what;

	return record1_check(&made.rec, &what);
}

/* A raffle of 200 tickets with a holder each, of whom 80 win. */
static uint8_t entries[200][COMPLETE_ENTRY];
static const uint8_t complete_seed[32] = {9};

static void make_complete(struct complete *c)
{
	struct merkle_range range;
	uint8_t hash[32];

	*c = (struct complete){.entries = entries[0], .entries_len = sizeof entries};
	c->open.kind = RECORD2_OPEN;
	c->open.winners = 80;
	c->open.dedupe = DEDUPE_HOLDER;
	hash_kdf(c->open.seed_commit, complete_seed, DRAW_COMMIT_LABEL, c->open.raffle, 16);
	c->close.kind = RECORD2_CLOSE;
	c->close.tickets = sizeof entries / sizeof entries[0];
	merkle_range_init(&range);
	for (size_t i = 0; i < c->close.tickets; i++) {
		struct leaf l = {.index = i, .holder_commit = {(uint8_t)i}};

		be_put16(entries[i], LEAF_LEN);
		leaf_encode(entries[i] + 2, &l);
		merkle_leaf_hash(hash, entries[i] + 2, LEAF_LEN);
		merkle_range_add(&range, hash);
	}
	merkle_range_root(&range, c->close.root);
}

static int complete(void)
{
	enum complete_step step;
	struct complete c;
	int r;

	make_complete(&c);
	r = complete_draw(&c, complete_seed, &step);
	if (r == KE_OK)
		assert_int_equal(c.winners, 80);
	free(c.picks);
	return r;
}

/* The operator log of one raffle. */
static int audit_log_records(void)
{
	static const int records[] = {MADE2_OPEN, MADE2_CLOSE, MADE2_DRAW};
	const struct checkpoint head = {.size = made2_at[MADE2_DRAW] + 1};
	char why[AUDIT_WHY_MAX] = "";
	struct audit_records a;
	int r = audit_records_init(&a, MADE2_HOST, &head);

	if (r != KE_OK)
		return r;
	for (size_t i = 0; r == KE_OK && i < sizeof records / sizeof records[0]; i++) {
		const uint8_t *text = (const uint8_t *)made2.text[records[i]];
		size_t n = made2.text_len[records[i]];
		uint8_t leaf[32];

		merkle_leaf_hash(leaf, text, n);
		r = audit_record(&a, made2_at[records[i]], text, n, leaf, why);
	}
	assert_string_equal(why, r == KE_OK ? "" : "out of memory");
	audit_records_free(&a);
	return r;
}

/* An answer over the digest of zeros, made with OpenSSL's own calls. */
static uint8_t pub[P256_POINT], sig[P256_SIG];

static int verify(void)
{
	static const uint8_t digest[32];

	return p256_verify(pub, digest, sig);
}

static int to_der(void)
{
	uint8_t der[P256_DER_MAX];
	size_t n;

	return p256_der(sig, der, &n);
}

static void make_signature(void)
{
	static const uint8_t digest[32];
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t der[P256_DER_MAX];
	const uint8_t *p = der;
	size_t n = sizeof der, len;
	ECDSA_SIG *s;

	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, der, &n, digest, sizeof digest), 1);
	s = d2i_ECDSA_SIG(NULL, &p, (long)n);
	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32), 32);
	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", pub, sizeof pub, &len), 1);
	assert_int_equal(len, sizeof pub);
	ECDSA_SIG_free(s);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

/* Private key 1 has signed the digest of zeros: (r, s) = (G.x, G.x), with the nonce 1. */
static int secp(void)
{
	static const uint8_t secret[32] = {[31] = 1}, digest[32];
	static const uint8_t gx[] = {0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0,
	    0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9,
	    0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98};
	uint8_t point[SECP_POINT], both[64];
	unsigned odd;
	int r = secp256k1_public(point, secret);

	memcpy(both, gx, 32);
	memcpy(both + 32, gx, 32);
	return r == KE_OK ? secp256k1_finish(point, digest, both, &odd) : r;
}

/* Its decoding and its inversion say no for whatever reason: a point that is none, then. */
static int secp_or_none(void)
{
	int r = secp();

	return r == KE_CRYPTO ? KE_NOMEM : r;
}

static void test_secp256k1(void **state)
{
	(void)state;
	assert_int_equal(secp(), KE_OK);
	assert_true(fail_alloc_each(secp_or_none, KE_NOMEM) >= 10);
}

static void test_bundle(void **state)
{
	(void)state;
	assert_true(fail_alloc_each(check_bundle, KE_NOMEM) >= 4);
}

static void test_json(void **state)
{
	(void)state;
	assert_true(fail_alloc_each(check_many_keys, KE_NOMEM) >= 1);
}

static void test_draw(void **state)
{
	(void)state;
	assert_true(fail_alloc_each(shuffle, KE_NOMEM) >= 1);
	assert_true(fail_alloc_each(draw_again, KE_NOMEM) >= 2);
	/* picks; the set of holders and its growth, two parts each; the shuffle's table */
	assert_true(fail_alloc_each(complete, KE_NOMEM) >= 6);
}

static void test_audit(void **state)
{
	(void)state;
	/* the list of picks; the table's two parts; the shuffle's; the picks that are kept */
	assert_true(fail_alloc_each(audit_log_records, KE_NOMEM) >= 5);
}

static void test_p256(void **state)
{
	(void)state;
	assert_int_equal(verify(), KE_OK);
	assert_true(fail_alloc_each(verify, KE_CRYPTO) >= 10);
	assert_true(fail_alloc_each(to_der, KE_NOMEM) >= 3);
}

static int setup(void **state)
{
	FILE *out;

	(void)state;
	if (made_init(&made, 50, 3, 2) != 0 || made2_init(&made2, 50, 50, 3, 2) != 0 ||
	    made2_finish(&made2) != 0)
		return 1;
	out = open_memstream(&bundle, &bundle_len);
	if (out == NULL || made_write(&made, out) != 0)
		return 1;
	fclose(out);
	make_signature();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(bundle);
	made_free(&made);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bundle),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_draw),
	    cmocka_unit_test(test_audit),
	    cmocka_unit_test(test_p256),
	    cmocka_unit_test(test_secp256k1),
	};

	if (!fail_alloc_works()) {
		printf("1..0 # SKIP the sanitizers have an allocator of their own\n");
		return 0;
	}
	return cmocka_run_group_tests_name("memory", tests, setup, teardown);
}
