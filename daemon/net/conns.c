/*
 * The table of connections: see conn.h. Accepting, waiting for engine, deadlines, the stop.
 * Runs in net.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/msg/log.h"
#include "daemon/net/conn.h"
#include "daemon/net/flow.h"
#include "daemon/net/net.h"
#include "daemon/net/upstream.h"

#define ENGINE_MS    10000 /* for an answer of engine */
#define LINGER_MS    1000
#define WARN_MS      60000 /* between two lines about the same trouble */
#define ACCEPT_BURST 2     /* few: the other net processes shall get their share */
#define SLOW_MS      2000  /* in a handshake, a head, a body, or taking an answer */
#define IDLE_MS      250

/* --- waiting for engine --- */

uint64_t conn_wait(struct conn *c)
{
	struct conns *cs = &c->net->conns;

	/* the serial tells a late answer to a former request in the same slot from ours */
	cs->serial = (cs->serial + 1) & 0x7fffffff;
	c->id = (uint64_t)cs->serial << 32 | c->slot;
	conn_set_state(c, CONN_WAIT);
	return c->id;
}

void conn_join(struct conn *c, struct fetch *f)
{
	c->fetch = f;
	TAILQ_INSERT_TAIL(&f->waiting, c, waiting);
	conn_set_state(c, CONN_WAIT);
}

void conn_unwait(struct conn *c)
{
	if (c->fetch != NULL)
		TAILQ_REMOVE(&c->fetch->waiting, c, waiting);
	c->fetch = NULL;
	c->id = 0;
}

struct conn *conn_by_id(struct net *n, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	struct conn *c = slot < n->conns.max ? n->conns.slots[slot] : NULL;

	return c != NULL && id != 0 && c->id == id ? c : NULL;
}

void conns_unstall(struct net *n)
{
	struct conn *c;

	while (!upstream_full(n) && (c = TAILQ_FIRST(&n->conns.queue[CONN_STALLED])) != NULL) {
		conn_set_state(c, CONN_IDLE);
		conn_resume(c);
	}
}

/* --- accepting --- */

static struct conn *longest_idle(struct net *n)
{
	return TAILQ_FIRST(&n->conns.queue[CONN_IDLE]);
}

static int64_t in_state_ms(const struct conn *c)
{
	return c->net->now_ms - (c->due_ms - c->net->conns.patience_ms[c->state]);
}

/*
 * Who gives way when every place is taken: whoever keeps us waiting longest, or else the one that
 * is idle longest, but none between two requests. Else those who are slow on purpose, and are
 * never idle, would keep their places and push out everybody who behaves.
 */
static struct conn *expendable(struct net *n)
{
	static const enum conn_state slow[] = {CONN_HANDSHAKE, CONN_HEAD, CONN_BODY, CONN_WRITE};
	struct conn *worst = NULL, *idle = longest_idle(n);

	for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
		struct conn *c = TAILQ_FIRST(&n->conns.queue[slow[i]]);

		if (c != NULL && in_state_ms(c) >= SLOW_MS &&
		    (worst == NULL || in_state_ms(c) > in_state_ms(worst)))
			worst = c;
	}
	if (worst != NULL)
		return worst;
	return idle != NULL && in_state_ms(idle) >= IDLE_MS ? idle : NULL;
}

static void set_accepting(struct net *n, bool on)
{
	struct conns *cs = &n->conns;

	if (cs->accepting == on)
		return;
	/* without memory for it not yet: conns_tick() tries again */
	cs->accepting = on && event_add(cs->listener, NULL) == 0;
	if (!on)
		event_del(cs->listener);
}

void conns_accept(struct net *n)
{
	bool room = n->conns.nfree > 0 || expendable(n) != NULL;

	/* without tlskey no handshake would succeed: better to wait than to fail */
	set_accepting(n, room && tlskey_here(&n->key) && n->stop_ms == 0);
}

