/*
 * Sealed values: what hsm seals opens in its place and nowhere else. The other side is XChaCha20-
 * Poly1305 put together here from HChaCha20, written out, and OpenSSL's ChaCha20-Poly1305, so
 * neither the primitive nor the associated data is checked against itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "hsm/role/sealed.h"
#include "policy/text.h"

#define ROW "0123456789abcdef"

static struct hsm h;
static uint8_t keys[3][32];

static const struct sealed_place here = {
    .class = KEY_DATA,
    .table = "users",
    .column = "phc",
    .row = (const uint8_t *)ROW,
    .row_len = 16,
};

/* Versions 1 (retired) and 2 (active) of data, version 1 of deposit25519. */
static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return 1;
	randombytes_buf(keys, sizeof keys);
	h.ring.n = 3;
	h.ring.keys[0] = (struct key){.purpose = KEY_DATA, .version = 1, .secret = keys[0]};
	h.ring.keys[1] =
	    (struct key){.purpose = KEY_DATA, .version = 2, .live = true, .secret = keys[1]};
	h.ring.keys[2] = (struct key){
	    .purpose = KEY_DEPOSIT25519, .version = 1, .live = true, .secret = keys[2]};
	memcpy(h.anchor.appliance, "appliance-id-16b", 16);
	return 0;
}

/* --- the other implementation --- */

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rot(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rot(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rot(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rot(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rot(s[b] ^ s[c], 7);
}

/* draft-irtf-cfrg-xchacha-03, section 2.2 */
static void hchacha20(uint8_t out[32], const uint8_t key[32], const uint8_t nonce[16])
{
	static const uint8_t sigma[] = "expand 32-byte k";
	uint32_t s[16];

	for (unsigned i = 0; i < 16; i++)
		s[i] = i < 4    ? le32(sigma + 4 * i)
		       : i < 12 ? le32(key + 4 * (i - 4))
				: le32(nonce + 4 * (i - 12));
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 4; i++)
			quarter(s, i, 4 + i, 8 + i, 12 + i);
		for (unsigned i = 0; i < 4; i++)
			quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (unsigned i = 0; i < 32; i++) {
		uint32_t word = s[i / 4 < 4 ? i / 4 : i / 4 + 8];

		out[i] = (uint8_t)(word >> (8 * (i % 4)));
	}
}

/* One way or the other; the length of what comes out, or -1. */
static int xchacha(bool seal, const uint8_t key[32], const uint8_t nonce[24], const void *aad,
    size_t aadlen, const uint8_t *in, size_t n, uint8_t tag[16], uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t sub[32], iv[12] = {0};
	int len = 0, ok, end = 0;

	hchacha20(sub, key, nonce);
	memcpy(iv + 4, nonce + 16, 8);
	ok = EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, sub, iv, seal) == 1;
	ok = ok && EVP_CipherUpdate(c, NULL, &len, aad, (int)aadlen) == 1;
	ok = ok && EVP_CipherUpdate(c, out, &len, in, (int)n) == 1;
	if (!seal)
		ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1;
	ok = ok && EVP_CipherFinal_ex(c, out + len, &end) == 1;
	if (seal)
		ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok ? len + end : -1;
}

/* section A.3.1 of the draft */
static void test_other_implementation(void **state)
{
	static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer "
				    "you only one tip for the future, sunscreen would be it.";
	uint8_t key[32], nonce[24], aad[12], tag[16], out[128];
	char hex[33];

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)(0x80 + i);
	for (unsigned i = 0; i < 24; i++)
		nonce[i] = (uint8_t)(0x40 + i);
	assert_int_equal(text_unhex(aad, 12, "50515253c0c1c2c3c4c5c6c7", 24), KE_OK);
	assert_int_equal(
	    xchacha(true, key, nonce, aad, 12, (const uint8_t *)plain, 114, tag, out), 114);
	text_hex(hex, tag, 16);
	assert_string_equal(hex, "c0875924c1c7987947deafd8780acf49");
	text_hex(hex, out, 16);
	assert_string_equal(hex, "bd6d179d3e83d43b9576579493c0e939");
}

/* The associated data of `here`, written out by hand. */
static const uint8_t aad_here[] = "klero/1/value\0"
				  "klero:1:data:v000002"
				  "\x10"
				  "appliance-id-16b"
				  "\x05users\x03phc\x10" ROW;

