/*
 * Base58 against the vectors of draft-msporny-base58-03 and of Bitcoin Core's
 * base58_encode_decode.json, and everything that is no text of a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "policy/base58.h"
#include "policy/text.h"

static const struct {
	const char *hex, *text;
} vectors[] = {
    {"48656c6c6f20576f726c6421", "2NEpo7TZRRrLZSi2U"},
    {"54686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a7920646f672e",
	"USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"},
    {"0000287fb4cd", "11233QC4"},
    {"61", "2g"},
    {"626262", "a3gV"},
    {"73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"},
    {"00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"},
    {"516b6fcd0f", "ABnLTmg"},
    {"572e4794", "3EFU7m"},
    {"10c8511e", "Rt5zm"},
    {"00000000000000000000", "1111111111"},
    /* Solana's system program, and its token program */
    {"0000000000000000000000000000000000000000000000000000000000000000",
	"11111111111111111111111111111111"},
    {"06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9",
	"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"},
};

static void test_vectors(void **state)
{
	uint8_t raw[BASE58_MAX], got[BASE58_MAX];
	char text[BASE58_LEN(BASE58_MAX) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		size_t n = strlen(vectors[i].hex) / 2, len = strlen(vectors[i].text);

		assert_int_equal(text_unhex(raw, n, vectors[i].hex, 2 * n), KE_OK);
		assert_int_equal(base58_put(text, raw, n), len);
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(base58_get(got, n, text, len), KE_OK);
		assert_memory_equal(got, raw, n);
		/* another length is another value */
		assert_int_equal(base58_get(got, n + 1, text, len), KE_FORMAT);
		assert_int_equal(base58_get(got, n - 1, text, len), KE_FORMAT);
	}
	assert_int_equal(base58_put(text, raw, 0), 0);
	assert_int_equal(base58_get(got, 0, "", 0), KE_OK);
}

static void test_edges(void **state)
{
	uint8_t raw[BASE58_MAX], got[BASE58_MAX];
	char text[BASE58_LEN(BASE58_MAX) + 1];

	(void)state;
	for (size_t zeros = 0; zeros <= BASE58_MAX; zeros++) {
		memset(raw, 0xff, sizeof raw);
		memset(raw, 0, zeros);
		size_t len = base58_put(text, raw, sizeof raw);

		assert_true(len <= BASE58_LEN(BASE58_MAX));
		assert_int_equal(base58_get(got, sizeof got, text, len), KE_OK);
		assert_memory_equal(got, raw, sizeof raw);
	}
}

static void test_refused(void **state)
{
	static const char *const wrong[] = {
	    "", "0okenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", /* 0, O, I and l are no digits */
	    "OokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
	    "IokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
	    "lokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
	    " TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
	    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA\n",
	    "1TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", /* another zero in front */
	    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DAA",
	    "okenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "1111111111111111111111111111111",
	    "111111111111111111111111111111111", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
	    "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH", /* 2^256 */
	};
	uint8_t got[32];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(base58_get(got, 32, wrong[i], strlen(wrong[i])), KE_FORMAT);
	assert_int_equal(base58_get(got, 1, "\0", 1), KE_FORMAT);
	/* 2^256 - 1 */
	assert_int_equal(
	    base58_get(got, 32, "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG", 44), KE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
