/*
 * What parent takes from a child that has been captured: messages that are legal but too many, and
 * a log without end. The child is a pair of sockets; its process exists in name only.
 */
#include "tests/unit/forked.h"

#include <stdio.h>

#include "daemon/msg/start.h"
#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"

#include "daemon/parent/roles.h"

#define PID 100000000 /* above any real one */

static struct parent parent;
static struct child *hsm, *engine;
static int ours, pipe_end, said;
static int64_t now = 1000000;
static pid_t killed;

int64_t parent_now(void)
{
	return now;
}

int kill(pid_t pid, int sig)
{
	assert_int_equal(sig, SIGKILL);
	killed = pid;
	return 0;
}

static struct child *child_of(enum role role)
{
	for (size_t i = 0; i < parent.n; i++)
		if (parent.children[i].role == role)
			return &parent.children[i];
	fail_msg("no %s", role_word(role));
	return NULL;
}

/* hsm is there and speaks; engine is at its third life. */
static int setup(void **state)
{
	int sv[2], log[2], out[2];

	(void)state;
	parent = (struct parent){.phase = PHASE_RUNNING};
	parent.conf.kdfs = parent.conf.nets = 1;
	child_list(&parent);
	hsm = child_of(ROLE_HSM);
	engine = child_of(ROLE_ENGINE);
	if (msg_pair(sv) != KE_OK || pipe2(log, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0)
		return 1;
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	fcntl(out[1], F_SETPIPE_SZ, 1 << 20);
	hsm->state = engine->state = CHILD_READY;
	hsm->pid = PID;
	engine->pid = PID + 1;
	engine->life = 3;
	hsm->life = 1;
	hsm->ctl = sv[0];
	hsm->log = log[0];
	ours = sv[1];
	pipe_end = log[1];
	said = out[0];
	sink_lines(&parent.log, out[1]);
	logs_begin(hsm);
	killed = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ours);
	close(pipe_end);
	close(said);
	close(parent.log.fd);
	close(hsm->log);
	if (hsm->ctl >= 0)
		close(hsm->ctl);
	return 0;
}

static void hear(uint16_t type, const void *body, size_t n)
{
	assert_int_equal(msg_send(ours, type, 0, body, n, -1), KE_OK);
	child_message(&parent, hsm);
}

/* What stands in the log, the whole of it. */
static char *read_log(void)
{
	static char text[1 << 20];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof text - 1 && (got = read(said, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static void test_pong_without_ping(void **state)
{
	(void)state;
	hear(MSG_HSM_PONG, NULL, 0);
	assert_int_equal(killed, PID);
	assert_int_equal(hsm->state, CHILD_DYING);
}

static void test_pong_after_ping(void **state)
{
	(void)state;
	hsm->next_ms = now;
	(void)child_tick(&parent, hsm, now);
	assert_true(hsm->deadline_ms > now);
	hear(MSG_HSM_PONG, NULL, 0);
	assert_int_equal(killed, 0);
	assert_true(hsm->deadline_ms == 0);
	hear(MSG_HSM_PONG, NULL, 0); /* the second one */
	assert_int_equal(killed, PID);
}

/* Worn is said once. */
static void test_worn_twice(void **state)
{
	(void)state;
	hear(MSG_HSM_WORN, NULL, 0);
	assert_int_equal(killed, 0);
	assert_true(hsm->worn);
	hear(MSG_HSM_WORN, NULL, 0);
	assert_int_equal(killed, PID);
}

/* One action at a time, whatever engine asks for: the second is told to come again. */
static void test_action_during_action(void **state)
{
	static uint8_t buf[MSG_MAX];
	const uint8_t nothing[8 + 32 + 4] = {0}; /* no audit lines, no texts */
	struct wire_in in;
	struct msg m;
	int sv[2];

	(void)state;
	assert_int_equal(msg_pair(sv), KE_OK);
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	engine->ctl = sv[0];
	parent.act.busy = true;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    msg_send(sv[1], MSG_ENGINE_ACT, 0, nothing, sizeof nothing, -1), KE_OK);
		child_message(&parent, engine);
		assert_int_equal(msg_recv(sv[1], ROLE_ENGINE, ROLE_PARENT, RUN, buf, &m), KE_OK);
		assert_int_equal(m.type, MSG_ENGINE_ACTED);
		wire_in_init(&in, m.body, m.len);
		assert_int_equal(wire_get_i32(&in), KE_AGAIN);
		assert_true(parent.act.busy);
	}
	assert_int_equal(killed, 0);
	close(sv[0]);
	close(sv[1]);
	engine->ctl = -1;
}

static void test_blames_of_the_gone(void **state)
{
	const uint8_t second[START_PEER_BYTES] = {ROLE_ENGINE, 0, 2};
	const uint8_t third[START_PEER_BYTES] = {ROLE_ENGINE, 0, 3};
	unsigned n = 0;

	(void)state;
	for (; killed == 0 && n < 1000; n++)
		hear(MSG_HSM_BLAME, second, sizeof second);
	assert_int_equal(killed, PID); /* the one who blames without end */
	assert_true(n > 1 && n < 1000);
	assert_int_equal(engine->state, CHILD_READY);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	hear(MSG_HSM_BLAME, third, sizeof third);
	assert_int_equal(killed, PID + 1);
}

static void say(const char *line, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		assert_int_equal(write(pipe_end, line, strlen(line)), (ssize_t)strlen(line));
		logs_read(&parent, hsm, false);
	}
}

static void test_log_without_end(void **state)
{
	char line[102];
	const char *text;

	(void)state;
	memset(line, 'x', 100);
	memcpy(line + 100, "\n", 2);
	say(line, 5000); /* half a megabyte within no time */
	text = read_log();
	assert_true(strlen(text) > 256 << 10 && strlen(text) < 400 << 10);
	assert_null(strstr(text, "are lost"));
	say(line, 1);
	assert_string_equal(read_log(), "");
	now += 1000;
	say("info again\n", 1);
	text = read_log();
	assert_non_null(strstr(text, "warn hsm.0 said too much: 2380 lines are lost\n"));
	assert_non_null(strstr(text, "] info again\n"));
	/* what is lost at its end is said then */
	say(line, 100);
	(void)read_log();
	logs_read(&parent, hsm, true);
	assert_non_null(strstr(read_log(), "lines are lost\n"));
	/* however long it was silent, no more than at first */
	now += INT64_C(1000) * 3600 * 24 * 365;
	say(line, 5000);
	assert_true(strlen(read_log()) < 400 << 10);
}

static void test_log_lines_are_lines(void **state)
{
	char *text, *end;

	(void)state;
	say("one\n2026-11-21T00:00:00.000Z parent[1] security forged\x1b[2J\r\xff\n", 1);
	text = read_log();
	end = strchr(text, '\n') + 1;
	assert_non_null(strstr(text, " hsm.0[100000000] one\n"));
	assert_non_null(strstr(end, " hsm.0[100000000] 2026-11-21T00:00:00.000Z parent[1] security "
				    "forged?[2J??\n"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(test_pong_without_ping),
	    WITH(test_pong_after_ping),
	    WITH(test_worn_twice),
	    WITH(test_action_during_action),
	    WITH(test_blames_of_the_gone),
	    WITH(test_log_without_end),
	    WITH(test_log_lines_are_lines),
	};

	return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
