/*
 * Requests per user: `count` in a fixed window, for the RateLimit fields. Bounded: a set that is
 * full loses the window that began first, which only forgets requests, never adds any.
 * Runs in engine; only authenticated users reach it.
 */
#ifndef DAEMON_ENGINE_USERLIMIT_H
#define DAEMON_ENGINE_USERLIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/msg/rconf.h"
#include "policy/ke.h"

struct userlimit;

/* What the RateLimit fields say after this request. */
struct userlimit_state {
	uint32_t limit, window_s, remaining, reset_s;
};

/* Room for about `users`; a limit of count 0 never refuses. Fatal without memory. */
struct userlimit *userlimit_new(struct rconf_limit limit, size_t users);
void userlimit_free(struct userlimit *u);

/* Counts one request at now_s (any clock in seconds, not 0); KE_LIMIT when it is one too many. */
int userlimit_hit(
    struct userlimit *u, const uint8_t user[16], int64_t now_s, struct userlimit_state *s) KE_CHECK;

#endif
