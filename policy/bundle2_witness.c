/*
 * What witnesses say of a v2 proof bundle: who saw its checkpoints, and when. Pure; see bundle2.h.
 */
#include "policy/bundle2_check.h"

/* Which witnesses have cosigned it by then; none may have done so wrongly. */
static int seen_by(struct check2 *c, const char *note, size_t n, const char *what, uint64_t until_s,
    uint64_t *seen)
{
	if (tlog_policy_seen(c->policy, note, n, until_s, seen) != KE_OK)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "a witness's cosignature of the %s is wrong", what);
	return KE_OK;
}

/*
 * A policy without a quorum claims nothing. One that has it asks that enough witnesses have seen
 * each of the records and the tickets, and the close record before anybody could know the first
 * value.
 */
int check2_witnesses(struct check2 *c)
{
	uint64_t until = c->first_s < BUNDLE2_SEEN_S ? 0 : c->first_s - BUNDLE2_SEEN_S, seen;
	bool met = true;
	int r = seen_by(c, c->note, c->note_len, "tickets", UINT64_MAX, &seen);

	if (r == KE_OK)
		met = tlog_policy_met(c->policy, seen);
	for (unsigned w = OPEN; r == KE_OK && w < RECORDS; w++) {
		r = seen_by(c, c->proof[w].note, c->proof[w].note_len, check2_words[w],
		    w == CLOSE ? until : UINT64_MAX, &seen);
		if (r == KE_OK)
			met = met && tlog_policy_met(c->policy, seen);
		if (w == CLOSE)
			c->res->seen = (unsigned)__builtin_popcountll(seen);
	}
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
