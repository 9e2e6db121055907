/*
 * Values of header fields: see hdr.h. Runs in net; trusts nothing that it is given.
 */
#include "daemon/net/hdr.h"

#include <string.h>

/* Classes of a byte, one bit each. */
enum { TCHAR = 1, VALUE = 2, PCHAR = 4, TOKEN68 = 8, HOST = 16, DIGIT = 32, HEX = 64 };

#define ALNUM (TCHAR | VALUE | PCHAR | TOKEN68 | HOST)

static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TCHAR | VALUE | PCHAR,
    ['"'] = VALUE,
    ['#'] = TCHAR | VALUE,
    ['$'] = TCHAR | VALUE | PCHAR,
    ['%'] = TCHAR | VALUE,
    ['&'] = TCHAR | VALUE | PCHAR,
    ['\''] = TCHAR | VALUE | PCHAR,
    ['('] = VALUE | PCHAR,
    [')'] = VALUE | PCHAR,
    ['*'] = TCHAR | VALUE | PCHAR,
    ['+'] = TCHAR | VALUE | PCHAR | TOKEN68,
    [','] = VALUE | PCHAR,
    ['-'] = TCHAR | VALUE | PCHAR | TOKEN68 | HOST,
    ['.'] = TCHAR | VALUE | PCHAR | TOKEN68 | HOST,
    ['/'] = VALUE | TOKEN68,
    ['0' ... '9'] = ALNUM | DIGIT | HEX,
    [':'] = VALUE | PCHAR,
    [';'] = VALUE | PCHAR,
    ['<'] = VALUE,
    ['='] = VALUE | PCHAR,
    ['>'] = VALUE,
    ['?'] = VALUE,
    ['@'] = VALUE | PCHAR,
    ['A' ... 'F'] = ALNUM | HEX,
    ['G' ... 'Z'] = ALNUM,
    ['['] = VALUE,
    ['\\'] = VALUE,
    [']'] = VALUE,
    ['^'] = TCHAR | VALUE,
    ['_'] = TCHAR | VALUE | PCHAR | TOKEN68 | HOST,
    ['`'] = TCHAR | VALUE,
    ['a' ... 'f'] = ALNUM | HEX,
    ['g' ... 'z'] = ALNUM,
    ['{'] = VALUE,
    ['|'] = TCHAR | VALUE,
    ['}'] = VALUE,
    ['~'] = TCHAR | VALUE | PCHAR | TOKEN68,
    [0x80 ... 0xff] = VALUE,
};

static bool is(uint8_t c, uint8_t class)
{
	return (classes[c] & class) != 0;
}

bool hdr_is_tchar(uint8_t c)
{
	return is(c, TCHAR);
}

bool hdr_is_value(uint8_t c)
{
	return is(c, VALUE);
}

bool hdr_is_pchar(uint8_t c)
{
	return is(c, PCHAR);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool hdr_same(const uint8_t *p, size_t n, const uint8_t *q, size_t m)
{
	if (n != m)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(p[i]) != lower(q[i]))
			return false;
	return true;
}

bool hdr_equal(const uint8_t *p, size_t n, const char *s)
{
	return hdr_same(p, n, (const uint8_t *)s, strlen(s));
}

static void trim(const uint8_t **p, size_t *n)
{
	while (*n > 0 && (**p == ' ' || **p == '\t')) {
		(*p)++;
		(*n)--;
	}
	while (*n > 0 && ((*p)[*n - 1] == ' ' || (*p)[*n - 1] == '\t'))
		(*n)--;
}

/* Cuts the part before the next separator off the front; false when nothing is left. */
static bool cut(const uint8_t **p, size_t *n, char sep, const uint8_t **part, size_t *len)
{
	const uint8_t *at;

	if (*p == NULL)
		return false;
	at = memchr(*p, sep, *n);
	*part = *p;
	*len = at != NULL ? (size_t)(at - *p) : *n;
	if (at != NULL) {
		*n -= *len + 1;
		*p = at + 1;
	} else {
		*p = NULL;
	}
	trim(part, len);
	return true;
}

bool hdr_lists(const uint8_t *p, size_t n, const char *s)
{
	const uint8_t *part;
	size_t len;

	while (cut(&p, &n, ',', &part, &len))
		if (hdr_equal(part, len, s))
			return true;
	return false;
}

static bool all(const uint8_t *p, size_t n, uint8_t class)
{
	for (size_t i = 0; i < n; i++)
		if (!is(p[i], class))
			return false;
	return true;
}

