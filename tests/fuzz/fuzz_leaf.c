/*
 * Fuzz target: ticket leaves and the text forms around them. A leaf that decodes must encode to the
 * same bytes; text that a decoder accepts must be what its encoder writes: one form per value.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/leaf.h"
#include "policy/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void same(const char *a, const char *b, size_t n)
{
	must(strlen(a) == n && memcmp(a, b, n) == 0);
}

static void check_leaf(const uint8_t *data, size_t size)
{
	uint8_t out[LEAF_LEN];
	struct leaf l;

	if (leaf_decode(&l, data, size) != KE_OK)
		return;
	leaf_encode(out, &l);
	must(size == LEAF_LEN && memcmp(out, data, size) == 0);
}

static void check_base64(const char *s, size_t n)
{
	char *bin = malloc(n + 1), *again = malloc(TEXT_B64_LEN(n) + 1);
	size_t len, checked;
	int r;

	must(bin != NULL && again != NULL);
	r = text_unb64(bin, n, &len, s, n);
	must(r == text_unb64(NULL, 0, &checked, s, n));
	if (r == KE_OK) {
		must(len == checked);
		text_b64(again, bin, len);
		same(again, s, n);
		check_leaf((const uint8_t *)bin, len);
	}
	if (text_unb64url(bin, n, &len, s, n) == KE_OK) {
		must(text_b64url(again, n + 1, bin, len) == (int)n);
		same(again, s, n);
	}
	free(bin);
	free(again);
}

static void check_short(const char *s, size_t n)
{
	uint8_t bin[32];
	char again[80];
	uint64_t v;

	if (text_unuuid(bin, s, n) == KE_OK) {
		text_uuid(again, bin);
		same(again, s, n);
	}
	if (text_unu64(&v, s, n) == KE_OK) {
		text_u64(again, v);
		same(again, s, n);
	}
	if (n <= 64 && text_unhex(bin, n / 2, s, n) == KE_OK) {
		text_hex(again, bin, n / 2);
		same(again, s, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_leaf(data, size);
	check_base64((const char *)data, size);
	check_short((const char *)data, size);
	return 0;
}
