/*
 * The loop of the blocking roles, each in a child of the test: what parent and peers may say, and
 * how it ends when they say anything else.
 */
#include "tests/unit/forked.h"
#include "tests/unit/fail_alloc.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "daemon/msg/serve.h"
#include "daemon/msg/start.h"
#include "tests/unit/under_memcheck.h"

/* A role that serves, its parent's end and the ends of its peers. */
struct role_run {
	struct forked f;
	enum role self;
	int ctl, theirs;
	void (*before)(void); /* in the child */
	uint8_t buf[MSG_MAX];
};

/* What the handler does stands in the request's first byte. */
static int handler(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	static const uint8_t much[MSG_BODY_MAX];

	(void)ctx;
	peer->uses++;
	wire_put_i32(w, KE_OK);
	switch (m->body[0]) {
	case 'a':
		wire_put_u32(w, peer->uses);
		return KE_OK;
	case 'l':
		return KE_CLOSED;
	case 'p':
		return KE_PEER;
	case 'w':
		wire_put_raw(w, much, sizeof much);
		return KE_OK;
	default:
		return KE_INTERNAL;
	}
}

static void run(void *arg)
{
	struct role_run *r = arg;

	close(r->ctl);
	if (dup2(r->theirs, MSG_CTL_FD) < 0)
		_exit(99);
	if (r->theirs != MSG_CTL_FD)
		close(r->theirs);
	if (r->before != NULL)
		r->before();
	serve(r->self, handler, NULL);
}

static void deadline(int fd)
{
	struct timeval t = {.tv_sec = FORKED_WAIT_S};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
}

static void launch(struct role_run *r, enum role self, void (*before)(void))
{
	int sv[2];

	r->self = self;
	r->before = before;
	assert_int_equal(msg_pair(sv), KE_OK);
	r->ctl = sv[0];
	r->theirs = sv[1];
	deadline(r->ctl);
	forked_start(&r->f, run, r);
	close(sv[1]);
}

static void ends(struct role_run *r, int status, const char *words)
{
	forked_ends(&r->f, status, words);
	close(r->ctl);
}

static void hand_over(struct role_run *r, enum role role, uint8_t index, int fd)
{
	const struct start_peer who = {role, index, 5};
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, &who);
	assert_int_equal(msg_send(r->ctl, msg_of_role(r->self)->peer, 0, body, w.len, fd), KE_OK);
	close(fd);
}

static int introduce(struct role_run *r, enum role role, uint8_t index)
{
	int sv[2];

	assert_int_equal(msg_pair(sv), KE_OK);
	deadline(sv[0]);
	hand_over(r, role, index, sv[1]);
	return sv[0];
}

static void request(int fd, char what)
{
	const char body[3] = {what, 'x', 'x'};

	assert_int_equal(msg_send(fd, MSG_HSM_REFRESH, 42, body, sizeof body, -1), KE_OK);
}

/* The answer's last field: how often this channel has asked. */
static uint32_t uses(struct role_run *r, int fd)
{
	struct wire_in in;
	struct msg m;

	request(fd, 'a');
	assert_int_equal(msg_recv(fd, ROLE_ENGINE, ROLE_HSM, RUN, r->buf, &m), KE_OK);
	assert_true(m.type == MSG_HSM_REFRESH_ANS && m.id == 42);
	wire_in_init(&in, m.body, m.len);
	assert_int_equal(wire_get_i32(&in), KE_OK);
	return wire_get_u32(&in);
}

static void expect_end(struct role_run *r, int fd)
{
	struct msg m;

	assert_int_equal(msg_recv(fd, ROLE_ENGINE, ROLE_HSM, RUN, r->buf, &m), KE_CLOSED);
	close(fd);
}

static void control(struct role_run *r, uint16_t type, size_t len, int fd)
{
	const uint8_t body[8] = {0};

	assert_int_equal(msg_send(r->ctl, type, 0, body, len, fd), KE_OK);
}

