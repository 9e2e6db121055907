/*
 * The rules of money and raffles: checked arithmetic, the raffle's states, who may buy how much,
 * who may confirm a deposit. Pure: every fact comes as an argument, no clock, no I/O.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/ke.h"

#define RULES_MONEY_MAX INT64_C(9007199254740991) /* 2^53 - 1 */

/* Sum and product of non-negative amounts, KE_RANGE beyond RULES_MONEY_MAX. */
int rules_money_add(int64_t a, int64_t b, int64_t *sum) KE_CHECK;
int rules_money_mul(int64_t price, int64_t quantity, int64_t *cost) KE_CHECK;

/* Of both formats; v1 knows no abort. */
enum raffle_state {
	RAFFLE_DRAFT,
	RAFFLE_OPEN,
	RAFFLE_CLOSED,
	RAFFLE_DRAWN,
	RAFFLE_ABORTED,
	RAFFLE_STATES
};
/* v1's acts end with PROVE; ENTROPY is v1's alone, the last ones are v2's: policy/life.h. */
enum raffle_act {
	RAFFLE_ACT_OPEN,
	RAFFLE_ACT_BUY,
	RAFFLE_ACT_CLOSE,
	RAFFLE_ACT_ENTROPY,
	RAFFLE_ACT_DRAW,
	RAFFLE_ACT_PROVE,
	RAFFLE_ACT_AMEND,
	RAFFLE_ACT_ABORT,
	RAFFLE_ACT_FORFEIT,
	RAFFLE_ACTS
};

/* Why an act is refused; the engine maps each to one problem. */
enum rules_no {
	RULES_YES,
	RULES_NOT_DRAFT,
	RULES_NOT_OPEN,
	RULES_NOT_CLOSED,
	RULES_DRAWN,
	RULES_NOT_DRAWN,
	RULES_EMPTY,
	RULES_ENTROPY_MISSING,
	RULES_ENTROPY_SET,
	RULES_SOLD_OUT,
	RULES_PER_PERSON,
	RULES_AMOUNT,
	RULES_SELF_APPROVAL,
	RULES_DECIDED,
	/* v2 alone */
	RULES_FORMAT, /* the act is of the other format */
	RULES_ABORTED,
	RULES_TOO_LATE, /* sales have ended, or will have */
	RULES_GOES_ON,  /* sales have not ended */
	RULES_TOO_FAR,
	RULES_TOO_EARLY, /* a beacon value before the delay is over */
	RULES_BEACON,    /* not pinned here */
	RULES_NOT_LATER, /* an amend that is not */
	RULES_BEACON_MISSING,
	RULES_NOT_BEFORE
};

const char *rules_raffle_word(enum raffle_state s);
/* v1's state machine as a table: may the act happen in this state? */
enum rules_no rules_raffle_act(
    enum raffle_state s, enum raffle_act a, bool entropy_set, int64_t sold);
/* The state after an act that may happen. */
enum raffle_state rules_raffle_next(enum raffle_state s, enum raffle_act a);

struct rules_sale {
	enum raffle_state state;
	int64_t sold, capacity, per_person /* 0: none */, held /* by this holder */, price;
};
/* May quantity tickets be sold, and what do they cost? */
enum rules_no rules_sale(const struct rules_sale *s, int64_t quantity, int64_t *cost);

/* May admin confirm a deposit of depositor that is (or is not) still pending? */
enum rules_no rules_deposit_confirm(
    const uint8_t admin[16], const uint8_t depositor[16], bool pending);

#endif
