/*
 * The client of tlskey: see tlskey.h. Runs in net.
 */
#include "daemon/net/tlskey.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/msg/wire.h"

void tlskey_init(struct tlskey *k)
{
	memset(k, 0, sizeof *k);
	k->fd = -1;
}

void tlskey_close(struct tlskey *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->late = false;
	k->gone = false;
}

bool tlskey_here(const struct tlskey *k)
{
	return k->fd >= 0 && !k->gone;
}

void tlskey_set(struct tlskey *k, int fd)
{
	tlskey_close(k);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		fatal("channel of tlskey: errno %d", errno);
	k->fd = fd;
	k->signatures = 0;
	k->told = false;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One message; KE_AGAIN when there is none. */
static int receive(struct tlskey *k, struct msg *m)
{
	int r = msg_recv(k->fd, ROLE_NET, ROLE_TLSKEY, RUN, k->buf, m);

	if (r == KE_PEER)
		fatal("tlskey sent garbage");
	if (r == KE_IO) /* tlskey lives on, and parent makes a new channel only for who starts */
		fatal("the channel of tlskey is broken");
	if (r == KE_CLOSED)
		k->gone = true; /* the event loop still knows the descriptor */
	return r;
}

int tlskey_poke(struct tlskey *k)
{
	struct msg m;
	int r;

	while ((r = receive(k, &m)) == KE_OK)
		k->late = false;
	return r == KE_AGAIN ? KE_OK : KE_CLOSED;
}

/* Waits for the answer to k->id; answers to requests given up before are passed over. */
static int wait_answer(struct tlskey *k, struct msg *m)
{
	int64_t end = now_ms() + TLSKEY_WAIT_MS;

	for (;;) {
		struct pollfd p = {.fd = k->fd, .events = POLLIN};
		int64_t left = end - now_ms();
		int r = receive(k, m);

		if (r == KE_OK && m->id == k->id)
			return KE_OK;
		if (r == KE_OK)
			continue;
		if (r != KE_AGAIN)
			return KE_UNAVAIL;
		if (left <= 0)
			return KE_TIMEOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return KE_UNAVAIL;
	}
}

static int decode(const struct msg *m, uint8_t sig[64])
{
	struct wire_in r;
	int32_t result;

	wire_in_init(&r, m->body, m->len);
	result = wire_get_i32(&r);
	if (r.err == KE_OK && result == KE_OK)
		wire_get_raw(&r, sig, 64);
	if (wire_end(&r) != KE_OK)
		fatal("tlskey sent garbage");
	return result;
}

int tlskey_sign(struct tlskey *k, const uint8_t name[TLSKEY_NAME], const uint8_t *tbs, size_t n,
    uint8_t sig[64])
{
	uint8_t body[TLSKEY_NAME + TLSKEY_TBS_MAX];
	struct wire_out w;
	struct msg m;
	int r;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, name, TLSKEY_NAME);
	wire_put_raw(&w, tbs, n);
	if (w.err != KE_OK)
		return w.err;
	if (k->late && tlskey_poke(k) != KE_OK)
		return KE_UNAVAIL;
	if (!tlskey_here(k))
		return KE_UNAVAIL;
	if (k->late) /* one handshake waited its second; the others need not */
		return KE_TIMEOUT;
	r = msg_send(k->fd, MSG_TLS_SIGN, ++k->id, body, w.len, -1);
	if (r == KE_OK)
		r = wait_answer(k, &m);
	if (r == KE_TIMEOUT) {
		k->late = true;
		log_warn("tlskey does not answer");
	}
	if (r == KE_IO)
		fatal("the channel of tlskey is broken");
	if (r == KE_CLOSED) {
		k->gone = true;
		r = KE_UNAVAIL;
	}
	if (r != KE_OK)
		return r;
	r = decode(&m, sig);
	k->signatures += r == KE_OK;
	return r;
}
