/*
 * The message layer: every rule of msg.def is tried with what it allows and with each way of
 * breaking it; the cursors at their bounds; descriptors over a real socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/start.h"
#include "daemon/msg/wire.h"
#include "tests/unit/under_memcheck.h"

static size_t packet(uint8_t *buf, uint16_t version, uint16_t type, uint32_t length, size_t body)
{
	struct wire_out w;

	wire_out_init(&w, buf, MSG_HDR);
	wire_put_u16(&w, version);
	wire_put_u16(&w, type);
	wire_put_u32(&w, length);
	wire_put_u64(&w, 7);
	memset(buf + MSG_HDR, 0, body);
	return MSG_HDR + body;
}

static enum msg_when one_state(const struct msg_rule *r)
{
	return (r->when & RUN) != 0 ? RUN : PRE;
}

static int try(const struct msg_rule *r, uint16_t version, size_t len, int fd, enum role self,
    enum role peer, enum msg_when when)
{
	static uint8_t buf[MSG_MAX + 64];
	struct msg m;
	size_t n = packet(buf, version, r->type, (uint32_t)len, len);

	return msg_check(buf, n, fd, self, peer, when, &m);
}

static void test_every_rule_holds(void **state)
{
	size_t n;
	const struct msg_rule *rules = msg_rules(&n);

	(void)state;
	assert_true(n > 50);
	for (size_t i = 0; i < n; i++) {
		const struct msg_rule *r = &rules[i];
		enum msg_when when = one_state(r);
		int fd = r->fd == 1 ? 99 : -1;

		assert_int_equal(try(r, MSG_VERSION, r->min, fd, r->to, r->from, when), KE_OK);
		assert_int_equal(try(r, MSG_VERSION, r->max, fd, r->to, r->from, when), KE_OK);
		assert_int_equal(try(r, 2, r->min, fd, r->to, r->from, when), KE_PEER);
		assert_int_equal(
		    try(r, MSG_VERSION, r->max + 1, fd, r->to, r->from, when), KE_PEER);
		if (r->min > 0)
			assert_int_equal(
			    try(r, MSG_VERSION, r->min - 1, fd, r->to, r->from, when), KE_PEER);
		if (r->fd < 2)
			assert_int_equal(
			    try(r, MSG_VERSION, r->min, r->fd == 1 ? -1 : 99, r->to, r->from, when),
			    KE_PEER);
	}
}

static void test_only_the_named_peers(void **state)
{
	size_t n;
	const struct msg_rule *rules = msg_rules(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (int self = 0; self < ROLE_COUNT; self++)
			for (int peer = 0; peer < ROLE_COUNT; peer++) {
				const struct msg_rule *r = &rules[i];
				bool right = r->to == (enum role)self && r->from == (enum role)peer;
				int got = try(r, MSG_VERSION, r->min, r->fd == 1 ? 99 : -1,
				    (enum role)self, (enum role)peer, one_state(r));

				assert_int_equal(got, right ? KE_OK : KE_PEER);
			}
}

static void test_only_when_permitted(void **state)
{
	size_t n;
	const struct msg_rule *rules = msg_rules(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const struct msg_rule *r = &rules[i];
		int fd = r->fd == 1 ? 99 : -1;

		assert_int_equal(try(r, MSG_VERSION, r->min, fd, r->to, r->from, PRE),
		    (r->when & PRE) != 0 ? KE_OK : KE_PEER);
		assert_int_equal(try(r, MSG_VERSION, r->min, fd, r->to, r->from, RUN),
		    (r->when & RUN) != 0 ? KE_OK : KE_PEER);
	}
}

static void test_lengths_must_agree(void **state)
{
	static uint8_t buf[MSG_MAX];
	struct msg m;
	size_t n = packet(buf, MSG_VERSION, MSG_HSM_HOLDER, 48, 48);

	(void)state;
	assert_int_equal(msg_check(buf, n, -1, ROLE_HSM, ROLE_ENGINE, RUN, &m), KE_OK);
	assert_int_equal(m.len, 48);
	assert_int_equal(m.id, 7);
	assert_int_equal(msg_check(buf, n - 1, -1, ROLE_HSM, ROLE_ENGINE, RUN, &m), KE_PEER);
	packet(buf, MSG_VERSION, MSG_HSM_HOLDER, 47, 48);
	assert_int_equal(msg_check(buf, n, -1, ROLE_HSM, ROLE_ENGINE, RUN, &m), KE_PEER);
	for (size_t k = 0; k < MSG_HDR; k++)
		assert_int_equal(msg_check(buf, k, -1, ROLE_HSM, ROLE_ENGINE, RUN, &m), KE_PEER);
	packet(buf, MSG_VERSION, 0xfffe, 0, 0);
	assert_int_equal(msg_check(buf, MSG_HDR, -1, ROLE_HSM, ROLE_ENGINE, RUN, &m), KE_PEER);
}

static void test_numbers(void **state)
{
	size_t n;
	const struct msg_rule *rules = msg_rules(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const struct msg_rule *r = &rules[i];

		assert_true(r->max <= MSG_BODY_MAX && r->min <= r->max);
		assert_ptr_equal(msg_rule(r->type), r);
		/* an answer stands for a request that goes the other way */
		if ((r->type & 1) != 0 && msg_rule((uint16_t)(r->type - 1)) != NULL) {
			const struct msg_rule *q = msg_rule((uint16_t)(r->type - 1));

			assert_true(q->from == r->to && q->to == r->from);
		}
	}
}

