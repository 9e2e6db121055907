/*
 * The channel to engine: requests out, answers and cache drops in. Runs in net; engine is the more
 * trusted side. Lives on without engine: what waits then gets a 503.
 */
#ifndef DAEMON_NET_UPSTREAM_H
#define DAEMON_NET_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/start.h"

struct net;

/* A fresh channel; a former one is closed, what waited on it has failed. */
void upstream_set(struct net *n, const struct start_peer *engine, int fd);
/* Is there room for one more request? */
bool upstream_full(const struct net *n);
/* KE_UNAVAIL without engine, KE_LONG, KE_FULL, KE_NOMEM. */
int upstream_send(struct net *n, uint64_t id, const struct api_req *q) KE_CHECK;
/* Tells engine the counters when they have changed. */
void upstream_stats(struct net *n);

#endif
