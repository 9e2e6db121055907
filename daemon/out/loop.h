/*
 * The loop of out: descriptor 3, engine's channel and libcurl's sockets in one poll. Runs in out.
 * Several exchanges go on at once; each has a place, and keeps it until engine has taken its
 * answer, so that nothing grows: with all places taken engine is not read from.
 */
#ifndef DAEMON_OUT_LOOP_H
#define DAEMON_OUT_LOOP_H

#include "daemon/msg/start.h"
#include "daemon/out/https.h"
#include "daemon/out/resolve.h"
#include "daemon/out/work.h"

#define OUT_AT_ONCE 8
#define OUT_ANSWER  8192 /* of msg.def's answers to engine the longest, and some */

enum place_state { PLACE_FREE, PLACE_RUNS, PLACE_ANSWERED };

struct place {
	enum place_state state;
	struct work work;
	struct https https;
	uint8_t answer[OUT_ANSWER];
	size_t len;
};

struct out {
	struct out_conf conf;
	struct https_all https;
	struct resolver resolver;
	struct start_peer engine;
	int channel; /* to engine, -1 while there is none */
	bool leaving;
	struct place place[OUT_AT_ONCE];
	uint8_t in[MSG_MAX];
};

/* Returns when parent says STOP and all is answered, or parent is gone. */
void out_loop(struct out *o);

#endif