static void accept_failed(struct net *n, int err)
{
	if (n->conns.warned_ms != 0 && n->now_ms - n->conns.warned_ms < WARN_MS)
		return;
	n->conns.warned_ms = n->now_ms;
	log_warn("cannot accept: errno %d", err);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	struct conns *cs = &n->conns;

	(void)what;
	net_clock(n);
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage ss = {0};
		socklen_t len = sizeof ss;
		struct conn *out = cs->nfree == 0 ? expendable(n) : NULL;
		int client;

		if (cs->nfree == 0 && out == NULL)
			break;
		client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (client < 0) {
			/* no descriptors, no memory: again when a connection or a tick is over */
			accept_failed(n, errno);
			set_accepting(n, false);
			return;
		}
		if (out != NULL) {
			n->stats.timeouts += out->state != CONN_IDLE;
			conn_drop(out);
		}
		conn_open(n, client, &ss);
	}
	conns_accept(n);
}

/* --- deadlines --- */

static void expire(struct conn *c)
{
	struct net *n = c->net;

	switch (c->state) {
	case CONN_IDLE:
		conn_finish(c);
		return;
	case CONN_HEAD:
	case CONN_BODY:
		n->stats.timeouts++;
		flow_refuse(c, PB_TIMEOUT);
		return;
	case CONN_STALLED:
		flow_refuse(c, PB_BUSY);
		return;
	case CONN_WAIT:
		n->stats.timeouts++;
		flow_failed(c, PB_BUSY, 2);
		return;
	case CONN_DEAD:
		conn_free(c);
		return;
	case CONN_HANDSHAKE:
	case CONN_WRITE:
		n->stats.timeouts++;
		conn_drop(c);
		return;
	case CONN_LINGER:
	case CONN_STATES:
		conn_drop(c);
		return;
	}
}

void conns_tick(struct net *n)
{
	for (int s = 0; s < CONN_STATES; s++) {
		struct conn *c;

		while ((c = TAILQ_FIRST(&n->conns.queue[s])) != NULL && c->due_ms <= n->now_ms)
			expire(c);
	}
	conns_accept(n);
}

/* --- begin and end --- */

void conns_init(struct net *n, int listen_fd)
{
	struct conns *cs = &n->conns;
	const struct rconf_net *conf = &n->conf;
	const int64_t patience[CONN_STATES] = {
	    [CONN_HANDSHAKE] = conf->header_timeout_ms,
	    [CONN_IDLE] = conf->idle_timeout_ms,
	    [CONN_HEAD] = conf->header_timeout_ms,
	    [CONN_BODY] = conf->body_timeout_ms,
	    [CONN_STALLED] = ENGINE_MS,
	    [CONN_WAIT] = ENGINE_MS,
	    [CONN_WRITE] = conf->body_timeout_ms,
	    [CONN_LINGER] = LINGER_MS,
	};

	cs->max = conf->max_connections;
	cs->slots = calloc(cs->max, sizeof(struct conn *));
	cs->free = calloc(cs->max, sizeof *cs->free);
	if (cs->slots == NULL || cs->free == NULL)
		fatal("out of memory for %u connections", cs->max);
	for (uint32_t i = 0; i < cs->max; i++)
		cs->free[cs->nfree++] = cs->max - 1 - i;
	for (int s = 0; s < CONN_STATES; s++)
		TAILQ_INIT(&cs->queue[s]);
	memcpy(cs->patience_ms, patience, sizeof patience);
	cs->listener = event_new(n->base, listen_fd, EV_READ | EV_PERSIST, on_accept, n);
	if (cs->listener == NULL)
		fatal("out of memory");
	event_priority_set(cs->listener, NET_PRIORITY_CLIENTS);
}

void conns_stop(struct net *n)
{
	struct conn *c;

	conns_accept(n);
	while ((c = longest_idle(n)) != NULL)
		conn_finish(c);
}
