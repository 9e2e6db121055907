/*
 * The deliberate hole: linked by the tests, and by nobody else, into each role's own program in
 * place of recvmsg and sendmsg (ld --wrap), it does what the other end of a channel tells it: any
 * system call, reading and writing memory, allocating. So a test holds a captured role in its hand,
 * inside that role's real sandbox: tests/captured/roles.py is the other end, and says what it can
 * reach.
 *
 * A command is one packet: MAGIC, then struct command, then data for the scratch memory; with it
 * comes a descriptor that the answer is written to. The role itself sees a watchdog's ping instead,
 * and its pong, which parent has not asked for, goes nowhere.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/msg/msg.h"
#include "daemon/msg/wire.h"

#define MAGIC     "a deliberate hole"
#define SCRATCH   65536
#define ASK_TRIES 20000000L

enum op { OP_WHO, OP_CALL, OP_READ, OP_WRITE, OP_HEAP, OP_ASK, OP_FLOOD };

struct command {
	uint32_t op;
	uint32_t in_scratch; /* bit i: arg[i] is an offset into the scratch memory */
	uint64_t nr;
	uint64_t arg[6];
	uint64_t want; /* bytes of the scratch memory to answer with */
};

static struct {
	char role[16];
	int pid, index;
	uint16_t ping;
	bool swallow;
	uint8_t scratch[SCRATCH];
} hole;

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);

/* glibc gives a constructor the arguments of main. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
	static const struct {
		const char *role;
		uint16_t ping;
	} pings[] = {{"net", MSG_NET_PING}, {"engine", MSG_ENGINE_PING}, {"hsm", MSG_HSM_PING},
	    {"tlskey", MSG_TLSKEY_PING}, {"kdf", MSG_KDF_PING}, {"out", MSG_OUT_PING},
	    {"beacon", MSG_BEACON_PING}};

	hole.pid = getpid();
	if (argc != 3)
		return;
	snprintf(hole.role, sizeof hole.role, "%s", argv[1]);
	hole.index = atoi(argv[2]);
	for (size_t i = 0; i < sizeof pings / sizeof pings[0]; i++)
		if (strcmp(pings[i].role, argv[1]) == 0)
			hole.ping = pings[i].ping;
}

static long call(const struct command *c)
{
	uint64_t a[6], base = (uint64_t)(uintptr_t)hole.scratch;
	long r;

	for (int i = 0; i < 6; i++)
		a[i] = c->arg[i] + ((c->in_scratch & (1u << i)) != 0 ? base : 0);
	r = syscall((long)c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return r == -1 ? -errno : r;
}

/* What malloc does with the kernel: many small pieces, a large one, a larger one, none. */
static long heap(void)
{
	void *small[256], *large = malloc(1 << 20), *larger;
	long ok = large != NULL;

	for (int i = 0; i < 256; i++) {
		small[i] = malloc(20000);
		if (small[i] == NULL)
			ok = 0;
		else
			memset(small[i], i, 20000);
	}
	larger = realloc(large, 8 << 20);
	if (larger == NULL)
		ok = 0;
	else
		memset(larger, 1, 8 << 20);
	for (int i = 255; i >= 0; i--)
		free(small[i]);
	free(larger);
	return ok;
}

/* Sends what lies in the scratch memory, and waits for an answer before the role can see it. */
static long ask(int fd, size_t n)
{
	struct iovec v = {hole.scratch, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	ssize_t got = __real_sendmsg(fd, &m, MSG_NOSIGNAL);

	if (got < 0)
		return -errno;
	v.iov_len = SCRATCH;
	/* not every role may poll */
	for (long tries = 0; tries < ASK_TRIES; tries++) {
		got = __real_recvmsg(fd, &m, MSG_DONTWAIT);
		if (got >= 0 || errno != EAGAIN)
			break;
	}
	return got < 0 ? -errno : got;
}

/* Sends the same again and again, without looking at an answer. */
static long flood(int fd, size_t n, long times)
{
	struct iovec v = {hole.scratch, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	long sent = 0;

	while (times-- > 0)
		if (__real_sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			sent++;
	return sent;
}

static long act(const struct command *c)
{
	void *at;

	memcpy(&at, &c->arg[0], sizeof at);
	switch ((enum op)c->op) {
	case OP_WHO:
		snprintf(
		    (char *)hole.scratch, SCRATCH, "%s %d %d", hole.role, hole.index, hole.pid);
		return 0;
	case OP_CALL:
		return call(c);
	case OP_READ:
		memcpy(hole.scratch, at, c->want);
		return 0;
	case OP_WRITE:
		memcpy(at, hole.scratch, c->arg[1]);
		return 0;
	case OP_HEAP:
		return heap();
	case OP_ASK:
		return ask((int)c->arg[0], c->arg[1]);
	case OP_FLOOD:
		return flood((int)c->arg[0], c->arg[1], (long)c->arg[2]);
	}
	return -EINVAL;
}

static void obey(const uint8_t *packet, size_t n, int answer)
{
	struct command c;
	size_t head = sizeof MAGIC - 1 + sizeof c, done = 0;
	long r;

	memcpy(&c, packet + sizeof MAGIC - 1, sizeof c);
	memcpy(hole.scratch, packet + head, n - head);
	r = act(&c);
	(void)!write(answer, &r, sizeof r);
	while (done < c.want) {
		ssize_t k = write(answer, hole.scratch + done, c.want - done);

		if (k <= 0)
			break;
		done += (size_t)k;
	}
	close(answer);
}

static int take_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t n = 0;

	if (!hole.swallow || fd != MSG_CTL_FD)
		return __real_sendmsg(fd, m, flags);
	hole.swallow = false;
	for (size_t i = 0; i < m->msg_iovlen; i++)
		n += m->msg_iov[i].iov_len;
	return (ssize_t)n;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = __real_recvmsg(fd, m, flags);
	size_t least = sizeof MAGIC - 1 + sizeof(struct command);
	uint8_t *buf = m->msg_iov[0].iov_base;
	struct wire_out w;
	int answer;

	if (n < (ssize_t)least || memcmp(buf, MAGIC, sizeof MAGIC - 1) != 0)
		return n;
	answer = take_fd(m);
	if (answer >= 0)
		obey(buf, (size_t)n, answer);
	hole.swallow = true;
	m->msg_controllen = 0;
	m->msg_flags = 0;
	wire_out_init(&w, buf, MSG_HDR);
	wire_put_u16(&w, MSG_VERSION);
	wire_put_u16(&w, hole.ping);
	wire_put_u32(&w, 0);
	wire_put_u64(&w, 0);
	return MSG_HDR;
}
