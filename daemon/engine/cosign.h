/*
 * Witnesses' cosignatures on this appliance's checkpoints (c2sp.org/tlog-witness): the newest of
 * the operator log, and the last of each ticket log whose sales are closed. Who is asked, and how
 * many are enough, says the trust policy of the configuration. Runs in engine; out asks, and what
 * it brings counts when the cosignature verifies.
 */
#ifndef DAEMON_ENGINE_COSIGN_H
#define DAEMON_ENGINE_COSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/msg/rconf.h"
#include "policy/tlog.h"

struct engine;

/* A witness that is asked: one question at a time. */
struct cosign_witness {
	struct job job; /* first: a step finds its witness by it */
	bool used, running;
	int64_t until_ms; /* engine_clock_ms(): left alone so long */
	unsigned fails;
	int64_t log; /* that is asked about */
	uint64_t size, old;
	uint64_t cosigned; /* since the start */
};

struct cosign {
	struct tlog_policy policy;
	struct cosign_witness witness[RCONF_WITNESSES]; /* by their place in the policy */
	int64_t next_ms;
	bool any,
	    met; /* somebody is asked; the newest checkpoint of the operator log has its quorum */
};

/* Takes the policy over; fatal when it cannot be read. */
void cosign_start(struct engine *e);
/* Asks who has not cosigned yet. */
void cosign_tick(struct engine *e);
/* "ok", "waiting": has the operator log's newest checkpoint its quorum? NULL: nobody is asked. */
const char *cosign_word(const struct engine *e);
/* Which of the policy's witnesses have cosigned this note, and are they a quorum? */
bool cosign_met(const struct engine *e, const char *note, size_t n);

#endif
