/*
 * Access tokens: what engine accepts and what it refuses. The tokens are signed here, by OpenSSL
 * with keys of this test; each refusal differs from the accepted token in one thing only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/tokcache.h"
#include "daemon/engine/token.h"
#include "policy/text.h"

#define ISSUER "https://klero.example"
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}"
#define USER   "0190b5a0-0000-7000-8000-000000000001"
#define FAMILY "0190b5a0-0000-7000-8000-000000000002"
#define NOW    1800000000

static EVP_PKEY *ours, *theirs, *p384;
static struct token_key key;

static int setup(void **state)
{
	uint8_t point[200];
	size_t n;

	(void)state;
	ours = EVP_EC_gen("P-256");
	theirs = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	assert_int_equal(EVP_PKEY_get_octet_string_param(ours, "pub", point, sizeof point, &n), 1);
	assert_int_equal(n, TOKEN_POINT);
	return token_key_set(&key, 1, point);
}

static int teardown(void **state)
{
	(void)state;
	token_key_free(&key);
	EVP_PKEY_free(ours);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(p384);
	return 0;
}

/* r ‖ s, each of half bytes. */
static void sign(EVP_PKEY *k, const char *text, uint8_t *out, int half)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[200];
	const uint8_t *p = der;
	size_t n = sizeof der;
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &n, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half), half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half), half);
	ECDSA_SIG_free(sig);
}

static const char *make(EVP_PKEY *k, int half, const char *header, const char *claims)
{
	static char token[4096];
	uint8_t sig[96];
	int n = text_b64url(token, sizeof token, header, strlen(header));

	token[n++] = '.';
	n += text_b64url(token + n, sizeof token - (size_t)n, claims, strlen(claims));
	sign(k, token, sig, half);
	token[n++] = '.';
	assert_true(text_b64url(token + n, sizeof token - (size_t)n, sig, 2 * (size_t)half) > 0);
	return token;
}

static const char *claims(long long iat, long long exp)
{
	static char text[1024];

	snprintf(text, sizeof text,
	    "{\"iss\":\"" ISSUER "\",\"aud\":\"" ISSUER "\",\"sub\":\"" USER
	    "\",\"client_id\":\"klero\",\"sid\":\"" FAMILY
	    "\",\"roles\":[\"user\"],\"iat\":%lld,\"exp\":%lld,\"jti\":\"00\"}",
	    iat, exp);
	return text;
}

static int check(const char *token)
{
	struct token_claims c;

	return token_verify(&key, ISSUER, NOW, (const uint8_t *)token, strlen(token), &c);
}

static int check_claims(const char *text)
{
	return check(make(ours, 32, HEADER, text));
}

static void accepted(void **state)
{
	const char *token = make(ours, 32, HEADER, claims(NOW - 10, NOW + 890));
	struct token_claims c;
	char id[37];

	(void)state;
	assert_int_equal(
	    token_verify(&key, ISSUER, NOW, (const uint8_t *)token, strlen(token), &c), KE_OK);
	text_uuid(id, c.user);
	assert_string_equal(id, USER);
	text_uuid(id, c.session);
	assert_string_equal(id, FAMILY);
	assert_int_equal(c.expires_s, NOW + 890);
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(check_claims(claims(NOW - 899, NOW + 1)), KE_OK);
	assert_int_equal(check_claims(claims(NOW - 900, NOW)), KE_TIMEOUT);
	assert_int_equal(check_claims(claims(NOW - 100000, NOW - 99100)), KE_TIMEOUT);
	assert_int_equal(check_claims(claims(NOW + 60, NOW + 900)), KE_OK);
	assert_int_equal(check_claims(claims(NOW + 61, NOW + 900)), KE_AUTH);
	assert_int_equal(check_claims(claims(NOW, NOW + 901)), KE_AUTH);
	assert_int_equal(check_claims(claims(NOW, NOW - 1)), KE_AUTH);
	assert_int_equal(check_claims(claims(-9223372036854775807LL, NOW)), KE_AUTH);
}

