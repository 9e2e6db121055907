/*
 * What hsm lets go out of deposit addresses, whatever engine says: for each chain that is allowed
 * at all, the most that one payout may cost and the most that all payouts of a span of time may,
 * fees included. From klerod.conf, by parent, so that a captured engine cannot raise it. Pure.
 */
#ifndef POLICY_PAYLIMIT_H
#define POLICY_PAYLIMIT_H

#include "policy/payout.h"

#define PAYLIMITS_MAX     8
#define PAYLIMIT_TEXT_MAX 256 /* with its NUL */

struct paylimit {
	uint8_t kind; /* enum payout_kind */
	uint64_t chain_id;
	struct u256 each, total;
	struct u256 approval; /* what costs more needs the officers' approval */
	uint32_t window_s;
};

/* How much has gone out in the span of time that began at start_s. */
struct paylimit_spent {
	uint64_t start_s;
	struct u256 sum;
};

/*
 * "evm:<chain id> <each> <total>/<seconds>" or "solana <each> <total>/<seconds>", amounts in wei or
 * lamports, single spaces, 1 to 31,622,400 seconds; then, where there is one, a space and the cost
 * above which officers must approve (without it: above `each`, that is nothing). KE_FORMAT;
 * KE_RANGE when each is more than total, or total is 0.
 */
int paylimit_parse(struct paylimit *l, const char *s) KE_CHECK;

/* The limit of the payout's chain, NULL when there is none: then nothing may go out. */
const struct paylimit *paylimit_find(
    const struct paylimit *limits, size_t n, const struct payout *p);

/*
 * May this cost go out at now_s? Adds it to *spent then. Spans are multiples of window_s since
 * 1970; a clock that was set back begins no new one. KE_LIMIT, and *spent as it was.
 */
int paylimit_spend(const struct paylimit *l, struct paylimit_spent *spent, const struct u256 *cost,
    uint64_t now_s) KE_CHECK;

#endif
