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

#include "policy/draw.h"
#include "policy/json.h"
#include "policy/p256.h"

#include "tests/unit/bundle_make.h"

static struct made made;
static char *bundle;
static size_t bundle_len;

typedef int operation(void);

/* Fails the first allocation, the second … until the operation needs no more; how many it needs. */
static unsigned each_fails(operation *run, int want)
{
	for (unsigned n = 1; n < 10000; n++) {
		int r;

		fail_alloc_at = n;
		r = run();
		if (fail_alloc_at != 0) {
			fail_alloc_at = 0;
			assert_int_equal(r, KE_OK);
			return n - 1;
		}
		if (r != want && r != KE_OK)
			fail_msg("allocation %u: %s, not %s", n, ke_words(r), ke_words(want));
		assert_int_equal(run(), KE_OK);
	}
	fail_msg("it never ends");
	return 0;
}

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

static void test_bundle(void **state)
{
	(void)state;
	assert_true(each_fails(check_bundle, KE_NOMEM) >= 4);
}

static void test_json(void **state)
{
	(void)state;
	assert_true(each_fails(check_many_keys, KE_NOMEM) >= 1);
}

static void test_draw(void **state)
{
	(void)state;
	assert_true(each_fails(shuffle, KE_NOMEM) >= 1);
	assert_true(each_fails(draw_again, KE_NOMEM) >= 2);
}

static void test_p256(void **state)
{
	(void)state;
	assert_int_equal(verify(), KE_OK);
	assert_true(each_fails(verify, KE_CRYPTO) >= 10);
	assert_true(each_fails(to_der, KE_NOMEM) >= 3);
}

static int setup(void **state)
{
	FILE *out;

	(void)state;
	if (made_init(&made, 50, 3, 2) != 0)
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
	    cmocka_unit_test(test_p256),
	};

	if (!fail_alloc_works()) {
		printf("1..0 # SKIP the sanitizers have an allocator of their own\n");
		return 0;
	}
	return cmocka_run_group_tests_name("memory", tests, setup, teardown);
}
