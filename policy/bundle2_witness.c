/*
 * What witnesses say of a v2 proof bundle: who saw its checkpoints, and when. Pure; see bundle2.h.
 */
#include "policy/bundle2_check.h"

/* Which witnesses have cosigned it by then; none may have done so wrongly. */
static int seen_by(struct check2 *c, const char *note, size_t n, const char *what, uint64_t until_s,
    uint64_t *seen)
{
	*seen = 0;
	if (tlog_policy_seen(c->policy, note, n, until_s, seen) != KE_OK)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "a witness's cosignature of the %s is wrong", what);
	return KE_OK;
}

/* Enough of them, not later than that? Clears *met when not. */
static int seen_enough(
    struct check2 *c, const struct logged2 *l, uint64_t until_s, uint64_t *seen, bool *met)
{
	int r;

	*seen = 0;
	if (l->text == NULL)
		return KE_OK;
	r = seen_by(c, l->proof.note, l->proof.note_len, record2_words[l->rec.kind], until_s, seen);
	*met = *met && tlog_policy_met(c->policy, *seen);
	return r;
}

uint64_t check2_before(const struct check2 *c, uint64_t first_s)
{
	return life_seen_until(first_s, check2_delay(c));
}

/* Terms may change only while nobody can know what the former ones would have led to. */
static int check_amends(struct check2 *c, bool *met)
{
	const struct record2_terms *was = &c->rec[OPEN].rec.terms;
	uint64_t seen;
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < c->namends; i++) {
		r = seen_enough(
		    c, &c->amends[i], check2_before(c, check2_first(c, was)), &seen, met);
		was = &c->amends[i].rec.terms;
	}
	return r;
}

/*
 * A policy without a quorum claims nothing. One that has it asks that enough witnesses have seen
 * each of the records and the tickets, the close record before anybody could know the first value,
 * and an amend before anybody could know the first one of the terms that it changed.
 */
int check2_witnesses(struct check2 *c)
{
	uint64_t seen;
	bool met = true;
	int r = KE_OK;

	if (c->note != NULL) {
		r = seen_by(c, c->note, c->note_len, "tickets", UINT64_MAX, &seen);
		met = tlog_policy_met(c->policy, seen);
	}
	for (unsigned w = OPEN; r == KE_OK && w < RECORDS; w++) {
		r = seen_enough(c, &c->rec[w],
		    w == CLOSE && c->drawn ? check2_before(c, c->first_s) : UINT64_MAX, &seen,
		    &met);
		if (w == (c->drawn ? CLOSE : ABORT))
			c->res->seen = (unsigned)__builtin_popcountll(seen);
	}
	if (r == KE_OK)
		r = check_amends(c, &met);
	for (size_t i = 0; r == KE_OK && i < c->nforfeits; i++)
		r = seen_enough(c, &c->forfeits[i], UINT64_MAX, &seen, &met);
	if (r != KE_OK || c->policy->quorum == 0)
		return r;
	c->res->claimed |= BUNDLE2_WITNESSED;
	if (met)
		c->res->levels |= BUNDLE2_WITNESSED;
	else
		check2_lacks(
		    c, "not enough witnesses saw the records, and the close record in time");
	return KE_OK;
}
