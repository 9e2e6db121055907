/*
 * Who wins. Pure; engine draws, hsm draws again before it signs, klero-verify draws once more.
 * The three must agree to the bit.
 */
#include "policy/draw.h"

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
 * perm as a map from index to value, identity where nothing is written. A position writes one entry
 * that is read again, behind it; one to perm[i] never is. So an entry before i is dead, and goes
 * when the table is full. index + 1, so that 0 is an empty slot: no index is 2^64 - 1 of n values.
 */
struct draw_slot {
	uint64_t index1, value;
};

static struct draw_slot *find_slot(const struct draw_walk *w, uint64_t index)
{
	/* Fibonacci hashing. The indexes come from the sampler: nobody can choose them. */
	size_t i = (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> w->shift);

	while (w->slot[i].index1 != 0 && w->slot[i].index1 != index + 1)
		i = (i + 1) & w->mask;
	return &w->slot[i];
}

/* An empty table of 2^bits slots. */
static int make_slots(struct draw_walk *w, unsigned bits)
{
	struct draw_slot *slot = calloc((size_t)1 << bits, sizeof(*slot));

	if (slot == NULL)
		return KE_NOMEM;
	w->slot = slot;
	w->shift = 64 - bits;
	w->mask = ((size_t)1 << bits) - 1;
	w->used = 0;
	return KE_OK;
}

/* Writes into the slot that find_slot() has found for that index. */
static void fill_slot(struct draw_walk *w, struct draw_slot *s, uint64_t index, uint64_t value)
{
	w->used += s->index1 == 0;
	*s = (struct draw_slot){.index1 = index + 1, .value = value};
}

/* A table that so many entries fill to a half at most. */
static unsigned bits_for(size_t entries)
{
	unsigned bits = 4;

	while (((size_t)1 << bits) < 2 * entries)
		bits++;
	return bits;
}

/* The living entries in a fresh table, which they fill to a half at most. */
static int renew(struct draw_walk *w)
{
	struct draw_slot *old = w->slot;
	size_t slots = w->mask + 1, living = 0;
	int r;

	for (size_t k = 0; k < slots; k++)
		living += old[k].index1 > w->i;
	r = make_slots(w, bits_for(living));
	if (r != KE_OK)
		return r;
	for (size_t k = 0; k < slots; k++)
		if (old[k].index1 > w->i)
			fill_slot(
			    w, find_slot(w, old[k].index1 - 1), old[k].index1 - 1, old[k].value);
	free(old);
	return KE_OK;
}

int draw_walk_init(struct draw_walk *w, uint64_t n, size_t k, const uint8_t key[32])
{
	memset(w, 0, sizeof(*w));
	w->n = n;
	draw_stream_init(&w->s, key);
	return make_slots(w, bits_for(k));
}

int draw_walk_next(struct draw_walk *w, uint64_t *index)
{
	uint64_t j, value;
	const struct draw_slot *own;
	struct draw_slot *other;
	int r;

	if (w->i == w->n)
		return KE_NOTFOUND;
	if (4 * w->used > 3 * w->mask) {
		r = renew(w);
		if (r != KE_OK)
			return r;
	}
	j = w->i + draw_stream_uniform(&w->s, w->n - w->i);
	own = find_slot(w, w->i);
	value = own->index1 != 0 ? own->value : w->i;
	other = find_slot(w, j);
	*index = j == w->i ? value : other->index1 != 0 ? other->value : j;
	fill_slot(w, other, j, value);
	w->i++;
	return KE_OK;
}

void draw_walk_free(struct draw_walk *w)
{
	free(w->slot);
	w->slot = NULL;
}

int draw_shuffle(uint64_t *out, size_t k, uint64_t n, const uint8_t key[32])
{
	struct draw_walk w;
	int r;

	if (k > n || k > DRAW_MAX)
		return KE_RANGE;
	r = draw_walk_init(&w, n, k, key);
	for (size_t i = 0; r == KE_OK && i < k; i++)
		r = draw_walk_next(&w, &out[i]);
	draw_walk_free(&w);
	return r;
}
