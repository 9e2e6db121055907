/*
 * The channels of net and engine on libevent, and descriptor 3 there: what a peer may do, what ends
 * its channel, what ends us, and that nothing unsent is lost, leaked or sent twice. What is fatal
 * happens in a child.
 */
#include "tests/unit/forked.h"
#include "tests/unit/fail_alloc.h"

#include <event2/event.h>
#include <sys/socket.h>

#include "daemon/loop/chan.h"
#include "daemon/loop/control.h"
#include "daemon/msg/wire.h"

#define QUEUE 4

static const struct start_peer hsm = {ROLE_HSM, 0, 3}, net = {ROLE_NET, 2, 7},
			       ctl = {ROLE_CTL, 1, 0};

struct side {
	struct event_base *base;
	struct chan *chan;
	int other; /* the peer's end */
	unsigned messages, ends;
	int verdict;    /* of the message callback */
	bool free_self; /* in the message callback */
	bool pause;     /* likewise */
};

static int on_message(void *arg, struct chan *c, const struct msg *m)
{
	struct side *s = arg;

	assert_ptr_equal(chan_arg(c), s);
	s->messages++;
	if (m->fd >= 0)
		close(m->fd);
	if (s->free_self) {
		s->chan = NULL;
		chan_free(c);
	}
	if (s->pause)
		chan_pause(c, true);
	return s->verdict;
}

static void on_closed(void *arg, struct chan *c)
{
	struct side *s = arg;

	(void)c;
	s->ends++;
	s->chan = NULL;
}

/* Engine's end of a channel to a peer. */
static void open_side(struct side *s, const struct start_peer *peer)
{
	int sv[2];

	*s = (struct side){.verdict = KE_OK};
	s->base = event_base_new();
	assert_non_null(s->base);
	assert_int_equal(msg_pair(sv), KE_OK);
	s->other = sv[1];
	s->chan = chan_new(s->base, sv[0], ROLE_ENGINE, peer, QUEUE, on_message, on_closed, s);
	assert_int_equal(fcntl(s->other, F_SETFL, O_NONBLOCK), 0);
}

static void close_side(struct side *s)
{
	chan_free(s->chan);
	if (s->other >= 0)
		close(s->other);
	event_base_free(s->base);
}

static void turn(struct side *s)
{
	assert_true(event_base_loop(s->base, EVLOOP_NONBLOCK) >= 0);
}

static void from_peer(struct side *s, uint16_t type, size_t len)
{
	static const uint8_t body[64];

	assert_int_equal(msg_send(s->other, type, 1, body, len, -1), KE_OK);
}

static void test_back_pressure(void **state)
{
	struct side s;

	(void)state;
	open_side(&s, &hsm);
	assert_int_equal(chan_peer(s.chan)->life, 3);
	s.pause = true;
	from_peer(&s, MSG_HSM_KEYS_ANS, 4);
	from_peer(&s, MSG_HSM_KEYS_ANS, 4);
	turn(&s);
	turn(&s);
	assert_int_equal(s.messages, 1);
	s.pause = false;
	chan_pause(s.chan, false);
	turn(&s);
	assert_int_equal(s.messages, 2);
	close_side(&s);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Until the socket and then the queue take no more; how many went in. */
static unsigned fill(struct side *s, int fd)
{
	static const uint8_t body[60000];
	unsigned n = 0;
	int r;

	while ((r = chan_send(s->chan, MSG_API_ANS, n, body, sizeof body, fd)) == KE_OK)
		n++;
	assert_int_equal(r, KE_FULL);
	assert_int_equal(chan_queued(s->chan), QUEUE);
	return n;
}

static void test_queue_keeps_all_in_order(void **state)
{
	static uint8_t buf[MSG_MAX];
	struct side s;
	struct msg m;
	unsigned sent, got = 0;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), before;

	(void)state;
	open_side(&s, &net);
	before = open_fds();
	sent = fill(&s, null);
	turn(&s); /* there is still no room */
	assert_int_equal(chan_queued(s.chan), QUEUE);
	while (got < sent) {
		int r = msg_recv(s.other, ROLE_NET, ROLE_ENGINE, RUN, buf, &m);

		if (r == KE_AGAIN) {
			turn(&s);
			continue;
		}
		assert_int_equal(r, KE_OK);
		assert_int_equal(m.id, got);
		assert_true(m.fd >= 0);
		close(m.fd);
		got++;
	}
	turn(&s);
	assert_int_equal(chan_queued(s.chan), 0);
	assert_int_equal(msg_recv(s.other, ROLE_NET, ROLE_ENGINE, RUN, buf, &m), KE_AGAIN);
	assert_int_equal(open_fds(), before);
	/* without a descriptor, without a body; freed with all of it unsent */
	(void)fill(&s, -1);
	assert_int_equal(chan_send(s.chan, MSG_API_ANS, 1, NULL, 0, -1), KE_FULL);
	close_side(&s);
	open_side(&s, &net);
	(void)fill(&s, null);
	chan_free(s.chan);
	s.chan = NULL;
	chan_free(NULL);
	assert_int_equal(open_fds(), before - 1);
	close_side(&s);
	close(null);
}

