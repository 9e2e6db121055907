/*
 * What the handlers of both formats' raffles share of v2: a route's handler finds the raffle's
 * format and hands over. Runs in engine.
 */
#ifndef DAEMON_ENGINE_API_LIFE_H
#define DAEMON_ENGINE_API_LIFE_H

#include "daemon/engine/rq.h"
#include "policy/record2.h"

/* Where a row has the fields that terms are made of. */
struct terms_fields {
	unsigned sales_close, deadline, delay, chain, round, nist_chain;
};
/* Terms as a client wants them, without not-before: all that it leaves open is filled in. */
int life_terms_get(struct rq *q, const struct terms_fields *f, struct record2_terms *t) KE_CHECK;

/* Handlers of v2 raffles. */
int life_api_open(struct rq *q) KE_CHECK;
int life_api_close(struct rq *q) KE_CHECK;
int life_api_draw(struct rq *q) KE_CHECK;

#endif
