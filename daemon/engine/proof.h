/*
 * Proof bundles (policy/bundle.h) and winners' files: written once after the draw by a background
 * job, some tickets per turn, into <store>/proofs/<raffle>.json and .winners; given out as a
 * read-only descriptor. They come from the store again when a file is missing. Runs in engine.
 */
#ifndef DAEMON_ENGINE_PROOF_H
#define DAEMON_ENGINE_PROOF_H

#include <stdint.h>

#include "daemon/engine/rq.h"

#define PROOF_JOB "proof"

struct proof_build;

/* At start: the folder, made when it is missing; fatal. */
void proof_start(struct engine *e, const char *store);

/* Puts the writing of this raffle's bundle among the jobs. */
int proof_order(struct engine *e, const uint8_t raffle[16], int64_t now_ms) KE_CHECK;
/*
 * A read-only descriptor, the caller's; KE_NOTFOUND while it is not written. The winners' file is
 * that of a draw whose record names one (db_winners.h), next to its bundle and before it.
 */
enum proof_file { PROOF_BUNDLE, PROOF_WINNERS };
int proof_open(struct engine *e, const uint8_t raffle[16], enum proof_file which, int *fd,
    uint64_t *len) KE_CHECK;
/* The request waits until any bundle is finished. */
int proof_await(struct rq *q, rq_step *step) KE_CHECK;

/* The job: one step; *b begins as NULL. KE_AGAIN: more to do; KE_OK: the file is there. */
int proof_step(struct engine *e, const uint8_t raffle[16], struct proof_build **b) KE_CHECK;
/* Is what was written to be written again, when more witnesses have seen it? */
bool proof_lacks(const struct proof_build *b);
void proof_free(struct engine *e, struct proof_build *b);

#endif
