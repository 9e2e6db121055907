/*
 * The inside of JSON strings: escapes and where a string ends. Pure; trusts nothing.
 */
#include "policy/jsonstr.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/text.h"

/* The code unit of four hex digits, or -1. */
static long hex4(const char *s, size_t n)
{
	long v = 0;

	if (n < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = s[i];

		v *= 16;
		if (c >= '0' && c <= '9')
			v += c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v += (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return v;
}

static size_t utf8_put(char out[4], long c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* \uXXXX at s (the backslash), or a surrogate pair of two of them. */
static size_t unescape_unicode(const char *s, size_t n, size_t *used, char out[4])
{
	long hi = hex4(s + 2, n - 2), lo;

	if (hi <= 0 || (hi >= 0xdc00 && hi <= 0xdfff))
		return 0;
	*used = 6;
	if (hi < 0xd800 || hi > 0xdbff)
		return utf8_put(out, hi);
	if (n < 12 || s[6] != '\\' || s[7] != 'u')
		return 0;
	lo = hex4(s + 8, 4);
	if (lo < 0xdc00 || lo > 0xdfff)
		return 0;
	*used = 12;
	return utf8_put(out, 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00));
}

size_t jsonstr_unescape(const char *s, size_t n, size_t *used, char out[4])
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (n < 2 || s[1] == '\0')
		return 0;
	if (s[1] == 'u')
		return unescape_unicode(s, n, used, out);
	at = strchr(names, s[1]);
	if (at == NULL)
		return 0;
	*used = 2;
	out[0] = values[at - names];
	return 1;
}

#define EACH(c) (UINT64_C(0x0101010101010101) * (c))

/* Is any of eight bytes a quote, a backslash, a control character or not ASCII? */
static bool any_special(uint64_t v)
{
	uint64_t quote = v ^ EACH('"'), back = v ^ EACH('\\');
	uint64_t low = (v - EACH(0x20)) | (quote - EACH(1)) | (back - EACH(1));

	/* A borrow sets a byte's top bit; it can reach a neighbour only when there is a hit. */
	return ((low | v) & EACH(0x80)) != 0;
}

static bool is_special(uint8_t c)
{
	return c == '"' || c == '\\' || c < 0x20 || c >= 0x80;
}

/* Skips ordinary ASCII, eight bytes at a time: nearly all of a proof bundle is that. */
static const char *skip_plain(const char *p, const char *end)
{
	uint64_t v;

	for (; end - p >= 8; p += 8) {
		memcpy(&v, p, 8);
		if (any_special(v))
			break;
	}
	while (p < end && !is_special((uint8_t)*p))
		p++;
	return p;
}

const char *jsonstr_end(const char *p, const char *end, const char **at)
{
	size_t len;
	char out[4];

	for (;;) {
		p = skip_plain(p, end);
		*at = p;
		if (p == end || (uint8_t)*p < 0x20)
			return NULL;
		if (*p == '"')
			return p;
		if (*p != '\\')
			len = text_utf8_len(p, (size_t)(end - p));
		else if (jsonstr_unescape(p, (size_t)(end - p), &len, out) == 0)
			return NULL;
		if (len == 0)
			return NULL;
		p += len;
	}
}
