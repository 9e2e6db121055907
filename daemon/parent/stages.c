/*
 * Start and stop in stages: see stages.h. The key holders and kdf first, then engine, which needs
 * them, then net; and back.
 */
#include "daemon/parent/stages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"
#include "daemon/parent/roles.h"
#include "daemon/parent/service.h"

/* To standard output: whoever started klerod waits for this line. */
static void say_ready(struct parent *p)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr = {0};
	char host[INET6_ADDRSTRLEN] = "?";
	socklen_t len = sizeof addr;
	char url[96];

	if (getsockname(p->listen, &addr.any, &len) != 0)
		fatal("the listening socket has no name");
	if (addr.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &addr.in6.sin6_addr, host, sizeof host);
		snprintf(url, sizeof url, "https://[%s]:%u", host, ntohs(addr.in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &addr.in.sin_addr, host, sizeof host);
		snprintf(url, sizeof url, "https://%s:%u", host, ntohs(addr.in.sin_port));
	}
	logs_say(p, LOGL_INFO, "ready %s", url);
	service_ready(p, url);
	printf("klerod: ready %s\n", url);
	fflush(stdout);
}

static bool boot_stage(struct parent *p)
{
	bool ready = true;

	if (p->act.completing)
		return false; /* hsm comes when keyadm is through */
	for (size_t i = 0; i < p->n && p->phase == PHASE_BOOT; i++) {
		struct child *c = &p->children[i];

		if (roles_stage(c->role) != p->stage || c->idle)
			continue;
		if (c->state == CHILD_NONE)
			child_start(p, c);
		ready = ready && c->state == CHILD_READY;
	}
	return ready;
}

static bool stop_stage(struct parent *p)
{
	bool gone = true;

	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (roles_stage(c->role) != p->stage)
			continue;
		if (c->state == CHILD_READY)
			child_stop(p, c);
		else if (c->state == CHILD_STARTING)
			child_kill(p, c, LOGL_INFO, "is not needed any more");
		gone = gone && c->state == CHILD_NONE;
	}
	return gone;
}

void stages_step(struct parent *p)
{
	while (p->phase == PHASE_BOOT && boot_stage(p)) {
		if (++p->stage == ROLES_STAGES) {
			p->phase = PHASE_RUNNING;
			say_ready(p);
		}
	}
	while (p->phase == PHASE_STOPPING && stop_stage(p)) {
		if (--p->stage < 0)
			p->phase = PHASE_DONE;
	}
}

void parent_stop(struct parent *p, int code)
{
	bool now = p->phase != PHASE_RUNNING;

	if (p->phase == PHASE_BOOT || p->phase == PHASE_RUNNING) {
		p->exit_code = code;
		p->phase = PHASE_STOPPING;
		p->stage = ROLES_STAGES - 1;
	}
	for (size_t i = 0; now && i < p->n; i++)
		child_kill(p, &p->children[i], LOGL_INFO, "is not waited for");
}