static void test_what_cannot_be_queued(void **state)
{
	static const uint8_t body[60000];
	struct side s;

	(void)state;
	open_side(&s, &net);
	while (chan_queued(s.chan) == 0)
		assert_int_equal(chan_send(s.chan, MSG_API_ANS, 0, body, sizeof body, -1), KE_OK);
	assert_int_equal(chan_send(s.chan, MSG_API_ANS, 1, body, 8, 9999), KE_IO);
	if (fail_alloc_works()) {
		fail_alloc_at = 1;
		assert_int_equal(chan_send(s.chan, MSG_API_ANS, 1, body, 8, -1), KE_NOMEM);
		fail_alloc_at = 0;
	}
	assert_int_equal(chan_queued(s.chan), 1);
	assert_int_equal(chan_send(s.chan, MSG_API_ANS, 1, NULL, 0, -1), KE_OK);
	assert_int_equal(chan_queued(s.chan), 2);
	/* the peer goes: its end is heard of once, whatever was still to be sent */
	close(s.other);
	s.other = -1;
	turn(&s);
	turn(&s);
	assert_int_equal(s.ends, 1);
	assert_null(s.chan);
	close_side(&s);
}

static void test_free_in_the_callback(void **state)
{
	struct side s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_side(&s, &hsm);
		s.free_self = true;
		s.verdict = i == 0 ? KE_OK : KE_PEER;
		from_peer(&s, MSG_HSM_KEYS_ANS, 4);
		from_peer(&s, MSG_HSM_KEYS_ANS, 4);
		turn(&s);
		assert_int_equal(s.messages, 1);
		assert_int_equal(s.ends, 0);
		close_side(&s);
	}
}

/* In a process of its own: nobody makes another channel for one that lives on. */
static void break_socket(void *arg)
{
	struct side s;
	int p[2];

	open_side(&s, arg);
	chan_free(s.chan);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	s.chan = chan_new(s.base, p[0], ROLE_ENGINE, arg, QUEUE, on_message, on_closed, &s);
	turn(&s);
	assert_int_equal(s.ends, 1);
	close(p[1]);
	close_side(&s);
}

static void test_broken_socket(void **state)
{
	struct start_peer someone = {.role = ROLE_CTL}, role = net;

	(void)state;
	forked_expect(break_socket, &role, 1, "the channel of net is broken");
	/* a client of the control socket comes again by itself */
	forked_expect(break_socket, &someone, FORKED_RETURNED, NULL);
}

/* --- blame: in a child, whose descriptor 3 is ours to read --- */

struct scene {
	const struct start_peer *peer;
	int verdict;
	uint16_t type; /* 0: garbage */
	int parent[2];
};

static void play(void *arg)
{
	struct scene *x = arg;
	struct side s;

	if (dup2(x->parent[1], MSG_CTL_FD) < 0)
		_exit(99);
	open_side(&s, x->peer);
	s.verdict = x->verdict;
	if (x->type == 0)
		(void)!write(s.other, "this is no message", 18);
	else
		from_peer(&s, x->type, 4);
	turn(&s);
	_exit(s.ends == 1 && s.chan == NULL ? FORKED_RETURNED : 98);
}

