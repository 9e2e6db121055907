/*
 * What parent says to a service manager, to the journal and to a syslog daemon, and the socket that
 * it takes from a manager. Their ends are real sockets of this test.
 */
#include "tests/unit/forked.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <regex.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/parent/child.h"
#include "daemon/parent/roles.h"
#include "daemon/parent/service.h"

#define URL "https://127.0.0.1:8443"

static struct parent parent;
static char dir[] = "/tmp/klero-service.XXXXXX", path[64], why[256];
static int manager = -1;
static int64_t now = 1000000;

int64_t parent_now(void)
{
	return now;
}

static int listen_to(const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

/* The next datagram, "" for none. */
static const char *heard(int fd)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void clear_environment(void)
{
	static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	    "LISTEN_PID", "LISTEN_FDS", "JOURNAL_STREAM"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/manager", dir);
	parent = (struct parent){.phase = PHASE_BOOT};
	parent.conf.kdfs = parent.conf.nets = 1;
	child_list(&parent);
	clear_environment();
	manager = listen_to(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	unlink(path);
	rmdir(dir);
	memcpy(strchr(dir, '.') + 1, "XXXXXX", 6);
	return 0;
}

static void set(const char *name, long value)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", value);
	assert_int_equal(setenv(name, text, 1), 0);
}

static void managed(long watchdog_us)
{
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	if (watchdog_us > 0) {
		set("WATCHDOG_USEC", watchdog_us);
		set("WATCHDOG_PID", getpid());
	}
	assert_int_equal(service_open(&parent, why, sizeof why), KE_OK);
}

/* All of parent's own roles are there. */
static void run(void)
{
	for (size_t i = 0; i < parent.n; i++)
		if (!parent.children[i].idle)
			parent.children[i].state = CHILD_READY;
	parent.phase = PHASE_RUNNING;
	service_ready(&parent, URL);
}

static void test_no_manager(void **state)
{
	(void)state;
	assert_int_equal(service_open(&parent, why, sizeof why), KE_OK);
	run();
	assert_true(service_tick(&parent, now) == INT64_MAX);
	assert_string_equal(heard(manager), "");
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(service_open(&parent, why, sizeof why), KE_IO);
	assert_non_null(strstr(why, "NOTIFY_SOCKET relative"));
}

static void test_states(void **state)
{
	char ready[64];

	(void)state;
	managed(0);
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "STATUS=starting");
	run();
	snprintf(ready, sizeof ready, "READY=1\nMAINPID=%d", (int)getpid());
	assert_string_equal(heard(manager), ready);
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "STATUS=serves " URL);
	(void)service_tick(&parent, now); /* nothing new */
	assert_string_equal(heard(manager), "");
	parent.children[0].state = parent.children[2].state = CHILD_NONE;
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "STATUS=serves " URL "; not there: hsm.0, tlskey.0");
	service_reloading(&parent);
	assert_string_equal(heard(manager), "RELOADING=1\nMONOTONIC_USEC=1000000000");
	service_reloaded(&parent);
	assert_string_equal(heard(manager), "READY=1");
	parent.phase = PHASE_STOPPING;
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "STOPPING=1");
	assert_string_equal(heard(manager), "STATUS=stopping");
	service_reloading(&parent);
	service_reloaded(&parent); /* who stops is not ready again */
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "");
}

/* All is well only while each role answers parent. */
static void test_watchdog(void **state)
{
	struct child *c = &parent.children[2];

	(void)state;
	managed(20000000);
	run();
	(void)heard(manager);
	assert_true(service_tick(&parent, now) == now + 10000);
	(void)heard(manager);
	assert_string_equal(heard(manager), "WATCHDOG=1");
	assert_true(service_tick(&parent, now + 9999) == now + 10000);
	assert_string_equal(heard(manager), "");
	c->deadline_ms = now + PARENT_PONG_MS; /* asked now */
	now += 10000;
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "");
	c->deadline_ms = 0; /* it answers after all */
	now += 1000;
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "WATCHDOG=1");
	c->state = CHILD_DYING; /* and cannot be ended: the kernel holds it */
	now += 10000;
	(void)service_tick(&parent, now);
	(void)heard(manager);
	assert_string_equal(heard(manager), "");
	c->state = CHILD_NONE; /* gone: a replacement is under way, which is no reason */
	now += 1000;
	(void)service_tick(&parent, now);
	assert_string_equal(heard(manager), "WATCHDOG=1");
}

