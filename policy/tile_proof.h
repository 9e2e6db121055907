/*
 * Proofs of RFC 6962 trees from hashes that somebody keeps: what a log must store is only the
 * roots of the complete subtrees of 256^L leaves, and everything else follows from them. The log
 * itself reads them from its store, an auditor from the tiles that it has fetched. Pure but for
 * the reader.
 */
#ifndef POLICY_TILE_PROOF_H
#define POLICY_TILE_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/merkle.h"

/*
 * Reads the roots first .. first + n - 1 of the complete subtrees of 256^level leaves (level 0: the
 * leaf hashes): n is a power of two of at most 128, and they are all in one tile. KE_OK, or an
 * error, which the functions below return as it is.
 */
typedef int tile_read(void *arg, unsigned level, uint64_t first, unsigned n, uint8_t (*hash)[32]);

struct tile_reader {
	tile_read *read;
	void *arg;
};

/* The root of the tree of the first `size` leaves; SHA-256 of nothing for none. */
int tile_root(const struct tile_reader *t, uint64_t size, uint8_t root[32]) KE_CHECK;
/* PATH(index, D[size]), at most MERKLE_LEVELS hashes; KE_RANGE when the leaf is not in the tree. */
int tile_inclusion(const struct tile_reader *t, uint64_t index, uint64_t size,
    uint8_t path[MERKLE_LEVELS][32], size_t *n) KE_CHECK;
/*
 * PROOF(from, D[to]), at most MERKLE_LEVELS + 1 hashes, none for from == to; KE_RANGE when from is
 * 0 or above to.
 */
int tile_consistency(const struct tile_reader *t, uint64_t from, uint64_t to,
    uint8_t path[MERKLE_LEVELS + 1][32], size_t *n) KE_CHECK;

#endif