bool hdr_host_ok(const uint8_t *p, size_t n)
{
	const uint8_t *colon;
	size_t host = n;

	if (n > 0 && p[0] == '[') {
		const uint8_t *end = memchr(p, ']', n);

		if (end == NULL || end == p + 1)
			return false;
		for (const uint8_t *c = p + 1; c < end; c++)
			if (!is(*c, HEX) && *c != ':' && *c != '.')
				return false;
		host = (size_t)(end + 1 - p);
		colon = host < n && p[host] == ':' ? p + host : NULL;
		if (host < n && colon == NULL)
			return false;
	} else {
		colon = memchr(p, ':', n);
		if (colon != NULL)
			host = (size_t)(colon - p);
		if (host == 0 || host > 253 || !all(p, host, HOST))
			return false;
	}
	if (colon == NULL)
		return true;
	n -= host + 1;
	return n >= 1 && n <= 5 && all(colon + 1, n, DIGIT);
}

bool hdr_target_ok(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is(p[i], PCHAR) || p[i] == '/' || p[i] == '?')
			continue;
		if (p[i] != '%' || n - i < 3 || !is(p[i + 1], HEX) || !is(p[i + 2], HEX))
			return false;
		i += 2;
	}
	return true;
}

int hdr_bearer(const uint8_t *p, size_t n, const uint8_t **token, size_t *token_len)
{
	static const size_t scheme = sizeof "bearer " - 1;
	size_t end = n;

	if (n <= scheme || n > scheme + HDR_TOKEN_MAX || !hdr_equal(p, scheme, "bearer "))
		return KE_FORMAT;
	while (end > scheme && p[end - 1] == '=')
		end--;
	if (end == scheme || !all(p + scheme, end - scheme, TOKEN68))
		return KE_FORMAT;
	*token = p + scheme;
	*token_len = n - scheme;
	return KE_OK;
}

bool hdr_is_json(const uint8_t *p, size_t n)
{
	const uint8_t *part;
	size_t len;

	if (!cut(&p, &n, ';', &part, &len) || !hdr_equal(part, len, "application/json"))
		return false;
	while (cut(&p, &n, ';', &part, &len))
		if (len != 0 && !hdr_equal(part, len, "charset=utf-8") &&
		    !hdr_equal(part, len, "charset=\"utf-8\""))
			return false;
	return true;
}

/* Is a weight parameter zero: q=0, q=0.0, q=0.00, q=0.000? */
static bool weight_zero(const uint8_t *p, size_t n)
{
	if (n < 3 || lower(p[0]) != 'q' || p[1] != '=' || p[2] != '0')
		return false;
	for (size_t i = 3; i < n; i++)
		if (p[i] != '.' && p[i] != '0')
			return false;
	return true;
}

/* How closely a media range names "main/sub": 3 in full, 2 as main slash star, 1 as any; 0 not. */
static int range_rank(const uint8_t *p, size_t n, const char *type)
{
	size_t main_len = (size_t)(strchr(type, '/') + 1 - type);

	if (hdr_equal(p, n, type))
		return 3;
	if (hdr_equal(p, n, "*/*"))
		return 1;
	if (n != main_len + 1 || p[main_len] != '*')
		return 0;
	return hdr_same(p, main_len, (const uint8_t *)type, main_len) ? 2 : 0;
}

enum hdr_accept hdr_accepts(const uint8_t *p, size_t n, const char *type)
{
	enum hdr_accept said = HDR_UNNAMED;
	const uint8_t *range, *part;
	size_t range_len, len;
	int closest = 1;

	while (cut(&p, &n, ',', &range, &range_len)) {
		bool zero = false;
		int rank;

		if (!cut(&range, &range_len, ';', &part, &len))
			continue;
		rank = range_rank(part, len, type);
		while (cut(&range, &range_len, ';', &part, &len))
			zero = zero || weight_zero(part, len);
		if (rank < closest || (rank == closest && said == HDR_ACCEPTED))
			continue;
		closest = rank;
		said = zero ? HDR_REFUSED : HDR_ACCEPTED;
	}
	return said;
}

int hdr_idem(const uint8_t *p, size_t n, const uint8_t **key, size_t *key_len)
{
	uint8_t low = '!';

	if (n >= 2 && p[0] == '"' && p[n - 1] == '"') {
		p++;
		n -= 2;
		low = ' ';
	}
	if (n == 0 || n > HDR_IDEM_MAX)
		return KE_FORMAT;
	for (size_t i = 0; i < n; i++)
		if (p[i] < low || p[i] > '~' || p[i] == '"' || p[i] == '\\')
			return KE_FORMAT;
	*key = p;
	*key_len = n;
	return KE_OK;
}

int hdr_version(const uint8_t *p, size_t n, int64_t *version)
{
	int64_t v = 0;

	/* 16 digits hold 2^53 - 1, the largest version that JSON can carry */
	if (n < 4 || n > 3 + 16 || p[0] != '"' || p[1] != 'v' || p[n - 1] != '"' || p[2] == '0')
		return KE_FORMAT;
	for (size_t i = 2; i < n - 1; i++) {
		if (!is(p[i], DIGIT))
			return KE_FORMAT;
		v = v * 10 + (p[i] - '0');
	}
	*version = v;
	return KE_OK;
}
