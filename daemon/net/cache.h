/*
 * Answers of engine that are the same for everybody, kept by the exact request target: bounded in
 * number and bytes, dropped by tag. Runs in net; holds nothing that a request with a token asked
 * for. No I/O.
 */
#ifndef DAEMON_NET_CACHE_H
#define DAEMON_NET_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/api/apimsg.h"

#define CACHE_ENTRIES  1024
#define CACHE_BYTES    (4u << 20)
#define CACHE_BODY_MAX 65536
#define CACHE_KEY_MAX  512

struct cache_entry {
	TAILQ_ENTRY(cache_entry) use; /* most recently used first */
	LIST_ENTRY(cache_entry) chain;
	uint64_t hash;
	uint16_t route;
	uint32_t tag;
	uint32_t key_len;
	struct api_ans ans; /* body points behind the key */
	uint8_t data[];     /* key, body */
};

struct cache;

/* NULL when there is no memory. */
struct cache *cache_new(void);
void cache_free(struct cache *c);

/* The answer for a target, NULL when there is none. Valid until the next call that changes c. */
const struct cache_entry *cache_get(struct cache *c, const uint8_t *target, size_t n);
/* Keeps a copy of an answer with an inline body; quietly does not when it is too large. */
void cache_put(struct cache *c, const uint8_t *target, size_t n, uint16_t route, uint32_t tag,
    const struct api_ans *ans);
/* Forgets every entry with a tag of the mask. */
void cache_drop(struct cache *c, uint32_t mask);

/* The keyed hash of a target, for tables beside this one. */
uint64_t cache_hash(const struct cache *c, const uint8_t *target, size_t n);
/* Bytes in use, for tests. */
size_t cache_bytes(const struct cache *c);

#endif
