/*
 * Finishing a draw: see complete.h. Pure.
 */
#include "policy/complete.h"

#include <stdlib.h>
#include <string.h>

#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/merkle.h"
#include "policy/seen.h"

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

static int pick(struct complete *c, uint64_t want, struct draw_walk *walk, struct seen *holders)
{
	uint64_t index;
	size_t n = 0;
	int r = KE_OK;

	while (r == KE_OK && n < want) {
		struct leaf l;

		r = draw_walk_next(walk, &index);
		if (r != KE_OK)
			break;
		/* has_tickets() has read each */
		r = leaf_decode(&l, leaf_at(c, index), LEAF_LEN);
		if (r == KE_OK && c->open.dedupe == DEDUPE_HOLDER)
			r = seen_add(holders, l.holder_commit);
		if (r == KE_OK) {
			c->picks[n].index = index;
			memcpy(c->picks[n++].ticket, l.ticket, 16);
		}
		r = r == KE_EXISTS ? KE_OK : r;
	}
	c->winners = n < c->open.winners ? n : (size_t)c->open.winners;
	c->reserves = n - c->winners;
	return r == KE_NOTFOUND ? KE_OK : r;
}

static int draw(struct complete *c)
{
	uint64_t want = c->open.winners + c->open.reserves;
	struct draw_walk walk = {.slot = NULL};
	struct seen holders;
	int r;

	if (want > c->close.tickets)
		want = c->close.tickets;
	c->picks = calloc((size_t)want + 1, sizeof(*c->picks));
	if (c->picks == NULL || seen_init(&holders, 32, c->draw_key) != KE_OK)
		return KE_NOMEM;
	r = draw_walk_init(&walk, c->close.tickets, (size_t)want, c->draw_key);
	if (r == KE_OK)
		r = pick(c, want, &walk, &holders);
	draw_walk_free(&walk);
	seen_free(&holders);
	return r;
}

int complete_draw(struct complete *c, const uint8_t seed[32], enum complete_step *step)
{
	*step = COMPLETE_RECORDS;
	if (!one_raffle(c))
		return KE_CRYPTO;
	*step = COMPLETE_SEED;
	if (!committed(c, seed))
		return KE_CRYPTO;
	*step = COMPLETE_TICKETS;
	if (!has_tickets(c))
		return KE_CRYPTO;
	make_key(c, seed);
	return draw(c);
}
