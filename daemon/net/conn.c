/*
 * Client connections: see conn.h. Runs in net; strangers write what is read here.
 *
 * A state is changed by conn_set_state() only, which also gives it its deadline: all connections of
 * a state stand in one queue, and because every state has one patience, the first in the queue is
 * the next to be late. No timer per connection, no search.
 */
#include "daemon/net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/net/flow.h"
#include "daemon/net/net.h"
#include "daemon/net/tls.h"
#include "daemon/net/upstream.h"

#define LINGER_BYTES 262144
/* Output: so much must leave within each body_timeout, or the rest if it is less. */
#define WRITE_STEP 65536
#define FILE_CHUNK 16384
#define FILE_BURST 8

#define BIT(state) (1u << (state))
#define ENDS       (BIT(CONN_LINGER) | BIT(CONN_DEAD))
#define READING    (BIT(CONN_IDLE) | BIT(CONN_HEAD) | BIT(CONN_BODY))
#define WORKING    (BIT(CONN_STALLED) | BIT(CONN_WAIT) | BIT(CONN_WRITE))

/* The legal moves. A state may also move to itself, which gives it a fresh deadline. */
static const unsigned moves[CONN_STATES] = {
    [CONN_HANDSHAKE] = BIT(CONN_IDLE) | BIT(CONN_DEAD),
    [CONN_IDLE] = READING | WORKING | ENDS,
    [CONN_HEAD] = READING | WORKING | ENDS,
    [CONN_BODY] = READING | WORKING | ENDS,
    [CONN_STALLED] = READING | WORKING | ENDS,
    [CONN_WAIT] = READING | WORKING | ENDS,
    [CONN_WRITE] = READING | WORKING | ENDS,
    [CONN_LINGER] = BIT(CONN_DEAD),
    [CONN_DEAD] = 0,
};

void conn_set_state(struct conn *c, enum conn_state to)
{
	struct conns *cs = &c->net->conns;

	if (to != c->state && (moves[c->state] & BIT(to)) == 0)
		fatal("connection moves from %d to %d", (int)c->state, (int)to);
	TAILQ_REMOVE(&cs->queue[c->state], c, link);
	c->state = to;
	c->due_ms = c->net->now_ms + cs->patience_ms[to];
	c->moved = 0;
	TAILQ_INSERT_TAIL(&cs->queue[to], c, link);
}

static bool reading(const struct conn *c)
{
	return (BIT(c->state) & READING) != 0;
}

/* --- buffers --- */

/* Room for n bytes within what all connections together may hold. False: there is none. */
static bool buf_alloc(struct conns *cs, struct conn_buf *b, size_t n)
{
	if (cs->buffered + n > NET_BUFFER_BUDGET || (b->p = malloc(n)) == NULL)
		return false;
	b->cap = n;
	cs->buffered += n;
	return true;
}

static void buf_free(struct conns *cs, struct conn_buf *b)
{
	if (b->p == NULL)
		return;
	cs->buffered -= b->cap;
	sodium_memzero(b->p, b->len); /* tokens and passwords */
	free(b->p);
	*b = (struct conn_buf){0};
}

/* Makes the input buffer hold at least n bytes, in a few sizes only. False: no room. */
static bool in_reserve(struct conn *c, size_t n)
{
	static const size_t sizes[] = {4096, NET_SCRATCH + 4096, HTTP_BUF_MAX};
	struct conns *cs = &c->net->conns;
	struct conn_buf b = {.len = c->in.len};
	size_t i = 0;

	if (n <= c->in.cap)
		return true;
	while (i < sizeof sizes / sizeof sizes[0] && sizes[i] < n)
		i++;
	if (i == sizeof sizes / sizeof sizes[0] || !buf_alloc(cs, &b, sizes[i]))
		return false;
	if (b.len > 0)
		memcpy(b.p, c->in.p, b.len);
	buf_free(cs, &c->in);
	c->in = b;
	return true;
}

/* --- the end of a connection --- */

void conn_drop(struct conn *c)
{
	struct conns *cs = &c->net->conns;

	if (c->state == CONN_DEAD)
		return;
	conn_unwait(c);
	event_del(&c->readable);
	event_del(&c->writable);
	if (c->tls != NULL)
		tls_close(c->tls, false);
	c->tls = NULL;
	close(c->fd);
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	cs->slots[c->slot] = NULL;
	cs->free[cs->nfree++] = c->slot;
	c->net->stats.open--;
	conn_set_state(c, CONN_DEAD);
	if (!cs->accepting)
		conns_accept(c->net);
}

/* Orderly: close_notify, half-close, and wait a little, for a reset would overtake the answer. */
void conn_finish(struct conn *c)
{
	conn_unwait(c);
	event_del(&c->writable);
	tls_close(c->tls, true);
	c->tls = NULL;
	shutdown(c->fd, SHUT_WR);
	conn_set_state(c, CONN_LINGER);
	if (!c->reads)
		c->reads = event_add(&c->readable, NULL) == 0;
}

