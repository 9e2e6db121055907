/*
 * Fuzzes parent as its children would: any message on the control channel of any of them, in any
 * state, any bytes on the pipe of its log, and time that passes. Nobody may be killed but who broke
 * the protocol, who is too late, or whom a more trusted neighbour blames; who breaks it is killed;
 * and the log stays lines of printable ASCII.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"
#include "daemon/parent/roles.h"

#define PID 100000000 /* above any real one: kill() below is the fuzzer's own */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct parent parent;
static int ours[PARENT_CHILDREN], pipes[PARENT_CHILDREN], said;
static uint64_t killed; /* a bit per child */
static int64_t now;

static void must(int ok)
{
	if (!ok)
		abort();
}

int64_t parent_now(void)
{
	return now;
}

int kill(pid_t pid, int sig)
{
	must(sig == SIGKILL && pid >= PID && (size_t)(pid - PID) < parent.n);
	killed |= UINT64_C(1) << (pid - PID);
	return 0;
}

/* A fresh process in the place of a dead one. */
static void renew(size_t i)
{
	struct child *c = &parent.children[i];
	int sv[2], log[2];

	if (c->ctl >= 0)
		close(c->ctl);
	if (c->log >= 0)
		close(c->log);
	if (ours[i] > 0) {
		close(ours[i]);
		close(pipes[i]);
	}
	must(msg_pair(sv) == KE_OK && pipe2(log, O_CLOEXEC | O_NONBLOCK) == 0);
	must(fcntl(sv[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(sv[1], F_SETFL, O_NONBLOCK) == 0);
	*c = (struct child){.role = c->role,
	    .index = c->index,
	    .idle = c->idle,
	    .state = CHILD_READY,
	    .pid = PID + (pid_t)i,
	    .life = 1,
	    .ctl = sv[0],
	    .log = log[0],
	    .since_ms = now,
	    .next_ms = now + PARENT_PING_MS};
	logs_begin(c);
	ours[i] = sv[1];
	pipes[i] = log[1];
}

static void set_state(size_t i, unsigned state)
{
	struct child *c = &parent.children[i];

	c->state = state == 0 ? CHILD_STARTING : state == 1 ? CHILD_STOPPING : CHILD_READY;
	c->deadline_ms = c->state == CHILD_READY ? 0 : now + PARENT_STOP_MS;
}

/* May this child have that one replaced? */
static bool may_blame(size_t by, size_t whom)
{
	enum role a = parent.children[by].role, b = parent.children[whom].role;

	return roles_edge(a, b) && role_rank(a) > role_rank(b);
}

static bool is_breach(const struct child *c, uint16_t type, size_t n, int fd)
{
	uint8_t packet[MSG_HDR] = {MSG_VERSION, 0, (uint8_t)type, (uint8_t)(type >> 8), (uint8_t)n};
	static uint8_t all[MSG_HDR + 256];
	struct msg m;

	memcpy(all, packet, sizeof packet);
	return msg_check(all, MSG_HDR + n, fd, ROLE_PARENT, c->role, RUN, &m) != KE_OK;
}

static void message(size_t i, uint8_t which, const uint8_t *body, size_t n, bool with_fd)
{
	size_t rules;
	const struct msg_rule *rule = msg_rules(&rules) + which % rules;
	struct child *c = &parent.children[i];
	bool breach = is_breach(c, rule->type, n, with_fd ? 0 : -1);
	enum child_state before = c->state;
	bool asked = c->deadline_ms != 0;

	must(msg_send(ours[i], rule->type, 1, body, n, with_fd ? 0 : -1) == KE_OK);
	killed = 0;
	child_message(&parent, c);
	must(!breach || (killed >> i & 1) != 0);
	for (size_t k = 0; k < parent.n; k++)
		must((killed >> k & 1) == 0 || k == i || (!breach && may_blame(i, k)));
	if (!breach && before == CHILD_READY && rule->type == msg_of_role(c->role)->pong)
		must(killed == (asked ? 0 : UINT64_C(1) << i));
}

static void log_bytes(size_t i, const uint8_t *p, size_t n)
{
	char text[4096];
	ssize_t got;

	(void)!write(pipes[i], p, n);
	logs_read(&parent, &parent.children[i], false);
	while ((got = read(said, text, sizeof text)) > 0)
		for (ssize_t k = 0; k < got; k++)
			must((text[k] >= ' ' && text[k] <= '~') || text[k] == '\n');
}

static void pass(unsigned seconds)
{
	now += seconds * 1000;
	for (size_t i = 0; i < parent.n; i++)
		(void)child_tick(&parent, &parent.children[i], now);
}

/* What parent tells its children is read and thrown away; the killed are made anew. */
static void clean_up(void)
{
	static uint8_t buf[MSG_MAX];
	struct msg m;

	for (size_t i = 0; i < parent.n; i++) {
		struct child *c = &parent.children[i];

		while (msg_recv(ours[i], c->role, ROLE_PARENT, RUN, buf, &m) == KE_OK)
			;
		must((c->state == CHILD_DYING) == (c->ctl < 0));
		if (c->state == CHILD_DYING)
			renew(i);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int out[2];

	(void)argc;
	(void)argv;
	must(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
	said = out[0];
	sink_lines(&parent.log, out[1]);
	parent.phase = PHASE_RUNNING;
	parent.conf.kdfs = parent.conf.nets = 2;
	child_list(&parent);
	/* nothing can be made there */
	snprintf(parent.conf.tls_certificate, RCONF_PATH, "/dev/null/tls.pem");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i, n;

	now = 1000000;
	for (i = 0; i < parent.n; i++)
		renew(i);
	while (size >= 4) {
		i = data[0] % parent.n;
		n = data[3] < size - 4 ? data[3] : size - 4;
		switch (data[1] % 5) {
		case 0:
			log_bytes(i, data + 4, n);
			break;
		case 1:
			pass(data[2]);
			break;
		case 2:
			set_state(i, data[2]);
			break;
		default:
			message(i, data[2], data + 4, n, (data[1] & 0x80) != 0);
		}
		data += 4 + n;
		size -= 4 + n;
		clean_up();
	}
	return 0;
}
