/*
 * The opening of the store, whose key only hsm can unseal. Every failure is fatal with one line
 * that names the thing and what to do; nothing is altered before all checks held. That hsm is away
 * is none: engine waits for it in its loop with e->db NULL, tells nets how things stand, and goes
 * on by itself. Runs in engine, inside its sandbox.
 */
#ifndef DAEMON_ENGINE_OPENING_H
#define DAEMON_ENGINE_OPENING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"

struct engine;

struct opening {
	void (*opened)(struct engine *e);
	struct job job;   /* asks for the database key */
	uint64_t asked;   /* serial number of the channel that it was asked for over */
	int64_t began_ms; /* engine_clock_ms() */
};

/* Reads klero.keys. When the store is open, opened() is called, once. */
void opening_begin(struct engine *e, void (*opened)(struct engine *e));
/* What every start needs of the store is not to be had: r is why. For what opened() calls, too. */
_Noreturn void opening_failed(struct engine *e, const char *what, int r);
/* Asks hsm for the key as soon as it can be asked: each tick, and when hsm has told its keys. */
void opening_step(struct engine *e);
/* Are nets listened to? Not in the moments that a start takes: they wait for the store. */
bool opening_serves(const struct engine *e);

#endif
