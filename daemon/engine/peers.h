/*
 * The channels of engine: to each net, to hsm, to each kdf. A peer that dies is replaced by
 * parent with a fresh channel; what waited for the old one fails, and an answer to a client of the
 * old net never reaches the new one. An hsm can get a successor while it lives: it answers what it
 * was asked, and new questions go to the other. Runs in engine.
 */
#ifndef DAEMON_ENGINE_PEERS_H
#define DAEMON_ENGINE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/start.h"

#define PEERS_NETS 16
#define PEERS_KDFS 16

struct engine;
struct chan;
struct turn_out;

struct peer {
	struct chan *chan; /* NULL: not there now */
	uint64_t serial;   /* of this channel */
	bool paused;       /* not read from: it does not take its answers, or engine starts */
};

struct peers {
	uint64_t serial;
	struct peer net[PEERS_NETS], kdf[PEERS_KDFS], hsm;
	struct peer out, beacon; /* only where beacons are configured */
	struct peer former;      /* an hsm that has a successor, and still owes answers */
	struct net_stats stats[PEERS_NETS];
};

/* A fresh channel to a peer, owned from now on; one that engine cannot have is fatal. */
void peers_attach(struct engine *e, const struct start_peer *who, int fd);

/* Sends one item of the turn; what cannot be delivered is dropped, and its job failed. */
void peers_deliver(struct engine *e, const struct turn_out *o);
/* Tells every net that the answers under these cache tags are stale. */
void peers_drop_cache(struct engine *e, uint32_t tags);
/* How many kdfs are there now? */
unsigned peers_kdfs(const struct engine *e);
/* Closes the former hsm's channel when it owes nothing any more. */
void peers_drain(struct engine *e);
/* Reads again from those who have taken their answers. */
void peers_resume(struct engine *e);

#endif
