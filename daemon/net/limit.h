/*
 * Requests per client address and class, counted in shared memory by all net processes together.
 * A fixed table of atomic counters, open addressing, fixed windows; addresses are hashed under a
 * random key (IPv6 by /64), so that nobody can choose collisions. Runs in net; parent only
 * creates the memory (LIMIT_BYTES, all zero) and hands its descriptor to every net.
 */
#ifndef DAEMON_NET_LIMIT_H
#define DAEMON_NET_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define LIMIT_SLOTS  65536
#define LIMIT_HEADER 64
#define LIMIT_BYTES  (LIMIT_HEADER + LIMIT_SLOTS * 16) /* size of the shared memory */

enum limit_class {
	LIMIT_ANONYMOUS, /* requests without a token */
	LIMIT_AUTH,      /* password guessing */
	LIMIT_APPROVAL,  /* officers' signatures */
	LIMIT_BADTOKEN,  /* tokens that engine refused */
	LIMIT_LOGS       /* of the logs, what was not in net's memory */
};

struct limit {
	struct limit_table *table; /* shared */
	uint8_t key[16];
};

struct limit_state {
	bool over;
	uint32_t remaining, reset_s; /* of the window */
};

/* Maps fd (which stays the caller's). KE_IO, KE_FORMAT when it is too small. */
int limit_open(struct limit *l, int fd) KE_CHECK;
void limit_close(struct limit *l);

/*
 * Counts one request of an address (16 bytes, IPv4 mapped) and says where it stands against
 * `count` in `window_s`. now_s: seconds of CLOCK_MONOTONIC, the same clock in every process.
 * A count of 0 sets no limit.
 */
void limit_hit(struct limit *l, enum limit_class c, const uint8_t address[16], uint32_t count,
    uint32_t window_s, uint32_t now_s, struct limit_state *st);
/* The same without counting. */
void limit_look(struct limit *l, enum limit_class c, const uint8_t address[16], uint32_t count,
    uint32_t now_s, struct limit_state *st);

#endif
