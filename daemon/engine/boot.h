/*
 * What engine does once, before its loop: read its configuration, wait for hsm's channel, read
 * klero.keys, have the database key opened, open the store. Every failure is fatal with one line
 * that names the thing and what to do; nothing is altered before all checks held.
 * Runs in engine, inside its sandbox from boot_open() on.
 */
#ifndef DAEMON_ENGINE_BOOT_H
#define DAEMON_ENGINE_BOOT_H

#include <stdint.h>

#include "daemon/engine/peers.h"

struct engine;

#define BOOT_PEERS (PEERS_NETS + PEERS_KDFS + 3)

/* Channels that parent handed over before the loop could take them. */
struct boot_peers {
	unsigned n;
	struct {
		struct start_peer who;
		int fd;
	} peer[BOOT_PEERS];
};

void boot_configure(struct engine *e);
/* Waits until hsm's channel is there; keeps what else comes. Returns hsm's descriptor. */
int boot_wait_hsm(struct boot_peers *peers);
/* Tables, buffers, libcrypto's algorithms: before the sandbox. */
void boot_warm_up(struct engine *e);
/*
 * The sandbox. With users of its own the store's folder becomes the root folder too: Landlock does
 * not keep anybody from asking which files there are.
 */
void boot_enter(struct engine *e);
/* The store, opened with the key that hsm unseals. */
void boot_open(struct engine *e, int hsm);

#endif
