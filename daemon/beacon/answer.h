/*
 * What beacon does with a message: a serve_handler of its own, apart from main() so that tests and
 * the fuzzer reach it. Runs in beacon; trusts engine to be its only peer, and none of the bytes.
 */
#ifndef DAEMON_BEACON_ANSWER_H
#define DAEMON_BEACON_ANSWER_H

#include "daemon/msg/rconf.h"
#include "daemon/msg/serve.h"

/* Verdicts after which a fresh process takes this one's place: some seconds of work at least. */
#define BEACON_ANSWERS 256

struct beacon_role {
	struct rconf_beacon conf;
	unsigned answers; /* so far */
};

/* serve_handler; ctx is the struct beacon_role. */
int beacon_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w);

#endif
