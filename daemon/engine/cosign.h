/*
 * Witnesses' cosignatures on this appliance's checkpoints (c2sp.org/tlog-witness): those of the
 * operator log, and the last one of each ticket log that somebody waits for (cosign_want()). Who is
 * asked, and how many are enough, says the trust policy of the configuration. Runs in engine; out
 * asks, and what it brings counts when the cosignature verifies.
 *
 * A quorum must stand on one checkpoint, and a witness never goes back: so all of them are asked
 * about the same one until it has its quorum, or for COSIGN_AIM_MS, before a newer one is.
 */
#ifndef DAEMON_ENGINE_COSIGN_H
#define DAEMON_ENGINE_COSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/msg/rconf.h"
#include "policy/tlog.h"

struct engine;

#define COSIGN_LOGS   33 /* the operator log, and ticket logs at once */
#define COSIGN_AIM_MS 10000

/* What is to be cosigned of a log. */
struct cosign_log {
	int64_t no; /* DB_LOG_OPERATOR in the first place; elsewhere 0: a free one */
	int64_t wanted_ms;
	bool aimed, met; /* at the checkpoint of that size; it has its quorum */
	uint64_t size, newest;
	int64_t since_ms;
	struct {
		uint64_t known; /* size that it has cosigned last, as far as is known */
		unsigned fails; /* answers that were no cosignature */
		int64_t until_ms;
	} by[RCONF_WITNESSES];
};

/* A witness that is asked: one question at a time. */
struct cosign_witness {
	struct job job; /* first: a step finds its witness by it */
	bool used, running;
	int64_t until_ms; /* engine_clock_ms(): left alone so long, having given no answer */
	unsigned fails;
	int64_t log; /* that is asked about */
	uint64_t size, old;
	uint64_t cosigned, failures; /* since the start */
	/* as far as was looked, for the metrics */
	int64_t last_s;     /* Unix time of its newest cosignature; 0: none yet */
	uint64_t last_size; /* of the operator log that it has cosigned */
};

struct cosign {
	struct tlog_policy policy;
	struct cosign_witness witness[RCONF_WITNESSES]; /* by their place in the policy */
	struct cosign_log log[COSIGN_LOGS];
	int64_t next_ms;
	bool any; /* somebody is asked */
};

/* Takes the policy over; fatal when it cannot be read. */
void cosign_start(struct engine *e);
/* Asks who has not cosigned yet. */
void cosign_tick(struct engine *e);
/* There is a new checkpoint. */
void cosign_kick(struct engine *e);
/* Somebody waits for cosignatures of that ticket log; to be said again while that is so. */
void cosign_want(struct engine *e, int64_t no);
/* Has a witness a question about that log? */
bool cosign_asking(const struct engine *e, int64_t no);
/* "ok", "waiting": has the operator log's newest checkpoint its quorum? NULL: nobody is asked. */
const char *cosign_word(const struct engine *e);

#endif