static void test_blame(void **state)
{
	static const struct {
		const struct start_peer *peer;
		uint16_t type;
		int verdict, status;
		bool blamed;
		const char *words;
	} rows[] = {
	    {&net, 0, KE_OK, FORKED_RETURNED, true, "security net 2 broke the protocol"},
	    {&net, MSG_API_REQ, KE_OK, FORKED_RETURNED, true, "net 2 broke"},  /* too short */
	    {&net, MSG_HSM_KEYS, KE_OK, FORKED_RETURNED, true, "net 2 broke"}, /* engine's own */
	    {&ctl, 0, KE_OK, FORKED_RETURNED, false, "a client of the control socket sent garbage"},
	    {&hsm, 0, KE_OK, 1, false, "hsm sent garbage"},
	    {&hsm, MSG_HSM_KEYS_ANS, KE_PEER, 1, false, "hsm sent garbage"},
	    {&hsm, MSG_HSM_KEYS_ANS, KE_INTERNAL, 1, false, "message of hsm"},
	};
	static uint8_t buf[MSG_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene x = {
		    .peer = rows[i].peer, .verdict = rows[i].verdict, .type = rows[i].type};
		struct start_peer who;
		struct wire_in in;
		struct msg m;
		int r;

		assert_int_equal(msg_pair(x.parent), KE_OK);
		forked_expect(play, &x, rows[i].status, rows[i].words);
		close(x.parent[1]);
		r = msg_recv(x.parent[0], ROLE_PARENT, ROLE_ENGINE, RUN, buf, &m);
		assert_int_equal(r, rows[i].blamed ? KE_OK : KE_CLOSED);
		if (rows[i].blamed) {
			assert_int_equal(m.type, MSG_ENGINE_BLAME);
			wire_in_init(&in, m.body, m.len);
			assert_int_equal(start_get_peer(&in, &who), KE_OK);
			assert_true(who.role == ROLE_NET && who.index == 2 && who.life == 7);
		}
		close(x.parent[0]);
	}
}

/* --- starts that cannot be --- */

static unsigned event_allocs; /* of libevent's allocations, the one that fails; 0: none */

static void *event_malloc(size_t n)
{
	return event_allocs > 0 && --event_allocs == 0 ? NULL : malloc(n);
}

enum lack {
	LACK_NOTHING,
	LACK_CHAN,
	LACK_READABLE,
	LACK_WRITABLE,
	LACK_POLL,
	LACK_FD,
	LACK_BUFFER
};

static void new_without(void *arg)
{
	enum lack lack = *(enum lack *)arg;
	struct side s;
	int sv[2], fd = msg_pair(sv) == KE_OK ? sv[0] : -1;

	if (lack == LACK_FD)
		fd = 9999;
	if (lack == LACK_POLL) /* epoll takes no regular file */
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	event_set_mem_functions(event_malloc, realloc, free);
	open_side(&s, &hsm);
	from_peer(&s, MSG_HSM_KEYS_ANS, 4);
	event_allocs = lack == LACK_READABLE ? 1 : lack == LACK_WRITABLE ? 2 : 0;
	fail_alloc_at = lack == LACK_CHAN || lack == LACK_BUFFER ? 1 : 0;
	if (lack == LACK_BUFFER)
		turn(&s);
	(void)chan_new(s.base, fd, ROLE_ENGINE, &net, QUEUE, on_message, on_closed, &s);
	_exit(FORKED_RETURNED);
}

static void test_channels_that_cannot_be(void **state)
{
	static const char *const words[] = {[LACK_NOTHING] = "",
	    [LACK_CHAN] = "chan_new: out of memory",
	    [LACK_READABLE] = "chan_new: out of memory",
	    [LACK_WRITABLE] = "chan_new: out of memory",
	    [LACK_POLL] = "chan_new: out of memory",
	    [LACK_FD] = "fcntl on the channel of net",
	    [LACK_BUFFER] = "buffer: out of memory"};

	(void)state;
	for (enum lack i = LACK_NOTHING; i <= LACK_BUFFER; i++) {
		if ((i == LACK_CHAN || i == LACK_BUFFER) && !fail_alloc_works())
			continue;
		forked_expect(new_without, &i, i == LACK_NOTHING ? FORKED_RETURNED : 1, words[i]);
	}
}

