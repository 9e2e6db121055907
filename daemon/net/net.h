/*
 * The one context of klerod-net: what net.c builds at the start and all its files share.
 * Runs in net.
 */
#ifndef DAEMON_NET_NET_H
#define DAEMON_NET_NET_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/rconf.h"
#include "daemon/net/answer.h"
#include "daemon/net/conn.h"
#include "daemon/net/fetch.h"
#include "daemon/net/limit.h"
#include "daemon/net/req.h"
#include "daemon/net/tlskey.h"

/*
 * Priorities of the loop: engine's channel and parent come before clients, so that a cache drop
 * which has arrived is handled before any request that has arrived after it (cache.c).
 */
#define NET_PRIORITIES       3
#define NET_PRIORITY_CHANNEL 1 /* the default of three */
#define NET_PRIORITY_CLIENTS 2

#define NET_SCRATCH     16384 /* the payload of one TLS record */
#define NET_PROBLEM_MAX 16384
#define NET_ID_POOL     4080 /* random bytes kept for request ids */
#define NET_BUFFER_BUDGET                                                                          \
	((size_t)64 << 20) /* half-read requests, unsent answers: all together                     \
			    */
#define NET_STOP_MS 5000

struct cache;
struct chan;
struct tls;

struct net {
	struct rconf_net conf;
	struct event_base *base;
	struct event *tick;
	struct tls *tls;
	struct tlskey key;
	struct event *key_event; /* tlskey's channel, between requests */
	struct chan *engine;     /* NULL while it is away */
	struct limit limit;
	struct cache *cache;
	struct fetches fetches;
	struct conns conns;
	struct answer_env env;
	struct net_stats stats, told; /* told: what engine heard last */
	int64_t now_ms;               /* CLOCK_MONOTONIC, read once per callback */
	int64_t stop_ms;              /* when patience ends; 0: not stopping */
	int64_t unix_ms;              /* the wall clock at the same time */
	int openapi;                  /* memfd with openapi.json */
	size_t openapi_len;
	int page; /* memfd with the page GET /verify */
	uint8_t random[NET_ID_POOL];
	size_t random_left;
	/* working memory, never live across two callbacks */
	struct req req;
	uint8_t in[NET_SCRATCH];
	char out[ANSWER_HEAD_MAX + MSG_BODY_MAX];
	char problem[NET_PROBLEM_MAX];
	uint8_t msg[MSG_BODY_MAX];
};

/* Reads the clock; every callback of the loop starts with it. */
void net_clock(struct net *n);

#endif
