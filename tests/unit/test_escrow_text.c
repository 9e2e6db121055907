/*
 * policy/escrow*: keys that no officer may have, bundles and steps that are not in their one form,
 * layers that hold something else than they must. The bundles here are closed in software; that
 * those of the HSM open is test_escrow's.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "policy/draw.h"
#include "policy/escrow_open.h"
#include "policy/hash.h"

#define OFFICERS 3
#define M        2

static EVP_PKEY *key[OFFICERS];
static char private_pem[OFFICERS][4096];
static struct escrow e;
static struct escrow_step s;
static char text[ESCROW_TEXT_MAX + 2], step[ESCROW_TEXT_MAX + 2];
static size_t text_len, step_len;
static uint8_t seed[ESCROW_SEED];

static size_t pem_of(EVP_PKEY *k, bool private, char *out, size_t cap)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(private ? PEM_write_bio_PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL)
				 : PEM_write_bio_PUBKEY(bio, k),
	    1);
	n = BIO_read(bio, out, (int)cap - 1);
	assert_true(n > 0);
	out[n] = '\0';
	BIO_free(bio);
	return (size_t)n;
}

/* --- closing in software --- */

static void oaep(EVP_PKEY *k, const EVP_MD *md, const uint8_t *in, size_t n, uint8_t *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
	size_t len = ESCROW_MODULUS_MAX;

	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &len, in, n), 1);
	EVP_PKEY_CTX_free(ctx);
}

/* The layer of an officer around n bytes. */
static void close_layer(unsigned share, unsigned officer, const uint8_t *in, size_t n, uint8_t *out)
{
	uint8_t once[32], aad[ESCROW_AAD];
	size_t modulus = e.officers.key[officer].modulus;
	uint8_t *iv = out + modulus, *sealed = iv + ESCROW_IV;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int len;

	randombytes_buf(once, sizeof once);
	randombytes_buf(iv, ESCROW_IV);
	escrow_aad(aad, &e, share, 1);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, once, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(c, NULL, &len, aad, ESCROW_AAD), 1);
	assert_int_equal(EVP_EncryptUpdate(c, sealed, &len, in, (int)n), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, sealed + n, &len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, ESCROW_TAG, sealed + n), 1);
	EVP_CIPHER_CTX_free(c);
	oaep(key[officer], EVP_sha256(), once, sizeof once, out);
}

/* A bundle for any two of three, of so many bytes as a seed. */
static void make(enum escrow_wrap wrap, size_t bytes)
{
	uint8_t inner[ESCROW_MODULUS_MAX], der[ESCROW_DER_MAX], *at;

	memset(&e, 0, sizeof e);
	memset(e.raffle, 0xab, sizeof e.raffle);
	memset(seed, 9, sizeof seed);
	hash_kdf(e.seed_commit, seed, DRAW_COMMIT_LABEL, e.raffle, 16);
	e.wrap = wrap;
	e.officers.m = M;
	e.officers.n = OFFICERS;
	for (unsigned i = 0; i < OFFICERS; i++) {
		at = der;
		assert_int_equal(
		    escrow_key_der(&e.officers.key[i], der, (size_t)i2d_PUBKEY(key[i], &at)),
		    KE_OK);
	}
	for (unsigned share = escrow_first(&e.officers); share != 0;
	     share = escrow_next(&e.officers, share)) {
		unsigned last = escrow_last(share), first = escrow_last(share & ~(1u << last));

		oaep(key[first], wrap == ESCROW_OAEP_SHA1 ? EVP_sha1() : EVP_sha256(), seed, bytes,
		    inner);
		close_layer(share, last, inner, e.officers.key[first].modulus, e.data + e.used);
		e.used += escrow_layers_len(&e.officers, share);
	}
	e.used = 0; /* escrow_text() counts again */
	assert_int_equal(escrow_text(&e, text, sizeof text, &text_len), KE_OK);
	assert_int_equal(escrow_parse(&e, text, text_len), KE_OK);
}

static int open_by(unsigned officer)
{
	unsigned who = OFFICERS;
	int r = escrow_step_open(&s, &e, private_pem[officer], strlen(private_pem[officer]), &who);

	if (r == KE_OK)
		assert_int_equal(who, officer);
	return r;
}

static void begin(void)
{
	escrow_step_begin(&s, &e, text, text_len);
}

