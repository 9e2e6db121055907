/*
 * Proofs from stored hashes. Pure; see tile_proof.h. RFC 6962 sections 2.1, 2.1.1 and 2.1.2, whose
 * recursions are loops here.
 */
#include "policy/tile_proof.h"

#include <string.h>

#include "policy/hash.h"
#include "policy/tile.h"

/* The largest power of two below n, which is at least 2. */
static unsigned half(uint64_t n)
{
	return 63u - (unsigned)__builtin_clzll(n - 1);
}

/* The root of the complete subtree of 2^height leaves from lo on. */
static int complete(const struct tile_reader *t, uint64_t lo, unsigned height, uint8_t out[32])
{
	unsigned level = height / TILE_BITS, n = 1u << (height % TILE_BITS);
	uint8_t hash[TILE_WIDTH / 2][32];
	int r = t->read(t->arg, level, lo >> (TILE_BITS * level), n, hash);

	if (r != KE_OK)
		return r;
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			merkle_node_hash(hash[i], hash[2 * i], hash[2 * i + 1]);
	memcpy(out, hash[0], 32);
	return KE_OK;
}

/* MTH of the leaves lo .. hi - 1, at least one: complete subtrees, largest first, joined from the
 * right. */
static int range(const struct tile_reader *t, uint64_t lo, uint64_t hi, uint8_t out[32])
{
	uint8_t hash[MERKLE_LEVELS][32];
	size_t n = 0;

	do {
		unsigned height = 63u - (unsigned)__builtin_clzll(hi - lo);
		int r = complete(t, lo, height, hash[n++]);

		if (r != KE_OK)
			return r;
		lo += (uint64_t)1 << height;
	} while (lo < hi);
	memcpy(out, hash[--n], 32);
	while (n > 0)
		merkle_node_hash(out, hash[--n], out);
	return KE_OK;
}

int tile_root(const struct tile_reader *t, uint64_t size, uint8_t root[32])
{
	if (size > 0)
		return range(t, 0, size, root);
	hash_sha256(root, NULL, 0);
	return KE_OK;
}

/* The RFC lists a proof from the leaf up, and it is found from the root down. */
static void reverse(uint8_t (*path)[32], size_t n)
{
	uint8_t h[32];

	for (size_t i = 0; i < n / 2; i++) {
		memcpy(h, path[i], 32);
		memcpy(path[i], path[n - 1 - i], 32);
		memcpy(path[n - 1 - i], h, 32);
	}
}

int tile_inclusion(const struct tile_reader *t, uint64_t index, uint64_t size,
    uint8_t path[MERKLE_LEVELS][32], size_t *n)
{
	uint64_t lo = 0, hi = size;
	int r = index < size ? KE_OK : KE_RANGE;

	*n = 0;
	while (r == KE_OK && hi - lo > 1) {
		uint64_t mid = lo + ((uint64_t)1 << half(hi - lo));

		if (index < mid) {
			r = range(t, mid, hi, path[(*n)++]);
			hi = mid;
		} else {
			r = range(t, lo, mid, path[(*n)++]);
			lo = mid;
		}
	}
	reverse(path, *n);
	return r;
}

int tile_consistency(const struct tile_reader *t, uint64_t from, uint64_t to,
    uint8_t path[MERKLE_LEVELS + 1][32], size_t *n)
{
	uint64_t lo = 0, hi = to;
	int r = from > 0 && from <= to ? KE_OK : KE_RANGE;

	*n = 0;
	while (r == KE_OK && from != hi) {
		uint64_t mid = lo + ((uint64_t)1 << half(hi - lo));

		if (from <= mid) {
			r = range(t, mid, hi, path[(*n)++]);
			hi = mid;
		} else {
			r = range(t, lo, mid, path[(*n)++]);
			lo = mid;
		}
	}
	/* the old tree is a subtree of the new one: who asks has its root already */
	if (r == KE_OK && lo > 0)
		r = range(t, lo, hi, path[(*n)++]);
	reverse(path, *n);
	return r;
}
