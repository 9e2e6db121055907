/*
 * RFC 6962 Merkle trees. Pure; used by engine and klero-verify. Proofs come from strangers.
 */
#include "policy/merkle.h"

#include <string.h>

#include "policy/hash.h"

void merkle_leaf_hash(uint8_t out[32], const void *leaf, size_t n)
{
	hash_sha256_2(out, "\0", 1, leaf, n);
}

void merkle_node_hash(uint8_t out[32], const uint8_t left[32], const uint8_t right[32])
{
	uint8_t node[65];

	node[0] = 1;
	memcpy(node + 1, left, 32);
	memcpy(node + 33, right, 32);
	hash_sha256(out, node, sizeof(node));
}

static unsigned ones(uint64_t v)
{
	return (unsigned)__builtin_popcountll(v);
}

/* --- growing a root --- */

void merkle_range_init(struct merkle_range *r)
{
	memset(r, 0, sizeof(*r));
}

/* The new leaf joins the full subtrees of one leaf, two, four … that stand at the right end. */
size_t merkle_range_grow(struct merkle_range *r, const uint8_t leaf_hash[32],
    struct merkle_subtree done[MERKLE_SUBTREES])
{
	unsigned n = ones(r->size), height = 0;
	size_t found = 0;
	uint8_t h[32];

	memcpy(h, leaf_hash, 32);
	for (uint64_t bits = r->size; bits & 1; bits >>= 1) {
		merkle_node_hash(h, r->hash[--n], h);
		if (++height % 8 != 0)
			continue;
		done[found] = (struct merkle_subtree){.level = height / 8, .index = bits >> 1};
		memcpy(done[found++].root, h, 32);
	}
	memcpy(r->hash[n], h, 32);
	r->size++;
	return found;
}

void merkle_range_add(struct merkle_range *r, const uint8_t leaf_hash[32])
{
	struct merkle_subtree done[MERKLE_SUBTREES];

	(void)merkle_range_grow(r, leaf_hash, done);
}

void merkle_range_root(const struct merkle_range *r, uint8_t root[32])
{
	unsigned n = ones(r->size);

	if (n == 0) {
		hash_sha256(root, NULL, 0);
		return;
	}
	memcpy(root, r->hash[--n], 32);
	while (n > 0)
		merkle_node_hash(root, r->hash[--n], root);
}

size_t merkle_range_put(const struct merkle_range *r, uint8_t out[MERKLE_LEVELS * 32])
{
	size_t n = (size_t)ones(r->size) * 32;

	memcpy(out, r->hash, n);
	return n;
}

int merkle_range_get(struct merkle_range *r, uint64_t size, const void *p, size_t n)
{
	if (n != (size_t)ones(size) * 32)
		return KE_FORMAT;
	merkle_range_init(r);
	r->size = size;
	if (n > 0)
		memcpy(r->hash, p, n);
	return KE_OK;
}

/* --- proofs --- */

int merkle_verify_inclusion(const uint8_t leaf_hash[32], uint64_t index, uint64_t size,
    const uint8_t (*proof)[32], size_t n, const uint8_t root[32])
{
	uint64_t fn = index, sn = size - 1;
	uint8_t h[32];

	if (index >= size)
		return KE_RANGE;
	memcpy(h, leaf_hash, 32);
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return KE_CRYPTO;
		if ((fn & 1) == 0 && fn != sn) {
			merkle_node_hash(h, h, proof[i]);
		} else {
			merkle_node_hash(h, proof[i], h);
			/* A right edge without a sibling goes up unchanged. */
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(h, root, 32) == 0 ? KE_OK : KE_CRYPTO;
}

/* RFC 9162 section 2.1.4.2 from step 4 on: first is the hash of the old tree's last full subtree.
 */
static int consistency_walk(uint64_t fn, uint64_t sn, const uint8_t first[32],
    const uint8_t (*proof)[32], size_t n, const uint8_t root1[32], const uint8_t root2[32])
{
	uint8_t fr[32], sr[32];

	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	memcpy(fr, first, 32);
	memcpy(sr, first, 32);
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return KE_CRYPTO;
		if ((fn & 1) == 0 && fn != sn) {
			merkle_node_hash(sr, sr, proof[i]);
		} else {
			merkle_node_hash(fr, proof[i], fr);
			merkle_node_hash(sr, proof[i], sr);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || memcmp(fr, root1, 32) != 0 || memcmp(sr, root2, 32) != 0)
		return KE_CRYPTO;
	return KE_OK;
}

int merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t (*proof)[32], size_t n,
    const uint8_t root1[32], const uint8_t root2[32])
{
	if (size1 == 0 || size1 > size2)
		return KE_RANGE;
	if (size1 == size2)
		return n == 0 && memcmp(root1, root2, 32) == 0 ? KE_OK : KE_CRYPTO;
	if (n == 0)
		return KE_CRYPTO;
	/* The old tree of a power of two is itself the first node: the proof leaves it out. */
	if (ones(size1) == 1)
		return consistency_walk(size1 - 1, size2 - 1, root1, proof, n, root1, root2);
	return consistency_walk(size1 - 1, size2 - 1, proof[0], proof + 1, n - 1, root1, root2);
}
