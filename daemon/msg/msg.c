/*
 * One receive function with all checks, one send function, and the table that both obey: see
 * msg.h. Compiled into every process; trusts no peer.
 * Sources: unix(7), recvmsg(2), cmsg(3).
 */
#include "daemon/msg/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/msg/wire.h"

static const struct msg_rule rules[] = {
#define MSG(name, number, from, to, min, max, fd, when, what)                                      \
	{#name, number, from, to, min, max, fd, when},
#include "daemon/msg.def"
#undef MSG
};

const struct msg_rule *msg_rules(size_t *n)
{
	*n = sizeof rules / sizeof rules[0];
	return rules;
}

const struct msg_rule *msg_rule(uint16_t type)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

#define EVERY(R)                                                                                   \
	MSG_##R##_CONF, MSG_##R##_READY, MSG_##R##_PEER, MSG_##R##_PING, MSG_##R##_PONG,           \
	    MSG_##R##_STOP

/* Nobody below kdf, out and beacon is their peer, so they have nobody to blame. */
static const struct msg_of_role of_role[ROLE_COUNT] = {
    [ROLE_NET] = {EVERY(NET), MSG_NET_BLAME},
    [ROLE_TLSKEY] = {EVERY(TLSKEY), MSG_TLSKEY_BLAME},
    [ROLE_ENGINE] = {EVERY(ENGINE), MSG_ENGINE_BLAME},
    [ROLE_HSM] = {EVERY(HSM), MSG_HSM_BLAME},
    [ROLE_KDF] = {EVERY(KDF), 0},
    [ROLE_OUT] = {EVERY(OUT), 0},
    [ROLE_BEACON] = {EVERY(BEACON), 0},
    [ROLE_KEYADM] = {.conf = MSG_KEYADM_CONF},
};

const struct msg_of_role *msg_of_role(enum role role)
{
	return &of_role[(unsigned)role < ROLE_COUNT ? role : ROLE_PARENT];
}

/* The kernel is short of memory, the channel is whole and nothing is lost: later. */
static bool no_room(int error)
{
	return error == ENOMEM || error == ENOBUFS;
}

int msg_send(int sock, uint16_t type, uint64_t id, const void *body, size_t len, int fd)
{
	uint8_t hdr[MSG_HDR];
	struct wire_out w;
	struct iovec iov[2] = {{hdr, sizeof hdr}, {NULL, len}};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
	ssize_t n;

	if (len > MSG_BODY_MAX)
		return KE_LONG;
	wire_out_init(&w, hdr, sizeof hdr);
	wire_put_u16(&w, MSG_VERSION);
	wire_put_u16(&w, type);
	wire_put_u32(&w, (uint32_t)len);
	wire_put_u64(&w, id);
	memcpy(&iov[1].iov_base, &body, sizeof body); /* iovec knows no const */
	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		mh.msg_control = &control;
		mh.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)(MSG_HDR + len))
		return KE_OK;
	if (n < 0 && (errno == EAGAIN || no_room(errno)))
		return KE_FULL;
	return n < 0 && (errno == EPIPE || errno == ECONNRESET) ? KE_CLOSED : KE_IO;
}

int msg_check(const uint8_t *packet, size_t n, int fd, enum role self, enum role peer,
    enum msg_when when, struct msg *m)
{
	struct wire_in r;
	const struct msg_rule *rule;
	uint16_t version;
	uint32_t length;

	*m = (struct msg){.fd = fd};
	if (n < MSG_HDR || n > MSG_MAX)
		return KE_PEER;
	wire_in_init(&r, packet, MSG_HDR);
	version = wire_get_u16(&r);
	m->type = wire_get_u16(&r);
	length = wire_get_u32(&r);
	m->id = wire_get_u64(&r);
	m->body = packet + MSG_HDR;
	m->len = n - MSG_HDR;
	rule = msg_rule(m->type);
	if (version != MSG_VERSION || rule == NULL)
		return KE_PEER;
	if (rule->from != peer || rule->to != self)
		return KE_PEER;
	if ((rule->when & when) == 0)
		return KE_PEER;
	if (length != m->len || m->len < rule->min || m->len > rule->max)
		return KE_PEER;
	if ((rule->fd == 0 && fd >= 0) || (rule->fd == 1 && fd < 0))
		return KE_PEER;
	return KE_OK;
}

/* Takes the descriptors out of a received control buffer: the first is returned, any other closed.
 */
static int take_fds(struct msghdr *mh, unsigned *count)
{
	int first = -1;

	*count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if ((*count)++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int msg_recv(
    int sock, enum role self, enum role peer, enum msg_when when, uint8_t *buf, struct msg *m)
{
	struct iovec iov = {buf, MSG_MAX};
	union {
		char space[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr mh = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof control,
	};
	unsigned fds;
	ssize_t n;
	int fd, r;

	*m = (struct msg){.fd = -1};
	do
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno == EAGAIN || no_room(errno))
			return KE_AGAIN;
		return errno == ECONNRESET ? KE_CLOSED : KE_IO;
	}
	fd = take_fds(&mh, &fds);
	if (n == 0 && fds == 0)
		return KE_CLOSED;
	r = KE_PEER;
	if (fds <= 1 && (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		r = msg_check(buf, (size_t)n, fd, self, peer, when, m);
	if (r != KE_OK && fd >= 0) {
		close(fd);
		m->fd = -1;
	}
	return r;
}

int msg_pair(int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
		return KE_IO;
	return KE_OK;
}
