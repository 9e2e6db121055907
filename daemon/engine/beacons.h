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

#define BEACONS_ERRANDS 4

/*
 * When each source was last asked on somebody's behalf, by the number of the question; 0: not yet.
 * Everybody who waits goes round all sources himself: did they share one turn, two who ask in step
 * could each get the same source for ever, and one of them in vain.
 */
struct beacons_turns {
	uint64_t asked[RCONF_RELAYS];
};
_Static_assert(RCONF_NISTS <= RCONF_RELAYS, "beacons_turns holds either kind of source");

/* A value that somebody waits for. Times, here and below, are engine_clock_ms()'s. */
struct beacons_want {
	bool used, running; /* an errand is out for it */
	struct beacon b;
	int64_t asked_ms; /* last: who does not ask again is forgotten */
	int64_t next_ms;  /* not tried again before */
	unsigned tries;
	struct beacons_turns sources;
};

/* A relay, or a host of NIST's beacon. */
struct beacons_source {
	int64_t until_ms; /* left alone so long */
	unsigned fails;   /* one after the other: each doubles the time */
	unsigned lies;    /* since the start */
	int64_t bad_ms;   /* when it last failed or lied */
	bool stale;       /* in this cycle it had nothing newer than others */
	uint64_t asked;   /* the number of its last question, whoever's; 0: none yet */
};

/* What is known of a chain's present. */
struct beacons_chain {
	uint8_t hash[32];
	bool running;     /* an errand is out for its newest round */
	int64_t next_ms;  /* of the next look */
	unsigned tries;   /* of this cycle */
	uint64_t round;   /* newest that was verified since the start, 0 for none */
	int64_t time_ms;  /* its time by the chain, Unix */
	int64_t seen_ms;  /* when it came */
	int64_t least_ms; /* of the newest in the store: no clock may stand before it */
	struct beacons_turns sources;
};

/* One question to a source, from the fetch to the verdict. */
struct beacons_errand {
	struct job job; /* first: a step gets this */
	bool used;
	struct beacons_want *want;   /* or: */
	struct beacons_chain *chain; /* whose newest round it is for */
	uint8_t source, index;       /* which relay or host, which chain */
	struct db_beacon v;          /* what was claimed so far */
	bool before;                 /* it is about the pulse before */
};

struct beacons {
	struct beacons_chain chain[RCONF_CHAINS]; /* of conf.beacons.chains */
	struct beacons_want want[BEACONS_WANTS];
	struct beacons_source relay[RCONF_RELAYS], nist[RCONF_NISTS];
	uint64_t questions; /* so many sources were asked */
	struct beacons_errand errand[BEACONS_ERRANDS];
};

void beacons_start(struct engine *e);
/* Sends for what is due: wanted values first, newest rounds now and then. */
void beacons_tick(struct engine *e);
/* No errand keeps engine from its end. */
void beacons_stop(struct engine *e);

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
const char *beacons_clock_word(enum beacons_clock c);

/* Whether both processes are there that values come through; false too when none is configured. */
bool beacons_works(const struct engine *e);

#endif
