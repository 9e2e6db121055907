/*
 * JSON's pieces in the canonical texts of an escrow (policy/canon.h): quoted values and lists, both
 * ways. Pure; shared by the bundle and what officers hand to one another.
 */
#ifndef POLICY_ESCROW_CANON_H
#define POLICY_ESCROW_CANON_H

#include "policy/canon.h"

/* Each is a value in quotation marks. */
void ecanon_hex(struct canon *io, uint8_t *p, size_t n);
/* *n bytes, 1 to cap of them. */
void ecanon_b64(struct canon *io, uint8_t *p, size_t cap, size_t *n);
void ecanon_choice(struct canon *io, const char *const *words, unsigned n, unsigned *choice);

/* A number of at most four digits. */
void ecanon_small(struct canon *io, uint64_t *v);
/* The list of the bits that are set, of ECANON_BITS, in rising order. */
#define ECANON_BITS 16
void ecanon_bits(struct canon *io, unsigned *bits);

/*
 * Is there another item in a list of one a line, as many as n when writing, as begin so when
 * reading? i is its number; writes or reads what parts them. Above max: KE_FORMAT.
 */
bool ecanon_item(struct canon *io, size_t i, size_t n, const char *begins, size_t max);

#endif
