/*
 * What the handlers of money and raffles share: the currencies that are offered, and the problem
 * for each refusal of the rules. Runs in engine.
 */
#ifndef DAEMON_ENGINE_MONEY_H
#define DAEMON_ENGINE_MONEY_H

#include <stdbool.h>

#include "daemon/engine/rq.h"
#include "db/db_ledger.h"
#include "policy/rules.h"

/* Copies the currency of a MONEY field; false when this appliance does not offer it. */
bool money_currency(
    const struct engine *e, const struct api_value *money, char out[DB_CURRENCY_MAX + 1]);
/* The problem for a refusal; RULES_YES has none and must not come. */
enum problem money_problem(enum rules_no no);

#endif
