/*
 * Fuzz target: base58 from strangers (addresses, block hashes). What is accepted must be exactly
 * what base58_put() writes for that value.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base58.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *text, size_t len, size_t n)
{
	char again[BASE58_LEN(BASE58_MAX) + 1];
	uint8_t raw[BASE58_MAX];

	if (base58_get(raw, n, (const char *)text, len) != KE_OK)
		return;
	if (base58_put(again, raw, n) != len || memcmp(again, text, len) != 0)
		abort();
}

/* A value of the fuzzer's choice comes back as it was. */
static void there_and_back(const uint8_t *raw, size_t n)
{
	char text[BASE58_LEN(BASE58_MAX) + 1];
	uint8_t got[BASE58_MAX];
	size_t len = base58_put(text, raw, n);

	if (base58_get(got, n, text, len) != KE_OK || memcmp(got, raw, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size, 32);
	check(data, size, BASE58_MAX);
	there_and_back(data, size < BASE58_MAX ? size : BASE58_MAX);
	return 0;
}
