/*
 * The state of the parts, for /health, /health/ready and kleroctl status. Runs in engine.
 */
#ifndef DAEMON_ENGINE_HEALTH_H
#define DAEMON_ENGINE_HEALTH_H

#include <stdbool.h>

#include "daemon/api/problem.h"
#include "daemon/msg/msg.h"
#include "policy/jsonw.h"

struct engine;

/* MSG_ENGINE_TOKENS: what parent says of the tokens. */
void health_tokens(struct engine *e, const struct msg *m);

/* One object; with `more` what only operators need. */
void health_put(struct engine *e, struct jsonw *w, bool more);
/* True when sales and draws work; else *p names the first part that does not. */
bool health_ready(struct engine *e, enum problem *p);

#endif
