/*
 * Cursors: see cursor.h. Runs in engine.
 */
#include "daemon/engine/cursor.h"

#include <stdio.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/text.h"

static void check_of(const char *scope, const void *pos, size_t n, uint8_t out[32])
{
	char head[16 + CURSOR_SCOPE];
	int len = snprintf(head, sizeof head, "klero-cursor %s", scope);

	/* the final NUL belongs to it: it ends the scope */
	hash_sha256_2(out, head, (size_t)len + 1, pos, n);
}

void cursor_put(char out[CURSOR_TEXT], const char *scope, const void *pos, size_t n)
{
	uint8_t raw[CURSOR_POS + CURSOR_CHECK], check[32];

	check_of(scope, pos, n, check);
	memcpy(raw, pos, n);
	memcpy(raw + n, check, CURSOR_CHECK);
	if (text_b64url(out, CURSOR_TEXT, raw, n + CURSOR_CHECK) < 0)
		out[0] = '\0';
}

int cursor_get(
    const char *scope, const uint8_t *text, size_t len, uint8_t pos[CURSOR_POS], size_t *n)
{
	uint8_t raw[CURSOR_POS + CURSOR_CHECK], check[32];
	size_t got;

	if (text_unb64url(raw, sizeof raw, &got, (const char *)text, len) != KE_OK ||
	    got < CURSOR_CHECK)
		return KE_FORMAT;
	got -= CURSOR_CHECK;
	check_of(scope, raw, got, check);
	if (memcmp(raw + got, check, CURSOR_CHECK) != 0)
		return KE_FORMAT;
	memcpy(pos, raw, got);
	*n = got;
	return KE_OK;
}
