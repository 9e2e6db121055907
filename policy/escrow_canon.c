/*
 * JSON's pieces in canonical texts: see escrow_canon.h. Pure.
 */
#include "policy/escrow_canon.h"

#include <string.h>

#include "policy/text.h"

/* Reading: how many characters there are up to the next quotation mark. */
static size_t quoted(const struct canon *io)
{
	const uint8_t *end =
	    io->err == KE_OK ? memchr(io->in + io->len, '"', io->cap - io->len) : NULL;

	return end != NULL ? (size_t)(end - (io->in + io->len)) : 0;
}

void ecanon_hex(struct canon *io, uint8_t *p, size_t n)
{
	canon_lit(io, "\"");
	if (!canon_reads(io))
		canon_hex(io, p, n);
	else if (text_unhex(p, n, (const char *)io->in + io->len, quoted(io)) != KE_OK)
		canon_fail(io, KE_FORMAT);
	else
		io->len += 2 * n;
	canon_lit(io, "\"");
}

static void put_b64(struct canon *io, const uint8_t *p, size_t n)
{
	/* text_b64() ends with a NUL, which the closing quotation mark overwrites */
	if (io->err == KE_OK && TEXT_B64_LEN(n) >= io->cap - io->len)
		canon_fail(io, KE_FULL);
	if (io->err != KE_OK)
		return;
	text_b64((char *)io->out + io->len, p, n);
	io->len += TEXT_B64_LEN(n);
}

void ecanon_b64(struct canon *io, uint8_t *p, size_t cap, size_t *n)
{
	canon_lit(io, "\"");
	if (!canon_reads(io)) {
		put_b64(io, p, *n);
	} else {
		size_t len = quoted(io);

		if (len == 0 || text_unb64(p, cap, n, (const char *)io->in + io->len, len) != KE_OK)
			canon_fail(io, KE_FORMAT);
		else
			io->len += len;
	}
	canon_lit(io, "\"");
}

void ecanon_choice(struct canon *io, const char *const *words, unsigned n, unsigned *choice)
{
	size_t len;

	canon_lit(io, "\"");
	if (!canon_reads(io)) {
		canon_lit(io, words[*choice]);
	} else {
		len = quoted(io);
		for (*choice = 0; *choice < n; ++*choice)
			if (strlen(words[*choice]) == len && canon_at(io, words[*choice]))
				break;
		if (*choice == n)
			canon_fail(io, KE_FORMAT);
		io->len += io->err == KE_OK ? len : 0;
	}
	canon_lit(io, "\"");
}

void ecanon_small(struct canon *io, uint64_t *v)
{
	size_t n = 0;

	if (!canon_reads(io)) {
		canon_u64(io, v);
		return;
	}
	while (io->err == KE_OK && n < 4 && n < io->cap - io->len && io->in[io->len + n] >= '0' &&
	       io->in[io->len + n] <= '9')
		n++;
	if (text_unu64(v, (const char *)io->in + io->len, n) != KE_OK)
		canon_fail(io, KE_FORMAT);
	else
		io->len += n;
}

static unsigned read_bits(struct canon *io)
{
	unsigned bits = 0;
	uint64_t v;

	if (canon_at(io, "]"))
		return 0;
	while (io->err == KE_OK) {
		ecanon_small(io, &v);
		if (io->err == KE_OK && (v >= ECANON_BITS || bits >> v != 0))
			canon_fail(io, KE_FORMAT);
		if (io->err == KE_OK)
			bits |= 1u << v;
		if (!canon_at(io, ","))
			break;
		canon_lit(io, ",");
	}
	return bits;
}

static void write_bits(struct canon *io, unsigned bits)
{
	for (unsigned i = 0; i < ECANON_BITS; i++) {
		uint64_t v = i;

		if ((bits & (1u << i)) == 0)
			continue;
		if ((bits & ((1u << i) - 1)) != 0)
			canon_lit(io, ",");
		canon_u64(io, &v);
	}
}

void ecanon_bits(struct canon *io, unsigned *bits)
{
	canon_lit(io, "[");
	if (canon_reads(io))
		*bits = read_bits(io);
	else
		write_bits(io, *bits);
	canon_lit(io, "]");
}

bool ecanon_item(struct canon *io, size_t i, size_t n, const char *begins, size_t max)
{
	bool more = i < n;

	if (io->err != KE_OK)
		return false;
	if (canon_reads(io))
		more = i == 0 ? canon_at(io, begins) : canon_at(io, ",");
	if (!more)
		return false;
	if (i > 0)
		canon_lit(io, ",\n");
	if (i == max)
		canon_fail(io, KE_FORMAT);
	return io->err == KE_OK;
}
