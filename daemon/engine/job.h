/*
 * What waits for another process: a job is a chain of named steps with an explicit await between
 * them, each with its deadline. Bounded: when all places are taken, nothing new can wait.
 * Runs in engine. The ids that peers send back are theirs to forge, so an answer resumes only a
 * job that waits for exactly that id and that type.
 */
#ifndef DAEMON_ENGINE_JOB_H
#define DAEMON_ENGINE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/msg/wire.h"
#include "policy/ke.h"

#define JOBS_MAX 1024

struct engine;
struct job;

/*
 * The next step. With `in` the answer arrived: r is its result, in what follows it. Without `in`
 * it never will: KE_UNAVAIL the peer died, KE_TIMEOUT, KE_IO the turn's commit failed.
 * KE_OK, or KE_PEER when the answer does not decode. The job may be gone afterwards.
 */
typedef int job_step(struct engine *e, struct job *j, int r, struct wire_in *in);

/* Part of whatever waits; zeroed by its owner at first. */
struct job {
	uint64_t id;      /* 0: not waiting */
	uint16_t answer;  /* the type of message it waits for; 0: something of engine's own */
	const char *name; /* of the next step */
	job_step *step;
	int64_t deadline_ms; /* engine_clock_ms() */
	uint64_t turn;       /* in which it began to wait */
	uint64_t chan; /* serial number of the channel that the question went over; 0: not yet */
};

struct jobs {
	uint64_t serial;
	unsigned waiting;
	struct job *place[JOBS_MAX];
	uint64_t timeouts, refused; /* counters */
};

/* j waits for a message of this type; its id is j->id. KE_FULL. */
int job_await(struct engine *e, struct job *j, const char *name, job_step *step, uint16_t answer,
    int64_t timeout_ms) KE_CHECK;
/* Is there still a job of this id? */
bool job_waits(const struct engine *e, uint64_t id);
/* Its question has left over that channel. */
void job_sent(struct engine *e, uint64_t id, uint64_t chan);
/* Does any job wait for an answer over that channel? */
bool job_waits_on(const struct engine *e, uint64_t chan);
/* An answer: KE_PEER when nothing can have asked for it; late ones are dropped silently. */
int job_answer(struct engine *e, uint64_t id, uint16_t type, int r, struct wire_in *in) KE_CHECK;
/* Takes the job out without running its step. */
void job_cancel(struct engine *e, struct job *j);
/* Fails the job of this id, if it is there. */
void job_fail(struct engine *e, uint64_t id, int r);
/* Fails every job that `which` picks. */
void job_fail_all(
    struct engine *e, bool (*which)(const struct job *j, uint64_t arg), uint64_t arg, int r);
/* Fails those whose deadline has passed. */
void job_expire(struct engine *e, int64_t now_ms);

#endif
