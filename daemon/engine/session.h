/*
 * Sessions: families of refresh tokens. What login and refresh share. Runs in engine.
 */
#ifndef DAEMON_ENGINE_SESSION_H
#define DAEMON_ENGINE_SESSION_H

#include "daemon/engine/rq.h"

#define SESSION_LIFE_MS  (INT64_C(7) * 24 * 3600 * 1000)
#define SESSION_GRACE_MS 30000 /* a parent used again within this is a retry, not a theft */
/* A session from further ahead than that was made by a clock that was wrong, and would live too
 * long. */
#define SESSION_AHEAD_MS (INT64_C(3600) * 1000)

/* The row of a fresh family, generation 1. */
int session_create(struct rq *q, const uint8_t user[16], const uint8_t family[16]) KE_CHECK;
/* The answer with both tokens, from the rest of HSM_SESSION_ANS. */
int session_answer(struct rq *q, struct wire_in *in, int64_t refresh_expires_ms) KE_CHECK;

#endif