static void linger(struct conn *c)
{
	ssize_t n = read(c->fd, c->net->in, sizeof c->net->in);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->moved += (size_t)n;
	if (n <= 0 || c->moved > LINGER_BYTES)
		conn_drop(c);
}

/* --- writing --- */

/* The whole answer has left. */
static void answered(struct conn *c)
{
	if (c->interim) {
		c->interim = false;
		conn_set_state(c, CONN_BODY);
	} else if (c->reply.close) {
		conn_finish(c);
	} else {
		conn_set_state(c, CONN_IDLE);
	}
}

/* Offers bytes to TLS until it takes no more; *done says how many it took. */
static int push(struct conn *c, const uint8_t *p, size_t n, size_t *done)
{
	*done = 0;
	while (*done < n) {
		size_t part;
		int r = tls_write(c->tls, p + *done, n - *done, &part);

		if (r == KE_FULL || r == KE_AGAIN)
			return KE_OK;
		if (r != KE_OK)
			return r;
		*done += part;
	}
	return KE_OK;
}

/* Sends, and keeps what does not leave now. False when the connection is lost. */
static bool write_or_keep(struct conn *c, const uint8_t *p, size_t n)
{
	size_t done;

	if (push(c, p, n, &done) != KE_OK) {
		conn_drop(c);
		return false;
	}
	c->moved += done; /* a file mostly leaves this way, and its reader is not to be late */
	if (done == n)
		return true;
	if (!buf_alloc(&c->net->conns, &c->out, n - done)) {
		conn_drop(c);
		return false;
	}
	memcpy(c->out.p, p + done, n - done);
	c->out.len = n - done;
	c->out.off = 0;
	return true;
}

/* The next piece of the file that is the answer's body. */
static bool write_file(struct conn *c)
{
	size_t want = c->file_left < FILE_CHUNK ? (size_t)c->file_left : FILE_CHUNK;
	ssize_t n = pread(c->file, c->net->out, want, (off_t)c->file_off);

	if (n <= 0) { /* it has shrunk: the promised length cannot be kept */
		log_error("a file of engine's ends too early");
		conn_drop(c);
		return false;
	}
	c->file_off += (uint64_t)n;
	c->file_left -= (uint64_t)n;
	if (c->file_left == 0) {
		close(c->file);
		c->file = -1;
	}
	return write_or_keep(c, (const uint8_t *)c->net->out, (size_t)n);
}

/* What stayed behind at the last try; false when the connection is lost. */
static bool flush_kept(struct conn *c)
{
	size_t done;

	if (push(c, c->out.p + c->out.off, c->out.len - c->out.off, &done) != KE_OK) {
		conn_drop(c);
		return false;
	}
	c->out.off += done;
	c->moved += done;
	if (c->out.off == c->out.len)
		buf_free(&c->net->conns, &c->out);
	return true;
}

void conn_send(struct conn *c, const void *p, size_t n, int file, uint64_t file_len, bool interim)
{
	c->file = file;
	c->file_off = 0;
	c->file_left = file_len;
	c->interim = interim;
	if (!write_or_keep(c, p, n))
		return;
	if (c->out.p == NULL && c->file < 0) {
		answered(c);
		return;
	}
	conn_set_state(c, CONN_WRITE);
	event_add(&c->writable, NULL);
}

/* --- reading --- */

/* Keeps what the parser has left over for the next time. */
static void keep(struct conn *c, struct conn_buf *in, size_t start)
{
	size_t left = in->len - start;

	if (left == 0 || (BIT(c->state) & ENDS) != 0) {
		buf_free(&c->net->conns, &c->in);
		return;
	}
	if (in == &c->in) {
		if (start > 0) {
			memmove(in->p, in->p + start, left);
			sodium_memzero(in->p + left, in->len - left);
		}
		in->len = left;
		return;
	}
	if (!in_reserve(c, left)) {
		conn_drop(c);
		return;
	}
	memcpy(c->in.p, in->p + start, left);
	c->in.len = left;
}

/* More is needed: which deadline runs? The ones of head and body are set once, when they begin. */
static void await_input(struct conn *c, size_t have)
{
	enum conn_state to = have > 0 ? CONN_HEAD : CONN_IDLE;

	if (http_in_body(&c->http))
		to = CONN_BODY;
	if (c->state != to)
		conn_set_state(c, to);
}

/* Handles what has arrived, request by request. */
static void process(struct conn *c, struct conn_buf *in)
{
	size_t start = 0;

	while (reading(c)) {
		uint8_t *p = in->p + start;
		size_t len = in->len - start;
		enum http_event ev = http_parse(&c->http, p, &len);

		in->len = start + len;
		if (ev == HTTP_MORE) {
			await_input(c, len);
			break;
		}
		if (ev == HTTP_ERROR) {
			flow_refuse(c, c->http.error);
			break;
		}
		if (ev == HTTP_HEAD) {
			if (c->http.expect && len == c->http.pos)
				flow_expect(c, p);
			continue;
		}
		flow_request(c, p);
		if (c->state == CONN_STALLED)
			break;
		if (http_has(&c->http, HF_AUTHORIZATION) || c->http.body.len > 0)
			sodium_memzero(p, c->http.pos);
		start += c->http.pos;
		http_init(&c->http);
	}
	keep(c, in, start);
}

