/*
 * Finishing a draw: see complete.h. Pure.
 */
#include "policy/complete.h"

#include <stdlib.h>
#include <string.h>

#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/merkle.h"

static bool one_raffle(const struct complete *c)
{
	return c->open.kind == RECORD2_OPEN && c->close.kind == RECORD2_CLOSE &&
	       memcmp(c->open.raffle, c->close.raffle, 16) == 0 &&
	       memcmp(c->close.open_leaf, c->open_leaf, 32) == 0;
}

static bool committed(const struct complete *c, const uint8_t seed[32])
{
	uint8_t commit[32];

	hash_kdf(commit, seed, DRAW_COMMIT_LABEL, c->open.raffle, 16);
	return memcmp(commit, c->open.seed_commit, 32) == 0;
}

static const uint8_t *leaf_at(const struct complete *c, uint64_t index)
{
	return c->entries + index * COMPLETE_ENTRY + 2;
}

/* Each entry is this raffle's ticket of its index; then the root. */
static bool has_tickets(const struct complete *c)
{
	struct merkle_range range;
	uint8_t hash[32];
	struct leaf l;

	if (c->entries_len % COMPLETE_ENTRY != 0 ||
	    c->entries_len / COMPLETE_ENTRY != c->close.tickets)
		return false;
	merkle_range_init(&range);
	for (uint64_t i = 0; i < c->close.tickets; i++) {
		const uint8_t *leaf = leaf_at(c, i);

		if (leaf[-2] != 0 || leaf[-1] != LEAF_LEN ||
		    leaf_decode(&l, leaf, LEAF_LEN) != KE_OK || l.index != i ||
		    memcmp(l.raffle, c->open.raffle, 16) != 0)
			return false;
		merkle_leaf_hash(hash, leaf, LEAF_LEN);
		merkle_range_add(&range, hash);
	}
	merkle_range_root(&range, hash);
	return memcmp(hash, c->close.root, 32) == 0;
}

static void make_key(struct complete *c, const uint8_t seed[32])
{
	struct record2 draw = {.kind = RECORD2_DRAW, .terms = c->terms};
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX];
	size_t n = record2_contributions(&draw, given);

	draw_context_v2(c->context, c->open.raffle, c->open_leaf, c->close.tickets, c->close.root,
	    (uint16_t)c->terms.nbeacons, given, n);
	hash_kdf(c->draw_key, seed, DRAW_KEY_LABEL, c->context, 32);
}

/* --- who has won --- */

static bool has_won(const struct complete *c, size_t n, const struct leaf *l)
{
	for (size_t i = 0; c->open.dedupe == DEDUPE_HOLDER && i < n; i++) {
		struct leaf other;

		if (leaf_decode(&other, leaf_at(c, c->picks[i].index), LEAF_LEN) == KE_OK &&
		    memcmp(other.holder_commit, l->holder_commit, 32) == 0)
			return true;
	}
	return false;
}

/* How many of the first k positions of the shuffle are picked, up to want. */
static size_t walk(struct complete *c, const uint64_t *index, size_t k, size_t want)
{
	size_t n = 0;

	for (size_t i = 0; i < k && n < want; i++) {
		struct leaf l;

		/* has_tickets() has read each */
		if (leaf_decode(&l, leaf_at(c, index[i]), LEAF_LEN) != KE_OK || has_won(c, n, &l))
			continue;
		c->picks[n].index = index[i];
		memcpy(c->picks[n++].ticket, l.ticket, 16);
	}
	return n;
}

/* Asking for more positions changes nothing of those that came before. */
static int pick(struct complete *c, size_t want, size_t *n)
{
	size_t most = c->close.tickets < DRAW_MAX ? (size_t)c->close.tickets : DRAW_MAX;
	size_t k = want < most ? want : most;
	uint64_t *index = calloc(most + 1, sizeof(*index));
	int r = index != NULL ? KE_OK : KE_NOMEM;

	while (r == KE_OK) {
		r = draw_shuffle(index, k, c->close.tickets, c->draw_key);
		*n = r == KE_OK ? walk(c, index, k, want) : 0;
		if (*n == want || k == most)
			break;
		k = 4 * k < most ? 4 * k : most;
	}
	free(index);
	return r == KE_OK && *n < want && most < c->close.tickets ? KE_LIMIT : r;
}

int complete_draw(struct complete *c, const uint8_t seed[32], enum complete_step *step)
{
	size_t n = 0;
	int r;

	*step = COMPLETE_RECORDS;
	if (!one_raffle(c))
		return KE_CRYPTO;
	*step = COMPLETE_SEED;
	if (!committed(c, seed))
		return KE_CRYPTO;
	*step = COMPLETE_TICKETS;
	if (!has_tickets(c))
		return KE_CRYPTO;
	*step = COMPLETE_DRAW;
	if (c->open.winners > RECORD2_LISTED_MAX ||
	    c->open.reserves > RECORD2_LISTED_MAX - c->open.winners)
		return KE_LIMIT;
	make_key(c, seed);
	r = pick(c, (size_t)(c->open.winners + c->open.reserves), &n);
	c->winners = n < c->open.winners ? n : (size_t)c->open.winners;
	c->reserves = n - c->winners;
	return r;
}