static void test_opens(void **state)
{
	uint8_t out[ESCROW_SEED];

	(void)state;
	for (unsigned wrap = 0; wrap < ESCROW_WRAPS; wrap++) {
		make((enum escrow_wrap)wrap, sizeof seed);
		begin();
		assert_int_equal(escrow_step_seed(&s, &e, out), KE_STATE);
		assert_int_equal(open_by(2), KE_OK);
		assert_int_equal(escrow_step_seed(&s, &e, out), KE_STATE);
		assert_int_equal(open_by(0), KE_OK);
		assert_int_equal(escrow_step_seed(&s, &e, out), KE_OK);
		assert_memory_equal(out, seed, sizeof seed);
		/* nothing is left to open */
		assert_int_equal(open_by(1), KE_STATE);
	}
}

/* --- keys --- */

/* A public RSA key of so many bits that nobody has made: the modulus is any odd number. */
static EVP_PKEY *odd_key(int bits, int exponent_bits, unsigned exponent)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *n = BN_new(), *exp = BN_new();
	EVP_PKEY *k = NULL;
	OSSL_PARAM *params;

	assert_int_equal(BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	if (exponent_bits > 0)
		assert_int_equal(
		    BN_rand(exp, exponent_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	else
		assert_int_equal(BN_set_word(exp, exponent), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exp), 1);
	params = OSSL_PARAM_BLD_to_param(bld);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(exp);
	return k;
}

static int read_key(EVP_PKEY *k)
{
	struct escrow_key out;
	char pem[4096];
	size_t n = pem_of(k, false, pem, sizeof pem);
	int r = escrow_key_pem(&out, pem, n);

	EVP_PKEY_free(k);
	return r;
}

static void test_keys(void **state)
{
	static char pem[ESCROW_PEM_MAX + 1];
	uint8_t der[ESCROW_DER_MAX + 1] = {0}, *at = der;
	struct escrow_key k;
	size_t n;

	(void)state;
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MIN, 0, RSA_F4)), KE_OK);
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MAX, 0, RSA_F4)), KE_OK);
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MIN - 1, 0, RSA_F4)), KE_RANGE);
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MAX + 1, 0, RSA_F4)), KE_RANGE);
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MIN, 0, 3)), KE_RANGE);
	assert_int_equal(read_key(odd_key(ESCROW_BITS_MIN, 2048, 0)), KE_RANGE);
	assert_int_equal(read_key(EVP_EC_gen("P-256")), KE_FORMAT);
	n = pem_of(key[0], false, pem, sizeof pem);
	assert_int_equal(escrow_key_pem(&k, pem, n), KE_OK);
	assert_int_equal(escrow_key_pem(&k, pem, sizeof pem), KE_FORMAT);
	assert_int_equal(escrow_key_pem(&k, "no key", 6), KE_FORMAT);
	n = (size_t)i2d_PUBKEY(key[0], &at);
	assert_int_equal(escrow_key_der(&k, der, n), KE_OK);
	/* with something behind it, cut off, of more than any has */
	assert_int_equal(escrow_key_der(&k, der, n + 1), KE_FORMAT);
	assert_int_equal(escrow_key_der(&k, der, n - 1), KE_FORMAT);
	assert_int_equal(escrow_key_der(&k, der, sizeof der), KE_FORMAT);
}

/* What opens layers must be the RSA key of an officer. */
static void test_openers(void **state)
{
	static char pem[8192];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *other = EVP_EC_gen("P-256");
	unsigned who;
	size_t n;

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	begin();
	n = pem_of(other, true, pem, sizeof pem);
	assert_int_equal(escrow_step_open(&s, &e, pem, n, &who), KE_FORMAT);
	EVP_PKEY_free(other);
	assert_int_equal(escrow_step_open(&s, &e, pem, (size_t)INT32_MAX + 1, &who), KE_FORMAT);
	/* longer than any officer's; with four primes it is there in no time */
	other = NULL;
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 4608), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 4), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &other), 1);
	n = pem_of(other, true, pem, sizeof pem);
	assert_int_equal(escrow_step_open(&s, &e, pem, n, &who), KE_WRONG_KEY);
	EVP_PKEY_free(other);
	EVP_PKEY_CTX_free(ctx);
}

/* --- what is inside --- */

