/*
 * Public randomness: values of drand's chains and NIST's beacon that this appliance waits for, and
 * the newest round of each chain, by which it checks its own clock (DRAW.md section 7). Runs in
 * engine. What out brings is claimed by a relay; nothing is stored, or given to anybody, before the
 * beacon process has verified its signature, and hsm verifies what it reveals a seed for again.
 */
#ifndef DAEMON_ENGINE_BEACONS_H
#define DAEMON_ENGINE_BEACONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/msg/rconf.h"
#include "db/db_beacon.h"

struct engine;

#define BEACONS_WANTS 32 /* waited for at a time; more are asked for later */

/* How far the local clock may be from the newest round. */
#define BEACONS_CLOCK_MS INT64_C(60000)

enum beacons_clock {
	BEACONS_CLOCK_NONE,    /* no drand chain is configured */
	BEACONS_CLOCK_UNKNOWN, /* no round has come for a while */
	BEACONS_CLOCK_OK,
	BEACONS_CLOCK_OFF, /* nothing may be closed or drawn by it */
	BEACONS_CLOCK_STATES
};

/* A value that somebody waits for. */
struct beacons_want {
	bool used;
	struct beacon b;
	int64_t asked_ms; /* last; engine_clock_ms(). Who does not ask again is forgotten */
};

struct beacons {
	uint8_t hash[RCONF_CHAINS][32]; /* of conf.beacons.chains */
	struct beacons_want want[BEACONS_WANTS];
};

void beacons_start(struct engine *e);

/* May a raffle name this source here? Its chain must be configured, or any host of NIST's. */
bool beacons_known(const struct engine *e, const struct beacon *b);
/* The facts of a configured chain, NULL for another. hash: as a raffle names it. */
const struct drand_chain *beacons_chain(const struct engine *e, const uint8_t hash[32]);

/*
 * The value of what `want` names: drand's chain_hash and round, or NIST's chain and at_ms (the
 * first pulse from that moment on). KE_OK: *got is verified and stored, want with signature, or
 * pulse and output. KE_NOTFOUND: not there yet; it is fetched when it is due, as long as somebody
 * asks again now and then. KE_STATE: no such source here (beacons_known()). The store's errors.
 */
int beacons_value(struct engine *e, const struct beacon *want, struct beacon *got) KE_CHECK;
/* The same with all that its verification needs, for hsm and for bundles; pulses are packed. */
int beacons_stored(struct engine *e, const struct beacon *want, struct db_beacon *got) KE_CHECK;

/*
 * The newest round of a chain that was ever verified here: not older than a minute or two while
 * relays answer. KE_NOTFOUND: none yet; KE_STATE as above.
 */
int beacons_newest(struct engine *e, const uint8_t chain_hash[32], struct beacon *got) KE_CHECK;

/* Does the local clock agree with the newest rounds? */
enum beacons_clock beacons_clock(const struct engine *e);

#endif
