/*
 * After a rotation: what the old version holds is taken over by the new one, in the background,
 * a few at a time, and from where it stood after a restart (KEYS.md section 4). Server seeds
 * and deposit keys are wrapped or sealed anew, so is the database key in klero.keys. hsm does it
 * without letting anything out. Runs in engine.
 *
 * A value that hsm refuses keeps nobody from the ones behind it: a pass goes through all, and the
 * next one tries what is left. When a pass brings nothing but refusals, the next waits, from a
 * minute up to an hour, or until the anchor or hsm is a new one.
 */
#ifndef DAEMON_ENGINE_REWRAP_H
#define DAEMON_ENGINE_REWRAP_H

#include <stdbool.h>

#include "daemon/engine/job.h"
#include "db/db_pool.h"
#include "db/db_raffle.h"
#include "policy/anchor.h"

#define REWRAP_BATCH 16
#define REWRAP_HEAD  48

/* Every kind of value that stands in rows: name, purpose of its key, words for a log line */
#define REWRAP_KINDS(X)                                                                            \
	X(REWRAP_SEED, KEY_SEED, "a seed")                                                         \
	X(REWRAP_DEPOSIT, KEY_DEPOSIT, "a deposit key")                                            \
	X(REWRAP_DEPOSIT25519, KEY_DEPOSIT25519, "an Ed25519 deposit key")

enum rewrap_kind {
#define X(name, purpose, words) name,
	REWRAP_KINDS(X)
#undef X
	    REWRAP_KIND_COUNT
};

/* How far a kind is. */
struct rewrap_work {
	uint32_t pass; /* which one it is: an answer to an earlier one does not count in it */
	bool due;      /* there may be values under another version than the active one */
	int64_t skip;  /* how many this pass has tried in vain */
	bool progress; /* this pass has taken something over */
	bool refused;  /* hsm has refused one of this pass */
	int64_t pause_ms, wait_until_ms; /* engine_clock_ms() */
	uint64_t done, failed;           /* since start */
};

struct rewrap {
	struct rewrap_work work[REWRAP_KIND_COUNT];
	bool dbkey; /* the database key may stand under another version */
	struct rewrap_one {
		struct job job; /* first member: a step finds its value by it */
		enum rewrap_kind kind;
		uint32_t pass;
		union {
			struct db_seed seed;
			struct db_pool pool;
		} v;
	} one[REWRAP_BATCH]; /* all of one kind */
	struct job dbkey_job;
};

struct engine;

/* The anchor has changed, or engine has started: look what there is to do. */
void rewrap_start(struct engine *e);
/* Goes on with it. */
void rewrap_tick(struct engine *e);
/* How many values stand under a version; -1 where nothing is counted. */
int rewrap_count(struct engine *e, const struct anchor_key *k, int64_t *n) KE_CHECK;
/* "klero:1:<purpose>:v000001:" of the active version: false when the anchor is not known. */
bool rewrap_active_head(struct engine *e, enum key_purpose p, char head[REWRAP_HEAD]);
/* The purpose of a kind's key. */
enum key_purpose rewrap_purpose(enum rewrap_kind kind);

#endif
