/*
 * Who wins: the stream, the unbiased sampler and the virtual shuffle (DRAW.md section 8), and the
 * v1 draw key (section 11). Pure, without memory of its own: the caller owns all space.
 */
#ifndef POLICY_DRAW_H
#define POLICY_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define DRAW_MAX         100000 /* winners and reserves in one draw */
#define DRAW_ENTROPY_MAX 256

/* HMAC-SHA256(seed, T("kleroterion/v1") ‖ u32 length ‖ entropy ‖ aggregate) */
int draw_key_v1(uint8_t key[32], const uint8_t seed[32], const void *entropy, size_t n,
    const uint8_t aggregate[32]) KE_CHECK;

/* DRAW.md section 8's context from its parts; contributions are given ready-made. */
void draw_context_v2(uint8_t out[32], const uint8_t raffle[16], const uint8_t open_leaf[32],
    uint64_t n, const uint8_t root[32], uint16_t beacons, const void *contributions, size_t len);
#define DRAW_KEY_LABEL    "kleroterion/v2/draw-key"
#define DRAW_STREAM_LABEL "kleroterion/v2/stream"
#define DRAW_COMMIT_LABEL "kleroterion/v2/seed-commit"

/* The stream of u64 words under a draw key. */
struct draw_stream {
	uint8_t key[32];
	uint64_t block; /* next block */
	uint64_t words[4];
	unsigned left; /* words not taken yet */
};
void draw_stream_init(struct draw_stream *s, const uint8_t key[32]);
uint64_t draw_stream_word(struct draw_stream *s);
/* Uniform in 0 … m-1; m = 0 stands for 2^64. */
uint64_t draw_stream_uniform(struct draw_stream *s, uint64_t m);

/*
 * The shuffle of 0 … n-1, position by position, for whoever does not know yet how far to go. Memory
 * grows with what is still to be read again: k entries of 16 bytes after k positions, never more
 * than n / 4 of them, in up to four times as many slots.
 */
struct draw_walk {
	struct draw_stream s;
	uint64_t n, i; /* i positions are out */
	struct draw_slot *slot;
	size_t mask, used;
	unsigned shift; /* 64 - log2 of the number of slots */
};
/* k: how many positions are likely; KE_NOMEM. Until draw_walk_free() it holds memory. */
int draw_walk_init(struct draw_walk *w, uint64_t n, size_t k, const uint8_t key[32]) KE_CHECK;
/* The next position; KE_NOTFOUND: all n are out; KE_NOMEM. */
int draw_walk_next(struct draw_walk *w, uint64_t *index) KE_CHECK;
void draw_walk_free(struct draw_walk *w);

/*
 * The first k positions of the shuffle of 0 … n-1 into out[0 … k-1]; k ≤ n, k ≤ DRAW_MAX.
 * Memory is O(k), allocated and freed inside: KE_NOMEM. KE_RANGE for k > n or k > DRAW_MAX.
 */
int draw_shuffle(uint64_t *out, size_t k, uint64_t n, const uint8_t key[32]) KE_CHECK;

#endif
