/*
 * Fuzz target: the old platform's values, keys and what is inside. The first byte says which: a
 * layout, 0x40 a key, 0x80 what is inside. A value that parses must be written again as the very
 * same text, for each has one form; what is inside is a key of one kind of chain only.
 */
#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "policy/legacy.h"
#include "policy/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static size_t append(char *out, size_t at, const void *p, size_t n)
{
	text_b64(out + at, p, n);
	return at + TEXT_B64_LEN(n);
}

static size_t join(uint8_t *out, const struct legacy *l, int tag_first)
{
	memcpy(out, l->iv, l->iv_len);
	memcpy(out + l->iv_len, tag_first ? l->tag : l->text, tag_first ? 16 : l->text_len);
	memcpy(out + l->iv_len + (tag_first ? 16 : l->text_len), tag_first ? l->text : l->tag,
	    tag_first ? l->text_len : 16);
	return l->iv_len + 16 + l->text_len;
}

static void value(unsigned layout, const char *s, size_t n)
{
	uint8_t all[16 + 16 + LEGACY_TEXT_MAX];
	char again[LEGACY_MAX + 64] = "v1:";
	struct legacy l;
	size_t at = 3;

	if (legacy_parse(&l, layout, s, n) != KE_OK)
		return;
	must((l.iv_len == 12 || l.iv_len == 16) && l.text_len > 0 && l.text_len <= LEGACY_TEXT_MAX);
	if (layout == LEGACY_PARTS) {
		at = append(again, at, l.iv, l.iv_len);
		again[at++] = ':';
		at = append(again, at, l.tag, 16);
		again[at++] = ':';
		at = append(again, at, l.text, l.text_len);
	} else {
		at = append(again, at, all,
		    join(all, &l, layout == LEGACY_IV_TAG_TEXT || layout == LEGACY_IV16_TAG_TEXT));
	}
	must(at == n && memcmp(again, s, n) == 0);
}

static void key(const char *s, size_t n)
{
	char hex[65], b64[45];
	uint8_t k[32];

	if (legacy_key(k, s, n) != KE_OK)
		return;
	text_hex(hex, k, 32);
	text_b64(b64, k, 32);
	must(n >= 44);
	for (size_t i = 0; i < 64 && s[43] != '='; i++)
		must(tolower((unsigned char)s[i]) == hex[i]);
	must(s[43] != '=' || memcmp(s, b64, 44) == 0);
}

static void inside(const char *s, size_t n)
{
	uint8_t room[64];
	int evm = legacy_secret(room, PAYOUT_EVM, s, n);
	int solana = legacy_secret(room, PAYOUT_SOLANA, s, n);

	must((evm == KE_FORMAT) == (solana == KE_FORMAT));
	must(evm == KE_FORMAT || (evm == KE_OK) == (solana == KE_RANGE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data + 1;

	if (size == 0 || sodium_init() < 0 || size > 2048)
		return 0;
	if (data[0] >= 0x80)
		inside(s, size - 1);
	else if (data[0] >= 0x40)
		key(s, size - 1);
	else
		value(data[0] % (LEGACY_LAYOUT_COUNT + 1u), s, size - 1);
	return 0;
}
