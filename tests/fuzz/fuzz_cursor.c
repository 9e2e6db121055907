/*
 * Fuzz target: the cursors of lists, which come back from strangers. What is accepted must be
 * exactly what cursor_put() writes for that position.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/cursor.h"

#define SCOPE "raffles/open"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *text, size_t len)
{
	uint8_t pos[CURSOR_POS];
	char again[CURSOR_TEXT];
	size_t n;

	if (cursor_get(SCOPE, text, len, pos, &n) != KE_OK)
		return;
	cursor_put(again, SCOPE, pos, n);
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		abort();
}

/* A position of the fuzzer's choice comes back as it was. */
static void there_and_back(const uint8_t *pos, size_t n)
{
	uint8_t got[CURSOR_POS];
	char text[CURSOR_TEXT];
	size_t len;

	cursor_put(text, SCOPE, pos, n);
	if (text[0] == '\0' ||
	    cursor_get(SCOPE, (const uint8_t *)text, strlen(text), got, &len) != KE_OK ||
	    len != n || memcmp(got, pos, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	there_and_back(data, size < CURSOR_POS ? size : CURSOR_POS);
	return 0;
}
