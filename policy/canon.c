/*
 * Canonical texts, both ways: see canon.h.
 */
#include "policy/canon.h"

#include <string.h>

#include "policy/text.h"

void canon_fail(struct canon *io, int err)
{
	if (io->err == KE_OK)
		io->err = err;
}

/* n bytes from p, or n bytes into p. */
void canon_raw(struct canon *io, void *p, size_t n)
{
	if (io->err == KE_OK && n > io->cap - io->len)
		canon_fail(io, io->out != NULL ? KE_FULL : KE_FORMAT);
	if (io->err != KE_OK || n == 0)
		return;
	if (io->out != NULL)
		memcpy(io->out + io->len, p, n);
	else
		memcpy(p, io->in + io->len, n);
	io->len += n;
}

void canon_uint(struct canon *io, uint64_t *v, size_t size)
{
	uint8_t b[8] = {0};

	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)(*v >> (8 * i));
	canon_raw(io, b, size);
	if (!canon_reads(io))
		return;
	*v = 0;
	for (size_t i = 0; i < size; i++)
		*v |= (uint64_t)b[i] << (8 * i);
}

bool canon_at(const struct canon *io, const char *s)
{
	size_t n = strlen(s);

	return io->err == KE_OK && n <= io->cap - io->len && memcmp(io->in + io->len, s, n) == 0;
}

/* Exactly these characters. */
void canon_lit(struct canon *io, const char *s)
{
	size_t n = strlen(s);

	if (io->out == NULL) {
		if (!canon_at(io, s))
			canon_fail(io, KE_FORMAT);
		else
			io->len += n;
		return;
	}
	if (io->err == KE_OK && n > io->cap - io->len)
		canon_fail(io, KE_FULL);
	if (io->err != KE_OK)
		return;
	memcpy(io->out + io->len, s, n);
	io->len += n;
}

bool canon_more(struct canon *io, const char *name, size_t i, size_t n, size_t max)
{
	if (io->err != KE_OK)
		return false;
	if (!canon_reads(io))
		return i < n;
	if (!canon_at(io, name))
		return false;
	if (i == max)
		canon_fail(io, KE_FORMAT);
	return i < max;
}

/* How many characters there are up to the next space or LF. */
size_t canon_word(const struct canon *io)
{
	size_t i = io->len;

	while (io->err == KE_OK && i < io->cap && io->in[i] != ' ' && io->in[i] != '\n')
		i++;
	return i - io->len;
}

static bool name_char(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return !first && c != '\0' && strchr("-._@", c) != NULL;
}

static bool name_ok(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!name_char(s[i], i == 0))
			return false;
	return n > 0;
}

void canon_name(struct canon *io, char *word, size_t cap)
{
	size_t n;

	if (!canon_reads(io)) {
		if (!name_ok(word, strlen(word)))
			canon_fail(io, KE_FORMAT);
		canon_lit(io, word);
		return;
	}
	n = canon_word(io);
	if (n >= cap || !name_ok((const char *)io->in + io->len, n)) {
		canon_fail(io, KE_FORMAT);
		return;
	}
	memcpy(word, io->in + io->len, n);
	word[n] = '\0';
	io->len += n;
}

void canon_visible(struct canon *io, char *word, size_t cap)
{
	size_t n = canon_reads(io) ? canon_word(io) : strlen(word);

	if (n == 0 || n >= cap) {
		canon_fail(io, KE_FORMAT);
		return;
	}
	canon_raw(io, word, n);
	if (io->err != KE_OK)
		return;
	word[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (word[i] <= ' ' || word[i] > '~' || word[i] == '+')
			canon_fail(io, KE_FORMAT);
}

void canon_choice(struct canon *io, const char *const *words, unsigned n, unsigned *choice)
{
	size_t len;

	if (!canon_reads(io)) {
		canon_lit(io, words[*choice]);
		return;
	}
	len = canon_word(io);
	for (unsigned i = 0; i < n; i++) {
		if (strlen(words[i]) == len && canon_at(io, words[i])) {
			*choice = i;
			io->len += len;
			return;
		}
	}
	canon_fail(io, KE_FORMAT);
}

void canon_b64(struct canon *io, uint8_t *p, size_t cap, size_t *n)
{
	char b64[TEXT_B64_LEN(CANON_B64_MAX) + 1];
	size_t len;

	if (!canon_reads(io)) {
		text_b64(b64, p, *n);
		canon_lit(io, b64);
		return;
	}
	len = canon_word(io);
	if (len == 0 || text_unb64(p, cap, n, (const char *)io->in + io->len, len) != KE_OK)
		canon_fail(io, KE_FORMAT);
	else
		io->len += len;
}

void canon_hex(struct canon *io, uint8_t *p, size_t n)
{
	char hex[2 * CANON_HEX_MAX + 1];

	if (io->out != NULL) {
		text_hex(hex, p, n);
		canon_lit(io, hex);
	} else if (text_unhex(p, n, (const char *)io->in + io->len, canon_word(io)) != KE_OK) {
		canon_fail(io, KE_FORMAT);
	} else {
		io->len += 2 * n;
	}
}

void canon_u64(struct canon *io, uint64_t *v)
{
	char digits[TEXT_U64_MAX + 1];
	size_t n;

	if (io->out != NULL) {
		text_u64(digits, *v);
		canon_lit(io, digits);
		return;
	}
	n = canon_word(io);
	if (text_unu64(v, (const char *)io->in + io->len, n) != KE_OK)
		canon_fail(io, KE_FORMAT);
	else
		io->len += n;
}

void canon_hex_line(struct canon *io, const char *name, uint8_t *p, size_t n)
{
	canon_lit(io, name);
	canon_hex(io, p, n);
	canon_lit(io, "\n");
}

void canon_u64_line(struct canon *io, const char *name, uint64_t *v)
{
	canon_lit(io, name);
	canon_u64(io, v);
	canon_lit(io, "\n");
}
