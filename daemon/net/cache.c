/*
 * The cache of public answers: see cache.h. Runs in net.
 *
 * Why no answer is stale. Engine sends CACHE_DROP on the same channel and before the answers of
 * the commit that changed something, and net handles that channel before any client (net.c). So
 * when a client has seen the answer to a write, every net that it can ask next has handled the
 * DROP, and the entry is gone. An answer on its way when the DROP comes may have been made before
 * the write, even in the same turn of engine: fetch.c marks all requests in flight as not to be
 * kept when a DROP comes. What is asked after the DROP is computed after the commit.
 */
#include "daemon/net/cache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 512

LIST_HEAD(chain, cache_entry);

struct cache {
	struct chain chains[CHAINS];
	TAILQ_HEAD(use_head, cache_entry) use;
	size_t entries, bytes;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

struct cache *cache_new(void)
{
	struct cache *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < CHAINS; i++)
		LIST_INIT(&c->chains[i]);
	TAILQ_INIT(&c->use);
	randombytes_buf(c->key, sizeof c->key);
	return c;
}

static size_t cost(const struct cache_entry *e)
{
	return sizeof *e + e->key_len + e->ans.body_len;
}

static void forget(struct cache *c, struct cache_entry *e)
{
	c->entries--;
	c->bytes -= cost(e);
	LIST_REMOVE(e, chain);
	TAILQ_REMOVE(&c->use, e, use);
	free(e);
}

void cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	cache_drop(c, UINT32_MAX);
	free(c);
}

uint64_t cache_hash(const struct cache *c, const uint8_t *target, size_t n)
{
	uint64_t h;

	crypto_shorthash((unsigned char *)&h, target, n, c->key);
	return h;
}

static struct cache_entry *find(struct cache *c, uint64_t hash, const uint8_t *target, size_t n)
{
	struct cache_entry *e;

	LIST_FOREACH(e, &c->chains[hash % CHAINS], chain)
	{
		if (e->hash == hash && e->key_len == n && memcmp(e->data, target, n) == 0)
			return e;
	}
	return NULL;
}

const struct cache_entry *cache_get(struct cache *c, const uint8_t *target, size_t n)
{
	struct cache_entry *e;

	if (c->entries == 0 || n > CACHE_KEY_MAX)
		return NULL;
	e = find(c, cache_hash(c, target, n), target, n);
	if (e != NULL && e != TAILQ_FIRST(&c->use)) {
		TAILQ_REMOVE(&c->use, e, use);
		TAILQ_INSERT_HEAD(&c->use, e, use);
	}
	return e;
}

void cache_put(struct cache *c, const uint8_t *target, size_t n, uint16_t route, uint32_t tag,
    const struct api_ans *ans)
{
	uint64_t hash = cache_hash(c, target, n);
	struct cache_entry *e;

	if (n > CACHE_KEY_MAX || ans->body_len > CACHE_BODY_MAX || tag == 0)
		return;
	e = find(c, hash, target, n);
	if (e != NULL)
		forget(c, e);
	e = malloc(sizeof *e + n + ans->body_len);
	if (e == NULL)
		return;
	e->hash = hash;
	e->route = route;
	e->tag = tag;
	e->key_len = (uint32_t)n;
	e->ans = *ans;
	e->ans.body = e->data + n;
	e->ans.location = NULL;
	e->ans.location_len = 0;
	e->ans.limit = 0; /* a user's limits are not for everybody */
	memcpy(e->data, target, n);
	if (ans->body_len > 0)
		memcpy(e->data + n, ans->body, ans->body_len);
	c->entries++;
	c->bytes += cost(e);
	LIST_INSERT_HEAD(&c->chains[hash % CHAINS], e, chain);
	TAILQ_INSERT_HEAD(&c->use, e, use);
	while (c->entries > CACHE_ENTRIES || c->bytes > CACHE_BYTES)
		forget(c, TAILQ_LAST(&c->use, use_head));
}

void cache_drop(struct cache *c, uint32_t mask)
{
	struct cache_entry *e = TAILQ_FIRST(&c->use), *next;

	for (; e != NULL; e = next) {
		next = TAILQ_NEXT(e, use);
		if ((e->tag & mask) != 0)
			forget(c, e);
	}
}

size_t cache_bytes(const struct cache *c)
{
	return c->bytes;
}
