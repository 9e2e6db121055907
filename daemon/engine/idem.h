/*
 * Idempotency-Key (API.md): the scope is user and route; the same key and body get the first
 * answer again, another body is refused, a first request still under way too. The answer is
 * stored in the commit of its effect; what a retry may cure (5xx, 429) is not stored. Where an
 * effect comes behind such an answer (life.h), it is promised to the key, and a retry is told of
 * it. Runs in engine.
 */
#ifndef DAEMON_ENGINE_IDEM_H
#define DAEMON_ENGINE_IDEM_H

#include "daemon/engine/rq.h"
#include "db/db_idem.h"

/* A longer body cannot be kept with what stands beside it. */
#define IDEM_BODY_MAX (DB_ANSWER_MAX - 1024)

/* KE_OK: go on; KE_EXISTS: the first answer stands in q->ans; RQ_REFUSED; KE_* of the store. */
int idem_look(struct rq *q) KE_CHECK;
/* What the store knows this request by, should its effect come without it. */
int idem_name(const struct rq *q, struct db_idem_name *name) KE_CHECK;
/* Is that the name of this request? */
bool idem_is(const struct rq *q, const struct db_idem_name *name);
/* Stores the answer if it is to be kept; returns KE_OK, or the store's failure. */
int idem_keep(struct rq *q) KE_CHECK;

#endif