static void pair(int sv[2])
{
	assert_int_equal(msg_pair(sv), KE_OK);
}

static void test_over_a_socket(void **state)
{
	static uint8_t buf[MSG_MAX], body[48];
	struct msg m;
	int sv[2];

	(void)state;
	pair(sv);
	memset(body, 0xa5, sizeof body);
	assert_int_equal(msg_send(sv[0], MSG_HSM_HOLDER, 99, body, sizeof body, -1), KE_OK);
	assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_HSM_HOLDER);
	assert_int_equal(m.id, 99);
	assert_memory_equal(m.body, body, sizeof body);
	assert_int_equal(m.fd, -1);
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), KE_AGAIN);
	close(sv[0]);
	assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), KE_CLOSED);
	assert_int_equal(msg_send(sv[1], MSG_HSM_HOLDER, 1, body, sizeof body, -1), KE_CLOSED);
	close(sv[1]);
}

static void test_largest_message(void **state)
{
	static uint8_t buf[MSG_MAX], body[MSG_BODY_MAX + 1];
	struct msg m;
	int sv[2];

	(void)state;
	pair(sv);
	assert_int_equal(msg_send(sv[0], MSG_API_REQ, 1, body, MSG_BODY_MAX + 1, -1), KE_LONG);
	assert_int_equal(msg_send(sv[0], MSG_API_REQ, 1, body, MSG_BODY_MAX, -1), KE_OK);
	assert_int_equal(msg_recv(sv[1], ROLE_ENGINE, ROLE_NET, RUN, buf, &m), KE_OK);
	assert_int_equal(m.len, MSG_BODY_MAX);
	close(sv[0]);
	close(sv[1]);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Several descriptors in one packet, or one where none belongs: refused, and none leaks. */
static void send_fds(int sock, uint16_t type, size_t len, int count)
{
	uint8_t raw[MSG_HDR + 64];
	char space[CMSG_SPACE(4 * sizeof(int))] = {0};
	struct iovec iov = {raw, packet(raw, MSG_VERSION, type, (uint32_t)len, len)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	mh.msg_control = space;
	mh.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){0}, sizeof(int));
	assert_true(sendmsg(sock, &mh, 0) > 0);
}

