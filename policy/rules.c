/*
 * The rules of money and raffles. Pure; used by engine (and by tests). Every fact is an argument.
 */
#include "policy/rules.h"

#include <stddef.h>
#include <string.h>

static bool money_ok(int64_t a)
{
	return a >= 0 && a <= RULES_MONEY_MAX;
}

int rules_money_add(int64_t a, int64_t b, int64_t *sum)
{
	int64_t s;

	if (!money_ok(a) || !money_ok(b) || __builtin_add_overflow(a, b, &s) || !money_ok(s))
		return KE_RANGE;
	*sum = s;
	return KE_OK;
}

int rules_money_mul(int64_t price, int64_t quantity, int64_t *cost)
{
	int64_t c;

	if (!money_ok(price) || !money_ok(quantity) ||
	    __builtin_mul_overflow(price, quantity, &c) || !money_ok(c))
		return KE_RANGE;
	*cost = c;
	return KE_OK;
}

const char *rules_raffle_word(enum raffle_state s)
{
	switch (s) {
	case RAFFLE_DRAFT:
		return "draft";
	case RAFFLE_OPEN:
		return "open";
	case RAFFLE_CLOSED:
		return "closed";
	case RAFFLE_DRAWN:
		return "drawn";
	case RAFFLE_ABORTED:
		return "aborted";
	case RAFFLE_STATES:
		break;
	}
	return "unknown";
}

/* The answer to each act in each state, before the questions of entropy and sales. */
static const enum rules_no answer[RAFFLE_ABORTED][RAFFLE_ACT_PROVE + 1] = {
    [RAFFLE_DRAFT] = {RULES_YES, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_NOT_CLOSED, RULES_NOT_CLOSED,
	RULES_NOT_DRAWN},
    [RAFFLE_OPEN] = {RULES_NOT_DRAFT, RULES_YES, RULES_YES, RULES_NOT_CLOSED, RULES_NOT_CLOSED,
	RULES_NOT_DRAWN},
    [RAFFLE_CLOSED] = {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_YES, RULES_YES,
	RULES_NOT_DRAWN},
    [RAFFLE_DRAWN] = {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_DRAWN, RULES_DRAWN,
	RULES_YES},
};

/* Where an act leads from the state in which it may happen. */
static const enum raffle_state next[RAFFLE_ACT_PROVE + 1] = {
    [RAFFLE_ACT_OPEN] = RAFFLE_OPEN,
    [RAFFLE_ACT_BUY] = RAFFLE_OPEN,
    [RAFFLE_ACT_CLOSE] = RAFFLE_CLOSED,
    [RAFFLE_ACT_ENTROPY] = RAFFLE_CLOSED,
    [RAFFLE_ACT_DRAW] = RAFFLE_DRAWN,
    [RAFFLE_ACT_PROVE] = RAFFLE_DRAWN,
};

enum rules_no rules_raffle_act(
    enum raffle_state s, enum raffle_act a, bool entropy_set, int64_t sold)
{
	enum rules_no no =
	    s < RAFFLE_ABORTED && a <= RAFFLE_ACT_PROVE ? answer[s][a] : RULES_FORMAT;

	if (no != RULES_YES)
		return no;
	if (a == RAFFLE_ACT_ENTROPY && entropy_set)
		return RULES_ENTROPY_SET;
	if (a != RAFFLE_ACT_DRAW)
		return RULES_YES;
	if (sold <= 0)
		return RULES_EMPTY;
	return entropy_set ? RULES_YES : RULES_ENTROPY_MISSING;
}

enum raffle_state rules_raffle_next(enum raffle_state s, enum raffle_act a)
{
	if (s >= RAFFLE_ABORTED || a > RAFFLE_ACT_PROVE)
		return s;
	return answer[s][a] == RULES_YES ? next[a] : s;
}

enum rules_no rules_sale(const struct rules_sale *s, int64_t quantity, int64_t *cost)
{
	enum rules_no no = rules_raffle_act(s->state, RAFFLE_ACT_BUY, false, s->sold);

	if (no != RULES_YES)
		return no;
	if (quantity < 1)
		return RULES_AMOUNT;
	if (quantity > s->capacity - s->sold)
		return RULES_SOLD_OUT;
	if (s->per_person != 0 && quantity > s->per_person - s->held)
		return RULES_PER_PERSON;
	if (rules_money_mul(s->price, quantity, cost) != KE_OK)
		return RULES_AMOUNT;
	return RULES_YES;
}

enum rules_no rules_deposit_confirm(
    const uint8_t admin[16], const uint8_t depositor[16], bool pending)
{
	if (memcmp(admin, depositor, 16) == 0)
		return RULES_SELF_APPROVAL;
	return pending ? RULES_YES : RULES_DECIDED;
}