/* --- descriptor 3 --- */

struct parent_says {
	uint16_t type; /* 0: garbage, 1: nothing, it is gone */
	size_t len;
	int fd;
	uint8_t role;
	bool other; /* the role takes other messages */
	unsigned lack;
};

static void on_peer(void *arg, const struct start_peer *peer, int fd)
{
	(void)arg;
	_exit(fd >= 0 && peer->role == ROLE_HSM && peer->life == 9 ? 10 : 98);
}

static void on_other(void *arg, const struct msg *m)
{
	(void)arg;
	_exit(m->type == MSG_ENGINE_CLIENT ? 11 : 98);
}

static void on_stop(void *arg)
{
	(void)arg;
	_exit(12);
}

static void hear(void *arg)
{
	const struct parent_says *x = arg;
	const struct control_cbs cbs = {on_peer, x->other ? on_other : NULL, on_stop};
	const uint8_t body[START_PEER_BYTES] = {x->role, 0, 9};
	struct event_base *base;
	int sv[2];

	event_set_mem_functions(event_malloc, realloc, free);
	base = event_base_new();
	if (msg_pair(sv) != KE_OK || dup2(sv[1], MSG_CTL_FD) < 0)
		_exit(99);
	close(sv[1]);
	fail_alloc_at = x->lack == 1;
	event_allocs = x->lack == 2;
	if (x->lack == 3 && dup2(open("/proc/self/exe", O_RDONLY), MSG_CTL_FD) < 0)
		_exit(99);
	control_start(base, ROLE_ENGINE, &cbs, NULL);
	if (x->type == 0)
		(void)!write(sv[0], "this is no message", 18);
	else if (x->type == 1)
		close(sv[0]);
	else if (msg_send(sv[0], x->type, 0, body, x->len, x->fd) != KE_OK)
		_exit(99);
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (x->type == MSG_ENGINE_PING) {
		uint8_t buf[MSG_HDR];

		_exit(recv(sv[0], buf, sizeof buf, MSG_DONTWAIT) == MSG_HDR ? 13 : 98);
	}
}

static void test_control(void **state)
{
	static const struct {
		struct parent_says says;
		int status;
		const char *words;
	} rows[] = {
	    {{.type = MSG_ENGINE_PEER, .len = 6, .role = ROLE_HSM}, 10, NULL},
	    {{.type = MSG_ENGINE_PEER, .len = 6, .role = ROLE_COUNT}, 1, "names peer role"},
	    {{.type = MSG_ENGINE_CLIENT, .len = 4, .other = true}, 11, NULL},
	    {{.type = MSG_ENGINE_CLIENT, .len = 4}, 1, "unexpected message 286 of parent"},
	    {{.type = MSG_ENGINE_STOP, .fd = -1}, 12, NULL},
	    {{.type = MSG_ENGINE_PING, .fd = -1}, 13, NULL},
	    {{.type = MSG_ENGINE_CONF, .fd = -1, .len = 1}, 1, "control channel"}, /* too late */
	    {{.type = MSG_NET_STOP, .fd = -1}, 1, "control channel"},
	    {{.type = 0}, 1, "control channel"},
	    {{.type = 1}, 0, NULL},
	    {{.type = 1, .lack = 2}, 1, "control_start: out of memory"},
	    {{.type = 1, .lack = 3}, 1, "control_start: out of memory"},
	    {{.type = 1, .lack = 1}, 1, "control_start: out of memory"},
	};
	size_t n = sizeof rows / sizeof rows[0];

	(void)state;
	for (size_t i = 0; i < n - !fail_alloc_works(); i++) {
		struct parent_says says = rows[i].says;

		forked_expect(hear, &says, rows[i].status, rows[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_channels_that_cannot_be), /* first: there is no buffer yet */
	    cmocka_unit_test(test_back_pressure),
	    cmocka_unit_test(test_queue_keeps_all_in_order),
	    cmocka_unit_test(test_what_cannot_be_queued),
	    cmocka_unit_test(test_free_in_the_callback),
	    cmocka_unit_test(test_broken_socket),
	    cmocka_unit_test(test_blame),
	    cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests_name("chan", tests, NULL, NULL);
}
