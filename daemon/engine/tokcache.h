/*
 * Access tokens that were verified before, by their SHA-256, until they expire or are revoked.
 * A hit costs about a microsecond where the signature costs 75. Bounded: a set that is full loses
 * the entry that expires first. Runs in engine; holds no token, only hashes.
 */
#ifndef DAEMON_ENGINE_TOKCACHE_H
#define DAEMON_ENGINE_TOKCACHE_H

#include <stddef.h>
#include <stdint.h>

struct tokcache;

struct tokcache_entry {
	uint8_t hash[32];
	uint8_t user[16], session[16];
	int64_t expires_s; /* 0: free */
	uint8_t roles;     /* as the store says, not the token */
};

/* Room for about `entries`; fatal without memory. */
struct tokcache *tokcache_new(size_t entries);
void tokcache_free(struct tokcache *c);

/* The entry that is still valid at now_s, or NULL. */
const struct tokcache_entry *tokcache_get(
    struct tokcache *c, const uint8_t hash[32], int64_t now_s);
void tokcache_put(struct tokcache *c, const struct tokcache_entry *e);

/* A session was revoked; a user's roles changed. */
void tokcache_drop_session(struct tokcache *c, const uint8_t session[16]);
void tokcache_drop_user(struct tokcache *c, const uint8_t user[16]);
/* The key changed. */
void tokcache_drop_all(struct tokcache *c);

#endif
