/*
 * Sealed values by the million: after a rotation of their class key, and once in a store of before
 * sealing, they are sealed anew in the background (KEYS.md section 4). Many to a question, some
 * questions at a time; each row is changed by compare-and-set, so that who writes meanwhile wins;
 * what is done is seen from the rows themselves, so that a kill costs nothing. Runs in engine.
 *
 * Alone it goes as fast as hsm and the store can; while requests are served it keeps to a pace
 * that they do not feel. What hsm refuses keeps nobody from the rest: a pass goes through all, the
 * next one tries what is left, after a pause when a pass has brought nothing.
 *
 * There is one kind so far: the credentials of users. (rewrap.h has what stands in few rows and
 * is wrapped inside the token.)
 */
#ifndef DAEMON_ENGINE_RESEAL_H
#define DAEMON_ENGINE_RESEAL_H

#include <stdbool.h>

#include "daemon/engine/job.h"
#include "db/db_user.h"

#define RESEAL_BATCH   200 /* as many as hsm takes at once: hsm/role/credentials.c */
#define RESEAL_FLIGHTS 3

struct reseal_batch {
	struct job job; /* first member: a step finds its batch by it */
	uint32_t pass;
	uint16_t n;
	struct db_credential c[RESEAL_BATCH];
};

struct reseal {
	bool due;      /* there may be some under another version than the active one */
	uint32_t pass; /* which one it is: an answer to an earlier one does not count in it */
	/* Where the pass stands: in the order of heads, and of ids under each. */
	char head[DB_HEAD_LEN + 1];
	uint8_t after[16];
	bool through;                  /* there is none behind that */
	bool progress, missed, failed; /* what this pass has met */
	bool early;      /* it began while a former hsm might still seal under an older version */
	bool raise;      /* nothing is left: hsm is to hear of it */
	struct job rjob; /* tells it, */
	uint32_t least;  /* and this is what hsm has answered; 0: it opens all that there are */
	int64_t pause_ms, wait_until_ms;
	unsigned lines;                /* of the log, in this pass */
	unsigned budget;               /* questions until the next tick */
	uint64_t served;               /* requests until the last one */
	int64_t began_ms;              /* when it fell due, by engine_clock_ms(); */
	uint64_t done;                 /* sealed anew since then */
	uint64_t done_all, failed_all; /* since start */
	struct reseal_batch batch[RESEAL_FLIGHTS];
};

struct engine;

/* The anchor has changed, or engine has started: look what there is to do. */
void reseal_start(struct engine *e);
/* Goes on with it. */
void reseal_tick(struct engine *e);

/* How far it is: values that are left, sealed per second, and seconds until the end; -1: unknown.
 */
struct reseal_progress {
	int64_t left, per_s, seconds;
};
int reseal_progress(struct engine *e, struct reseal_progress *p) KE_CHECK;

#endif
