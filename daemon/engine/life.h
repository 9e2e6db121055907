/*
 * The life of v2 raffles (DRAW.md section 6): what engine does between a request, hsm's agreement
 * and the operator log. A record goes into the log in the turn of what it records. hsm never
 * forgets what it has agreed to, so what it is asked about is durable before (db_life_propose()),
 * and one row of the jobs table per raffle takes up whatever a death has left: it asks again,
 * closes at the end of sales, tells hsm of the close, waits for the beacons' values, draws, aborts
 * what cannot be drawn by its own terms, and pays back after an abort. Runs in engine.
 */
#ifndef DAEMON_ENGINE_LIFE_H
#define DAEMON_ENGINE_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "db/db_life.h"
#include "policy/life.h"

#define LIFE_JOB     "raffle"
#define LIFE_AT_ONCE 8 /* questions to hsm */

struct drawing;
struct engine;
struct maint_run;
struct oplog_record;

struct lives {
	struct life_site site;
	struct life_one {
		struct job job; /* first member: a step finds its raffle by it */
		uint8_t raffle[16];
	} one[LIFE_AT_ONCE];
	struct drawing *drawing; /* one that takes many turns; and who has asked for it */
	bool drawing_by_user;
	uint8_t drawing_by[16];
};

/* One raffle with what v2 adds. */
struct life_file {
	struct db_raffle r;
	struct db_life l;
};

/* Takes over what is pinned. */
void life_start(struct engine *e);
/* Is there a beacon that raffles can be drawn by? */
bool life_possible(const struct engine *e);

/* KE_NOTFOUND; KE_STATE for a v1 raffle. */
int life_get(struct engine *e, const uint8_t raffle[16], struct life_file *f) KE_CHECK;
/* What an act on it is judged by; values: are they all there? */
struct life life_facts(const struct life_file *f, int64_t now_ms, bool values);
/* The job of this raffle is due at that time, or before. */
int life_order(struct engine *e, const uint8_t raffle[16], int64_t run_at_ms) KE_CHECK;

/* The promised values, verified; KE_NOTFOUND when one is not there yet. *t is the terms with them.
 */
int life_values(struct engine *e, const struct life_file *f, struct record2_terms *t) KE_CHECK;

/* --- records --- */

/*
 * Proposes a record to hsm: writes it down. KE_STATE when another one waits for hsm's answer. Then
 * ask with life_agree_body().
 */
int life_propose(struct engine *e, const struct life_file *f, const struct record2 *rec,
    struct db_pending *p) KE_CHECK;
/* Will hsm never say anything else about a record? */
bool life_refused(int r);
/*
 * Proposes the abort of a raffle that nobody but the time ends, for the job to ask hsm about. What
 * its record hashes as the statement is the reason's sentence in README.md.
 */
enum life_void { LIFE_VOID_EMPTY, LIFE_VOID_DEADLINE, LIFE_VOIDS };
int life_propose_void(struct engine *e, const struct life_file *f, enum life_void why) KE_CHECK;
/* What hsm has said of it: r KE_OK, and it happens; a refusal, and it is forgotten and returned. */
int life_decide(struct engine *e, struct life_file *f, const struct db_pending *p, int r) KE_CHECK;

/* MSG_HSM_AGREE about that record (p NULL: the close record). */
int life_agree_body(struct engine *e, const struct life_file *f, const struct db_pending *p,
    struct wire_out *w) KE_CHECK;
/* MSG_HSM_REVEAL2; proposal and approvals are "" where there are none. */
int life_reveal_body(struct engine *e, const struct life_file *f, struct wire_out *w) KE_CHECK;

/* Sales are over: state and record. by NULL: nobody but the time. */
int life_close(struct engine *e, const struct life_file *f, const uint8_t *by) KE_CHECK;
/*
 * hsm has revealed the seed: draws, and writes it down. KE_AGAIN: that takes longer, the raffle's
 * job does it.
 */
int life_draw(struct engine *e, const struct life_file *f, const uint8_t seed[32],
    const uint8_t *by) KE_CHECK;
/* The next turn's part of such a draw. KE_AGAIN: more follow; KE_NOTFOUND: none is under way. */
int life_draw_on(struct engine *e, const struct life_file *f) KE_CHECK;

/* How many are neither drawn nor aborted after their deadline. Within a turn. */
int life_late(struct engine *e, int64_t *n) KE_CHECK;

/* --- work --- */

/* One step of a raffle's job: maint.h. */
int life_step(struct engine *e, struct maint_run *run, int64_t now_ms) KE_CHECK;
/* Pays back, some holders a step; KE_AGAIN: there are more. */
int refund_step(struct engine *e, struct maint_run *run, const struct life_file *f) KE_CHECK;

#endif
