/*
 * Payouts: what hsm says of one is stored here, whether a client waits for it or not. A payout's
 * row stands before hsm is asked; what is left without an answer, by a kill of hsm or of engine, is
 * asked for again in the background, and so is what officers have approved, by the same id, for
 * which hsm signs the same transaction only. Runs in engine.
 */
#ifndef DAEMON_ENGINE_PAYOUT_H
#define DAEMON_ENGINE_PAYOUT_H

#include <stdbool.h>

#include "daemon/engine/job.h"
#include "db/db_payout.h"
#include "policy/jsonw.h"

#define PAYOUT_BATCH 8

struct payouts {
	uint64_t chan;     /* serial number of the hsm that was asked for all that wait */
	int64_t look_ms;   /* when to look again; engine_clock_ms() */
	unsigned seen;     /* how many there were at the last look */
	bool looking;      /* there may be more behind: */
	uint8_t after[16]; /* this one */
	struct payout_one {
		struct job job; /* first member: a step finds its payout by it */
		struct db_payout payout;
	} one[PAYOUT_BATCH];
};

struct engine;

/*
 * hsm's answer about p: stored, with an audit line; when hsm wants officers to approve it, it is
 * put to them. KE_OK: p is as the row is now, signed, refused, or waiting for them. KE_PEER; what
 * hsm or the store failed with, and the row waits as before.
 */
int payout_settle(struct engine *e, struct db_payout *p, int r, struct wire_in *in) KE_CHECK;
/* Has it been put to the officers? Then it is the background's. Opens the turn. */
int payout_is_proposed(struct engine *e, const struct db_payout *p, bool *proposed) KE_CHECK;
/* Looks for what waits soon: officers have decided. */
void payout_look(struct engine *e);
/* Asks again for what waits. */
void payout_tick(struct engine *e);
void payout_put_json(struct jsonw *w, const struct db_payout *p);

#endif
