/*
 * Text forms of bytes, ids, times and UTF-8. Pure; linked into every process, and trusts none of
 * the text it reads.
 */
#include "policy/text.h"

#include <string.h>

static const char hex_digit[16] = {
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

void text_hex(char *dst, const void *src, size_t n)
{
	const uint8_t *p = src;

	for (size_t i = 0; i < n; i++) {
		*dst++ = hex_digit[p[i] >> 4];
		*dst++ = hex_digit[p[i] & 15];
	}
	*dst = '\0';
}

/* 0 … 15, or 16 for what is no lower-case hex digit. */
static unsigned hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return 16;
}

int text_unhex(void *dst, size_t n, const char *s, size_t len)
{
	uint8_t *d = dst;

	if (len % 2 != 0 || len / 2 != n)
		return KE_FORMAT;
	for (size_t i = 0; i < n; i++) {
		unsigned hi = hex_value(s[2 * i]), lo = hex_value(s[2 * i + 1]);

		if (hi > 15 || lo > 15)
			return KE_FORMAT;
		d[i] = (uint8_t)(hi << 4 | lo);
	}
	return KE_OK;
}

/* --- base64 --- */

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char alphabet_std[] = ALNUM "+/";
static const char alphabet_url[] = ALNUM "-_";

/* Value plus one of each character; 0: not of the alphabet. Both alphabets share all but two. */
#define VALUES_SHARED                                                                              \
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,    \
	['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15,         \
	['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,        \
	['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29,        \
	['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,        \
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43,        \
	['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,        \
	['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,        \
	['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62
static const uint8_t value_std[256] = {VALUES_SHARED, ['+'] = 63, ['/'] = 64};
static const uint8_t value_url[256] = {VALUES_SHARED, ['-'] = 63, ['_'] = 64};

/* Writes the characters of n bytes without padding; returns the end. */
static char *encode(char *d, const uint8_t *p, size_t n, const char *alphabet)
{
	for (; n >= 3; n -= 3, p += 3) {
		*d++ = alphabet[p[0] >> 2];
		*d++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		*d++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		*d++ = alphabet[p[2] & 63];
	}
	if (n == 0)
		return d;
	*d++ = alphabet[p[0] >> 2];
	if (n == 1) {
		*d++ = alphabet[(p[0] & 3) << 4];
		return d;
	}
	*d++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
	*d++ = alphabet[(p[1] & 15) << 2];
	return d;
}

/* The last two or three characters of an unpadded text, whose spare bits must be zero. */
static int decode_tail(uint8_t *d, const char *s, size_t len, const uint8_t *value)
{
	const uint8_t *c = (const uint8_t *)s;
	uint32_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[c[i]] == 0)
			return KE_FORMAT;
		v = v << 6 | (uint32_t)(value[c[i]] - 1);
	}
	if (len == 2) {
		d[0] = (uint8_t)(v >> 4);
		return (v & 15) == 0 ? KE_OK : KE_FORMAT;
	}
	d[0] = (uint8_t)(v >> 10);
	d[1] = (uint8_t)(v >> 2);
	return (v & 3) == 0 ? KE_OK : KE_FORMAT;
}

/* Decodes an unpadded text; only checks it when dst is NULL. */
static int decode(
    uint8_t *dst, size_t cap, size_t *n, const char *s, size_t len, const uint8_t *value)
{
	const uint8_t *c = (const uint8_t *)s, *last = c + len / 4 * 4;
	size_t spare = len % 4, size = len / 4 * 3 + (spare > 0 ? spare - 1 : 0);
	uint8_t three[3], *d = dst;

	if (spare == 1)
		return KE_FORMAT;
	if (dst != NULL && size > cap)
		return KE_FULL;
	for (; c < last; c += 4) {
		uint32_t a = value[c[0]], b = value[c[1]], e = value[c[2]], f = value[c[3]];
		uint32_t v = (a - 1) << 18 | (b - 1) << 12 | (e - 1) << 6 | (f - 1);

		/* A zero (no such character) minus one sets the bits above the 24. */
		if (v >> 24 != 0)
			return KE_FORMAT;
		if (dst == NULL)
			continue;
		*d++ = (uint8_t)(v >> 16);
		*d++ = (uint8_t)(v >> 8);
		*d++ = (uint8_t)v;
	}
	if (spare != 0 && decode_tail(three, (const char *)last, spare, value) != KE_OK)
		return KE_FORMAT;
	if (spare != 0 && dst != NULL)
		memcpy(d, three, spare - 1);
	if (n != NULL)
		*n = size;
	return KE_OK;
}

void text_b64(char *dst, const void *src, size_t n)
{
	char *d = encode(dst, src, n, alphabet_std);

	while ((d - dst) % 4 != 0)
		*d++ = '=';
	*d = '\0';
}

int text_unb64(void *dst, size_t cap, size_t *n, const char *s, size_t len)
{
	if (len % 4 != 0)
		return KE_FORMAT;
	for (int pad = 0; pad < 2 && len > 0 && s[len - 1] == '='; pad++)
		len--;
	return decode(dst, cap, n, s, len, value_std);
}

int text_b64url(char *dst, size_t cap, const void *src, size_t n)
{
	size_t len = n / 3 * 4 + (n % 3 != 0 ? n % 3 + 1 : 0);

	if (len >= cap || len > INT32_MAX)
		return KE_FULL;
	*encode(dst, src, n, alphabet_url) = '\0';
	return (int)len;
}

int text_unb64url(void *dst, size_t cap, size_t *n, const char *s, size_t len)
{
	return decode(dst, cap, n, s, len, value_url);
}

/* --- UUID --- */

/* Where the dashes stand: after these bytes. */
static bool dash_after(size_t byte)
{
	return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

void text_uuid(char *dst, const uint8_t id[16])
{
	for (size_t i = 0; i < 16; i++) {
		text_hex(dst, id + i, 1);
		dst += 2;
		if (dash_after(i))
			*dst++ = '-';
	}
	*dst = '\0';
}

int text_unuuid(uint8_t id[16], const char *s, size_t len)
{
	if (len != 36)
		return KE_FORMAT;
	for (size_t i = 0; i < 16; i++) {
		if (text_unhex(id + i, 1, s, 2) != KE_OK)
			return KE_FORMAT;
		s += 2;
		if (dash_after(i) && *s++ != '-')
			return KE_FORMAT;
	}
	return KE_OK;
}

void text_uuid7(uint8_t id[16], int64_t unix_ms, const uint8_t rnd[10])
{
	uint64_t t = (uint64_t)unix_ms;

	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(t >> (40 - 8 * i));
	memcpy(id + 6, rnd, 10);
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x70);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

/* --- time --- */

#define TIME_LAST_MS INT64_C(253402300799999) /* the end of the year 9999 */

/* v as `width` decimal digits; returns the end. */
static char *digits(char *d, int64_t v, int width)
{
	for (int i = width - 1; i >= 0; i--, v /= 10)
		d[i] = (char)('0' + v % 10);
	return d + width;
}

static bool leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* By hand: gmtime_r() may read the time zone's files, which a sandboxed process cannot. */
static void civil(int64_t day, int64_t *year, int64_t *month, int64_t *mday)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	*year = 1970;
	while (day >= 365 + leap(*year)) {
		day -= 365 + leap(*year);
		(*year)++;
	}
	*month = 0;
	while (day >= days[*month] + (*month == 1 && leap(*year))) {
		day -= days[*month] + (*month == 1 && leap(*year));
		(*month)++;
	}
	(*month)++;
	*mday = day + 1;
}

void text_time(char dst[25], int64_t unix_ms)
{
	int64_t year, month, mday, ms;
	char *d = dst;

	if (unix_ms < 0)
		unix_ms = 0;
	if (unix_ms > TIME_LAST_MS)
		unix_ms = TIME_LAST_MS;
	civil(unix_ms / 86400000, &year, &month, &mday);
	ms = unix_ms % 86400000;
	d = digits(d, year, 4);
	*d++ = '-';
	d = digits(d, month, 2);
	*d++ = '-';
	d = digits(d, mday, 2);
	*d++ = 'T';
	d = digits(d, ms / 3600000, 2);
	*d++ = ':';
	d = digits(d, ms / 60000 % 60, 2);
	*d++ = ':';
	d = digits(d, ms / 1000 % 60, 2);
	*d++ = '.';
	d = digits(d, ms % 1000, 3);
	*d++ = 'Z';
	*d = '\0';
}

static int64_t leaps_before(int64_t year)
{
	int64_t last = year - 1;

	return last / 4 - last / 100 + last / 400;
}

/* The number that n digits say; -1 when one is none. */
static int64_t undigits(const char *s, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	return (int64_t)v;
}

int text_untime(int64_t *unix_ms, const char *s, size_t len)
{
	static const int16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t year, month, day, ms;
	char again[25];

	if (len != 24)
		return KE_FORMAT;
	year = undigits(s, 4);
	month = undigits(s + 5, 2);
	day = undigits(s + 8, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1)
		return KE_FORMAT;
	day +=
	    (year - 1970) * 365 + leaps_before(year) - leaps_before(1970) + before[month - 1] - 1;
	day += month > 2 && leap(year);
	ms = undigits(s + 11, 2) * 3600000 + undigits(s + 14, 2) * 60000 +
	     undigits(s + 17, 2) * 1000 + undigits(s + 20, 3);
	*unix_ms = day * 86400000 + ms;
	/* one form per value: what would be written otherwise, or holds something else, is none */
	text_time(again, *unix_ms);
	return memcmp(again, s, 24) == 0 ? KE_OK : KE_FORMAT;
}

/* --- UTF-8 --- */

static bool continues(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

size_t text_utf8_len(const void *s, size_t n)
{
	const uint8_t *p = s;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (n < 2 || !continues(p[1]) || p[0] < 0xc2)
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (n < 3 || !continues(p[2]))
		return 0;
	if (p[0] < 0xf0) {
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
		bool surrogate = p[0] == 0xed && p[1] >= 0xa0;

		return overlong || surrogate ? 0 : 3;
	}
	if (n < 4 || !continues(p[3]))
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90) || p[0] > 0xf4)
		return 0;
	return 4;
}

int text_utf8(const void *s, size_t n)
{
	const uint8_t *p = s, *end = p + n;

	while (p < end) {
		size_t len = text_utf8_len(p, (size_t)(end - p));

		if (len == 0)
			return KE_FORMAT;
		p += len;
	}
	return KE_OK;
}

/* --- decimal --- */

size_t text_u64(char dst[TEXT_U64_MAX + 1], uint64_t v)
{
	char tmp[TEXT_U64_MAX];
	size_t n = 0;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	for (size_t i = 0; i < n; i++)
		dst[i] = tmp[n - 1 - i];
	dst[n] = '\0';
	return n;
}

int text_unu64(uint64_t *v, const char *s, size_t len)
{
	uint64_t x = 0;

	if (len == 0 || len > TEXT_U64_MAX || (s[0] == '0' && len > 1))
		return KE_FORMAT;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return KE_FORMAT;
		if (__builtin_mul_overflow(x, 10U, &x) ||
		    __builtin_add_overflow(x, (uint64_t)(s[i] - '0'), &x))
			return KE_FORMAT;
	}
	*v = x;
	return KE_OK;
}