/* A seed that is too short, and one that is not the one committed to. */
static void test_other_seed(void **state)
{
	uint8_t out[ESCROW_SEED];

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed - 1);
	begin();
	assert_int_equal(open_by(1), KE_OK);
	assert_int_equal(open_by(0), KE_CRYPTO);
	make(ESCROW_OAEP_SHA256, sizeof seed);
	begin();
	assert_int_equal(open_by(1), KE_OK);
	assert_int_equal(open_by(0), KE_OK);
	e.seed_commit[0] ^= 1;
	assert_int_equal(escrow_step_seed(&s, &e, out), KE_CRYPTO);
}

static void test_promised(void **state)
{
	struct record2 open = {.kind = RECORD2_OPEN, .escrow_m = M, .escrow_n = OFFICERS + 1};
	const char *why = "";

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	memcpy(open.raffle, e.raffle, 16);
	memcpy(open.seed_commit, e.seed_commit, 32);
	hash_sha256(open.escrow, text, text_len);
	assert_int_equal(escrow_promised(&e, text, text_len, &open, &why), KE_DENIED);
	assert_string_equal(why, "the open record promises other officers");
}

/* --- texts --- */

/* The text with the first `from` replaced. */
static size_t replace(char *t, size_t n, const char *from, const char *to)
{
	char *at = strstr(t, from);

	assert_non_null(at);
	memmove(at + strlen(to), at + strlen(from), n - (size_t)(at - t) - strlen(from) + 1);
	memcpy(at, to, strlen(to));
	return n + strlen(to) - strlen(from);
}

static void test_bundle_texts(void **state)
{
	static const struct {
		const char *from, *to;
		int err;
	} rows[] = {
	    {"rsa-oaep-sha256", "rsa-oaep-sha512", KE_FORMAT},
	    {"rsa-oaep-sha256", "rsa-oaep-sha25", KE_FORMAT},
	    {"\"threshold\":2", "\"threshold\":22222", KE_FORMAT},
	    {"\"threshold\":2", "\"threshold\":02", KE_FORMAT},
	    {"\"threshold\":2", "\"threshold\":", KE_FORMAT},
	    {"\"threshold\":2", "\"threshold\":0", KE_RANGE},
	    {"\"threshold\":2", "\"threshold\":4", KE_RANGE},
	    {"\"officers\":[0,1]", "\"officers\":[]", KE_FORMAT},
	    {"\"officers\":[0,1]", "\"officers\":[1,0]", KE_FORMAT},
	    {"\"officers\":[0,1]", "\"officers\":[0,0]", KE_FORMAT},
	    {"\"officers\":[0,1]", "\"officers\":[0,16]", KE_FORMAT},
	    {"\"officers\":[0,1]", "\"officers\":[0,2]", KE_FORMAT},
	    {"\"officers\":[0,1]", "\"officers\":[0,]", KE_FORMAT},
	    {"\"sealed\":\"", "\"sealed\":\"AAAA", KE_FORMAT},
	    {"\"sealed\":\"", "\"sealed\":\"\",\"", KE_FORMAT},
	    {"\"abab", "\"abaB", KE_FORMAT},
	    {"]}\n", "]} ", KE_FORMAT},
	    {"]}\n", "]}\n\n", KE_FORMAT},
	};
	static char bad[sizeof text];

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n;
		int r;

		memcpy(bad, text, text_len + 1);
		n = replace(bad, text_len, rows[i].from, rows[i].to);
		r = escrow_parse(&e, bad, n);
		if (r != rows[i].err)
			fail_msg("%s: %s", rows[i].to, ke_words(r));
	}
	assert_int_equal(escrow_parse(&e, text, ESCROW_TEXT_MAX + 1), KE_LIMIT);
}

/* One officer more than there may be. */
static void test_too_many_officers(void **state)
{
	char *list, *out = malloc(ESCROW_TEXT_MAX);
	size_t n = 0;

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	list = strstr(text, "\"officers\":[\n");
	assert_true(out != NULL && list != NULL);
	list += strlen("\"officers\":[\n");
	n = (size_t)(list - text);
	memcpy(out, text, n);
	for (int i = 0; i <= ESCROW_OFFICERS_MAX; i++) {
		EVP_PKEY *k = odd_key(ESCROW_BITS_MIN, 0, RSA_F4);
		uint8_t der[ESCROW_DER_MAX], *at = der;
		char b64[1024];

		text_b64(b64, der, (size_t)i2d_PUBKEY(k, &at));
		n += (size_t)snprintf(
		    out + n, ESCROW_TEXT_MAX - n, "%s\"%s\"", i > 0 ? ",\n" : "", b64);
		EVP_PKEY_free(k);
	}
	n += (size_t)snprintf(out + n, ESCROW_TEXT_MAX - n, "],\n");
	assert_int_equal(escrow_parse(&e, out, n), KE_FORMAT);
	assert_int_equal(e.officers.n, ESCROW_OFFICERS_MAX);
	free(out);
	e.officers.n = ESCROW_OFFICERS_MAX + 1;
	assert_int_equal(escrow_officers_check(&e.officers), KE_RANGE);
}

