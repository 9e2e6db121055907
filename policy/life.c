/*
 * The life of a v2 raffle: see life.h. Pure.
 */
#include "policy/life.h"

#include <string.h>

/* --- what is pinned --- */

uint64_t life_lead_s(uint64_t delay_s)
{
	const uint64_t part = LIFE_DELAY_S / LIFE_LEAD_S;

	return delay_s >= LIFE_DELAY_S ? LIFE_LEAD_S : (delay_s + part - 1) / part;
}

uint64_t life_seen_until(uint64_t first_s, uint64_t delay_s)
{
	uint64_t lead_s = life_lead_s(delay_s);

	return first_s < lead_s ? 0 : first_s - lead_s;
}

void life_site_init(struct life_site *s, uint64_t delay_s)
{
	*s = (struct life_site){.delay_s = delay_s != 0 ? delay_s : LIFE_DELAY_S};
}

const struct drand_chain *life_chain(const struct life_site *s, const uint8_t hash[32])
{
	uint8_t own[32];

	for (size_t i = 0; i < s->nchains; i++) {
		drand_chain_hash(own, &s->chains[i]);
		if (memcmp(own, hash, 32) == 0)
			return &s->chains[i];
	}
	return NULL;
}

int life_site_add(struct life_site *s, const struct drand_chain *c)
{
	uint8_t hash[32];

	drand_chain_hash(hash, c);
	if (life_chain(s, hash) != NULL)
		return KE_EXISTS;
	if (s->nchains == LIFE_CHAINS_MAX)
		return KE_FULL;
	s->chains[s->nchains++] = *c;
	return KE_OK;
}

/* --- moments --- */

int life_moment(const struct life_site *s, const struct beacon *b, uint64_t *at_s)
{
	const struct drand_chain *c;

	if (b->kind == BEACON_NIST2) {
		*at_s = b->at_ms / 1000;
		return s->nist ? KE_OK : KE_NOTFOUND;
	}
	c = life_chain(s, b->chain_hash);
	return c != NULL ? drand_round_time(c, b->round, at_s) : KE_NOTFOUND;
}

int life_moments(
    const struct life_site *s, const struct record2_terms *t, uint64_t *first_s, uint64_t *last_s)
{
	*first_s = UINT64_MAX;
	*last_s = 0;
	for (size_t i = 0; i < t->nbeacons; i++) {
		uint64_t at_s;
		int r = life_moment(s, &t->beacons[i], &at_s);

		if (r != KE_OK)
			return r;
		*first_s = at_s < *first_s ? at_s : *first_s;
		*last_s = at_s > *last_s ? at_s : *last_s;
	}
	return t->nbeacons > 0 ? KE_OK : KE_RANGE;
}

uint64_t life_late_s(const struct life_site *s, const struct record2_terms *t)
{
	uint64_t late_s = 0;

	for (size_t i = 0; i < t->nbeacons; i++) {
		const struct beacon *b = &t->beacons[i];
		uint64_t at_s, slack_s = LIFE_LATE_S + (b->kind == BEACON_NIST2 ? LIFE_PULSE_S : 0);

		if (life_moment(s, b, &at_s) != KE_OK || at_s > t->deadline_s)
			return t->deadline_s;
		if (at_s + slack_s > late_s)
			late_s = at_s + slack_s;
	}
	return late_s != 0 && late_s < t->deadline_s ? late_s : t->deadline_s;
}

struct beacon life_promise(const struct drand_chain *c, uint64_t sales_close_s, uint64_t delay_s)
{
	struct beacon b = {.kind = BEACON_DRAND};

	drand_chain_hash(b.chain_hash, c);
	b.round = drand_round_from(c, sales_close_s + delay_s);
	return b;
}

/* --- terms --- */

static enum rules_no no(enum rules_no which, const char *words, const char **why)
{
	*why = words;
	return which;
}

enum rules_no life_terms(
    const struct life_site *s, const struct record2_terms *t, uint64_t now_s, const char **why)
{
	uint64_t first_s, last_s;
	int r;

	if (t->sales_close_s <= now_s)
		return no(RULES_TOO_LATE, "sales would have ended already", why);
	r = life_moments(s, t, &first_s, &last_s);
	if (r != KE_OK)
		return no(
		    RULES_BEACON, "a beacon that is not pinned here, or a round without time", why);
	if (t->deadline_s > now_s + LIFE_SPAN_S || t->sales_close_s >= t->deadline_s)
		return no(
		    RULES_TOO_FAR, "the deadline is too far off, or before the end of sales", why);
	/* neither sum overflows: both are at most a year from now */
	if (first_s < t->sales_close_s + s->delay_s)
		return no(
		    RULES_TOO_EARLY, "a beacon value before the end of sales and the delay", why);
	if (last_s >= t->deadline_s)
		return no(RULES_TOO_FAR, "a beacon value behind the deadline", why);
	return RULES_YES;
}