static void test_vectors(void **state)
{
	static const char phc[] = "$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA";
	uint8_t raw[256], out[256], tag[16];
	char text[SEALED_TEXT_MAX];
	uint32_t version;
	size_t n;

	(void)state;
	/* ours, opened by the other */
	assert_int_equal(sealed_seal(&h, &here, phc, strlen(phc), text, sizeof text), KE_OK);
	assert_int_equal(strncmp(text, "klero:1:data:v000002:", 21), 0);
	assert_int_equal(
	    blob_get(text, strlen(text), "data", &version, raw, sizeof raw, &n), KE_OK);
	assert_int_equal(n, strlen(phc) + SEALED_EXTRA);
	memcpy(tag, raw + n - 16, 16);
	assert_int_equal(
	    xchacha(false, keys[1], raw, aad_here, sizeof aad_here - 1, raw + 24, n - 40, tag, out),
	    strlen(phc));
	assert_memory_equal(out, phc, strlen(phc));
	/* the other's, opened by us */
	randombytes_buf(raw, 24);
	assert_int_equal(xchacha(true, keys[1], raw, aad_here, sizeof aad_here - 1,
			     (const uint8_t *)phc, strlen(phc), tag, raw + 24),
	    strlen(phc));
	memcpy(raw + 24 + strlen(phc), tag, 16);
	assert_int_equal(
	    blob_put(text, sizeof text, "data", 2, raw, strlen(phc) + SEALED_EXTRA), KE_OK);
	assert_int_equal(sealed_open(&h, &here, text, strlen(text), out, sizeof out, &n), KE_OK);
	assert_int_equal(n, strlen(phc));
	assert_memory_equal(out, phc, n);
}

/* Every refusal wipes what it would have given. */
static void refused(const struct sealed_place *at, const char *text, size_t n, int why)
{
	uint8_t out[64];
	size_t len = 77, i = 0;

	memset(out, 0xee, sizeof out);
	assert_int_equal(sealed_open(&h, at, text, n, out, sizeof out, &len), why);
	assert_int_equal(len, 0);
	while (i < sizeof out && out[i] == 0)
		i++;
	assert_int_equal(i, sizeof out);
}

static void test_places(void **state)
{
	static const uint8_t bound[32] = {1}, other[32] = {2};
	struct sealed_place at = here;
	char text[SEALED_TEXT_MAX];
	uint8_t out[64];
	size_t n;

	(void)state;
	assert_int_equal(sealed_seal(&h, &here, "secret", 6, text, sizeof text), KE_OK);
	assert_int_equal(sealed_open(&h, &at, text, strlen(text), out, 64, &n), KE_OK);
	assert_int_equal(n, 6);
	at.row = (const uint8_t *)"0123456789abcdeF";
	refused(&at, text, strlen(text), KE_CRYPTO);
	at = here;
	at.row_len = 15;
	refused(&at, text, strlen(text), KE_CRYPTO);
	at = here;
	at.column = "phd";
	refused(&at, text, strlen(text), KE_CRYPTO);
	at = here;
	at.table = "user";
	at.column = "sphc"; /* the same letters, divided otherwise */
	refused(&at, text, strlen(text), KE_CRYPTO);
	at = here;
	at.bound = bound;
	refused(&at, text, strlen(text), KE_CRYPTO);
	assert_int_equal(sealed_seal(&h, &at, "secret", 6, text, sizeof text), KE_OK);
	assert_int_equal(sealed_open(&h, &at, text, strlen(text), out, 64, &n), KE_OK);
	at.bound = other;
	refused(&at, text, strlen(text), KE_CRYPTO);
	at.bound = NULL;
	refused(&at, text, strlen(text), KE_CRYPTO);
	/* another appliance's hsm, with the very same keys */
	assert_int_equal(sealed_seal(&h, &here, "secret", 6, text, sizeof text), KE_OK);
	h.anchor.appliance[3] ^= 1;
	refused(&here, text, strlen(text), KE_CRYPTO);
	h.anchor.appliance[3] ^= 1;
}

