/*
 * The old platform's deposit keys: see legacy.h.
 */
#include "policy/legacy.h"

#include <sodium.h>
#include <string.h>

#include "policy/base58.h"
#include "policy/text.h"

#define PREFIX "v1:"
#define TAG    16

const char *const legacy_words[LEGACY_LAYOUT_COUNT] = {
#define X(name, word) word,
    LEGACY_LAYOUTS(X)
#undef X
};

/* --- the value --- */

static int parse_one(struct legacy *l, unsigned layout, const char *s, size_t n)
{
	bool tag_first = layout == LEGACY_IV_TAG_TEXT || layout == LEGACY_IV16_TAG_TEXT;
	uint8_t all[16 + TAG + LEGACY_TEXT_MAX], *rest;
	size_t len;

	l->iv_len = layout == LEGACY_IV_TAG_TEXT || layout == LEGACY_IV_TEXT_TAG ? 12 : 16;
	if (text_unb64(all, sizeof all, &len, s, n) != KE_OK || len <= l->iv_len + TAG ||
	    len - l->iv_len - TAG > sizeof l->text)
		return KE_FORMAT;
	l->text_len = len - l->iv_len - TAG;
	rest = all + l->iv_len;
	memcpy(l->iv, all, l->iv_len);
	memcpy(l->tag, tag_first ? rest : rest + l->text_len, TAG);
	memcpy(l->text, tag_first ? rest + TAG : rest, l->text_len);
	return KE_OK;
}

static int parse_parts(struct legacy *l, const char *s, size_t n)
{
	const char *end = s + n, *tag = memchr(s, ':', n), *text;
	size_t len;

	text = tag != NULL ? memchr(tag + 1, ':', (size_t)(end - tag - 1)) : NULL;
	if (text == NULL)
		return KE_FORMAT;
	if (text_unb64(l->iv, sizeof l->iv, &l->iv_len, s, (size_t)(tag - s)) != KE_OK ||
	    (l->iv_len != 12 && l->iv_len != 16))
		return KE_FORMAT;
	if (text_unb64(l->tag, TAG, &len, tag + 1, (size_t)(text - tag - 1)) != KE_OK || len != TAG)
		return KE_FORMAT;
	if (text_unb64(l->text, sizeof l->text, &l->text_len, text + 1, (size_t)(end - text - 1)) !=
		KE_OK ||
	    l->text_len == 0)
		return KE_FORMAT;
	return KE_OK;
}

int legacy_parse(struct legacy *l, unsigned layout, const char *s, size_t n)
{
	size_t head = strlen(PREFIX);

	if (layout >= LEGACY_LAYOUT_COUNT || n > LEGACY_MAX)
		return KE_FORMAT;
	if (n < head || memcmp(s, PREFIX, head) != 0)
		return KE_VERSION;
	if (layout == LEGACY_PARTS)
		return parse_parts(l, s + head, n - head);
	return parse_one(l, layout, s + head, n - head);
}

/* --- its key, and what is inside: by libsodium, for secrets --- */

static int unhex(uint8_t out[32], const char *s, size_t n)
{
	size_t len = 0;

	if (n != 64 || sodium_hex2bin(out, 32, s, n, NULL, &len, NULL) != 0 || len != 32)
		return KE_FORMAT;
	return KE_OK;
}

int legacy_key(uint8_t key[LEGACY_KEY_LEN], const char *s, size_t n)
{
	char again[sodium_base64_ENCODED_LEN(LEGACY_KEY_LEN, sodium_base64_VARIANT_ORIGINAL)];
	size_t len = 0;
	int r = KE_FORMAT;

	if (n > 0 && s[n - 1] == '\n')
		n--;
	if (n > 0 && s[n - 1] == '\r')
		n--;
	if (n == 64)
		return unhex(key, s, n);
	if (n == sizeof again - 1 &&
	    sodium_base642bin(
		key, LEGACY_KEY_LEN, s, n, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    len == LEGACY_KEY_LEN) {
		/* one text for each key: spare bits are zero */
		sodium_bin2base64(
		    again, sizeof again, key, LEGACY_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
		r = sodium_memcmp(again, s, n) == 0 ? KE_OK : KE_FORMAT;
	}
	sodium_memzero(again, sizeof again);
	return r;
}

/* A number from 0 to 255 without a leading zero at *s; what follows it. */
static int byte(const char **s, const char *end, uint8_t *out)
{
	const char *start = *s;
	unsigned v = 0;

	while (*s < end && **s >= '0' && **s <= '9' && *s - start < 3)
		v = v * 10 + (unsigned)(*(*s)++ - '0');
	if (*s == start || v > 255 || (*start == '0' && *s - start > 1))
		return KE_FORMAT;
	*out = (uint8_t)v;
	return KE_OK;
}

static void blanks(const char **s, const char *end)
{
	while (*s < end && **s == ' ')
		(*s)++;
}

/* [1,2,…] of 64 numbers, blanks around them */
static int unarray(uint8_t room[64], const char *s, size_t n)
{
	const char *end = s + n;

	for (size_t i = 0; i < 64; i++) {
		if (s == end || *s++ != (i == 0 ? '[' : ','))
			return KE_FORMAT;
		blanks(&s, end);
		if (byte(&s, end, &room[i]) != KE_OK)
			return KE_FORMAT;
		blanks(&s, end);
	}
	return end - s == 1 && *s == ']' ? KE_OK : KE_FORMAT;
}

int legacy_secret(uint8_t room[64], unsigned kind, const char *s, size_t n)
{
	bool x = n == 66 && s[0] == '0' && s[1] == 'x';
	unsigned found = PAYOUT_SOLANA;
	int r;

	/* 64 digits of base58 would be 46 bytes, and 66 with 0x are none of base58 */
	if (x || n == 64) {
		found = PAYOUT_EVM;
		r = unhex(room, x ? s + 2 : s, 64);
	} else if (n > 0 && s[0] == '[') {
		r = unarray(room, s, n);
	} else {
		r = base58_get(room, 64, s, n);
	}
	if (r != KE_OK)
		return KE_FORMAT;
	return found == kind ? KE_OK : KE_RANGE;
}
