/*
 * Checkpoints: each log's size and root, signed by hsm in batches. A log that has new leaves gets a
 * checkpoint at once when none was signed for CKPT_ROUND_MS, else with the next round, so that one
 * signature covers what was sold in a second, and hsm's rate does not bound sales. The leaves are
 * durable before hsm is asked (its question leaves after the commit), the note is durable before
 * anybody sees it. Which logs are behind stands in the store: a restart, a failed turn and an hsm
 * that was away lose nothing. Runs in engine.
 */
#ifndef DAEMON_ENGINE_CKPT_H
#define DAEMON_ENGINE_CKPT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "db/db_log.h"
#include "policy/merkle.h"
#include "policy/origin.h"
#include "policy/tlog.h"

#define CKPT_ROUND_MS  1000
#define CKPT_RETRY_MS  2000 /* after hsm or the store could not; twice as late each time */
#define CKPT_RETRY_MAX 8000
#define CKPT_LATE_MS   15000 /* then /health says so */
#define CKPT_AT_ONCE   4     /* questions */
#define CKPT_ROUND     256   /* logs in one round; the next goes on behind them */

struct engine;
struct event;

struct ckpt_one {
	struct job job; /* first member: a step finds its log by it */
	int64_t log;
	bool again; /* asked from where hsm said */
	struct checkpoint head;
};

struct ckpt {
	struct event *timer;
	struct ckpt_one one[CKPT_AT_ONCE];
	bool dirty, running; /* a log may be behind; a round is under way */
	bool seen_all;       /* by this round: a log is asked about once in it */
	int64_t after;       /* number of the log that the round has come to; -1: before all */
	unsigned asked;      /* in this round */
	int64_t next_ms;     /* engine_clock_ms(): no round begins before */
	int64_t retry_ms;    /* 0: nothing has failed in the last round */
	unsigned fails;      /* rounds in a row */
	int64_t failing_ms;  /* since when; 0: not */
	uint64_t chan;       /* serial number of the hsm that was asked last */
	uint64_t signatures; /* since start */
};

/* What hsm is asked about a log. */
struct ckpt_question {
	struct log_name name;
	const struct checkpoint *head;
	uint64_t from; /* size of the checkpoint that the proof begins at */
	uint8_t proof[MERKLE_LEVELS + 1][32];
	size_t n;
	const char *note; /* the newest checkpoint, signed; note_len 0: there is none yet */
	size_t note_len;
};

/* Looks for logs that are behind from the start on. Fatal without memory. */
void ckpt_start(struct engine *e);
void ckpt_stop(struct engine *e);
/* A log has new leaves. */
void ckpt_kick(struct engine *e);
/* The commit of a turn failed: a checkpoint that it wrote is not there. */
void ckpt_lost(struct engine *e);
/* Tries again what hsm could not sign, or what was lost. */
void ckpt_tick(struct engine *e);
/* Have logs been without a checkpoint of their newest leaves for too long? */
bool ckpt_late(const struct engine *e);

/* Does a published checkpoint of the log cover the leaf at that index? */
bool ckpt_covers(const struct db_log *log, uint64_t index);
/* The log of a number by its name. */
struct log_name ckpt_name(const struct db_log *log);

#endif
