/*
 * Requests per user: see userlimit.h. Runs in engine.
 */
#include "daemon/engine/userlimit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"

#define WAYS 8

struct window {
	uint8_t user[16];
	int64_t start_s; /* 0: free */
	uint32_t used;
};

struct userlimit {
	struct rconf_limit limit;
	size_t sets; /* a power of two */
	struct window *windows;
};

struct userlimit *userlimit_new(struct rconf_limit limit, size_t users)
{
	struct userlimit *u = calloc(1, sizeof *u);

	if (u == NULL)
		fatal("out of memory");
	u->limit = limit;
	for (u->sets = 1; u->sets * WAYS < users;)
		u->sets *= 2;
	u->windows = calloc(u->sets * WAYS, sizeof *u->windows);
	if (u->windows == NULL)
		fatal("out of memory");
	return u;
}

void userlimit_free(struct userlimit *u)
{
	if (u == NULL)
		return;
	free(u->windows);
	free(u);
}

/* The last bytes of a UUIDv7 are random; the first are a time that neighbours share. */
static struct window *set_of(struct userlimit *u, const uint8_t user[16])
{
	uint32_t h;

	memcpy(&h, user + 12, sizeof h);
	return u->windows + (h & (u->sets - 1)) * WAYS;
}

static struct window *find(struct userlimit *u, const uint8_t user[16])
{
	struct window *w = set_of(u, user), *victim = w;

	for (int i = 0; i < WAYS; i++) {
		if (w[i].start_s != 0 && memcmp(w[i].user, user, 16) == 0)
			return &w[i];
		if (w[i].start_s < victim->start_s)
			victim = &w[i];
	}
	*victim = (struct window){0};
	memcpy(victim->user, user, 16);
	return victim;
}

int userlimit_hit(
    struct userlimit *u, const uint8_t user[16], int64_t now_s, struct userlimit_state *s)
{
	struct window *w;
	int64_t end;

	*s = (struct userlimit_state){0};
	if (u->limit.count == 0)
		return KE_OK;
	w = find(u, user);
	end = w->start_s + u->limit.window_s;
	if (w->start_s == 0 || now_s >= end || now_s < w->start_s) {
		w->start_s = now_s;
		w->used = 0;
		end = now_s + u->limit.window_s;
	}
	s->limit = u->limit.count;
	s->window_s = u->limit.window_s;
	s->reset_s = (uint32_t)(end - now_s);
	if (w->used >= u->limit.count)
		return KE_LIMIT;
	w->used++;
	s->remaining = u->limit.count - w->used;
	return KE_OK;
}