static void test_serves(void **state)
{
	static struct role_run r;
	struct msg m;
	int first, second, other;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	control(&r, MSG_HSM_PING, 0, -1);
	assert_int_equal(msg_recv(r.ctl, ROLE_PARENT, ROLE_HSM, RUN, r.buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_HSM_PONG);
	first = introduce(&r, ROLE_ENGINE, 0);
	other = introduce(&r, ROLE_ENGINE, 1);
	assert_int_equal(uses(&r, first), 1);
	assert_int_equal(uses(&r, first), 2);
	/* a fresh channel takes the place of the former one, and begins anew */
	second = introduce(&r, ROLE_ENGINE, 0);
	assert_int_equal(uses(&r, second), 1);
	expect_end(&r, first);
	assert_int_equal(uses(&r, other), 1);
	/* a peer that does not wait for its answer */
	request(other, 'a');
	close(other);
	assert_int_equal(uses(&r, second), 2);
	control(&r, MSG_HSM_STOP, 0, -1);
	ends(&r, FORKED_RETURNED, NULL);
	expect_end(&r, second);
}

/* What was asked before the asker heard of a successor is answered, and then it leaves. */
static void test_leaving(void **state)
{
	static struct role_run r;
	int one, two;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	one = introduce(&r, ROLE_ENGINE, 0);
	two = introduce(&r, ROLE_ENGINE, 1);
	assert_int_equal(uses(&r, one), 1);
	control(&r, MSG_HSM_STOP, 0, -1);
	assert_int_equal(uses(&r, one), 2);
	assert_int_equal(uses(&r, two), 1);
	close(one);
	assert_int_equal(uses(&r, two), 2);
	close(two);
	ends(&r, FORKED_RETURNED, NULL);
	/* nobody there: at once */
	launch(&r, ROLE_HSM, NULL);
	control(&r, MSG_HSM_STOP, 0, -1);
	ends(&r, FORKED_RETURNED, NULL);
}

static void test_parent_goes(void **state)
{
	static struct role_run r;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	assert_int_equal(shutdown(r.ctl, SHUT_RDWR), 0);
	ends(&r, FORKED_RETURNED, NULL);
}

static void test_what_parent_must_not_say(void **state)
{
	static struct role_run r;
	struct msg m;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	control(&r, MSG_NET_STOP, 0, -1);
	ends(&r, 1, "error control: control channel: ");
	launch(&r, ROLE_ENGINE, NULL); /* the only role that parent has more to say to */
	control(&r, MSG_ENGINE_CLIENT, 4, 2);
	ends(&r, 1, "unexpected message 286 of parent");
	launch(&r, ROLE_HSM, NULL);
	hand_over(&r, ROLE_COUNT, 0, dup(2));
	ends(&r, 1, "parent names peer role 10");
	launch(&r, ROLE_HSM, NULL);
	/* all at once, so that it hears of each end when it needs the room */
	assert_int_equal(kill(r.f.pid, SIGSTOP), 0);
	for (uint8_t i = 0; i <= SERVE_PEERS; i++)
		close(introduce(&r, i % 2 == 0 ? ROLE_ENGINE : ROLE_NET, i));
	control(&r, MSG_HSM_PING, 0, -1);
	assert_int_equal(kill(r.f.pid, SIGCONT), 0);
	assert_int_equal(msg_recv(r.ctl, ROLE_PARENT, ROLE_HSM, RUN, r.buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_HSM_PONG);
	/* closed ones make room, so these stay open */
	for (uint8_t i = 0; i <= SERVE_PEERS; i++)
		introduce(&r, ROLE_ENGINE, (uint8_t)(100 + i));
	ends(&r, 1, "more than 16 peers");
}

static void test_blame(void **state)
{
	static struct role_run r;
	struct start_peer who;
	struct wire_in in;
	struct msg m;
	int bad, good;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	good = introduce(&r, ROLE_ENGINE, 0);
	for (int i = 0; i < 2; i++) {
		bad = introduce(&r, ROLE_ENGINE, 1);
		if (i == 0)
			assert_int_equal(write(bad, "this is no message", 18), 18);
		else
			request(bad, 'p'); /* a body that the handler cannot read */
		assert_int_equal(msg_recv(r.ctl, ROLE_PARENT, ROLE_HSM, RUN, r.buf, &m), KE_OK);
		assert_int_equal(m.type, MSG_HSM_BLAME);
		wire_in_init(&in, m.body, m.len);
		assert_int_equal(start_get_peer(&in, &who), KE_OK);
		assert_true(who.role == ROLE_ENGINE && who.index == 1 && who.life == 5);
		expect_end(&r, bad);
	}
	assert_int_equal(uses(&r, good), 1);
	close(good);
	control(&r, MSG_HSM_STOP, 0, -1);
	ends(&r, FORKED_RETURNED, "security engine 1 broke the protocol");
}

static void ask(int fd, uint64_t id, char what)
{
	const char body[3] = {what, 'x', 'x'};

	assert_int_equal(msg_send(fd, MSG_HSM_REFRESH, id, body, sizeof body, -1), KE_OK);
}

static void expect_answers(struct role_run *r, int fd, uint64_t from, uint64_t to)
{
	struct wire_in in;
	struct msg m;

	for (uint64_t id = from; id <= to; id++) {
		assert_int_equal(msg_recv(fd, ROLE_ENGINE, ROLE_HSM, RUN, r->buf, &m), KE_OK);
		assert_true(m.type == MSG_HSM_REFRESH_ANS && m.id == id && m.len == 8);
		wire_in_init(&in, m.body, m.len);
		assert_int_equal(wire_get_i32(&in), KE_OK);
		assert_int_equal(wire_get_u32(&in), id);
	}
}

/* Much is asked at once, so answers are held: each goes to who asked, in order, whatever comes
 * next. */
static void test_answers_held(void **state)
{
	static struct role_run r;
	struct msg m;
	int one, two, bad;

	(void)state;
	launch(&r, ROLE_HSM, NULL);
	one = introduce(&r, ROLE_ENGINE, 0);
	two = introduce(&r, ROLE_ENGINE, 1);
	bad = introduce(&r, ROLE_ENGINE, 2);
	assert_int_equal(uses(&r, bad), 1);
	assert_int_equal(kill(r.f.pid, SIGSTOP), 0);
	for (uint64_t id = 1; id <= 29; id++) {
		ask(one, id, 'a');
		if (id <= 3)
			ask(two, id, 'a');
	}
	ask(bad, 2, 'a');
	ask(bad, 3, 'p');
	close(two); /* it has asked and does not wait */
	assert_int_equal(kill(r.f.pid, SIGCONT), 0);
	expect_answers(&r, one, 1, 29);
	expect_answers(&r, bad, 2, 2);
	expect_end(&r, bad);
	assert_int_equal(msg_recv(r.ctl, ROLE_PARENT, ROLE_HSM, RUN, r.buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_HSM_BLAME);
	/* its last answer is not the first one it holds */
	assert_int_equal(kill(r.f.pid, SIGSTOP), 0);
	ask(one, 30, 'a');
	ask(one, 31, 'a');
	ask(one, 32, 'l');
	assert_int_equal(kill(r.f.pid, SIGCONT), 0);
	expect_answers(&r, one, 30, 31);
	assert_int_equal(msg_recv(one, ROLE_ENGINE, ROLE_HSM, RUN, r.buf, &m), KE_OK);
	assert_int_equal(m.id, 32);
	ends(&r, FORKED_RETURNED, NULL);
	expect_end(&r, one);
}

/* A channel on which nothing can ever be said: only a fresh start brings another. */
static void test_broken_channel(void **state)
{
	static struct role_run r;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* no socket, and always ready */

	(void)state;
	assert_true(fd >= 0);
	launch(&r, ROLE_HSM, NULL);
	hand_over(&r, ROLE_ENGINE, 0, fd);
	ends(&r, 1, "the channel of engine is broken");
}

static void test_garbage_of_the_more_trusted(void **state)
{
	static struct role_run r;
	int engine;

	(void)state;
	launch(&r, ROLE_KDF, NULL);
	engine = introduce(&r, ROLE_ENGINE, 0);
	assert_int_equal(write(engine, "this is no message", 18), 18);
	ends(&r, 1, "error blame: engine sent garbage");
	close(engine);
}

static void test_handler_decides(void **state)
{
	static const struct {
		char what;
		int status;
		const char *words;
	} rows[] = {
	    {'l', FORKED_RETURNED, ""}, /* the last answer */
	    {'w', 1, "answer to 1030: "},
	    {'i', 1, "request 1030: "},
	};
	static struct role_run r;
	struct msg m;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int engine;

		launch(&r, ROLE_HSM, NULL);
		engine = introduce(&r, ROLE_ENGINE, 0);
		request(engine, rows[i].what);
		ends(&r, rows[i].status, rows[i].words);
		if (rows[i].what == 'l')
			assert_int_equal(
			    msg_recv(engine, ROLE_ENGINE, ROLE_HSM, RUN, r.buf, &m), KE_OK);
		expect_end(&r, engine);
	}
}

static void nothing(int sig)
{
	(void)sig;
}

static void take_alarm(void)
{
	struct sigaction act = {.sa_handler = nothing};
	struct itimerval soon = {.it_value = {.tv_usec = 50000}};

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void few_descriptors(void)
{
	struct rlimit files = {8, 8}; /* fewer than poll has places */

	setrlimit(RLIMIT_NOFILE, &files);
}

static void no_memory(void)
{
	fail_alloc_at = 1;
}

static void test_loop(void **state)
{
	static struct role_run r;

	(void)state;
	if (under_memcheck())
		skip();
	launch(&r, ROLE_HSM, take_alarm);
	usleep(200000);
	control(&r, MSG_HSM_STOP, 0, -1);
	ends(&r, FORKED_RETURNED, NULL);
	launch(&r, ROLE_HSM, few_descriptors);
	ends(&r, 1, "poll: errno 22");
	if (!fail_alloc_works())
		return;
	launch(&r, ROLE_HSM, no_memory);
	ends(&r, 1, "error serve: out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_serves),
	    cmocka_unit_test(test_leaving),
	    cmocka_unit_test(test_parent_goes),
	    cmocka_unit_test(test_what_parent_must_not_say),
	    cmocka_unit_test(test_blame),
	    cmocka_unit_test(test_answers_held),
	    cmocka_unit_test(test_broken_channel),
	    cmocka_unit_test(test_garbage_of_the_more_trusted),
	    cmocka_unit_test(test_handler_decides),
	    cmocka_unit_test(test_loop),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
