/*
 * What security officers say about a payout or a draw, as engine hands it over: hsm counts their
 * signatures itself, by the token's anchor and its own clock (policy/proposal.h). Runs in hsm;
 * trusts the token.
 */
#ifndef HSM_ROLE_CONSENT_H
#define HSM_ROLE_CONSENT_H

#include "hsm/role/hsm.h"

/* Views into the message; n 0: nothing. */
struct consent {
	const char *text, *approvals;
	size_t n, len;
};

/* str proposal, str approvals. KE_PEER when that cannot be read, or there is no proposal. */
int consent_get(struct wire_in *in, struct consent *c) KE_CHECK;

/*
 * Have enough officers approved it? h->proposal is it then; what it is about the caller compares.
 * KE_AUTH when there is none; KE_DENIED with words in *why.
 */
int consent_check(struct hsm *h, const struct consent *c, const char **why) KE_CHECK;

#endif
