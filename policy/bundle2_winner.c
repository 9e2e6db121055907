/*
 * Winners and reserves of a v2 proof bundle: their tickets, the shuffle that chose them, and who
 * stands for the prizes after the forfeits. Pure; see bundle2.h.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/hash.h"
#include "policy/life.h"
#include "policy/merkle.h"

/* --- their tickets --- */

/* The leaf is in the ticket log; the proof brings the bundle's own checkpoint along. */
static int check_inclusion(
    struct check2 *c, size_t at, const uint8_t leaf[LEAF_LEN], uint64_t index)
{
	struct tlog_proof p;
	uint8_t hash[32];
	char *s = NULL;
	size_t n;
	int r = bundle_string(&c->doc, at, &s, &n);

	if (r != KE_OK)
		goto out;
	merkle_leaf_hash(hash, leaf, LEAF_LEN);
	if (tlog_proof_parse(&p, s, n) != KE_OK || p.index != index || p.note_len != c->note_len ||
	    memcmp(p.note, c->note, p.note_len) != 0 ||
	    merkle_verify_inclusion(hash, index, c->tickets.size, (const uint8_t(*)[32])p.path,
		p.path_len, c->tickets.root) != KE_OK)
		r = bundle_no(&c->doc, KE_CRYPTO,
		    "ticket %llu is not shown to be in the ticket log", (unsigned long long)index);
out:
	free(s);
	return r;
}

/* A ticket of the bundle: of this raffle, at its index, in the ticket log. */
static int check_ticket(struct check2 *c, size_t at, const char *what, struct ticket2 *t)
{
	size_t pos = 0, index = 0, id = 0, leaf_hex = 0, proof = 0;
	const struct bundle_member members[] = {
	    {"pos", JSON_NUMBER, &pos},
	    {"index", JSON_NUMBER, &index},
	    {"ticket_id", JSON_STRING, &id},
	    {"leaf_hex", JSON_STRING, &leaf_hex},
	    {"tlog_proof", JSON_STRING, &proof},
	};
	uint8_t leaf[LEAF_LEN], ticket[16];
	uint64_t said = 0;
	int r = bundle_members(&c->doc, at, what, members, 5);

	if (r == KE_OK)
		r = bundle_number(&c->doc, pos, "pos", &t->pos);
	if (r == KE_OK)
		r = bundle_number(&c->doc, index, "index", &said);
	if (r == KE_OK)
		r = bundle_hex(&c->doc, id, "ticket_id", ticket, 16);
	if (r == KE_OK)
		r = bundle_hex(&c->doc, leaf_hex, "leaf_hex", leaf, LEAF_LEN);
	if (r != KE_OK)
		return r;
	if (leaf_decode(&t->leaf, leaf, LEAF_LEN) != KE_OK || t->leaf.index != said ||
	    memcmp(t->leaf.ticket, ticket, 16) != 0 ||
	    memcmp(t->leaf.raffle, c->rec[OPEN].rec.raffle, 16) != 0)
		return bundle_no(&c->doc, KE_CRYPTO, "the leaf of ticket %llu is of another one",
		    (unsigned long long)said);
	return check_inclusion(c, proof, leaf, said);
}

static int read_tickets(
    struct check2 *c, size_t array, const char *what, struct ticket2 **list, size_t *count)
{
	size_t n = (size_t)c->doc.toks[array].size, at = array + 1;
	int r = KE_OK;

	if (n > DRAW_MAX)
		return bundle_no(&c->doc, KE_FORMAT, "more than %d %s", DRAW_MAX, what);
	*list = calloc(n + 1, sizeof(**list));
	if (*list == NULL)
		return bundle_no_memory(&c->doc);
	for (size_t i = 0; r == KE_OK && i < n; i++) {
		r = check_ticket(c, at, what, &(*list)[i]);
		at = json_next(c->doc.toks, c->doc.ntoks, at);
	}
	*count = n;
	return r;
}

/* The bundle's winners and reserves are the record's. */
static int check_picks(struct check2 *c)
{
	const struct record2 *draw = &c->rec[DRAW].rec;
	uint64_t picks = draw->winners + draw->reserves;

	if (c->nwinners != picks)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record has %llu winners and reserves, the bundle %zu",
		    (unsigned long long)picks, c->nwinners);
	for (size_t i = 0; i < c->nwinners; i++) {
		const struct ticket2 *t = &c->winners[i];
		bool winner = i < draw->winners;
		uint64_t pos = winner ? i + 1 : i - draw->winners + 1;

		if (t->pos != pos || t->leaf.index != draw->picks[i].index ||
		    memcmp(t->leaf.ticket, draw->picks[i].ticket, 16) != 0)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "%s %llu of the bundle is not the record's",
			    winner ? "winner" : "reserve", (unsigned long long)pos);
	}
	return KE_OK;
}

