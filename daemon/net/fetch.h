/*
 * Public answers on their way from engine: who asks for the same target meanwhile waits with the
 * first instead of asking again. Runs in net. No I/O.
 */
#ifndef DAEMON_NET_FETCH_H
#define DAEMON_NET_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/net/cache.h"

#define FETCHES 64
/* Request ids with this bit are fetches, all others connections. */
#define FETCH_ID ((uint64_t)1 << 63)

struct conn;
TAILQ_HEAD(conn_list, conn);

struct fetch {
	bool used;
	bool stale; /* a DROP came since it was asked: not kept, and nobody joins any more */
	uint64_t id;
	uint64_t hash;
	uint16_t route;
	uint32_t tag;
	int64_t since_ms;
	uint8_t request_id[16]; /* of the first; it is in the answer, so all get it */
	uint32_t key_len;
	uint8_t key[CACHE_KEY_MAX];
	struct conn_list waiting;
};

struct fetches {
	struct fetch f[FETCHES];
	uint64_t serial;
};

void fetches_init(struct fetches *fs);

/* The fetch of a target that may be joined: neither stale nor older than max_ms. */
struct fetch *fetch_find(struct fetches *fs, uint64_t hash, const uint8_t *target, size_t n,
    int64_t now_ms, int64_t max_ms);
/* A new one with nobody waiting; NULL when all are in use. n is at most CACHE_KEY_MAX. */
struct fetch *fetch_begin(struct fetches *fs, uint64_t hash, const uint8_t *target, size_t n,
    uint16_t route, uint32_t tag, int64_t now_ms);
struct fetch *fetch_by_id(struct fetches *fs, uint64_t id);
/* Frees it; nobody waits any more. */
void fetch_end(struct fetch *f);
/* A DROP came: answers on their way with a tag of the mask are not to be kept. */
void fetch_drop(struct fetches *fs, uint32_t mask);

#endif
