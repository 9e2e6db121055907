/*
 * The old platform's values taken apart, and every text that is none of them. The values are those
 * of node (tests/vectors/legacy.txt); libcrypto opens them here, as hsm does.
 */
#include "tests/unit/vectors.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "policy/base58.h"
#include "policy/legacy.h"

static uint8_t key[32], evm[32], solana[32];

static unsigned layout_of(const char *word)
{
	for (unsigned i = 0; i < LEGACY_LAYOUT_COUNT; i++)
		if (strcmp(word, legacy_words[i]) == 0)
			return i;
	fail_msg("no layout %s", word);
	return 0;
}

static size_t decrypt(const struct legacy *l, char out[LEGACY_TEXT_MAX])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[16];
	int n, end;

	memcpy(tag, l->tag, 16);
	assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, (int)l->iv_len, NULL), 1);
	assert_int_equal(EVP_DecryptInit_ex(ctx, NULL, NULL, key, l->iv), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, (uint8_t *)out, &n, l->text, (int)l->text_len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag), 1);
	assert_int_equal(EVP_DecryptFinal_ex(ctx, (uint8_t *)out + n, &end), 1);
	EVP_CIPHER_CTX_free(ctx);
	return (size_t)(n + end);
}

static void check_value(const char *layout, const char *kind, const char *text)
{
	bool is_evm = strcmp(kind, "evm") == 0;
	char plain[LEGACY_TEXT_MAX];
	uint8_t room[64];
	struct legacy l;
	size_t n;

	assert_int_equal(legacy_parse(&l, layout_of(layout), text, strlen(text)), KE_OK);
	n = decrypt(&l, plain);
	assert_int_equal(legacy_secret(room, is_evm ? PAYOUT_EVM : PAYOUT_SOLANA, plain, n), KE_OK);
	assert_memory_equal(room, is_evm ? evm : solana, 32);
	assert_int_equal(
	    legacy_secret(room, is_evm ? PAYOUT_SOLANA : PAYOUT_EVM, plain, n), KE_RANGE);
	/* base58 that was cut can be another 64 bytes: their halves do not fit together */
	for (size_t cut = 0; cut < n && (is_evm || plain[0] == '['); cut++)
		assert_int_not_equal(
		    legacy_secret(room, is_evm ? PAYOUT_EVM : PAYOUT_SOLANA, plain, cut), KE_OK);
}

static void test_vectors(void **state)
{
	uint8_t again[32];
	struct vectors v;
	int values = 0;

	(void)state;
	vectors_open(&v, "legacy.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "key")) {
			vectors_hex32(v.word[2], key);
			assert_int_equal(legacy_key(again, v.word[1], strlen(v.word[1])), KE_OK);
			assert_memory_equal(again, key, 32);
			assert_int_equal(legacy_key(again, v.word[2], strlen(v.word[2])), KE_OK);
			assert_memory_equal(again, key, 32);
		} else if (vectors_is(&v, "value")) {
			check_value(v.word[1], v.word[2], v.word[3]);
			values++;
		} else {
			vectors_hex32(v.word[1], vectors_is(&v, "evm") ? evm : solana);
		}
	}
	assert_int_equal(values, 18);
}