/*
 * The bundle's winners and reserves, pos from 1 in each, as the lines of the file that the record
 * names.
 */
static int check_file(struct check2 *c)
{
	struct record2 *draw = &c->rec[DRAW].rec;
	uint64_t said = draw->winners;
	uint8_t hash[32];
	char *file;
	size_t n = 0;

	if (c->nwinners != said)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record has %llu winners and reserves, the bundle %zu",
		    (unsigned long long)said, c->nwinners);
	for (draw->winners = 0;
	     draw->winners < said && c->winners[draw->winners].pos == draw->winners + 1;)
		draw->winners++;
	draw->reserves = said - draw->winners;
	for (size_t i = 0; i < c->nwinners; i++) {
		draw->picks[i].index = c->winners[i].leaf.index;
		memcpy(draw->picks[i].ticket, c->winners[i].leaf.ticket, 16);
	}
	file = malloc(RECORD2_FILE_MAX);
	if (file == NULL)
		return bundle_no_memory(&c->doc);
	if (record2_file_text(draw, file, RECORD2_FILE_MAX, &n) != KE_OK)
		n = 0;
	hash_sha256(hash, file, n);
	free(file);
	if (memcmp(hash, draw->winners_file, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the bundle's winners are not those of the file that the record names");
	return check2_numbers(c);
}

/* By the commitment, then the order of the draw. */
static int by_holder(const void *a, const void *b)
{
	const struct holder2 *x = a, *y = b;
	int r = memcmp(x->commit, y->commit, 32);

	return r != 0 ? r : x->at < y->at ? -1 : x->at > y->at;
}

static int sort_holders(struct check2 *c)
{
	c->holders = calloc(c->nwinners + 1, sizeof(*c->holders));
	if (c->holders == NULL)
		return bundle_no_memory(&c->doc);
	for (size_t i = 0; i < c->nwinners; i++)
		c->holders[i] = (struct holder2){c->winners[i].leaf.holder_commit, i};
	qsort(c->holders, c->nwinners, sizeof(*c->holders), by_holder);
	return KE_OK;
}

int check2_winners(struct check2 *c)
{
	int r = KE_OK;

	if (!c->drawn)
		return r;
	r = read_tickets(c, c->at.winners, "winners", &c->winners, &c->nwinners);
	if (r == KE_OK && !c->res->unlisted)
		r = read_tickets(c, c->at.passed, "passed", &c->passed, &c->npassed);
	if (r == KE_OK && !c->rec[DRAW].rec.listed)
		r = check_file(c);
	if (r == KE_OK)
		r = check_picks(c);
	if (r == KE_OK && (c->npassed > 0 || c->res->unlisted) &&
	    c->rec[OPEN].rec.dedupe == DEDUPE_NONE)
		r = bundle_no(&c->doc, KE_CRYPTO, "tickets were passed over without a rule for it");
	if (r == KE_OK)
		r = sort_holders(c);
	return r;
}

/* --- the draw --- */

/* Is a ticket of this holder among the first n winners and reserves? */
static bool won_before(const struct check2 *c, size_t n, const struct ticket2 *t)
{
	size_t from = 0, to = c->nwinners;

	/* the first one that is not less */
	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (memcmp(c->holders[mid].commit, t->leaf.holder_commit, 32) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from < c->nwinners && c->holders[from].at < n &&
	       memcmp(c->holders[from].commit, t->leaf.holder_commit, 32) == 0;
}

/* Walks the shuffle: each index is the next winner's, or that of one rightly passed over. */
static int check_order(struct check2 *c, const uint64_t *index, size_t k)
{
	bool dedupe = c->rec[OPEN].rec.dedupe == DEDUPE_HOLDER;
	size_t won = 0, passed = 0;

	for (size_t i = 0; i < k; i++) {
		const struct ticket2 *p = passed < c->npassed ? &c->passed[passed] : NULL;

		if (p != NULL && p->leaf.index == index[i] && p->pos == won &&
		    won_before(c, won, p)) {
			passed++;
			continue;
		}
		if (won == c->nwinners || c->winners[won].leaf.index != index[i])
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the draw gives ticket %llu where the record has another one",
			    (unsigned long long)index[i]);
		if (dedupe && won_before(c, won, &c->winners[won]))
			return bundle_no(&c->doc, KE_CRYPTO,
			    "ticket %llu is of a holder who had won before",
			    (unsigned long long)index[i]);
		won++;
	}
	return KE_OK;
}

/* Fewer distinct holders than prizes: then every ticket must have been looked at. */
static int check_enough(struct check2 *c, size_t k)
{
	const struct record2 *open = &c->rec[OPEN].rec;

	if (c->nwinners < open->winners + open->reserves && k != c->rec[CLOSE].rec.tickets)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the draw ended before all tickets had been looked at");
	return KE_OK;
}

static int check_key(struct check2 *c)
{
	const struct record2 *draw = &c->rec[DRAW].rec, *close = &c->rec[CLOSE].rec;
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], context[32], key[32];
	size_t n = record2_contributions(draw, given);

	draw_context_v2(context, draw->raffle, c->rec[OPEN].leaf, close->tickets, close->root,
	    (uint16_t)draw->terms.nbeacons, given, n);
	if (memcmp(context, draw->context, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the context does not follow from the open record, the tickets and the "
		    "beacons");
	hash_kdf(key, draw->server_seed, DRAW_KEY_LABEL, context, 32);
	if (memcmp(key, draw->draw_key, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the draw key does not follow from the server seed and the context");
	return KE_OK;
}

static int check_shuffle(struct check2 *c)
{
	size_t k = c->nwinners + c->npassed;
	uint64_t *index = calloc(k + 1, sizeof(*index));
	int r = index != NULL ? KE_OK : bundle_no_memory(&c->doc);

	if (r == KE_OK) {
		r = draw_shuffle(index, k, c->rec[CLOSE].rec.tickets, c->rec[DRAW].rec.draw_key);
		if (r == KE_NOMEM)
			(void)bundle_no_memory(&c->doc);
		else if (r != KE_OK)
			(void)bundle_no(&c->doc, r, "more winners than tickets");
	}
	if (r == KE_OK)
		r = check_order(c, index, k);
	if (r == KE_OK)
		r = check_enough(c, k);
	free(index);
	return r;
}

/* --- forfeits --- */

/* Which pick stands for a forfeited prize in the end goes into the result, as far as it has room.
 */
static void tell_forfeits(struct check2 *c, const size_t *standing)
{
	size_t winners = (size_t)c->res->winners;

	for (size_t i = 0; i < c->nforfeits && i < BUNDLE2_TOLD; i++) {
		struct bundle2_forfeit *f = &c->res->forfeit[i];
		size_t stands = standing[c->forfeits[i].rec.pos - 1];

		f->pos = c->forfeits[i].rec.pos;
		f->reserve = stands == LIFE_NOBODY ? 0 : stands - winners + 1;
		memcpy(f->rule, c->forfeits[i].rec.word, sizeof(f->rule));
	}
}

static int check_standing(struct check2 *c)
{
	uint64_t *pos = calloc(c->nforfeits + 1, sizeof(*pos));
	size_t winners = (size_t)c->res->winners,
	       *standing = calloc(winners + 1, sizeof(*standing));
	int r = pos != NULL && standing != NULL ? KE_OK : bundle_no_memory(&c->doc);

	for (size_t i = 0; r == KE_OK && i < c->nforfeits; i++)
		pos[i] = c->forfeits[i].rec.pos;
	if (r == KE_OK &&
	    life_standing(winners, (size_t)c->res->reserves, pos, c->nforfeits, standing) != KE_OK)
		r = bundle_no(&c->doc, KE_CRYPTO, "a forfeit is of a prize that nobody held");
	if (r == KE_OK)
		tell_forfeits(c, standing);
	free(pos);
	free(standing);
	return r;
}

int check2_draw(struct check2 *c)
{
	int r = KE_OK;

	if (!c->drawn)
		return r;
	r = check_key(c);
	if (r == KE_OK && !c->res->unlisted)
		r = check_shuffle(c);
	if (r == KE_OK)
		r = check_standing(c);
	if (r == KE_OK && !c->res->unlisted)
		c->res->levels |= BUNDLE2_REPRODUCED;
	if (c->res->unlisted)
		check2_lacks(c, "the draw passed over more tickets than the proof lists: only the "
				"ticket log shows it (klero-verify --log)");
	return r;
}