/* Do values of the same source come later than they were promised? */
static bool later_each(
    const struct life_site *s, const struct record2_terms *from, const struct record2_terms *to)
{
	for (size_t i = 0; i < from->nbeacons; i++)
		for (size_t k = 0; k < to->nbeacons; k++) {
			const struct beacon *a = &from->beacons[i], *b = &to->beacons[k];
			uint64_t a_s, b_s;

			if (a->kind != b->kind ||
			    (a->kind == BEACON_DRAND &&
				memcmp(a->chain_hash, b->chain_hash, 32) != 0))
				continue;
			if (life_moment(s, a, &a_s) != KE_OK || life_moment(s, b, &b_s) != KE_OK ||
			    b_s <= a_s)
				return false;
		}
	return true;
}

enum rules_no life_amend(const struct life_site *s, const struct record2_terms *from,
    const struct record2_terms *to, bool sold, uint64_t now_s, const char **why)
{
	uint64_t from_first, from_last, to_first, to_last;
	enum rules_no answer;

	if (now_s >= from->sales_close_s)
		return no(RULES_TOO_LATE, "sales have ended", why);
	answer = life_terms(s, to, now_s, why);
	if (answer != RULES_YES || !sold)
		return answer;
	if (life_moments(s, from, &from_first, &from_last) != KE_OK ||
	    life_moments(s, to, &to_first, &to_last) != KE_OK)
		return no(RULES_BEACON, "a beacon that is not pinned here", why);
	if (to->sales_close_s <= from->sales_close_s || to_first <= from_first ||
	    !later_each(s, from, to))
		return no(RULES_NOT_LATER,
		    "tickets are sold: only a later end of sales with later beacon values", why);
	return RULES_YES;
}

enum rules_no life_not_before(
    const struct life_site *s, const struct beacon *b, uint64_t now_s, const char **why)
{
	uint64_t at_s;

	if (b->kind != BEACON_DRAND || life_moment(s, b, &at_s) != KE_OK)
		return no(RULES_NOT_BEFORE, "not-before is of no chain that is pinned here", why);
	if (at_s > now_s + LIFE_NOT_BEFORE_S || at_s + LIFE_NOT_BEFORE_S < now_s)
		return no(RULES_NOT_BEFORE, "not-before is no recent value", why);
	return RULES_YES;
}

/* --- acts --- */