static void test_descriptors(void **state)
{
	static uint8_t buf[MSG_MAX];
	struct msg m;
	int sv[2], before;

	(void)state;
	pair(sv);
	before = open_fds();
	send_fds(sv[0], MSG_NET_PEER, START_PEER_BYTES, 1);
	assert_int_equal(msg_recv(sv[1], ROLE_NET, ROLE_PARENT, RUN, buf, &m), KE_OK);
	assert_true(m.fd >= 0);
	assert_true((fcntl(m.fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(m.fd);
	send_fds(sv[0], MSG_NET_PEER, START_PEER_BYTES, 2);
	assert_int_equal(msg_recv(sv[1], ROLE_NET, ROLE_PARENT, RUN, buf, &m), KE_PEER);
	send_fds(sv[0], MSG_NET_PING, 0, 1);
	assert_int_equal(msg_recv(sv[1], ROLE_NET, ROLE_PARENT, RUN, buf, &m), KE_PEER);
	assert_int_equal(m.fd, -1);
	assert_int_equal(open_fds(), before);
	close(sv[0]);
	close(sv[1]);
}

/* --- a system that fails: errno of the next calls, 0 where they are the real ones --- */

static int send_errors[4], recv_errors[4];
static struct cmsghdr *forged; /* in place of what came */
static int forged_flags;

static int next_error(int *errors)
{
	int e = errors[0];

	memmove(errors, errors + 1, 3 * sizeof *errors);
	errors[3] = 0;
	return e;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	int e = next_error(send_errors);

	if (e == 0)
		return syscall(SYS_sendmsg, fd, m, flags);
	errno = e;
	return -1;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	int e = next_error(recv_errors);
	ssize_t n;

	if (e != 0) {
		errno = e;
		return -1;
	}
	n = syscall(SYS_recvmsg, fd, m, flags);
	if (n >= 0 && forged != NULL) {
		memcpy(m->msg_control, forged, forged->cmsg_len);
		m->msg_controllen = forged->cmsg_len;
		m->msg_flags |= forged_flags;
	}
	return n;
}

static void test_errors_of_the_system(void **state)
{
	static const struct {
		int e, sent, received;
	} rows[] = {
	    {EAGAIN, KE_FULL, KE_AGAIN}, {ENOBUFS, KE_FULL, KE_AGAIN}, {ENOMEM, KE_FULL, KE_AGAIN},
	    {EPIPE, KE_CLOSED, KE_IO}, {ECONNRESET, KE_CLOSED, KE_CLOSED}, {EBADF, KE_IO, KE_IO},
	    {EINTR, KE_OK, KE_OK}, /* once more */
	};
	static uint8_t buf[MSG_MAX];
	struct rlimit old, none;
	struct msg m;
	int sv[2];

	(void)state;
	if (under_memcheck())
		skip();
	pair(sv);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		send_errors[0] = recv_errors[0] = rows[i].e;
		assert_int_equal(msg_send(sv[0], MSG_HSM_KEYS, 1, NULL, 0, -1), rows[i].sent);
		assert_int_equal(
		    msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), rows[i].received);
	}
	close(sv[0]);
	close(sv[1]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){0, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(msg_pair(sv), KE_IO);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* Control data that is no descriptor, a packet of nothing but one, and what was cut off. */
static void test_odd_control_data(void **state)
{
	static uint8_t buf[MSG_MAX];
	struct iovec nothing = {buf, 0};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {.space = {0}};
	struct msghdr mh = {.msg_iov = &nothing, .msg_iovlen = 1};
	int sv[2], on = 1, before;
	struct msg m;

	(void)state;
	pair(sv);
	before = open_fds();
	/* the sender's identity, which nobody asked for */
	assert_int_equal(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
	assert_int_equal(msg_send(sv[0], MSG_HSM_KEYS, 1, NULL, 0, -1), KE_OK);
	assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), KE_OK);
	assert_int_equal(m.fd, -1);
	on = 0;
	assert_int_equal(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
	/* another protocol's, and a flag that says there was more */
	c.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), IPPROTO_IP, SCM_RIGHTS};
	forged = &c.head;
	for (int flags = 0; flags <= MSG_CTRUNC; flags += MSG_CTRUNC) {
		forged_flags = flags;
		assert_int_equal(msg_send(sv[0], MSG_HSM_KEYS, 1, NULL, 0, -1), KE_OK);
		assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m),
		    flags == 0 ? KE_OK : KE_PEER);
	}
	forged = NULL;
	/* an empty packet is the end of a channel only when it carries nothing either */
	c.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	mh.msg_control = &c;
	mh.msg_controllen = sizeof c;
	assert_int_equal(sendmsg(sv[0], &mh, 0), 0);
	assert_int_equal(msg_recv(sv[1], ROLE_HSM, ROLE_ENGINE, RUN, buf, &m), KE_PEER);
	assert_int_equal(open_fds(), before);
	close(sv[0]);
	close(sv[1]);
}

static void test_peer_on_the_wire(void **state)
{
	struct start_peer p;
	struct wire_in r;

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		wire_in_init(&r, (uint8_t[8]){ROLE_HSM, 2, 1, 0, 0, 0}, n);
		assert_int_equal(start_get_peer(&r, &p), n < START_PEER_BYTES    ? KE_SHORT
							 : n == START_PEER_BYTES ? KE_OK
										 : KE_LONG);
	}
	assert_true(p.role == ROLE_HSM && p.index == 2 && p.life == 1);
}

static void test_wire_round_trip(void **state)
{
	uint8_t buf[64], raw[3] = {1, 2, 3}, back[3];
	char text[8];
	struct wire_out w;
	struct wire_in r;

	(void)state;
	wire_out_init(&w, buf, sizeof buf);
	wire_put_u8(&w, 0xfe);
	wire_put_u16(&w, 0xfedc);
	wire_put_u32(&w, 0xfedcba98);
	wire_put_i32(&w, -5);
	wire_put_u64(&w, UINT64_MAX - 1);
	wire_put_i64(&w, INT64_MIN);
	wire_put_raw(&w, raw, 3);
	wire_put_cstr(&w, "klero");
	assert_int_equal(w.err, KE_OK);
	assert_int_equal(buf[1], 0xdc); /* little-endian on every machine */
	wire_in_init(&r, buf, w.len);
	assert_int_equal(wire_get_u8(&r), 0xfe);
	assert_int_equal(wire_get_u16(&r), 0xfedc);
	assert_int_equal(wire_get_u32(&r), 0xfedcba98);
	assert_int_equal(wire_get_i32(&r), -5);
	assert_true(wire_get_u64(&r) == UINT64_MAX - 1);
	assert_true(wire_get_i64(&r) == INT64_MIN);
	wire_get_raw(&r, back, 3);
	assert_memory_equal(back, raw, 3);
	assert_int_equal(wire_end(&r), KE_LONG);
	wire_get_cstr(&r, text, sizeof text);
	assert_string_equal(text, "klero");
	assert_int_equal(wire_end(&r), KE_OK);
}

