/*
 * Canonical texts that are written and read by the same list of fields: a record, a proposal, an
 * anchor. One cursor writes or reads; what it reads must be exactly what it would write. Pure;
 * readers trust nobody. The first error sticks, so that a list of fields is checked once.
 */
#ifndef POLICY_CANON_H
#define POLICY_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

struct canon {
	uint8_t *out; /* NULL: reading */
	const uint8_t *in;
	size_t len, cap; /* where it is, where it ends */
	int err;         /* KE_FULL when writing, KE_FORMAT when reading */
};

static inline bool canon_reads(const struct canon *io)
{
	return io->out == NULL;
}

void canon_fail(struct canon *io, int err);

/* n bytes from p, or n bytes into p. */
void canon_raw(struct canon *io, void *p, size_t n);

/* size (1 to 8) bytes, little-endian as daemon/msg/wire.h. */
void canon_uint(struct canon *io, uint64_t *v, size_t size);

/* Exactly these characters. */
void canon_lit(struct canon *io, const char *s);
/* Reading: do these characters come next? */
bool canon_at(const struct canon *io, const char *s);
/*
 * Is there another of up to max lines that begin so: as many as n when writing, as stand there when
 * reading? i is its number.
 */
bool canon_more(struct canon *io, const char *name, size_t i, size_t n, size_t max);
/* Reading: how many characters there are up to the next space or LF. */
size_t canon_word(const struct canon *io);

/* A word of one to cap - 1 characters of a-z, 0-9 and "-._@", beginning with a letter or digit. */
void canon_name(struct canon *io, char *word, size_t cap);
/* A word of one to cap - 1 visible ASCII characters without a plus: a log's origin, a note's name.
 */
void canon_visible(struct canon *io, char *word, size_t cap);
/* One of n words by its number. */
void canon_choice(struct canon *io, const char *const *words, unsigned n, unsigned *choice);
/* *n bytes, 1 to cap (at most CANON_B64_MAX) of them, as standard base64. */
void canon_b64(struct canon *io, uint8_t *p, size_t cap, size_t *n);

/* n bytes, at most CANON_HEX_MAX, as lower-case hex. */
#define CANON_HEX_MAX 256
#define CANON_B64_MAX 256
void canon_hex(struct canon *io, uint8_t *p, size_t n);
void canon_u64(struct canon *io, uint64_t *v);

/* name (with its space), the value, LF. */
void canon_hex_line(struct canon *io, const char *name, uint8_t *p, size_t n);
void canon_u64_line(struct canon *io, const char *name, uint64_t *v);

#endif