/* Reads a record at a time: into the common buffer, or behind a request that has begun. */
static void input(struct conn *c)
{
	struct net *n = c->net;

	while (reading(c)) {
		struct conn_buf scratch = {.p = n->in, .cap = sizeof n->in};
		struct conn_buf *in = &scratch;
		size_t got;
		int r;

		if (c->in.p != NULL) {
			if (c->in.len == c->in.cap && !in_reserve(c, c->in.cap + 1)) {
				conn_drop(c);
				return;
			}
			in = &c->in;
		}
		r = tls_read(c->tls, in->p + in->len, in->cap - in->len, &got);
		if (r == KE_AGAIN || r == KE_FULL)
			return;
		if (r != KE_OK) {
			conn_drop(c);
			return;
		}
		in->len += got;
		process(c, in);
		if (!reading(c) || !tls_pending(c->tls))
			return;
	}
}

void conn_resume(struct conn *c)
{
	if (!reading(c))
		return;
	if (c->in.p != NULL)
		process(c, &c->in);
	if (reading(c) && tls_pending(c->tls))
		input(c);
	if (reading(c) && !c->reads) /* without memory its deadline ends it */
		c->reads = event_add(&c->readable, NULL) == 0;
}

/* False while the handshake goes on, or when it has failed. */
static bool handshake(struct conn *c)
{
	int r = tls_handshake(c->tls);

	if (r == KE_OK) {
		c->net->stats.handshakes++;
		conn_set_state(c, CONN_IDLE);
		return true;
	}
	if (r == KE_AGAIN)
		return false;
	if (r == KE_FULL) {
		event_add(&c->writable, NULL);
		return false;
	}
	c->net->stats.handshake_failures++;
	conn_drop(c);
	return false;
}

/*
 * After the handshake there is nothing to answer, so the kernel would acknowledge the client's
 * last packet only after its delay; and a client without TCP_NODELAY holds its request back until
 * then, 40 ms long.
 */
static void first_input(struct conn *c)
{
	int on = 1;

	input(c);
	if (c->state == CONN_IDLE)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	net_clock(c->net);
	if (c->state == CONN_HANDSHAKE) {
		if (handshake(c))
			first_input(c);
		return;
	}
	if (c->state == CONN_LINGER) {
		linger(c);
		return;
	}
	if (reading(c)) {
		input(c);
		return;
	}
	/* busy with a request: the client's next bytes stay in the socket */
	event_del(&c->readable);
	c->reads = false;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	net_clock(c->net);
	if (c->state == CONN_HANDSHAKE) {
		event_del(&c->writable);
		if (handshake(c))
			first_input(c);
		return;
	}
	for (int i = 0; i < FILE_BURST && (c->out.p != NULL || c->file >= 0); i++) {
		if (c->out.p != NULL ? !flush_kept(c) : !write_file(c))
			return;
		if (c->moved >= WRITE_STEP)
			conn_set_state(c, CONN_WRITE);
		if (c->out.p != NULL)
			return;
	}
	if (c->file >= 0)
		return; /* others first; the socket is still writable */
	event_del(&c->writable);
	answered(c);
	conn_resume(c);
}

/* --- the beginning of a connection --- */

static void take_address(uint8_t address[16], const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	memset(address, 0, 16);
	if (ss->ss_family == AF_INET6) {
		memcpy(address, &in6->sin6_addr, 16);
	} else if (ss->ss_family == AF_INET) {
		address[10] = address[11] = 0xff;
		memcpy(address + 12, &in4->sin_addr, 4);
	}
}

void conn_open(struct net *n, int fd, const struct sockaddr_storage *ss)
{
	struct conns *cs = &n->conns;
	struct conn *c = calloc(1, sizeof *c);
	struct ssl_st *tls = c != NULL ? tls_accept(n->tls, fd) : NULL;

	if (tls == NULL) {
		free(c);
		close(fd);
		return;
	}
	c->net = n;
	c->tls = tls;
	c->fd = fd;
	c->file = -1;
	take_address(c->address, ss);
	http_init(&c->http);
	c->slot = cs->free[--cs->nfree];
	cs->slots[c->slot] = c;
	TAILQ_INSERT_TAIL(&cs->queue[CONN_HANDSHAKE], c, link);
	conn_set_state(c, CONN_HANDSHAKE);
	event_assign(&c->readable, n->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, n->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	event_priority_set(&c->readable, NET_PRIORITY_CLIENTS);
	event_priority_set(&c->writable, NET_PRIORITY_CLIENTS);
	n->stats.connections++;
	n->stats.open++;
	c->reads = true;
	if (event_add(&c->readable, NULL) != 0)
		conn_drop(c);
}

void conn_free(struct conn *c)
{
	struct conns *cs = &c->net->conns;

	TAILQ_REMOVE(&cs->queue[c->state], c, link);
	buf_free(cs, &c->in);
	buf_free(cs, &c->out);
	free(c);
}
