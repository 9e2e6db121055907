/*
 * The cache of verified tokens: see tokcache.h. Runs in engine.
 */
#include "daemon/engine/tokcache.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"

#define WAYS 8

struct tokcache {
	size_t sets; /* a power of two */
	struct tokcache_entry *entries;
};

struct tokcache *tokcache_new(size_t entries)
{
	struct tokcache *c = calloc(1, sizeof *c);

	if (c == NULL)
		fatal("out of memory");
	for (c->sets = 1; c->sets * WAYS < entries;)
		c->sets *= 2;
	c->entries = calloc(c->sets * WAYS, sizeof *c->entries);
	if (c->entries == NULL)
		fatal("out of memory");
	return c;
}

void tokcache_free(struct tokcache *c)
{
	if (c == NULL)
		return;
	free(c->entries);
	free(c);
}

/* A stranger chooses the token but not its hash, so the hash's own bits spread well enough. */
static struct tokcache_entry *set_of(struct tokcache *c, const uint8_t hash[32])
{
	uint32_t h;

	memcpy(&h, hash, sizeof h);
	return c->entries + (h & (c->sets - 1)) * WAYS;
}

const struct tokcache_entry *tokcache_get(struct tokcache *c, const uint8_t hash[32], int64_t now_s)
{
	struct tokcache_entry *e = set_of(c, hash);

	for (int i = 0; i < WAYS; i++) {
		if (e[i].expires_s > now_s && memcmp(e[i].hash, hash, 32) == 0)
			return &e[i];
	}
	return NULL;
}

void tokcache_put(struct tokcache *c, const struct tokcache_entry *new)
{
	struct tokcache_entry *e = set_of(c, new->hash), *victim = e;

	for (int i = 0; i < WAYS; i++) {
		if (memcmp(e[i].hash, new->hash, 32) == 0) {
			victim = &e[i];
			break;
		}
		if (e[i].expires_s < victim->expires_s)
			victim = &e[i];
	}
	*victim = *new;
}

void tokcache_drop_session(struct tokcache *c, const uint8_t session[16])
{
	for (size_t i = 0; i < c->sets * WAYS; i++) {
		if (memcmp(c->entries[i].session, session, 16) == 0)
			c->entries[i].expires_s = 0;
	}
}

void tokcache_drop_user(struct tokcache *c, const uint8_t user[16])
{
	for (size_t i = 0; i < c->sets * WAYS; i++) {
		if (memcmp(c->entries[i].user, user, 16) == 0)
			c->entries[i].expires_s = 0;
	}
}

void tokcache_drop_all(struct tokcache *c)
{
	memset(c->entries, 0, c->sets * WAYS * sizeof *c->entries);
}
