/*
 * One request of a client: what came, who it is, the answer, and the job when it must wait.
 * Runs in engine. The body came through net, which is not trusted: apimsg_get_req() has checked
 * every field against the route table before a handler sees it.
 *
 * A handler or step returns
 *	KE_OK       the answer is written, what it did stays
 *	RQ_WAIT     it awaits another process, what it did stays
 *	RQ_REFUSED  a problem is written (rq_refuse), what it did is undone
 *	KE_PEER     (steps) the other process's answer does not decode
 *	other KE_*  something failed; undone, and answered with the problem for it
 */
#ifndef DAEMON_ENGINE_RQ_H
#define DAEMON_ENGINE_RQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/api/apimsg.h"
#include "daemon/api/problem.h"
#include "daemon/engine/job.h"
#include "policy/jsonw.h"

#define RQ_WAIT    KE_AGAIN
#define RQ_REFUSED KE_DENIED

struct engine;
struct turn_out;
struct rq;

typedef int rq_handler(struct rq *q);
typedef int rq_step(struct rq *q, int r, struct wire_in *in);

struct rq {
	struct job job;
	rq_step *step;
	struct engine *e;
	const struct route *row;
	struct api_req req; /* its texts point into body */
	uint8_t *body;
	size_t body_len;
	uint8_t net;
	uint64_t chan, msg;
	int64_t began_us;
	int64_t now_ms; /* unix time of the turn in which its present step runs */

	bool known; /* a valid token came with it: */
	uint8_t user[16], session[16];
	uint8_t roles;

	struct api_ans ans;
	struct jsonw w; /* writes into engine's scratch */
	int fd;         /* the body as a file, -1 for none; owned */
	bool secret;    /* the answer holds tokens: wiped wherever it was written */
	bool saved;     /* its savepoint is open */
	bool keep;      /* the answer is to be stored under its Idempotency-Key: */
	bool again;     /* but for its body, which a replay has raffle_answer() write again */
	char location[128];

	void (*undo)(struct rq *q); /* of a handler: when the answer is to say 5xx; or NULL */
	void *
	    state; /* of a handler with steps: sodium_malloc'ed, wiped and freed with the request */
};

/* Takes a copy of the message's body. KE_PEER when it is not what the table allows. */
int rq_new(struct engine *e, uint8_t net, uint64_t msg, const void *body, size_t len,
    struct rq **out) KE_CHECK;
/* Runs the handler in its savepoint and sends the answer unless it waits. */
void rq_run(struct rq *q, rq_handler *handler);
/* Waits for an answer of this type; RQ_WAIT, or KE_FULL. Then ask with q->job.id. */
int rq_await(
    struct rq *q, const char *name, rq_step *step, uint16_t answer, int64_t timeout_ms) KE_CHECK;
/* A password goes to kdf (kdf.h); RQ_WAIT, or RQ_REFUSED when the queue is full. */
int rq_kdf_hash(
    struct rq *q, const char *name, rq_step *step, const struct api_value *password) KE_CHECK;
int rq_kdf_verify(struct rq *q, const char *name, rq_step *step, const struct api_value *password,
    const char *phc) KE_CHECK;
/* size zeroed bytes in q->state. */
void *rq_state(struct rq *q, size_t size);

/* A field of the row by its position; present or not. */
const struct api_value *rq_field(const struct rq *q, unsigned i);

/* Begins a JSON answer; end it with rq_json_end(), which returns the handler's result. */
struct jsonw *rq_json(struct rq *q);
int rq_json_end(struct rq *q) KE_CHECK;
/* 204 or another answer without a body. */
int rq_empty(struct rq *q) KE_CHECK;
/* Text that was written into engine's scratch by the handler itself. */
int rq_text(struct rq *q, enum api_type type, size_t len) KE_CHECK;
/* The answer is a file of len bytes; the request owns fd from now on. */
int rq_file(struct rq *q, enum api_type type, int fd, uint64_t len) KE_CHECK;
/* What was made is found at prefix and id. */
void rq_location(struct rq *q, const char *prefix, const uint8_t id[16]);
/* Writes a problem and returns RQ_REFUSED: what the handler did is undone. */
int rq_refuse(struct rq *q, enum problem p) KE_CHECK;
/* The same with Retry-After in seconds. */
int rq_refuse_retry(struct rq *q, enum problem p, uint32_t seconds) KE_CHECK;
/* One field is at fault: PB_VALIDATION with its pointer. */
int rq_refuse_field(struct rq *q, const char *pointer, const char *code) KE_CHECK;
/* KE_OK when field i is there as wanted, or is not as not wanted; else it is refused as at fault.
 */
int rq_demand(struct rq *q, unsigned i, bool wanted) KE_CHECK;
/* Writes a problem and returns KE_OK: what the handler did stays (an audit line, a revocation). */
int rq_problem(struct rq *q, enum problem p) KE_CHECK;
/* The problem for a failure that no handler names itself. */
int rq_failure(struct rq *q, int r) KE_CHECK;

/* The answer of a turn whose commit failed: sends a 503 in its place. */
void rq_replace(struct engine *e, const struct turn_out *o);

/* The request behind a waiting job, NULL when the job is another's. */
const struct rq *rq_of_job(const struct job *j);

#endif
