/*
 * Officers' approvals of payouts and draws: see consent.h. Runs in hsm.
 */
#include "hsm/role/consent.h"

#include <time.h>

int consent_get(struct wire_in *in, struct consent *c)
{
	c->text = (const char *)wire_get_str(in, PROPOSAL_TEXT_MAX, &c->n);
	c->approvals = (const char *)wire_get_str(in, RCONF_KEYADM_APPROVALS, &c->len);
	return in->err == KE_OK && c->n > 0 ? KE_OK : KE_PEER;
}

int consent_check(struct hsm *h, const struct consent *c, const char **why)
{
	struct approval approvals[ANCHOR_OFFICERS_MAX];
	struct proposal_verdict v;
	size_t n;

	if (c->n == 0)
		return KE_AUTH;
	*why = "its approvals are no signatures";
	if (approvals_split(c->approvals, c->len, approvals, &n) != KE_OK)
		return KE_DENIED;
	if (proposal_count(&h->proposal, &h->anchor, c->text, c->n, approvals, n,
		(uint64_t)time(NULL), &v) == KE_OK)
		return KE_OK;
	*why = v.why;
	return KE_DENIED;
}
