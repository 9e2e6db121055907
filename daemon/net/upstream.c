/*
 * The channel to engine: see upstream.h. Runs in net.
 */
#include "daemon/net/upstream.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "daemon/net/cache.h"
#include "daemon/net/flow.h"
#include "daemon/net/net.h"

/* Requests that the socket does not take; beyond it clients wait. */
#define QUEUE_MAX 256
/* A few more for messages that are not requests. */
#define QUEUE_ROOM (QUEUE_MAX + 8)

bool upstream_full(const struct net *n)
{
	return n->engine != NULL && chan_queued(n->engine) >= QUEUE_MAX;
}

int upstream_send(struct net *n, uint64_t id, const struct api_req *q)
{
	struct wire_out w;
	int r;

	if (n->engine == NULL)
		return KE_UNAVAIL;
	wire_out_init(&w, n->msg, sizeof n->msg);
	apimsg_put_req(&w, q);
	r = w.err != KE_OK ? KE_LONG : chan_send(n->engine, MSG_API_REQ, id, w.buf, w.len, -1);
	sodium_memzero(w.buf, w.len);
	/* a channel that has just broken reports its end by itself */
	return r == KE_CLOSED ? KE_UNAVAIL : r;
}

void upstream_stats(struct net *n)
{
	struct wire_out w;
	uint8_t body[128];

	if (n->engine == NULL || memcmp(&n->stats, &n->told, sizeof n->stats) == 0)
		return;
	wire_out_init(&w, body, sizeof body);
	apimsg_put_stats(&w, &n->stats);
	if (chan_send(n->engine, MSG_NET_STATS, 0, w.buf, w.len, -1) == KE_OK)
		n->told = n->stats;
}

/* One answer for all who wait for it. */
static void answer_fetch(struct net *n, struct fetch *f, const struct api_ans *a, int file)
{
	struct conn *c;
	bool keep = (a->flags & API_ANS_CACHE) != 0 && (a->flags & API_ANS_FILE) == 0 && !f->stale;

	if (keep)
		cache_put(n->cache, f->key, f->key_len, f->route, f->tag, a);
	f->stale = true; /* what the waiting ask next is not answered by this */
	while ((c = TAILQ_FIRST(&f->waiting)) != NULL) {
		int copy = -1;

		if (file >= 0 && TAILQ_NEXT(c, waiting) != NULL)
			copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
		else if (file >= 0) {
			copy = file;
			file = -1;
		}
		memcpy(c->reply.request_id, f->request_id, sizeof f->request_id);
		flow_answer(c, a, copy);
	}
	if (file >= 0)
		close(file);
	fetch_end(f);
}

static void answer(struct net *n, uint64_t id, const struct api_ans *a, int file)
{
	struct fetch *f;
	struct conn *c;

	if ((id & FETCH_ID) != 0) {
		f = fetch_by_id(&n->fetches, id);
		if (f != NULL) {
			answer_fetch(n, f, a, file);
			return;
		}
	} else {
		c = conn_by_id(n, id);
		if (c != NULL) {
			flow_answer(c, a, file);
			return;
		}
	}
	if (file >= 0)
		close(file); /* the client has gone, or waited too long */
}

static int on_drop(struct net *n, const struct msg *m)
{
	struct wire_in r;
	uint32_t mask;

	wire_in_init(&r, m->body, m->len);
	mask = wire_get_u32(&r);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	cache_drop(n->cache, mask);
	fetch_drop(&n->fetches, mask);
	return KE_OK;
}

static int on_answer(struct net *n, const struct msg *m)
{
	struct wire_in r;
	struct api_ans a;
	int err;

	wire_in_init(&r, m->body, m->len);
	err = apimsg_get_ans(&r, &a);
	if (err == KE_OK && (((a.flags & API_ANS_FILE) != 0) != (m->fd >= 0) || !answer_ok(&a)))
		err = KE_PEER;
	if (err != KE_OK) {
		if (m->fd >= 0)
			close(m->fd);
		return err;
	}
	answer(n, m->id, &a, m->fd);
	conns_unstall(n);
	return KE_OK;
}

static int on_message(void *arg, struct chan *c, const struct msg *m)
{
	struct net *n = arg;

	(void)c;
	net_clock(n);
	switch (m->type) {
	case MSG_API_ANS:
		return on_answer(n, m);
	case MSG_CACHE_DROP:
		return on_drop(n, m);
	default:
		return KE_PEER;
	}
}

/* Engine is away: what it had will not be answered, and what it said may be true no more. */
static void lost(struct net *n)
{
	struct conn *c;

	n->engine = NULL;
	memset(&n->told, 0, sizeof n->told);
	cache_drop(n->cache, UINT32_MAX);
	while ((c = TAILQ_FIRST(&n->conns.queue[CONN_WAIT])) != NULL)
		flow_failed(c, PB_RESTARTING, 1);
	for (size_t i = 0; i < FETCHES; i++)
		fetch_end(&n->fetches.f[i]);
	conns_unstall(n);
}

static void on_closed(void *arg, struct chan *c)
{
	struct net *n = arg;

	net_clock(n);
	if (n->engine == c)
		lost(n);
}

void upstream_set(struct net *n, const struct start_peer *engine, int fd)
{
	if (n->engine != NULL) {
		chan_free(n->engine);
		lost(n);
	}
	n->engine = chan_new(n->base, fd, ROLE_NET, engine, QUEUE_ROOM, on_message, on_closed, n);
}