static void headers(void **state)
{
	static const char *const bad[] = {
	    "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}",
	    "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}",
	    "{\"alg\":\"ES384\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}",
	    "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"token-v000001\"}",
	    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000002\"}",
	    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
	    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\",\"crit\":[]}",
	    "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}",
	    "{\"alg\":[\"ES256\"],\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}",
	    "[\"ES256\"]",
	    "",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    check(make(ours, 32, bad[i], claims(NOW - 10, NOW + 890))), KE_AUTH);
}

/* The accepted claims with one piece of text replaced. */
static void expect_refused(const char *from, const char *to)
{
	const char *all = claims(NOW - 10, NOW + 890), *at = strstr(all, from);
	char text[2048];

	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - all), all, to, at + strlen(from));
	assert_int_equal(check_claims(text), KE_AUTH);
}

static void claims_refused(void **state)
{
	(void)state;
	expect_refused("\"iss\":\"https://klero", "\"iss\":\"https://clero");
	expect_refused("\"aud\":\"https://klero", "\"aud\":\"https://clero");
	expect_refused("\"aud\":\"" ISSUER "\"", "\"aud\":[\"" ISSUER "\"]");
	expect_refused("\"client_id\":\"klero\"", "\"client_id\":\"other\"");
	expect_refused("\"sub\":\"" USER "\",", "");
	expect_refused("\"sub\":\"0190", "\"sub\":\"019Z");
	expect_refused("\"sid\":\"" FAMILY "\",", "");
	expect_refused("\"iat\":", "\"iat\":\"1\",\"x\":");
	expect_refused("\"exp\":", "\"exp\":1e9,\"x\":");
	expect_refused("\"exp\":", "\"nope\":");
	expect_refused("\"exp\":", "\"nbf\":1,\"exp\":");
	expect_refused("{", "[");
}

/* Two parts as they stand, rightly signed: what is wrong with them is all that is wrong. */
static int check_parts(const char *header, const char *payload)
{
	char token[4096];
	uint8_t sig[96];
	int n = snprintf(token, sizeof token, "%s.%s", header, payload);

	sign(ours, token, sig, 32);
	token[n++] = '.';
	assert_true(text_b64url(token + n, sizeof token - (size_t)n, sig, 64) > 0);
	return check(token);
}

static void parts_refused(void **state)
{
	static char big[3000];
	const char *text = claims(NOW - 10, NOW + 890);
	char header[256], payload[2048];

	(void)state;
	assert_true(text_b64url(header, sizeof header, HEADER, strlen(HEADER)) > 0);
	assert_true(text_b64url(payload, sizeof payload, text, strlen(text)) > 0);
	assert_int_equal(check_parts(header, payload), KE_OK);
	assert_int_equal(check_parts("!", payload), KE_AUTH);
	assert_int_equal(check_parts(header, "!"), KE_AUTH);
	assert_int_equal(check_parts(header, ""), KE_AUTH);
	memset(big, 'A', sizeof big - 1); /* more than any of ours has */
	assert_int_equal(check_parts(header, big), KE_AUTH);
	assert_int_equal(check_parts(big, payload), KE_AUTH);
	/* members longer than any of ours */
	memset(big, 'x', 600);
	memcpy(big, "\"iss\":\"", 7);
	memcpy(big + 600, "https", 6);
	expect_refused("\"iss\":\"https", big);
}

static void signatures_refused(void **state)
{
	const char *text = claims(NOW - 10, NOW + 890);
	char token[4096];
	size_t n;

	(void)state;
	assert_int_equal(check(make(theirs, 32, HEADER, text)), KE_AUTH);
	/* another curve: 96 bytes, and the first 64 of them */
	snprintf(token, sizeof token, "%s", make(p384, 48, HEADER, text));
	assert_int_equal(check(token), KE_AUTH);
	token[strlen(token) - 42] = '\0';
	assert_int_equal(check(token), KE_AUTH);
	/* every character of ours */
	snprintf(token, sizeof token, "%s", make(ours, 32, HEADER, text));
	n = strlen(token);
	for (size_t i = 0; i < n; i += 7) {
		char kept = token[i];

		token[i] = kept == 'Q' ? 'g' : 'Q';
		assert_int_equal(check(token), KE_AUTH);
		token[i] = kept;
	}
	assert_int_equal(check(token), KE_OK);
	/* cut, and with something behind it */
	token[n - 1] = '\0';
	assert_int_equal(check(token), KE_AUTH);
	snprintf(token, sizeof token, "%s.", make(ours, 32, HEADER, text));
	assert_int_equal(check(token), KE_AUTH);
	snprintf(token, sizeof token, "%s=", make(ours, 32, HEADER, text));
	assert_int_equal(check(token), KE_AUTH);
	/* r = s = 0 */
	snprintf(token, sizeof token, "%s", make(ours, 32, HEADER, text));
	memset(strrchr(token, '.') + 1, 'A', 86);
	assert_int_equal(check(token), KE_AUTH);
	/* an expired one with a wrong signature is not "expired" */
	assert_int_equal(check(make(theirs, 32, HEADER, claims(NOW - 900, NOW))), KE_AUTH);
}