/* The answer to each act in each state, before the questions of time, sales and beacons. */
static const enum rules_no answer[RAFFLE_STATES][RAFFLE_ACTS] = {
    [RAFFLE_DRAFT] = {[RAFFLE_ACT_OPEN] = RULES_YES,
	[RAFFLE_ACT_BUY] = RULES_NOT_OPEN,
	[RAFFLE_ACT_CLOSE] = RULES_NOT_OPEN,
	[RAFFLE_ACT_ENTROPY] = RULES_FORMAT,
	[RAFFLE_ACT_DRAW] = RULES_NOT_CLOSED,
	[RAFFLE_ACT_PROVE] = RULES_NOT_DRAWN,
	[RAFFLE_ACT_AMEND] = RULES_NOT_OPEN,
	[RAFFLE_ACT_ABORT] = RULES_NOT_OPEN,
	[RAFFLE_ACT_FORFEIT] = RULES_NOT_DRAWN},
    [RAFFLE_OPEN] = {[RAFFLE_ACT_OPEN] = RULES_NOT_DRAFT,
	[RAFFLE_ACT_BUY] = RULES_YES,
	[RAFFLE_ACT_CLOSE] = RULES_YES,
	[RAFFLE_ACT_ENTROPY] = RULES_FORMAT,
	[RAFFLE_ACT_DRAW] = RULES_NOT_CLOSED,
	[RAFFLE_ACT_PROVE] = RULES_NOT_DRAWN,
	[RAFFLE_ACT_AMEND] = RULES_YES,
	[RAFFLE_ACT_ABORT] = RULES_YES,
	[RAFFLE_ACT_FORFEIT] = RULES_NOT_DRAWN},
    [RAFFLE_CLOSED] = {[RAFFLE_ACT_OPEN] = RULES_NOT_DRAFT,
	[RAFFLE_ACT_BUY] = RULES_NOT_OPEN,
	[RAFFLE_ACT_CLOSE] = RULES_NOT_OPEN,
	[RAFFLE_ACT_ENTROPY] = RULES_FORMAT,
	[RAFFLE_ACT_DRAW] = RULES_YES,
	[RAFFLE_ACT_PROVE] = RULES_NOT_DRAWN,
	[RAFFLE_ACT_AMEND] = RULES_NOT_OPEN,
	[RAFFLE_ACT_ABORT] = RULES_YES,
	[RAFFLE_ACT_FORFEIT] = RULES_NOT_DRAWN},
    [RAFFLE_DRAWN] = {[RAFFLE_ACT_OPEN] = RULES_NOT_DRAFT,
	[RAFFLE_ACT_BUY] = RULES_NOT_OPEN,
	[RAFFLE_ACT_CLOSE] = RULES_NOT_OPEN,
	[RAFFLE_ACT_ENTROPY] = RULES_FORMAT,
	[RAFFLE_ACT_DRAW] = RULES_DRAWN,
	[RAFFLE_ACT_PROVE] = RULES_YES,
	[RAFFLE_ACT_AMEND] = RULES_DRAWN,
	[RAFFLE_ACT_ABORT] = RULES_DRAWN,
	[RAFFLE_ACT_FORFEIT] = RULES_YES},
    [RAFFLE_ABORTED] = {[RAFFLE_ACT_OPEN] = RULES_ABORTED,
	[RAFFLE_ACT_BUY] = RULES_NOT_OPEN,
	[RAFFLE_ACT_CLOSE] = RULES_ABORTED,
	[RAFFLE_ACT_ENTROPY] = RULES_FORMAT,
	[RAFFLE_ACT_DRAW] = RULES_ABORTED,
	[RAFFLE_ACT_PROVE] = RULES_ABORTED,
	[RAFFLE_ACT_AMEND] = RULES_ABORTED,
	[RAFFLE_ACT_ABORT] = RULES_ABORTED,
	[RAFFLE_ACT_FORFEIT] = RULES_ABORTED},
};

/* Where an act leads; those that are not here leave the state as it is. */
static const enum raffle_state next[RAFFLE_ACTS] = {
    [RAFFLE_ACT_OPEN] = RAFFLE_OPEN,
    [RAFFLE_ACT_CLOSE] = RAFFLE_CLOSED,
    [RAFFLE_ACT_DRAW] = RAFFLE_DRAWN,
    [RAFFLE_ACT_ABORT] = RAFFLE_ABORTED,
};

enum rules_no life_act(const struct life *l, enum raffle_act a)
{
	enum rules_no no = answer[l->state][a];
	bool ended = l->now_s >= l->sales_close_s;

	if (no != RULES_YES)
		return no;
	switch (a) {
	case RAFFLE_ACT_OPEN:
	case RAFFLE_ACT_AMEND:
		return ended ? RULES_TOO_LATE : RULES_YES;
	case RAFFLE_ACT_CLOSE: /* an operator who ends them when it suits is not believed */
		return ended ? RULES_YES : RULES_GOES_ON;
	case RAFFLE_ACT_BUY:
		return ended ? RULES_NOT_OPEN : RULES_YES;
	case RAFFLE_ACT_DRAW:
		if (l->sold <= 0)
			return RULES_EMPTY;
		return l->values ? RULES_YES : RULES_BEACON_MISSING;
	default:
		return RULES_YES;
	}
}

enum raffle_state life_next(const struct life *l, enum raffle_act a)
{
	/* no act leads to a draft: 0 stands for none */
	return life_act(l, a) == RULES_YES && next[a] != RAFFLE_DRAFT ? next[a] : l->state;
}

/* --- forfeits --- */

int life_standing(
    size_t winners, size_t reserves, const uint64_t *forfeits, size_t n, size_t *standing)
{
	size_t moved = 0;

	for (size_t i = 0; i < winners; i++)
		standing[i] = i;
	for (size_t i = 0; i < n; i++) {
		uint64_t pos = forfeits[i];

		if (pos == 0 || pos > winners || standing[pos - 1] == LIFE_NOBODY)
			return KE_RANGE;
		standing[pos - 1] = moved < reserves ? winners + moved++ : LIFE_NOBODY;
	}
	return KE_OK;
}
