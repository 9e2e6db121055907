/*
 * Currencies and refusals: see money.h. Runs in engine.
 */
#include "daemon/engine/money.h"

#include <string.h>

#include "daemon/engine/engine.h"

bool money_currency(
    const struct engine *e, const struct api_value *money, char out[DB_CURRENCY_MAX + 1])
{
	const char *p = e->conf.currencies;

	while (*p != '\0') {
		size_t n = strcspn(p, " ");

		if (n == money->n && n <= DB_CURRENCY_MAX && memcmp(p, money->p, n) == 0) {
			memcpy(out, p, n);
			out[n] = '\0';
			return true;
		}
		p += n + strspn(p + n, " ");
	}
	return false;
}

enum problem money_problem(enum rules_no no)
{
	switch (no) {
	case RULES_NOT_DRAFT:
		return PB_RAFFLE_NOT_DRAFT;
	case RULES_NOT_OPEN:
		return PB_RAFFLE_NOT_OPEN;
	case RULES_NOT_CLOSED:
		return PB_RAFFLE_NOT_CLOSED;
	case RULES_DRAWN:
		return PB_RAFFLE_DRAWN;
	case RULES_NOT_DRAWN:
		return PB_RAFFLE_NOT_DRAWN;
	case RULES_EMPTY:
		return PB_RAFFLE_EMPTY;
	case RULES_ENTROPY_MISSING:
		return PB_ENTROPY_MISSING;
	case RULES_ENTROPY_SET:
		return PB_ENTROPY_SET;
	case RULES_SOLD_OUT:
		return PB_SOLD_OUT;
	case RULES_PER_PERSON:
		return PB_PER_PERSON;
	case RULES_AMOUNT:
		return PB_AMOUNT;
	case RULES_SELF_APPROVAL:
		return PB_SELF_APPROVAL;
	case RULES_DECIDED:
		return PB_DEPOSIT_DECIDED;
	case RULES_FORMAT:
		return PB_RAFFLE_FORMAT;
	case RULES_ABORTED:
		return PB_RAFFLE_ABORTED;
	case RULES_TOO_LATE:
		return PB_SALES_ENDED;
	case RULES_GOES_ON:
		return PB_SALES_GO_ON;
	case RULES_TOO_FAR:
		return PB_TERMS_FAR;
	case RULES_TOO_EARLY:
		return PB_BEACON_EARLY;
	case RULES_BEACON:
		return PB_BEACON_UNKNOWN;
	case RULES_NOT_LATER:
		return PB_NOT_LATER;
	case RULES_BEACON_MISSING:
		return PB_BEACON_MISSING;
	case RULES_NOT_BEFORE:
		return PB_NO_BEACON;
	case RULES_YES:
		break;
	}
	return PB_INTERNAL;
}
