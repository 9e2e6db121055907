/*
 * A message channel on libevent: see chan.h. Runs in net and engine. Trusts a peer by its rank
 * only as far as blame goes; what it sends passes msg_recv's checks first.
 */
#include "daemon/loop/chan.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/msg/log.h"

/* Messages taken in one go, so that one busy peer does not starve the others. */
#define CHAN_BURST 64

struct unsent {
	STAILQ_ENTRY(unsent) link;
	uint16_t type;
	uint64_t id;
	int fd;
	size_t len;
	uint8_t body[];
};

struct chan {
	struct event *readable, *writable;
	STAILQ_HEAD(, unsent) unsent;
	size_t queued, queue;
	enum role self;
	struct start_peer peer;
	int fd;
	bool busy; /* inside a callback: freeing waits */
	bool dead;
	chan_message_cb *on_message;
	chan_closed_cb *on_closed;
	void *arg;
};

/* One receive buffer serves all channels of a process: a message is handled before the next. */
static uint8_t *buffer(void)
{
	static uint8_t *buf;

	if (buf == NULL && (buf = malloc(MSG_MAX)) == NULL)
		fatal("out of memory");
	return buf;
}

static void destroy(struct chan *c)
{
	struct unsent *u;

	while ((u = STAILQ_FIRST(&c->unsent)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->unsent, link);
		if (u->fd >= 0)
			close(u->fd);
		sodium_memzero(u->body, u->len);
		free(u);
	}
	event_free(c->readable);
	event_free(c->writable);
	close(c->fd);
	free(c);
}

void chan_free(struct chan *c)
{
	if (c == NULL)
		return;
	if (c->busy) {
		c->dead = true;
		return;
	}
	destroy(c);
}

static void closed(struct chan *c)
{
	c->busy = true;
	c->on_closed(c->arg, c);
	destroy(c);
}

/* The peer sent what it must not. */
static void blame(struct chan *c)
{
	if (role_rank(c->peer.role) > role_rank(c->self))
		fatal("%s sent garbage", role_word(c->peer.role));
	/* a client of the control socket is nobody's child: closing it is all */
	if (c->peer.role == ROLE_CTL)
		log_security("a client of the control socket sent garbage");
	else
		start_blame(c->self, &c->peer);
	closed(c);
}

/*
 * The system fails us, not the peer: it lives on, and parent makes a new channel only for a process
 * that starts. A client of the control socket comes again by itself.
 */
static void broken(const struct chan *c)
{
	if (c->peer.role != ROLE_CTL)
		fatal("the channel of %s is broken", role_word(c->peer.role));
}

/* Handles what has arrived; false when the channel is gone. */
static bool drain(struct chan *c)
{
	struct msg m;
	uint8_t *buf = buffer();

	for (int i = 0; i < CHAN_BURST; i++) {
		int r = msg_recv(c->fd, c->self, c->peer.role, RUN, buf, &m);

		if (r == KE_AGAIN)
			return true;
		if (r == KE_OK) {
			c->busy = true;
			r = c->on_message(c->arg, c, &m);
			c->busy = false;
			sodium_memzero(buf, MSG_HDR + m.len);
		}
		if (c->dead) {
			destroy(c);
			return false;
		}
		if (r == KE_PEER) {
			blame(c);
			return false;
		}
		if (r == KE_IO)
			broken(c);
		if (r == KE_CLOSED || r == KE_IO) {
			closed(c);
			return false;
		}
		if (r != KE_OK)
			fatal("message of %s: %s", role_word(c->peer.role), ke_words(r));
		if (!event_pending(c->readable, EV_READ, NULL))
			return true; /* paused by the callback */
	}
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drain(arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct chan *c = arg;
	struct unsent *u;

	(void)fd;
	(void)what;
	while ((u = STAILQ_FIRST(&c->unsent)) != NULL) {
		int r = msg_send(c->fd, u->type, u->id, u->body, u->len, u->fd);

		if (r == KE_FULL)
			return;
		STAILQ_REMOVE_HEAD(&c->unsent, link);
		c->queued--;
		if (u->fd >= 0)
			close(u->fd);
		sodium_memzero(u->body, u->len);
		free(u);
		if (r == KE_IO)
			broken(c);
		if (r != KE_OK) {
			/* the reading side sees the end and reports it once */
			break;
		}
	}
	event_del(c->writable);
}

struct chan *chan_new(struct event_base *base, int fd, enum role self,
    const struct start_peer *peer, size_t queue, chan_message_cb *on_message,
    chan_closed_cb *on_closed, void *arg)
{
	struct chan *c = calloc(1, sizeof *c);

	if (c == NULL)
		fatal("out of memory");
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		fatal("fcntl on the channel of %s", role_word(peer->role));
	*c = (struct chan){
	    .queue = queue,
	    .self = self,
	    .peer = *peer,
	    .fd = fd,
	    .on_message = on_message,
	    .on_closed = on_closed,
	    .arg = arg,
	};
	STAILQ_INIT(&c->unsent);
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->readable == NULL || c->writable == NULL || event_add(c->readable, NULL) != 0)
		fatal("out of memory");
	return c;
}

static int enqueue(struct chan *c, uint16_t type, uint64_t id, const void *body, size_t len, int fd)
{
	struct unsent *u;

	if (c->queued >= c->queue)
		return KE_FULL;
	u = malloc(sizeof *u + len);
	if (u == NULL)
		return KE_NOMEM;
	u->type = type;
	u->id = id;
	u->len = len;
	u->fd = -1;
	if (fd >= 0 && (u->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		free(u);
		return KE_IO;
	}
	if (len > 0)
		memcpy(u->body, body, len);
	STAILQ_INSERT_TAIL(&c->unsent, u, link);
	/* what nobody will ever send on stops the peer for good */
	if (c->queued++ == 0 && event_add(c->writable, NULL) != 0)
		fatal("out of memory");
	return KE_OK;
}

int chan_send(struct chan *c, uint16_t type, uint64_t id, const void *body, size_t len, int fd)
{
	if (c->queued == 0) {
		int r = msg_send(c->fd, type, id, body, len, fd);

		if (r == KE_IO)
			broken(c);
		if (r != KE_FULL)
			return r;
	}
	return enqueue(c, type, id, body, len, fd);
}

size_t chan_queued(const struct chan *c)
{
	return c->queued;
}

void chan_pause(struct chan *c, bool pause)
{
	if (pause)
		event_del(c->readable);
	else if (event_add(c->readable, NULL) != 0)
		fatal("out of memory");
}

const struct start_peer *chan_peer(const struct chan *c)
{
	return &c->peer;
}

void *chan_arg(const struct chan *c)
{
	return c->arg;
}
