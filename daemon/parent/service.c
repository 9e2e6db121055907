/*
 * klerod and its service manager: see service.h.
 */
#include "daemon/parent/service.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/text.h"

/* sd_listen_fds(3): the first of the passed descriptors */
#define LISTEN_FD 3
/* How soon after a silent role the manager may hear again that all is well. */
#define WATCHDOG_AGAIN_MS 500

/* A number of the environment; false when it is not set or none. */
static bool number(const char *name, uint64_t *v)
{
	const char *s = getenv(name);

	return s != NULL && text_unu64(v, s, strlen(s)) == KE_OK;
}

/* Set for this very process, not inherited from one that did not look. */
static bool for_us(const char *name)
{
	uint64_t pid;

	return number(name, &pid) && pid == (uint64_t)getpid();
}

int service_open(struct parent *p, char *why, size_t whylen)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct service *s = &p->service;
	uint64_t us;

	s->watchdog_ms = 0;
	s->on = false;
	if (path == NULL)
		return KE_OK;
	if (dgram_open(&s->to, path) != KE_OK) {
		snprintf(why, whylen, "NOTIFY_SOCKET %s: cannot be used", path);
		return KE_IO;
	}
	s->on = true;
	if (!number("WATCHDOG_USEC", &us) ||
	    (getenv("WATCHDOG_PID") != NULL && !for_us("WATCHDOG_PID")))
		return KE_OK;
	if (us < 4000 || us / 1000 > INT32_MAX) {
		snprintf(why, whylen, "WATCHDOG_USEC %s: out of range", getenv("WATCHDOG_USEC"));
		return KE_RANGE;
	}
	s->watchdog_ms = (int64_t)(us / 1000);
	return KE_OK;
}

/* Does the socket listen at this address? Port 0 of the configuration is any. */
static bool same_place(int fd, const struct conf *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} is = {0}, shall = {0};
	socklen_t len = sizeof is;

	memcpy(&shall, &c->listen, c->listen_len);
	if (getsockname(fd, &is.any, &len) != 0 || is.any.sa_family != shall.any.sa_family)
		return false;
	if (is.any.sa_family == AF_INET)
		return is.in.sin_addr.s_addr == shall.in.sin_addr.s_addr &&
		       (shall.in.sin_port == 0 || is.in.sin_port == shall.in.sin_port);
	return memcmp(&is.in6.sin6_addr, &shall.in6.sin6_addr, sizeof is.in6.sin6_addr) == 0 &&
	       (shall.in6.sin6_port == 0 || is.in6.sin6_port == shall.in6.sin6_port);
}

static bool listens(int fd)
{
	int type = 0, accepts = 0;
	socklen_t len = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
		return false;
	len = sizeof accepts;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) == 0 && accepts != 0;
}

int service_listener(const struct parent *p, int *fd, char *why, size_t whylen)
{
	uint64_t n;
	int flags;

	*fd = -1;
	if (!for_us("LISTEN_PID") || !number("LISTEN_FDS", &n) || n == 0)
		return KE_OK;
	if (n != 1 || !listens(LISTEN_FD)) {
		snprintf(why, whylen,
		    "LISTEN_FDS: klerod takes one stream socket that listens (Accept=no)");
		return KE_DENIED;
	}
	if (!same_place(LISTEN_FD, &p->conf)) {
		snprintf(why, whylen,
		    "listen: the service manager's socket is another one: systemctl daemon-reload, "
		    "then systemctl restart klerod.socket");
		return KE_CONFLICT;
	}
	flags = fcntl(LISTEN_FD, F_GETFL);
	if (flags < 0 || fcntl(LISTEN_FD, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC) != 0) {
		snprintf(why, whylen, "LISTEN_FDS: the socket cannot be used");
		return KE_IO;
	}
	*fd = LISTEN_FD;
	return KE_OK;
}

static void tell(struct parent *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct parent *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (!p->service.on)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* a manager that does not take it has its own deadlines */
	if (n > 0 && (size_t)n < sizeof text &&
	    dgram_send(&p->service.to, text, (size_t)n) != KE_OK)
		return;
}

void service_ready(struct parent *p, const char *url)
{
	snprintf(p->service.url, sizeof p->service.url, "%s", url);
	tell(p, "READY=1\nMAINPID=%d", (int)getpid());
}

void service_reloading(struct parent *p)
{
	if (p->phase == PHASE_RUNNING)
		tell(p, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)parent_now() * 1000);
}

void service_reloaded(struct parent *p)
{
	if (p->phase == PHASE_RUNNING)
		tell(p, "READY=1");
}

/* One that has been killed and is not gone, or has not said PONG within the time of a PING. */
static bool silent(const struct child *c, int64_t now)
{
	if (c->state == CHILD_DYING)
		return true;
	return c->state == CHILD_READY && c->deadline_ms != 0 &&
	       now - (c->deadline_ms - PARENT_PONG_MS) >= PARENT_PING_MS;
}

static bool all_answer(const struct parent *p, int64_t now)
{
	for (size_t i = 0; i < p->n; i++)
		if (silent(&p->children[i], now))
			return false;
	return true;
}

/* In words, for `systemctl status`: where it serves, or which roles it lacks. */
static void describe(const struct parent *p, char *text, size_t cap)
{
	size_t n;

	if (p->phase != PHASE_RUNNING) {
		snprintf(text, cap, p->phase == PHASE_BOOT ? "starting" : "stopping");
		return;
	}
	n = (size_t)snprintf(text, cap, "serves %s", p->service.url);
	for (size_t i = 0; i < p->n; i++) {
		const struct child *c = &p->children[i];

		if (c->idle || c->state == CHILD_READY || n >= cap)
			continue;
		n += (size_t)snprintf(text + n, cap - n, "%s%s.%u",
		    strchr(text, ';') == NULL ? "; not there: " : ", ", role_word(c->role),
		    c->index);
	}
}

static void tell_state(struct parent *p)
{
	struct service *s = &p->service;
	char text[sizeof s->told];

	if (p->phase >= PHASE_STOPPING && !s->stopping) {
		s->stopping = true;
		tell(p, "STOPPING=1");
	}
	describe(p, text, sizeof text);
	if (strcmp(text, s->told) == 0)
		return;
	snprintf(s->told, sizeof s->told, "%s", text);
	tell(p, "STATUS=%s", text);
}

int64_t service_tick(struct parent *p, int64_t now)
{
	struct service *s = &p->service;

	if (!s->on)
		return INT64_MAX;
	tell_state(p);
	if (s->watchdog_ms == 0 || p->phase != PHASE_RUNNING)
		return INT64_MAX;
	if (now < s->next_ms)
		return s->next_ms;
	if (all_answer(p, now)) {
		tell(p, "WATCHDOG=1");
		s->next_ms = now + s->watchdog_ms / 2;
	} else {
		s->next_ms = now + WATCHDOG_AGAIN_MS;
	}
	return s->next_ms;
}
