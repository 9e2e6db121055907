/*
 * RFC 6962 Merkle trees (section 2.1): leaf and node hashes, roots that grow leaf by leaf, and
 * inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4). Pure.
 */
#ifndef POLICY_MERKLE_H
#define POLICY_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define MERKLE_LEVELS 64

/* The roots of the full subtrees of a tree of `size` leaves, largest first: popcount(size) of them.
 */
struct merkle_range {
	uint64_t size;
	uint8_t hash[MERKLE_LEVELS][32];
};

void merkle_leaf_hash(uint8_t out[32], const void *leaf, size_t n);
void merkle_node_hash(uint8_t out[32], const uint8_t left[32], const uint8_t right[32]);

/* A complete subtree of 256^level leaves, its number among those of its level, its root. */
struct merkle_subtree {
	unsigned level; /* from 1 */
	uint64_t index;
	uint8_t root[32];
};
#define MERKLE_SUBTREES 7 /* that one leaf can complete */

void merkle_range_init(struct merkle_range *r);
void merkle_range_add(struct merkle_range *r, const uint8_t leaf_hash[32]);
/* The same, and what the leaf has completed, smallest first; returns how many. */
size_t merkle_range_grow(struct merkle_range *r, const uint8_t leaf_hash[32],
    struct merkle_subtree done[MERKLE_SUBTREES]);
/* SHA-256 of nothing for the empty tree. */
void merkle_range_root(const struct merkle_range *r, uint8_t root[32]);
/* Stored form: the hashes one after the other, 32 × popcount(size) bytes. Returns that length. */
size_t merkle_range_put(const struct merkle_range *r, uint8_t out[MERKLE_LEVELS * 32]);
int merkle_range_get(struct merkle_range *r, uint64_t size, const void *p, size_t n) KE_CHECK;

int merkle_verify_inclusion(const uint8_t leaf_hash[32], uint64_t index, uint64_t size,
    const uint8_t (*proof)[32], size_t n, const uint8_t root[32]) KE_CHECK;
int merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t (*proof)[32], size_t n,
    const uint8_t root1[32], const uint8_t root2[32]) KE_CHECK;

#endif
