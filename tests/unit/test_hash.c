/*
 * SHA-256 (FIPS 180-4 examples), HMAC (RFC 4231), the KDF against the draw's vectors and, where
 * it is installed, against the openssl program; the running hash against the plain one.
 */
#include "tests/unit/vectors.h"

#include "policy/draw.h"
#include "policy/hash.h"

static void test_sha256(void **state)
{
	static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t out[32];

	(void)state;
	hash_sha256(out, "abc", 3);
	assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256(out, NULL, 0);
	assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_sha256(out, long_text, 56);
	assert_hex(out, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	hash_sha256_2(out, long_text, 20, long_text + 20, 36);
	assert_hex(out, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 cases 1 and 2, whose keys a zero-padded key of 32 bytes equals. */
static void test_hmac(void **state)
{
	uint8_t key[32] = {0}, out[32];

	(void)state;
	memset(key, 0x0b, 20);
	hash_hmac(out, key, "Hi There", 8);
	assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0, 32);
	memcpy(key, "Jefe", 4);
	hash_hmac(out, key, "what do ya want for nothing?", 28);
	assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_kdf_vectors(void **state)
{
	uint8_t seed[32] = {0}, raffle[16], context[32] = {0}, out[32];
	struct vectors v;
	int checked = 0;

	(void)state;
	vectors_open(&v, "draw2.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "raffle_id"))
			assert_int_equal(vectors_hex(v.word[1], raffle, 16), 16);
		if (vectors_is(&v, "server_seed"))
			vectors_hex32(v.word[1], seed);
		if (vectors_is(&v, "context"))
			vectors_hex32(v.word[1], context);
		if (vectors_is(&v, "seed_commit")) {
			hash_kdf(out, seed, DRAW_COMMIT_LABEL, raffle, 16);
			assert_hex(out, 32, v.word[1]);
			checked++;
		}
		if (vectors_is(&v, "draw_key")) {
			hash_kdf(out, seed, DRAW_KEY_LABEL, context, 32);
			assert_hex(out, 32, v.word[1]);
			checked++;
		}
	}
	assert_int_equal(checked, 2);
}

static void test_kdf_input(void **state)
{
	uint8_t in[HASH_KDF_INPUT_MAX], big[HASH_KDF_INPUT_MAX] = {0};

	(void)state;
	assert_int_equal(hash_kdf_input(in, "label", "ctx", 3), 17);
	assert_hex(in, 17, "000000016c6162656c0063747800000100");
	assert_int_equal(hash_kdf_input(in, "", NULL, 0), 9);
	assert_int_equal(hash_kdf_input(in, "x", big, HASH_KDF_INPUT_MAX - 10), HASH_KDF_INPUT_MAX);
	assert_int_equal(hash_kdf_input(in, "x", big, HASH_KDF_INPUT_MAX - 9), 0);
	assert_int_equal(hash_kdf_input(in, "x", big, SIZE_MAX - 4), 0);
}

/* The command that DRAW.md gives to everyone. */
static void test_openssl_agrees(void **state)
{
	static const char command[] =
	    "openssl kdf -keylen 32 -kdfopt mac:HMAC -kdfopt digest:SHA256 -kdfopt mode:COUNTER "
	    "-kdfopt hexkey:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
	    "-kdfopt salt:kleroterion/v2/stream -kdfopt hexinfo:0000000000000007 KBKDF 2>/dev/null";
	uint8_t key[32], counter[8] = {0, 0, 0, 0, 0, 0, 0, 7}, out[32];
	char theirs[128] = "", ours[97], *p = ours;
	FILE *f = popen(command, "r");

	(void)state;
	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	hash_kdf(out, key, DRAW_STREAM_LABEL, counter, sizeof(counter));
	for (int i = 0; i < 32; i++)
		p += snprintf(p, 4, i == 0 ? "%02X" : ":%02X", out[i]);
	if (f == NULL || fgets(theirs, sizeof(theirs), f) == NULL) {
		print_message("the openssl program (3.0 or newer) is not here\n");
		skip();
	}
	pclose(f);
	theirs[strcspn(theirs, "\n")] = '\0';
	assert_string_equal(theirs, ours);
}

/* Any way of cutting a text into pieces gives the same hash, also when stored in between. */
static void test_running(void **state)
{
	uint8_t text[300], run[HASH_STATE_LEN], want[32], have[32];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= sizeof(text); n++) {
		hash_sha256(want, text, n);
		for (size_t step = 1; step < 140; step += 23) {
			hash_run_start(run);
			for (size_t at = 0; at < n; at += step)
				hash_run_add(run, text + at, n - at < step ? n - at : step);
			hash_run_end(have, run);
			assert_memory_equal(have, want, 32);
		}
	}
}

/* The stored form is part of the store's format: it must never change. */
static void test_state_form(void **state)
{
	uint8_t run[HASH_STATE_LEN];

	(void)state;
	hash_run_start(run);
	hash_run_add(run, "abc", 3);
	assert_hex(run, 48,
	    "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"
	    "00000000000000186162630000000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sha256),
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_kdf_vectors),
	    cmocka_unit_test(test_kdf_input),
	    cmocka_unit_test(test_openssl_agrees),
	    cmocka_unit_test(test_running),
	    cmocka_unit_test(test_state_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
