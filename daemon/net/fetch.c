/*
 * Public answers on their way: see fetch.h. Runs in net.
 *
 * Who joins a fetch asked after it was sent, but before its answer was handled; so the answer was
 * made before the join was possible only if it stood in the channel already, and net handles the
 * channel first. A write that the joining client has seen acknowledged is therefore either in the
 * answer or has sent its DROP before it, and then the fetch was stale and could not be joined.
 */
#include "daemon/net/fetch.h"

#include <string.h>

void fetches_init(struct fetches *fs)
{
	memset(fs, 0, sizeof *fs);
	for (size_t i = 0; i < FETCHES; i++)
		TAILQ_INIT(&fs->f[i].waiting);
}

struct fetch *fetch_find(struct fetches *fs, uint64_t hash, const uint8_t *target, size_t n,
    int64_t now_ms, int64_t max_ms)
{
	for (size_t i = 0; i < FETCHES; i++) {
		struct fetch *f = &fs->f[i];

		if (f->used && !f->stale && f->hash == hash && f->key_len == n &&
		    memcmp(f->key, target, n) == 0 && now_ms - f->since_ms < max_ms)
			return f;
	}
	return NULL;
}

struct fetch *fetch_begin(struct fetches *fs, uint64_t hash, const uint8_t *target, size_t n,
    uint16_t route, uint32_t tag, int64_t now_ms)
{
	for (size_t i = 0; i < FETCHES; i++) {
		struct fetch *f = &fs->f[i];

		if (f->used)
			continue;
		f->used = true;
		f->stale = false;
		f->id = FETCH_ID | (++fs->serial << 8) | i;
		f->hash = hash;
		f->route = route;
		f->tag = tag;
		f->since_ms = now_ms;
		f->key_len = (uint32_t)n;
		memcpy(f->key, target, n);
		return f;
	}
	return NULL;
}

struct fetch *fetch_by_id(struct fetches *fs, uint64_t id)
{
	struct fetch *f = &fs->f[(id & 0xff) % FETCHES];

	return f->used && f->id == id ? f : NULL;
}

void fetch_end(struct fetch *f)
{
	f->used = false;
	f->id = 0;
}

void fetch_drop(struct fetches *fs, uint32_t mask)
{
	for (size_t i = 0; i < FETCHES; i++)
		if (fs->f[i].used && (fs->f[i].tag & mask) != 0)
			fs->f[i].stale = true;
}
