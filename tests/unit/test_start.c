/*
 * The start of every child and its log lines, each in a child of the test: what parent may say, and
 * how it ends when it says anything else.
 */
#include "tests/unit/forked.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "sandbox/sandbox.h"
#include "tests/unit/under_memcheck.h"

/* libc's, refused when the test says so */
static bool refuse_prctl;
int prctl(int option, ...);
int prctl(int option, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (refuse_prctl) {
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

enum start_case {
	EARLY,
	NO_WRITES,
	WRONG_CONF,
	EARLY_STOP,
	CONF_GONE,
	NO_CHILD,
	NO_PATH,
	WIDE,
	WIDE_TLSKEY,
	NEVER_WIDE,
	PARENT_GONE,
	NO_SOCKET,
	KDF_BLAMES,
	START_CASES
};

static void enter(enum role self, const char *path, bool wide)
{
	const struct rconf_identity id = {0};
	const struct sandbox_path paths[] = {{path, false}};

	start_sandbox(self, &id, paths, path != NULL, wide);
}

static void start_with(void *arg)
{
	static uint8_t buf[MSG_MAX];
	enum start_case c = *(enum start_case *)arg;
	const struct start_peer engine = {ROLE_ENGINE, 0, 1};
	const struct rlimit none = {0, 0};
	struct msg m;
	int sv[2];

	if (msg_pair(sv) != KE_OK || dup2(sv[1], MSG_CTL_FD) < 0)
		_exit(99);
	close(sv[1]);
	refuse_prctl = c == EARLY;
	switch (c) {
	case EARLY:
		start_early(ROLE_HSM);
		return;
	case NO_WRITES:
		setrlimit(RLIMIT_NOFILE, &none);
		start_no_writes(ROLE_HSM);
		return;
	case WRONG_CONF:
		if (msg_send(sv[0], MSG_HSM_PEER, 0, "\1\0\0\0\0\0", 6, 2) != KE_OK)
			return;
		start_receive(ROLE_HSM, MSG_HSM_CONF, buf, &m);
		return;
	case EARLY_STOP:
		if (msg_send(sv[0], MSG_HSM_STOP, 0, NULL, 0, -1) != KE_OK)
			return;
		start_receive(ROLE_HSM, MSG_HSM_CONF, buf, &m);
		return;
	case CONF_GONE:
		close(sv[0]);
		start_receive(ROLE_HSM, MSG_HSM_CONF, buf, &m);
		return;
	case NO_CHILD:
		enter(ROLE_CTL, NULL, false);
		return;
	case NO_PATH:
		enter(ROLE_ENGINE, "/nonexistent/folder", false);
		return;
	case WIDE:
		enter(ROLE_HSM, "/", true);
		_exit(close(open("/etc/passwd", O_RDONLY)) == 0 ? FORKED_RETURNED : 98);
	case WIDE_TLSKEY:
		enter(ROLE_TLSKEY, "/", true);
		_exit(close(open("/etc/passwd", O_RDONLY)) == 0 ? FORKED_RETURNED : 98);
	case NEVER_WIDE: /* the wider profile is for the two key holders */
		enter(ROLE_KDF, NULL, true);
		_exit(open("/etc/passwd", O_RDONLY) < 0 ? FORKED_RETURNED : 98);
	case PARENT_GONE:
		close(sv[0]);
		start_ready(ROLE_HSM);
		return;
	case NO_SOCKET:
		if (dup2(open("/dev/null", O_WRONLY), MSG_CTL_FD) < 0)
			return;
		start_ready(ROLE_HSM);
		return;
	case KDF_BLAMES: /* it has nobody to tell, and goes on */
		start_blame(ROLE_KDF, &engine);
		_exit(recv(sv[0], buf, 1, MSG_DONTWAIT) < 0 ? FORKED_RETURNED : 98);
	case START_CASES:
		return;
	}
}

static void test_starts(void **state)
{
	static const struct {
		int status;
		const char *words;
	} want[START_CASES] = {
	    [EARLY] = {1, "error start_early: hsm: "},
	    [NO_WRITES] = {1, "error start_no_writes: hsm: "},
	    [WRONG_CONF] = {1, "hsm: configuration: "},
	    [EARLY_STOP] = {1, "hsm: configuration: "},
	    [CONF_GONE] = {1, NULL}, /* parent has said why */
	    [NO_CHILD] = {1, "no such child: ctl"},
	    [NO_PATH] = {1, "/nonexistent/folder"},
	    [WIDE] = {FORKED_RETURNED, NULL},
	    [WIDE_TLSKEY] = {FORKED_RETURNED, NULL},
	    [NEVER_WIDE] = {1000 + SIGSYS, "forbidden system call"},
	    [PARENT_GONE] = {0, NULL},
	    [NO_SOCKET] = {1, "control channel: "},
	    [KDF_BLAMES] = {FORKED_RETURNED, "security engine 0 broke the protocol"},
	};

	(void)state;
	if (under_memcheck())
		skip();
	for (enum start_case c = EARLY; c < START_CASES; c++) {
		int status = want[c].status;
		const char *words = want[c].words;

		/* without seccomp Landlock alone says no */
		if (c == NEVER_WIDE && !sandbox_has_seccomp()) {
			status = FORKED_RETURNED;
			words = NULL;
		}
		forked_expect(start_with, &c, status, words);
	}
}

/* --- log lines --- */

static void say(void *arg)
{
	(void)arg;
	log_security("one\ntwo\x1b[2J \\ \xc3\xa9 \x7f end");
}

static void say_much(void *arg)
{
	char text[5000];

	(void)arg;
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_info("%s", text);
}

static void say_last(void *arg)
{
	(void)arg;
	fatal("it %s", "ends");
}

static void test_log_lines(void **state)
{
	struct forked f;

	(void)state;
	forked_start(&f, say, NULL);
	assert_int_equal(forked_wait(&f), FORKED_RETURNED);
	assert_string_equal(f.said, "security one\\x0atwo\\x1b[2J \\x5c \\xc3\\xa9 \\x7f end\n");
	forked_start(&f, say_much, NULL);
	assert_int_equal(forked_wait(&f), FORKED_RETURNED);
	assert_true(f.n > 1000 && f.n < 1100);
	assert_ptr_equal(strchr(f.said, '\n'), f.said + f.n - 1);
	forked_expect(say_last, NULL, 1, "error say_last: it ends\n");
}

static void test_no_role(void **state)
{
	(void)state;
	assert_string_equal(role_word((enum role)ROLE_COUNT), "nobody");
	assert_string_equal(role_binary((enum role)ROLE_COUNT), "");
	assert_int_equal(role_rank((enum role)ROLE_COUNT), -1);
	assert_int_equal(msg_of_role((enum role)ROLE_COUNT)->conf, 0);
	assert_string_equal(role_word(ROLE_TLSKEY), "tlskey");
	assert_string_equal(role_binary(ROLE_TLSKEY), "klerod-hsm");
	assert_true(role_rank(ROLE_CTL) < role_rank(ROLE_NET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starts),
	    cmocka_unit_test(test_log_lines),
	    cmocka_unit_test(test_no_role),
	};

	return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
