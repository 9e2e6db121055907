/*
 * Descriptor 3 on libevent: see control.h. Runs in net and engine; trusts parent.
 */
#include "daemon/loop/control.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/msg/log.h"

struct control {
	enum role self;
	struct control_cbs cbs;
	void *arg;
	uint8_t buf[MSG_MAX];
};

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	struct msg m;
	struct start_peer peer;
	int r = msg_recv(fd, c->self, ROLE_PARENT, RUN, c->buf, &m);

	(void)what;
	if (r == KE_CLOSED)
		_exit(0); /* parent is gone; so are we */
	if (r == KE_AGAIN)
		return;
	if (r != KE_OK)
		fatal("control channel: %s", ke_words(r));
	switch (start_control(c->self, &m, &peer)) {
	case START_PING:
		break;
	case START_PEER:
		c->cbs.peer(c->arg, &peer, m.fd);
		break;
	case START_STOP:
		c->cbs.stop(c->arg);
		break;
	case START_OTHER:
		if (c->cbs.other == NULL)
			fatal("unexpected message %u of parent", m.type);
		c->cbs.other(c->arg, &m);
		break;
	}
}

void control_start(
    struct event_base *base, enum role self, const struct control_cbs *cbs, void *arg)
{
	struct control *c = calloc(1, sizeof *c);
	struct event *ev;

	if (c == NULL)
		fatal("out of memory");
	/* libevent's other ways to wait are no system calls of ours: it takes one without memory */
	if (strcmp(event_base_get_method(base), "epoll") != 0)
		fatal("libevent has no epoll");
	*c = (struct control){.self = self, .cbs = *cbs, .arg = arg};
	ev = event_new(base, MSG_CTL_FD, EV_READ | EV_PERSIST, on_control, c);
	if (ev == NULL || event_add(ev, NULL) != 0)
		fatal("out of memory");
}
