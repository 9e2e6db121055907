/*
 * Who wins. Pure; engine draws, hsm draws again before it signs, klero-verify draws once more.
 * The three must agree to the bit.
 */
#include "policy/draw.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"

#define V1_LABEL      "kleroterion/v1"
#define CONTEXT_LABEL "kleroterion/v2/context"

int draw_key_v1(uint8_t key[32], const uint8_t seed[32], const void *entropy, size_t n,
    const uint8_t aggregate[32])
{
	uint8_t in[sizeof(V1_LABEL) + 4 + DRAW_ENTROPY_MAX + 32] = V1_LABEL;
	size_t len = sizeof(V1_LABEL);

	if (n == 0 || n > DRAW_ENTROPY_MAX)
		return KE_RANGE;
	be_put32(in + len, (uint32_t)n);
	len += 4;
	memcpy(in + len, entropy, n);
	len += n;
	memcpy(in + len, aggregate, 32);
	len += 32;
	hash_hmac(key, seed, in, len);
	return KE_OK;
}

void draw_context_v2(uint8_t out[32], const uint8_t raffle[16], const uint8_t open_leaf[32],
    uint64_t n, const uint8_t root[32], uint16_t beacons, const void *contributions, size_t len)
{
	uint8_t head[sizeof(CONTEXT_LABEL) + 16 + 32 + 8 + 32 + 2] = CONTEXT_LABEL;
	uint8_t *p = head + sizeof(CONTEXT_LABEL);

	memcpy(p, raffle, 16);
	memcpy(p + 16, open_leaf, 32);
	be_put64(p + 48, n);
	memcpy(p + 56, root, 32);
	p[88] = (uint8_t)(beacons >> 8);
	p[89] = (uint8_t)beacons;
	hash_sha256_2(out, head, sizeof(head), contributions, len);
}

/* --- the stream and the sampler --- */

void draw_stream_init(struct draw_stream *s, const uint8_t key[32])
{
	memset(s, 0, sizeof(*s));
	memcpy(s->key, key, 32);
}

uint64_t draw_stream_word(struct draw_stream *s)
{
	uint8_t counter[8], block[32];

	if (s->left == 0) {
		be_put64(counter, s->block++);
		hash_kdf(block, s->key, DRAW_STREAM_LABEL, counter, sizeof(counter));
		for (int i = 0; i < 4; i++)
			s->words[i] = be_get64(block + 8 * i);
		s->left = 4;
	}
	return s->words[4 - s->left--];
}

uint64_t draw_stream_uniform(struct draw_stream *s, uint64_t m)
{
	uint64_t t, x;

	if (m == 0)
		return draw_stream_word(s);
	t = (0 - m) % m; /* 2^64 mod m */
	do
		x = draw_stream_word(s);
	while (t != 0 && x >= 0 - t);
	return x % m;
}

/* --- the virtual shuffle --- */

/*
 * perm as a map from index to value, identity where nothing is written. Two writes an output at
 * most, of which the one to perm[i] is never read again: k entries are enough, in at least twice
 * as many slots.
 */
struct perm_slot {
	uint64_t index, value;
	bool used;
};

struct perm {
	struct perm_slot *slot;
	unsigned shift; /* 64 - log2 of the number of slots */
	size_t mask;
};

static struct perm_slot *perm_find(const struct perm *p, uint64_t index)
{
	/* Fibonacci hashing. The indexes come from the sampler: nobody can choose them. */
	size_t i = (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> p->shift);

	while (p->slot[i].used && p->slot[i].index != index)
		i = (i + 1) & p->mask;
	return &p->slot[i];
}

static int perm_init(struct perm *p, size_t k)
{
	unsigned bits = 4;

	while (((size_t)1 << bits) < 2 * k)
		bits++;
	p->shift = 64 - bits;
	p->mask = ((size_t)1 << bits) - 1;
	p->slot = calloc((size_t)1 << bits, sizeof(*p->slot));
	return p->slot == NULL ? KE_NOMEM : KE_OK;
}

int draw_shuffle(uint64_t *out, size_t k, uint64_t n, const uint8_t key[32])
{
	struct draw_stream s;
	struct perm p;

	if (k > n || k > DRAW_MAX)
		return KE_RANGE;
	if (perm_init(&p, k) != KE_OK)
		return KE_NOMEM;
	draw_stream_init(&s, key);
	for (size_t i = 0; i < k; i++) {
		uint64_t j = i + draw_stream_uniform(&s, n - i);
		const struct perm_slot *own = perm_find(&p, i);
		uint64_t value = own->used ? own->value : i;
		struct perm_slot *other = perm_find(&p, j);

		out[i] = j == i ? value : other->used ? other->value : j;
		*other = (struct perm_slot){.index = j, .value = value, .used = true};
	}
	free(p.slot);
	return KE_OK;
}