static void test_keys(void **state)
{
	static const char *const bad[] = {"", "\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", /* spare bits */
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", /* 31 bytes */
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", /* 33 */
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH-8=",
	    " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eg0",
	    "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
	uint8_t out[32];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(legacy_key(out, bad[i], strlen(bad[i])), KE_FORMAT);
	assert_int_equal(
	    legacy_key(out, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n", 46), KE_OK);
}

static void test_malformed(void **state)
{
	/* iv, tag and no text; a tag of 15 bytes; an iv of 11; not base64 at all */
	static const struct {
		unsigned layout;
		const char *text;
		int why;
	} bad[] = {
	    {LEGACY_IV_TAG_TEXT, "", KE_VERSION},
	    {LEGACY_IV_TAG_TEXT, "v1", KE_VERSION},
	    {LEGACY_IV_TAG_TEXT, "v2:AAAA", KE_VERSION},
	    {LEGACY_IV_TAG_TEXT, "V1:AAAA", KE_VERSION},
	    {LEGACY_PARTS, "v10:AAAA", KE_VERSION},
	    {LEGACY_IV_TAG_TEXT, "v1:", KE_FORMAT},
	    {LEGACY_IV_TAG_TEXT, "v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", KE_FORMAT},
	    {LEGACY_IV16_TAG_TEXT, "v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", KE_FORMAT},
	    {LEGACY_IV_TAG_TEXT, "v1:!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA==", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA==:", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAA:AAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAA==:AAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA:AAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA==:AAAA:AAAA", KE_FORMAT},
	    {LEGACY_PARTS, "v1:::", KE_FORMAT},
	    {LEGACY_LAYOUT_COUNT, "v1:AAAA", KE_FORMAT},
	};
	struct legacy l;
	char big[LEGACY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    legacy_parse(&l, bad[i].layout, bad[i].text, strlen(bad[i].text)), bad[i].why);
	memset(big, 'A', sizeof big);
	memcpy(big, "v1:", 3);
	for (size_t n = 4; n <= sizeof big; n++) /* whatever the length, nothing is overrun */
		(void)!legacy_parse(&l, LEGACY_IV_TAG_TEXT, big, n);
	assert_int_equal(legacy_parse(&l, LEGACY_IV_TAG_TEXT, big, sizeof big), KE_FORMAT);
	assert_int_equal(legacy_parse(&l, LEGACY_IV_TAG_TEXT, big, 639), KE_FORMAT);
}

static void test_insides(void **state)
{
	static const char *const bad[] = {"", "[", "[]", "[1]", "0x", "0x00", "[256", "\"\"",
	    "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f36231",
	    "0X4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
	    "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f36231g",
	    "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f3623180",
	    ("49W385L4rePHy6PAaQUovbD2aacgN4HsKXSMeUzRg4fmwXszN91JuMFrQRj3vMDpZuRF3ZknQBuRBoWQJEfXs"
	     "t"
	     "M0")};
	static const char *const rows[] = {"[%s]", "[ %s ]", "[%s", "%s]", "[%s,1]", "[%s]]",
	    "[-1,%s]", "[%s] ", "[,%s]", "[%s,]"};
	static const bool good[] = {
	    true, true, false, false, false, false, false, false, false, false};
	char list[300] = "7", text[400];
	uint8_t room[64];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		for (unsigned kind = PAYOUT_EVM; kind <= PAYOUT_SOLANA; kind++)
			assert_int_equal(
			    legacy_secret(room, kind, bad[i], strlen(bad[i])), KE_FORMAT);
	for (int i = 1; i < 64; i++)
		strcat(list, i == 9 ? ", 255" : i == 10 ? " ,0" : ",7");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* the rows are constants of ours */
		char *at = text;
		const char *row = rows[i], *hole = strstr(row, "%s");

		memcpy(at, row, (size_t)(hole - row));
		at += hole - row;
		at += snprintf(at, 320, "%s%s", list, hole + 2);
		assert_int_equal(legacy_secret(room, PAYOUT_SOLANA, text, (size_t)(at - text)),
		    good[i] ? KE_OK : KE_FORMAT);
	}
	assert_int_equal(room[9], 255);
	snprintf(text, sizeof text, "[%.*s,256]", (int)(strlen(list) - 2), list);
	assert_int_equal(legacy_secret(room, PAYOUT_SOLANA, text, strlen(text)), KE_FORMAT);
	snprintf(text, sizeof text, "[%.*s,07]", (int)(strlen(list) - 2), list);
	assert_int_equal(legacy_secret(room, PAYOUT_SOLANA, text, strlen(text)), KE_FORMAT);
}

static int setup(void **state)
{
	(void)state;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_insides),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
