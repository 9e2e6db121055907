/*
 * Background work: rows of the one jobs table, at most five at once, each one step per turn.
 * Runs in engine.
 */
#ifndef DAEMON_ENGINE_MAINT_H
#define DAEMON_ENGINE_MAINT_H

#include <stdbool.h>
#include <stddef.h>

#include "db/db_job.h"

struct engine;
struct event;
struct proof_build;

struct maint_run {
	bool active;
	struct db_job job;
	struct proof_build *proof;
	int64_t again_ms;  /* set by a step that is done for now: when to come again */
	uint8_t after[16]; /* how far it is */
};

enum maint_ledger { MAINT_LEDGER_UNKNOWN, MAINT_LEDGER_OK, MAINT_LEDGER_BROKEN };

struct maint {
	struct event *timer;
	struct maint_run run[DB_JOBS_AT_ONCE];
	enum maint_ledger ledger; /* what the last look at all balances said */
	bool recover;             /* rows that say "running" are not: take them back first */
	bool hasten;              /* rows may wait for a time that was never to come: look */
	int64_t set_ms; /* when somebody last set the clock, or the start; engine_clock_ms() */
	bool set;       /* it was set since the start */
};

/* Puts the periodic jobs into the table and starts the timer. Fatal. */
void maint_start(struct engine *e);
void maint_stop(struct engine *e);
/* There may be something to do at once. */
void maint_kick(struct engine *e);
/* Somebody has set the wall clock: what goes by ages must not believe it for a while. */
void maint_clock_set(struct engine *e);
/* The commit of a turn failed: what ran in it did not happen. */
void maint_lost(struct engine *e);

#endif