static void test_watchdog_of_another(void **state)
{
	(void)state;
	set("WATCHDOG_USEC", 20000000);
	set("WATCHDOG_PID", getpid() + 1);
	managed(0);
	run();
	assert_true(service_tick(&parent, now) == INT64_MAX);
	set("WATCHDOG_PID", getpid());
	set("WATCHDOG_USEC", 1);
	assert_int_equal(service_open(&parent, why, sizeof why), KE_RANGE);
}

/* --- the listening socket: descriptor 3 is the child's own --- */

struct passed {
	int type;
	bool listens, for_us;
	in_port_t port_off;
	int want;
	bool taken;
};

static void take(void *arg)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct passed *x = arg;
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, x->type, 0), got;

	if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0 ||
	    (x->listens && listen(fd, 1) != 0) ||
	    getsockname(fd, (struct sockaddr *)&in, &len) != 0 || dup2(fd, 3) != 3)
		_exit(1);
	in.sin_port = htons((uint16_t)(ntohs(in.sin_port) + x->port_off));
	memcpy(&parent.conf.listen, &in, sizeof in);
	parent.conf.listen_len = sizeof in;
	set("LISTEN_PID", getpid() + (x->for_us ? 0 : 1));
	set("LISTEN_FDS", 1);
	if (service_listener(&parent, &got, why, sizeof why) != x->want)
		_exit(2);
	if (x->taken && (fcntl(got, F_GETFL) & O_NONBLOCK) == 0)
		_exit(3);
	_exit((got == 3) == x->taken ? 0 : 4);
}

static void test_socket_of_the_manager(void **state)
{
	struct passed x[] = {
	    {SOCK_STREAM, true, true, 0, KE_OK, true},
	    {SOCK_STREAM, true, false, 0, KE_OK, false},
	    {SOCK_STREAM, true, true, 1, KE_CONFLICT, false},
	    {SOCK_STREAM, false, true, 0, KE_DENIED, false},
	    {SOCK_DGRAM, false, true, 0, KE_DENIED, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
		forked_expect(take, &x[i], 0, NULL);
}

/* --- where the log goes --- */

static void assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("%s does not match %s", text, pattern);
	regfree(&re);
}

static void test_journal(void **state)
{
	struct sink s;

	(void)state;
	assert_int_equal(sink_socket(&s, SINK_JOURNAL, path), KE_OK);
	sink_put(&s, "net.0", 4711, "security said\nPRIORITY=7");
	assert_string_equal(heard(manager),
	    "SYSLOG_IDENTIFIER=klerod\nSYSLOG_FACILITY=3\nPRIORITY=2\nKLERO_LEVEL=security\n"
	    "KLERO_ROLE=net.0\nKLERO_PID=4711\nMESSAGE=net.0: said?PRIORITY=7\n");
	sink_put(&s, "hsm.0", 1, "a library's words");
	assert_non_null(strstr(heard(manager), "PRIORITY=4\n"));
	close(s.to.fd);
}

static void test_syslog(void **state)
{
	struct sink s;

	(void)state;
	assert_int_equal(sink_socket(&s, SINK_SYSLOG, path), KE_OK);
	sink_put(&s, "engine.0", 4711, "error a disk is full");
	assert_matches(heard(manager),
	    "^<27>1 20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z [!-~]+ klerod 4711 error - "
	    "engine.0: a disk is full$");
	close(s.to.fd);
	assert_int_equal(sink_socket(&s, SINK_SYSLOG, "relative"), KE_FORMAT);
}

/* A daemon that is started anew hears what it has missed. */
static void test_lost_lines(void **state)
{
	struct sink s;

	(void)state;
	assert_int_equal(sink_socket(&s, SINK_JOURNAL, path), KE_OK);
	close(manager);
	unlink(path);
	sink_put(&s, "net.0", 1, "info one");
	sink_put(&s, "net.0", 1, "info two");
	manager = listen_to(path);
	sink_put(&s, "net.0", 1, "info three");
	assert_non_null(strstr(heard(manager), "MESSAGE=parent: 2 lines of the log were lost\n"));
	assert_non_null(strstr(heard(manager), "MESSAGE=net.0: three\n"));
	assert_string_equal(heard(manager), "");
	close(s.to.fd);
}

static void test_stderr_is_the_journal(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	assert_false(sink_is_journal());
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_true(sink_is_journal());
	stream[strlen(stream) - 1] ^= 1;
	setenv("JOURNAL_STREAM", stream, 1);
	assert_false(sink_is_journal());
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(test_no_manager),
	    WITH(test_states),
	    WITH(test_watchdog),
	    WITH(test_watchdog_of_another),
	    WITH(test_socket_of_the_manager),
	    WITH(test_journal),
	    WITH(test_syslog),
	    WITH(test_lost_lines),
	    WITH(test_stderr_is_the_journal),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