static void test_versions(void **state)
{
	struct sealed_place at = here;
	char text[SEALED_TEXT_MAX], copy[SEALED_TEXT_MAX + 16];
	uint8_t out[64];
	size_t n, len;

	(void)state;
	/* sealed when version 1 was the active one */
	h.ring.keys[0].live = true;
	h.ring.keys[1].live = false;
	assert_int_equal(sealed_seal(&h, &here, "secret", 6, text, sizeof text), KE_OK);
	h.ring.keys[0].live = false;
	h.ring.keys[1].live = true;
	len = strlen(text);
	assert_int_equal(strncmp(text, "klero:1:data:v000001:", 21), 0);
	assert_int_equal(sealed_open(&h, &here, text, len, out, 64, &n), KE_OK);
	/* no trial: the header's version is the one, and it is authenticated */
	memcpy(copy, text, len + 1);
	copy[19] = '2';
	refused(&here, copy, len, KE_CRYPTO);
	copy[19] = '3';
	refused(&here, copy, len, KE_VERSION);
	copy[19] = '0';
	refused(&here, copy, len, KE_FORMAT);
	/* destroyed: the ring has it no more */
	h.ring.keys[0].purpose = KEY_MASTER;
	refused(&here, text, len, KE_VERSION);
	h.ring.keys[0].purpose = KEY_DATA;
	/* another class, also under its own name */
	at.class = KEY_DEPOSIT25519;
	refused(&at, text, len, KE_FORMAT);
	snprintf(copy, sizeof copy, "klero:1:deposit25519:v000001:%s", text + 21);
	refused(&at, copy, strlen(copy), KE_CRYPTO);
	memcpy(copy, text, len + 1);
	copy[6] = '2';
	refused(&here, copy, len, KE_VERSION);
	copy[6] = '1';
	copy[0] = 'K';
	refused(&here, copy, len, KE_FORMAT);
}

static void test_altered(void **state)
{
	char text[SEALED_TEXT_MAX], copy[SEALED_TEXT_MAX];
	uint8_t raw[64];
	uint32_t version;
	size_t n, len;

	(void)state;
	assert_int_equal(sealed_seal(&h, &here, "secret", 6, text, sizeof text), KE_OK);
	len = strlen(text);
	assert_int_equal(blob_get(text, len, "data", &version, raw, sizeof raw, &n), KE_OK);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_equal(blob_put(copy, sizeof copy, "data", 2, raw, n), KE_OK);
		refused(&here, copy, strlen(copy), KE_CRYPTO);
		raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	/* cut: of every length, in the text and in what it holds */
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t out[64];
		size_t got;

		assert_true(sealed_open(&h, &here, text, cut, out, sizeof out, &got) < 0);
	}
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(blob_put(copy, sizeof copy, "data", 2, raw, cut), KE_OK);
		refused(&here, copy, strlen(copy), cut <= SEALED_EXTRA ? KE_FORMAT : KE_CRYPTO);
	}
	/* a tag that is too long */
	raw[n] = 0;
	assert_int_equal(blob_put(copy, sizeof copy, "data", 2, raw, n + 1), KE_OK);
	refused(&here, copy, strlen(copy), KE_CRYPTO);
	/* more than there is room for */
	assert_int_equal(sealed_open(&h, &here, text, len, raw, 5, &n), KE_LONG);
}

static void test_limits(void **state)
{
	static uint8_t plain[SEALED_PLAIN_MAX + 1], out[SEALED_PLAIN_MAX];
	char text[SEALED_TEXT_MAX], again[SEALED_TEXT_MAX];
	struct sealed_place at = here;
	size_t n;

	(void)state;
	assert_int_equal(sealed_seal(&h, &here, plain, SEALED_PLAIN_MAX, text, sizeof text), KE_OK);
	assert_int_equal(sealed_open(&h, &here, text, strlen(text), out, sizeof out, &n), KE_OK);
	assert_int_equal(n, SEALED_PLAIN_MAX);
	assert_int_equal(
	    sealed_seal(&h, &here, plain, SEALED_PLAIN_MAX + 1, text, sizeof text), KE_LONG);
	assert_int_equal(sealed_seal(&h, &here, plain, 0, text, sizeof text), KE_LONG);
	assert_true(sealed_seal(&h, &here, plain, 32, text, 40) < 0);
	at.row_len = 0;
	assert_int_equal(sealed_seal(&h, &at, plain, 1, text, sizeof text), KE_LONG);
	at.row_len = 65;
	assert_int_equal(sealed_seal(&h, &at, plain, 1, text, sizeof text), KE_LONG);
	at = here;
	at.class = KEY_MASTER; /* a key of the token seals nothing here */
	assert_int_equal(sealed_seal(&h, &at, plain, 1, text, sizeof text), KE_NOTFOUND);
	/* the same value twice is two texts */
	assert_int_equal(sealed_seal(&h, &here, "same", 4, text, sizeof text), KE_OK);
	assert_int_equal(sealed_seal(&h, &here, "same", 4, again, sizeof again), KE_OK);
	assert_string_not_equal(text, again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_other_implementation),
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_altered),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