/* At each capacity below what it needs, and of officers for whom there is no bundle. */
static void test_room(void **state)
{
	size_t n, need;

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	begin();
	assert_int_equal(escrow_step_text(&s, step, sizeof step, &need), KE_OK);
	for (size_t cap = 0; cap < need; cap += cap < 300 ? 1 : 7)
		assert_int_equal(escrow_step_text(&s, step, cap, &n), KE_FULL);
	for (size_t cap = 0; cap < text_len; cap += cap < 300 ? 1 : 7) {
		assert_int_equal(escrow_text(&e, step, cap, &n), KE_FULL);
		assert_true(n <= cap);
	}
	e.officers.m = 0;
	assert_int_equal(escrow_text(&e, text, sizeof text, &n), KE_RANGE);
}

static void test_step_texts(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
	    {"\"officers\":[0,1],\"left\":[0]", "\"officers\":[0,1,2],\"left\":[0]"},
	    {"\"left\":[0]", "\"left\":[]"},
	    {"\"left\":[0]", "\"left\":[2]"},
	    {"\"left\":[0]", "\"left\":[1]"},
	    {"\"left\":[0]", "\"left\":[0,1]"},
	    {"\"sealed\":\"", "\"sealed\":\"AAAA"},
	    {"-step/1", "-step/2"},
	    {"]}\n", "]}"},
	    {"]}\n", "]}\n\n"},
	};
	static char bad[sizeof step];

	(void)state;
	make(ESCROW_OAEP_SHA256, sizeof seed);
	begin();
	assert_int_equal(open_by(1), KE_OK);
	assert_int_equal(escrow_step_text(&s, step, sizeof step, &step_len), KE_OK);
	assert_int_equal(escrow_step_parse(&s, &e, text, text_len, step, step_len), KE_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n;

		memcpy(bad, step, step_len);
		bad[step_len] = '\0';
		n = replace(bad, step_len, rows[i].from, rows[i].to);
		if (escrow_step_parse(&s, &e, text, text_len, bad, n) != KE_FORMAT)
			fail_msg("%s is taken", rows[i].to);
	}
	assert_int_equal(
	    escrow_step_parse(&s, &e, text, text_len - 1, step, step_len), KE_WRONG_KEY);
}

/* --- little memory --- */

/* Not enough of it reads as a damaged layer or a key that is none: nobody gets a wrong seed. */
static int open_all(void)
{
	uint8_t out[ESCROW_SEED];
	int r = escrow_parse(&e, text, text_len);

	if (r != KE_OK)
		return KE_NOMEM;
	begin();
	r = open_by(1);
	if (r == KE_OK)
		r = open_by(0);
	if (r == KE_OK)
		r = escrow_step_seed(&s, &e, out);
	if (r == KE_OK)
		assert_memory_equal(out, seed, sizeof seed);
	return r == KE_OK ? r : KE_NOMEM;
}

static void test_memory(void **state)
{
	(void)state;
	if (!fail_alloc_works())
		skip();
	make(ESCROW_OAEP_SHA256, sizeof seed);
	/* of tens of thousands, for big numbers */
	assert_true(fail_alloc_some(open_all, KE_NOMEM, 97) > 1000);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OFFICERS; i++) {
		key[i] = EVP_RSA_gen(ESCROW_BITS_MIN);
		pem_of(key[i], true, private_pem[i], sizeof private_pem[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OFFICERS; i++)
		EVP_PKEY_free(key[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_opens),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_openers),
	    cmocka_unit_test(test_other_seed),
	    cmocka_unit_test(test_promised),
	    cmocka_unit_test(test_bundle_texts),
	    cmocka_unit_test(test_too_many_officers),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_step_texts),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("escrow_text", tests, setup, teardown);
}