static void test_wire_bounds(void **state)
{
	uint8_t buf[4] = {0xff, 0xff, 'a', 0};
	char text[3];
	size_t n;
	struct wire_out w;
	struct wire_in r;

	(void)state;
	wire_out_init(&w, buf, 3);
	wire_put_u32(&w, 1);
	assert_int_equal(w.err, KE_FULL);
	wire_put_u8(&w, 1);
	assert_int_equal(w.len, 0); /* the first error sticks */
	wire_in_init(&r, (uint8_t[]){0xff, 0xff, 'a'}, 3);
	assert_null(wire_get_str(&r, 65535, &n));
	assert_int_equal(wire_end(&r), KE_SHORT);
	wire_in_init(&r, (uint8_t[]){3, 0, 'a', 'b', 'c'}, 5);
	wire_get_cstr(&r, text, sizeof text);
	assert_int_equal(wire_end(&r), KE_LONG);
	assert_string_equal(text, "");
	wire_in_init(&r, (uint8_t[]){2, 0, 'a', 0}, 4);
	wire_get_cstr(&r, text, sizeof text);
	assert_int_equal(wire_end(&r), KE_FORMAT);
	/* longer than any str, after an error or as the first */
	wire_out_init(&w, buf, sizeof buf);
	wire_put_str(&w, buf, UINT16_MAX + 1);
	assert_int_equal(w.err, KE_LONG);
	w.err = KE_FULL;
	wire_put_str(&w, buf, UINT16_MAX + 1);
	assert_int_equal(w.err, KE_FULL);
	wire_in_init(&r, buf, sizeof buf);
	wire_get_raw(&r, text, 0);
	assert_ptr_equal(r.p, buf);
	wire_in_init(&r, NULL, 0);
	assert_int_equal(wire_end(&r), KE_OK);
	assert_int_equal(wire_get_u64(&r), 0);
	assert_int_equal(wire_end(&r), KE_SHORT);
}

static void test_no_role_drops_to_root(void **state)
{
	struct rconf_kdf a = {.id = {.drop = true, .uid = 0, .gid = 7}, .memory_kib = 1}, b;
	uint8_t buf[512];
	struct wire_out w;
	struct wire_in r;

	(void)state;
	wire_out_init(&w, buf, sizeof buf);
	rconf_put_kdf(&w, &a);
	wire_in_init(&r, buf, w.len);
	assert_int_equal(rconf_get_kdf(&r, &b), KE_RANGE);
	a.id.uid = 9;
	a.id.gid = 0;
	wire_out_init(&w, buf, sizeof buf);
	rconf_put_kdf(&w, &a);
	wire_in_init(&r, buf, w.len);
	assert_int_equal(rconf_get_kdf(&r, &b), KE_RANGE);
	a.id.gid = 7;
	wire_out_init(&w, buf, sizeof buf);
	rconf_put_kdf(&w, &a);
	wire_in_init(&r, buf, w.len);
	assert_int_equal(rconf_get_kdf(&r, &b), KE_OK);
	assert_int_equal(b.id.uid, 9);
	buf[0] = 2; /* neither yes nor no */
	wire_in_init(&r, buf, w.len);
	assert_int_equal(rconf_get_kdf(&r, &b), KE_RANGE);
	buf[0] = 1;
	for (size_t cut = 0; cut < w.len; cut++) {
		wire_in_init(&r, buf, cut);
		assert_int_not_equal(rconf_get_kdf(&r, &b), KE_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_rule_holds),
	    cmocka_unit_test(test_only_the_named_peers),
	    cmocka_unit_test(test_only_when_permitted),
	    cmocka_unit_test(test_lengths_must_agree),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_over_a_socket),
	    cmocka_unit_test(test_largest_message),
	    cmocka_unit_test(test_descriptors),
	    cmocka_unit_test(test_errors_of_the_system),
	    cmocka_unit_test(test_odd_control_data),
	    cmocka_unit_test(test_peer_on_the_wire),
	    cmocka_unit_test(test_wire_round_trip),
	    cmocka_unit_test(test_wire_bounds),
	    cmocka_unit_test(test_no_role_drops_to_root),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
