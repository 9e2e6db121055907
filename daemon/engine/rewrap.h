/*
 * After a rotation: what the old version holds is taken over by the new one, in the background,
 * a few at a time, and from where it stood after a restart (KEYS.md section 4). Server seeds are
 * wrapped anew, the database key in klero.keys is sealed anew. hsm does both without letting
 * anything out. Runs in engine.
 */
#ifndef DAEMON_ENGINE_REWRAP_H
#define DAEMON_ENGINE_REWRAP_H

#include <stdbool.h>

#include "daemon/engine/job.h"
#include "db/db_raffle.h"
#include "policy/anchor.h"

#define REWRAP_BATCH 16

struct rewrap {
	bool seeds; /* there may be seeds under another version than the active one */
	bool dbkey; /* and so for the database key */
	struct rewrap_one {
		struct job job; /* first member: a step finds its seed by it */
		struct db_seed seed;
	} one[REWRAP_BATCH];
	struct job dbkey_job;
	uint64_t done, failed; /* seeds, since start */
};

struct engine;

/* The anchor has changed, or engine has started: look what there is to do. */
void rewrap_start(struct engine *e);
/* Goes on with it. */
void rewrap_tick(struct engine *e);
/* How many values stand under a version; -1 where nothing is counted. */
int rewrap_count(struct engine *e, const struct anchor_key *k, int64_t *n) KE_CHECK;

#endif
