/*
 * What must not leave the house: see redact.h. A line is cut into words of the characters that
 * addresses, ids and tokens are made of, and each word is judged by itself.
 */
#include "policy/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define SECRET_LEN 20
#define NUMBER_LEN 9

static bool in_word(char c)
{
	return isalnum((unsigned char)c) ||
	       (c != '\0' && strchr("._%+@-:~=!#$&*^`{|}'", c) != NULL);
}

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c) != 0;
}

/* Something on both sides of an @. */
static bool is_email(const char *s, size_t n)
{
	return n >= 3 && memchr(s + 1, '@', n - 2) != NULL;
}

/* Anywhere in the word: an id has something before or behind it now and then. */
static bool has_uuid(const char *s, size_t n)
{
	for (size_t i = 0; i + 36 <= n; i++) {
		size_t k = 0;

		while (k < 36 && (k == 8 || k == 13 || k == 18 || k == 23 ? s[i + k] == '-'
									  : is_hex(s[i + k])))
			k++;
		if (k == 36)
			return true;
	}
	return false;
}

/* Four numbers with dots between, a port behind them or not; or hex groups with two colons. */
static bool is_address(const char *s, size_t n)
{
	size_t dots = 0, colons = 0, hex = 0, digits = 0;

	for (size_t i = 0; i < n; i++) {
		dots += s[i] == '.';
		colons += s[i] == ':';
		hex += is_hex(s[i]);
		digits += isdigit((unsigned char)s[i]) != 0;
	}
	if (dots == 3 && colons <= 1 && dots + colons + digits == n && digits >= 4)
		return true;
	return colons >= 2 && hex > 0 && dots + colons + hex == n &&
	       (memmem(s, n, "::", 2) != NULL || colons >= 6);
}

static bool has_number(const char *s, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < n && run < NUMBER_LEN; i++)
		run = isdigit((unsigned char)s[i]) ? run + 1 : 0;
	return run >= NUMBER_LEN;
}

/* Letters and digits mixed, as in hex, base64 and tokens; names of files and programs are shorter
 * or have no digits. */
static bool is_secret(const char *s, size_t n)
{
	size_t run = 0, digits = 0, letters = 0;

	for (size_t i = 0; i < n; i++) {
		bool digit = isdigit((unsigned char)s[i]), letter = isalpha((unsigned char)s[i]);

		if (!digit && !letter && s[i] != '_' && s[i] != '-') {
			run = digits = letters = 0;
			continue;
		}
		run++;
		digits += digit;
		letters += letter;
		if (run >= SECRET_LEN && digits > 0 && letters > 0)
			return true;
	}
	return false;
}

/* The mark for a word, NULL when it may stay. */
static const char *mark(const char *s, size_t n)
{
	if (is_email(s, n))
		return "<email>";
	if (has_uuid(s, n))
		return "<id>";
	if (is_address(s, n))
		return "<address>";
	if (has_number(s, n))
		return "<number>";
	return is_secret(s, n) ? "<secret>" : NULL;
}

static size_t put_word(char *out, const char *s, size_t n)
{
	const char *m = mark(s, n);

	if (m == NULL) {
		memcpy(out, s, n);
		return n;
	}
	memcpy(out, m, strlen(m));
	return strlen(m);
}

size_t redact_line(char *out, const char *in, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t word = 0;

		while (i + word < n && in_word(in[i + word]))
			word++;
		if (word > 0) {
			len += put_word(out + len, in + i, word);
			i += word;
			continue;
		}
		out[len++] = (char)(in[i] >= ' ' && in[i] <= '~' ? in[i] : '?');
		i++;
	}
	out[len] = '\0';
	return len;
}
