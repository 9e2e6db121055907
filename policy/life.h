/*
 * The life of a v2 raffle (DRAW.md section 6): what may happen to it when, and which times and
 * beacons its records may name. Pure: every fact is an argument. Engine asks before it acts; hsm
 * asks again, with what it knows itself, before it agrees to a record or reveals a seed.
 *
 *	draft → open → closed → drawn          amend while open, forfeit when drawn
 *	         └───────┴────→ aborted        nothing after that
 */
#ifndef POLICY_LIFE_H
#define POLICY_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/record2.h"
#include "policy/rules.h"

#define LIFE_DELAY_S      600 /* from the end of sales to the first beacon value */
#define LIFE_LEAD_S       60  /* and from witnesses' cosignatures to it */
#define LIFE_NOT_BEFORE_S 600 /* how old a record's not-before value may be */
#define LIFE_SPAN_S       (UINT64_C(366) * 86400) /* how far ahead a record's times may lie */
#define LIFE_LATE_S       60 /* a draw takes no longer when relays have its values in time */
#define LIFE_PULSE_S      60 /* between NIST's pulses: the first one after a moment may be so late */
#define LIFE_CHAINS_MAX   4
#define LIFE_AMENDS_MAX   16

/* What this site has pinned and configured. */
struct life_site {
	uint64_t delay_s; /* the least there may be */
	struct drand_chain chains[LIFE_CHAINS_MAX];
	size_t nchains;
	bool nist; /* a certificate of NIST's beacon is pinned */
};

/*
 * How long before the first beacon value the close record must have been seen, by witnesses or a
 * time-stamping authority: LIFE_LEAD_S, and with a delay below LIFE_DELAY_S the same part of it.
 */
uint64_t life_lead_s(uint64_t delay_s);
/* The last moment at which the close record may have been seen; 0: the value comes too early. */
uint64_t life_seen_until(uint64_t first_s, uint64_t delay_s);

/* Nothing is pinned yet; delay_s 0: LIFE_DELAY_S. */
void life_site_init(struct life_site *s, uint64_t delay_s);
/* KE_FULL; KE_EXISTS when it is there. */
int life_site_add(struct life_site *s, const struct drand_chain *c) KE_CHECK;
/* The pinned chain of that hash, or NULL. */
const struct drand_chain *life_chain(const struct life_site *s, const uint8_t hash[32]);

/* Unix seconds of what a beacon line promises. KE_NOTFOUND: not pinned; KE_RANGE. */
int life_moment(const struct life_site *s, const struct beacon *b, uint64_t *at_s) KE_CHECK;
/* The moments of the first and of the last promised value. */
int life_moments(const struct life_site *s, const struct record2_terms *t, uint64_t *first_s,
    uint64_t *last_s) KE_CHECK;

/*
 * From when on a raffle that is neither drawn nor aborted is late: a while behind its last promised
 * value, at its deadline at the latest.
 */
uint64_t life_late_s(const struct life_site *s, const struct record2_terms *t);

/* What a raffle may promise next: the first round at or after the end of sales and the delay. */
struct beacon life_promise(const struct drand_chain *c, uint64_t sales_close_s, uint64_t delay_s);

/*
 * May terms be agreed to at now_s? Sales end later than now, each beacon is a pinned one and its
 * value comes delay_s or more behind the end of sales, the deadline behind them all, nothing
 * further off than LIFE_SPAN_S. not-before is not looked at. *why gets words.
 */
enum rules_no life_terms(
    const struct life_site *s, const struct record2_terms *t, uint64_t now_s, const char **why);
/*
 * May terms take the place of others, of which sold tickets know? Only while their sales go on:
 * before the first sale anything that life_terms() allows, afterwards a later end of sales with
 * later values. *why gets words.
 */
enum rules_no life_amend(const struct life_site *s, const struct record2_terms *from,
    const struct record2_terms *to, bool sold, uint64_t now_s, const char **why);
/* Is this value, whose signature is verified elsewhere, one that shows that it is now? */
enum rules_no life_not_before(
    const struct life_site *s, const struct beacon *b, uint64_t now_s, const char **why);

/* What an act on a raffle is judged by. */
struct life {
	enum raffle_state state;
	int64_t sold;
	uint64_t sales_close_s, now_s;
	bool values; /* every promised beacon value is there, verified */
};
enum rules_no life_act(const struct life *l, enum raffle_act a);
/* The state after an act that may happen. */
enum raffle_state life_next(const struct life *l, enum raffle_act a);

/*
 * Who stands for the prizes after n winners' forfeits, in their order: forfeits[i] is a prize's
 * position (from 1), whose holder of that moment loses it to the next reserve that has not moved up
 * yet, or to nobody. standing[0 … winners - 1] are indexes of the drawn picks (winners, then
 * reserves), LIFE_NOBODY. KE_RANGE: a forfeit of no prize, or of one that nobody held.
 */
#define LIFE_NOBODY SIZE_MAX
int life_standing(
    size_t winners, size_t reserves, const uint64_t *forfeits, size_t n, size_t *standing) KE_CHECK;

#endif
