/*
 * The whole event loop of the blocking roles: see serve.h. Runs in hsm, tlskey and kdf.
 */
#include "daemon/msg/serve.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/msg/log.h"

/* After STOP peers may still send what they sent for before they heard of a successor. */
#define LEAVING_MS 1000

/*
 * Waking a sleeping peer costs as much as a third of a signature, so answers that are made quickly
 * go out together while more is asked: no more than this many, and no later than this. HELD_BYTES
 * of one peer's go into a channel in which poll has seen room: see unix_writable() of Linux, a
 * quarter of 208 KiB.
 */
#define HELD_MAX   8
#define HELD_BYTES 16384
#define HELD_US    400

/* An answer that is made and not sent. */
struct held {
	struct serve_peer *peer;
	uint16_t type;
	uint64_t id;
	size_t off, len; /* of server.out */
};

struct server {
	enum role self;
	bool leaving; /* STOP came: until the last peer has closed, or nobody asks any more */
	serve_handler *handler;
	void *ctx;
	struct serve_peer peers[SERVE_PEERS];
	struct held held[HELD_MAX];
	size_t nheld, used; /* used: bytes of out */
	int64_t held_us;    /* when the request of the oldest was taken up */
	uint8_t in[MSG_MAX], out[HELD_BYTES + MSG_BODY_MAX];
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void close_peer(struct serve_peer *p)
{
	close(p->fd);
	p->fd = -1;
}

/* Parent is heard first, so a peer's end may not have been noticed yet. */
static bool has_gone(const struct serve_peer *p)
{
	struct pollfd end = {.fd = p->fd, .events = 0};

	return poll(&end, 1, 0) > 0 && (end.revents & POLLHUP) != 0;
}

static void send_answer(const struct server *s, const struct held *a)
{
	int r;

	if (a->peer->fd < 0)
		return; /* it has gone, or was blamed */
	r = msg_send(a->peer->fd, a->type, a->id, s->out + a->off, a->len, -1);
	/* the peer waits for this, and nobody but parent can make another channel to it */
	if (r != KE_OK && r != KE_CLOSED)
		fatal("answer to %u: %s", a->type - 1U, ke_words(r));
	if (r == KE_CLOSED)
		close_peer(a->peer);
}

/* Sends what is held, always before control() may give a channel's place to another. */
static void flush(struct server *s)
{
	for (size_t i = 0; i < s->nheld; i++)
		send_answer(s, &s->held[i]);
	sodium_memzero(s->out, s->used);
	s->nheld = s->used = 0;
}

/* Keeps the answer that stands at out[used] for a moment, when it was made quickly. */
static void hold(struct server *s, struct serve_peer *p, const struct msg *m, size_t len)
{
	s->held[s->nheld++] = (struct held){p, (uint16_t)(m->type + 1), m->id, s->used, len};
	s->used += len;
	if (s->nheld == HELD_MAX || s->used >= HELD_BYTES || now_us() - s->held_us >= HELD_US)
		flush(s);
}

/* A new channel replaces an older one to the same peer, or the place of one that has gone. */
static void add_peer(struct server *s, const struct start_peer *who, int fd)
{
	struct serve_peer *slot = NULL;

	for (size_t i = 0; i < SERVE_PEERS; i++) {
		struct serve_peer *p = &s->peers[i];
		bool same = p->who.role == who->role && p->who.index == who->index;

		if (p->fd >= 0 && (same || has_gone(p)))
			close_peer(p);
		if (p->fd < 0 && slot == NULL)
			slot = p;
	}
	if (slot == NULL)
		fatal("more than %d peers", SERVE_PEERS);
	*slot = (struct serve_peer){.fd = fd, .who = *who};
}

/* False when it is time to leave. */
static bool control(struct server *s)
{
	struct msg m;
	struct start_peer who;
	int r = msg_recv(MSG_CTL_FD, s->self, ROLE_PARENT, RUN, s->in, &m);

	if (r == KE_CLOSED)
		return false;
	if (r == KE_AGAIN)
		return true;
	if (r != KE_OK)
		fatal("control channel: %s", ke_words(r));
	switch (start_control(s->self, &m, &who)) {
	case START_STOP:
		s->leaving = true;
		return true;
	case START_PEER:
		add_peer(s, &who, m.fd);
		return true;
	case START_PING:
		return true;
	case START_OTHER:
		break;
	}
	fatal("unexpected message %u of parent", m.type);
}

static void blame(struct server *s, struct serve_peer *p)
{
	flush(s);
	if (role_rank(p->who.role) > role_rank(s->self))
		fatal("%s sent garbage", role_word(p->who.role));
	start_blame(s->self, &p->who);
	close_peer(p);
}

/* False when it is time to leave. */
static bool answer(struct server *s, struct serve_peer *p)
{
	bool last = false;
	struct msg m;
	struct wire_out w;
	int r;

	if (s->nheld == 0)
		s->held_us = now_us();
	r = msg_recv(p->fd, s->self, p->who.role, RUN, s->in, &m);

	if (r == KE_AGAIN)
		return true;
	if (r == KE_IO) /* the peer lives on, and parent makes a new channel only for who starts */
		fatal("the channel of %s is broken", role_word(p->who.role));
	if (r == KE_CLOSED) {
		close_peer(p);
		return true;
	}
	if (r == KE_OK) {
		wire_out_init(&w, s->out + s->used, MSG_BODY_MAX);
		r = s->handler(s->ctx, p, &m, &w);
		last = r == KE_CLOSED;
		if (last)
			r = KE_OK;
		if (r == KE_OK && w.err != KE_OK)
			fatal("answer to %u: %s", m.type, ke_words(w.err));
		/* requests hold passwords and PINs */
		sodium_memzero(s->in, MSG_HDR + m.len);
	}
	if (r == KE_PEER) {
		blame(s, p);
		return true;
	}
	if (r != KE_OK)
		fatal("request %u: %s", m.type, ke_words(r));
	hold(s, p, &m, w.len);
	return !last;
}

/* Would an answer go out at once? Who takes none is not read from, and holds up nobody else. */
static bool has_room(const struct serve_peer *p)
{
	struct pollfd room = {.fd = p->fd, .events = POLLOUT};

	return poll(&room, 1, 0) != 0;
}

/* A peer that poll has named; false when it is time to leave. */
static bool attend(struct server *s, struct serve_peer *p)
{
	if (p->full) {
		p->full = false; /* it has taken an answer: its questions come with the next poll */
		return true;
	}
	p->full = !has_room(p);
	return p->full || answer(s, p);
}

static size_t watch(const struct server *s, struct pollfd pfd[1 + SERVE_PEERS])
{
	size_t open = 0;

	pfd[0] = (struct pollfd){.fd = MSG_CTL_FD, .events = POLLIN};
	for (size_t i = 0; i < SERVE_PEERS; i++) {
		pfd[i + 1] = (struct pollfd){
		    .fd = s->peers[i].fd, .events = s->peers[i].full ? POLLOUT : POLLIN};
		open += s->peers[i].fd >= 0;
	}
	return open;
}

/* How long poll may wait, in milliseconds: nobody waits for an answer that is made. */
static int patience(const struct server *s)
{
	if (s->nheld > 0)
		return 0;
	return s->leaving ? LEAVING_MS : -1;
}

/* One round over whatever is readable; false when it is time to leave. */
static bool serve_round(struct server *s)
{
	struct pollfd pfd[1 + SERVE_PEERS];
	size_t open = watch(s, pfd);
	int n;

	if (s->leaving && open == 0)
		return false;
	n = poll(pfd, 1 + SERVE_PEERS, patience(s));
	if (n < 0 && errno != EINTR)
		fatal("poll: errno %d", errno);
	if (n <= 0 || pfd[0].revents != 0) {
		bool sent = s->nheld > 0;

		flush(s);
		if (n <= 0)
			return sent || n < 0 || !s->leaving;
		return control(s); /* it may have replaced what was polled */
	}
	for (size_t i = 0; i < SERVE_PEERS; i++)
		if (pfd[i + 1].revents != 0 && !attend(s, &s->peers[i]))
			return false;
	return true;
}

void serve(enum role self, serve_handler *handler, void *ctx)
{
	struct server *s = calloc(1, sizeof *s);

	if (s == NULL)
		fatal("out of memory");
	s->self = self;
	s->handler = handler;
	s->ctx = ctx;
	for (size_t i = 0; i < SERVE_PEERS; i++)
		s->peers[i].fd = -1;
	while (serve_round(s))
		;
	flush(s);
	free(s);
}