static void keys(void **state)
{
	struct token_key k = {0};
	uint8_t point[TOKEN_POINT];
	struct token_claims c;

	(void)state;
	assert_int_equal(
	    token_verify(&k, ISSUER, NOW, (const uint8_t *)"a.b.c", 5, &c), KE_UNAVAIL);
	memcpy(point, key.point, sizeof point);
	point[64] ^= 1; /* off the curve */
	assert_int_equal(token_key_set(&k, 1, point), KE_CRYPTO);
	point[64] ^= 1;
	assert_int_equal(token_key_set(&k, 0, point), KE_CRYPTO);
	assert_int_equal(token_key_set(&k, 2, point), KE_OK);
	/* our token names version 1 */
	assert_int_equal(token_verify(&k, ISSUER, NOW,
			     (const uint8_t *)make(ours, 32, HEADER, claims(NOW, NOW + 1)),
			     strlen(make(ours, 32, HEADER, claims(NOW, NOW + 1))), &c),
	    KE_AUTH);
	token_key_free(&k);
}

static struct tokcache_entry entry(uint8_t n, int64_t expires_s)
{
	struct tokcache_entry e = {.expires_s = expires_s, .roles = n};

	memset(e.hash, n, sizeof e.hash);
	memset(e.user, n & 0xf0, sizeof e.user);
	memset(e.session, n, sizeof e.session);
	return e;
}

static void cache(void **state)
{
	struct tokcache *t = tokcache_new(64);
	struct tokcache_entry a = entry(0x11, NOW + 5), b = entry(0x12, NOW + 9);

	(void)state;
	assert_null(tokcache_get(t, a.hash, NOW));
	tokcache_put(t, &a);
	tokcache_put(t, &b);
	assert_int_equal(tokcache_get(t, a.hash, NOW)->roles, 0x11);
	assert_non_null(tokcache_get(t, a.hash, NOW + 4));
	assert_null(tokcache_get(t, a.hash, NOW + 5));
	tokcache_drop_session(t, a.session);
	assert_null(tokcache_get(t, a.hash, NOW));
	assert_non_null(tokcache_get(t, b.hash, NOW));
	tokcache_drop_user(t, b.user);
	assert_null(tokcache_get(t, b.hash, NOW));
	tokcache_put(t, &b);
	tokcache_drop_all(t);
	assert_null(tokcache_get(t, b.hash, NOW));
	tokcache_free(t);
}

/* A full set loses the entry that expires first, and stays as large as it was. */
static void cache_is_bounded(void **state)
{
	struct tokcache *t = tokcache_new(1);
	struct tokcache_entry e;

	(void)state;
	for (uint8_t i = 0; i < 100; i++) {
		e = entry(i, NOW + 1000 + i);
		tokcache_put(t, &e);
	}
	for (uint8_t i = 0; i < 100; i++) {
		e = entry(i, 0);
		assert_int_equal(tokcache_get(t, e.hash, NOW) != NULL, i >= 92);
	}
	tokcache_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepted),
	    cmocka_unit_test(times),
	    cmocka_unit_test(headers),
	    cmocka_unit_test(claims_refused),
	    cmocka_unit_test(parts_refused),
	    cmocka_unit_test(signatures_refused),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(cache),
	    cmocka_unit_test(cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
