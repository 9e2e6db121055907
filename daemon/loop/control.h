/*
 * Descriptor 3 on libevent, for net and engine: answers PING, hands over new peers, starts the
 * stop. Losing parent ends the process.
 */
#ifndef DAEMON_LOOP_CONTROL_H
#define DAEMON_LOOP_CONTROL_H

#include "daemon/msg/start.h"

struct event_base;

struct control_cbs {
	/* A fresh channel to a peer: the callee owns fd. A former one to the same peer is stale. */
	void (*peer)(void *arg, const struct start_peer *peer, int fd);
	/* Any other message of parent's (MSG_ENGINE_CLIENT); the callee owns m->fd. */
	void (*other)(void *arg, const struct msg *m);
	/* Finish and leave the loop. */
	void (*stop)(void *arg);
};

/* Starts to listen on descriptor 3. Until then messages wait in the socket. */
void control_start(
    struct event_base *base, enum role self, const struct control_cbs *cbs, void *arg);

#endif
