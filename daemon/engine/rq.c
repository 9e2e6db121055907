/*
 * Requests: see rq.h. Runs in engine.
 */
#include "daemon/engine/rq.h"

#include <sodium.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/idem.h"
#include "daemon/msg/log.h"
#include "db/db.h"
#include "policy/text.h"

#define ANSWER_HEAD 512 /* more than the fields of API_ANS around the body */

int rq_new(
    struct engine *e, uint8_t net, uint64_t msg, const void *body, size_t len, struct rq **out)
{
	struct rq *q = calloc(1, sizeof *q);
	struct wire_in in;

	if (q == NULL || (q->body = malloc(len)) == NULL)
		fatal("out of memory");
	memcpy(q->body, body, len);
	q->body_len = len;
	q->fd = -1;
	wire_in_init(&in, q->body, len);
	if (apimsg_get_req(&in, &q->req) != KE_OK) {
		sodium_memzero(q->body, len);
		free(q->body);
		free(q);
		return KE_PEER;
	}
	q->e = e;
	q->row = &route_table[q->req.route];
	q->net = net;
	q->chan = e->peers.net[net].serial;
	q->msg = msg;
	q->began_us = engine_clock_us();
	q->now_ms = turn_now_ms(e);
	*out = q;
	return KE_OK;
}

static void rq_free(struct rq *q)
{
	if (q->fd >= 0)
		close(q->fd);
	sodium_free(q->state); /* wipes */
	sodium_memzero(q->body, q->body_len);
	free(q->body);
	free(q);
}

void *rq_state(struct rq *q, size_t size)
{
	q->state = sodium_malloc(size);
	if (q->state == NULL)
		fatal("out of memory");
	sodium_memzero(q->state, size);
	return q->state;
}

const struct api_value *rq_field(const struct rq *q, unsigned i)
{
	return &q->req.v[i];
}

struct jsonw *rq_json(struct rq *q)
{
	jsonw_init(&q->w, q->e->scratch, ENGINE_SCRATCH);
	return &q->w;
}

int rq_text(struct rq *q, enum api_type type, size_t len)
{
	q->ans.type = (uint8_t)type;
	q->ans.body = (const uint8_t *)q->e->scratch;
	q->ans.body_len = len;
	if (q->ans.status == 0)
		q->ans.status = q->row->status;
	return KE_OK;
}

int rq_json_end(struct rq *q)
{
	if (jsonw_end(&q->w) != KE_OK) {
		log_error(
		    "%s: the answer does not fit: %s", q->row->name, ke_words(jsonw_end(&q->w)));
		return KE_INTERNAL;
	}
	return rq_text(q, API_JSON, q->w.len);
}

int rq_empty(struct rq *q)
{
	return rq_text(q, API_EMPTY, 0);
}

int rq_file(struct rq *q, enum api_type type, int fd, uint64_t len)
{
	q->fd = fd;
	q->ans.file_len = len;
	q->ans.flags |= API_ANS_FILE;
	return rq_text(q, type, 0);
}

static int write_problem(struct rq *q, enum problem p, const struct problem_field *f, size_t n)
{
	struct jsonw *w = rq_json(q);

	problem_write(w, p, q->e->conf.host, NULL, q->req.request_id, f, n);
	if (jsonw_end(w) != KE_OK)
		fatal("a problem does not fit");
	q->ans.status = problem_table[p].status;
	q->ans.version = 0;
	q->ans.location_len = 0;
	q->ans.flags = 0;
	q->again = false;
	return rq_text(q, API_PROBLEM, w->len);
}

int rq_problem(struct rq *q, enum problem p)
{
	return write_problem(q, p, NULL, 0);
}

int rq_refuse(struct rq *q, enum problem p)
{
	int r = rq_problem(q, p);

	return r == KE_OK ? RQ_REFUSED : r;
}

void rq_location(struct rq *q, const char *prefix, const uint8_t id[16])
{
	char text[37];

	text_uuid(text, id);
	snprintf(q->location, sizeof q->location, "%s%s", prefix, text);
	q->ans.location = (const uint8_t *)q->location;
	q->ans.location_len = strlen(q->location);
}

int rq_refuse_retry(struct rq *q, enum problem p, uint32_t seconds)
{
	q->ans.retry_after_s = seconds;
	return rq_refuse(q, p);
}

int rq_refuse_field(struct rq *q, const char *pointer, const char *code)
{
	struct problem_field f = {.code = code};
	int r;

	strncpy(f.pointer, pointer, sizeof f.pointer - 1);
	r = write_problem(q, PB_VALIDATION, &f, 1);
	return r == KE_OK ? RQ_REFUSED : r;
}

int rq_failure(struct rq *q, int r)
{
	switch (r) {
	case KE_UNAVAIL:
	case KE_TIMEOUT:
		return rq_refuse_retry(q, PB_HSM_UNAVAILABLE, 2);
	case KE_FULL:
		return rq_refuse_retry(q, PB_BUSY, 1);
	case KE_IO:
	case KE_DAMAGED:
		return rq_refuse_retry(q, PB_STORE_UNAVAILABLE, 5);
	default:
		log_error("%s: %s: %s", q->row->name, ke_words(r), db_why(q->e->db));
		return rq_refuse(q, PB_INTERNAL);
	}
}

int rq_demand(struct rq *q, unsigned i, bool wanted)
{
	char pointer[64];

	if (rq_field(q, i)->present == wanted)
		return KE_OK;
	snprintf(pointer, sizeof pointer, "/%s", q->row->fields[i].name);
	return rq_refuse_field(q, pointer, wanted ? "required" : "unknown");
}

/* A body that a message cannot carry travels as a sealed memfd. */
static int body_to_file(struct rq *q)
{
	int fd = memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return KE_IO;
	while (done < q->ans.body_len) {
		ssize_t n = write(fd, q->ans.body + done, q->ans.body_len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < q->ans.body_len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
		close(fd);
		return KE_IO;
	}
	q->fd = fd;
	q->ans.file_len = q->ans.body_len;
	q->ans.flags |= API_ANS_FILE;
	q->ans.body_len = 0;
	return KE_OK;
}

static struct turn_out *encode(const struct api_ans *a)
{
	struct turn_out *o = turn_out_new(TURN_ANSWER, ANSWER_HEAD + a->body_len);
	struct wire_out w;

	wire_out_init(&w, o->body, o->len);
	apimsg_put_ans(&w, a);
	if (w.err != KE_OK)
		fatal("an answer does not fit its message: %s", ke_words(w.err));
	o->type = MSG_API_ANS;
	o->status = a->status;
	o->len = w.len;
	return o;
}

/* The state of the parts must be told even when the store is not there. */
static bool needs_store(const struct route *row)
{
	return row->rate != RATE_FREE || row->who != WHO_ANYONE;
}

/* Sends the answer and forgets the request. */
static void finish(struct rq *q)
{
	struct turn_out *o;

	if (q->undo != NULL && q->ans.status >= 500)
		q->undo(q);
	if (q->ans.body_len > MSG_BODY_MAX - ANSWER_HEAD && body_to_file(q) != KE_OK &&
	    rq_failure(q, KE_INTERNAL) != RQ_REFUSED)
		fatal("no answer at all");
	o = encode(&q->ans);
	if (q->secret)
		sodium_memzero(q->e->scratch, q->ans.body_len);
	o->index = q->net;
	o->chan = q->chan;
	o->id = q->msg;
	o->fd = q->fd;
	q->fd = -1;
	o->route = q->req.route;
	o->began_us = q->began_us;
	o->loose = !needs_store(q->row);
	o->cacheable = (q->ans.flags & API_ANS_CACHE) != 0;
	memcpy(o->request_id, q->req.request_id, 16);
	turn_send(q->e, o);
	rq_free(q);
}

void rq_replace(struct engine *e, const struct turn_out *old)
{
	struct api_ans a = {
	    .status = problem_table[PB_STORE_UNAVAILABLE].status,
	    .type = API_PROBLEM,
	    .retry_after_s = 5,
	};
	struct turn_out *o;
	struct jsonw w;

	jsonw_init(&w, e->scratch, ENGINE_SCRATCH);
	problem_write(&w, PB_STORE_UNAVAILABLE, e->conf.host, NULL, old->request_id, NULL, 0);
	if (jsonw_end(&w) != KE_OK)
		fatal("a problem does not fit");
	a.body = (const uint8_t *)e->scratch;
	a.body_len = w.len;
	o = encode(&a);
	o->index = old->index;
	o->chan = old->chan;
	o->id = old->id;
	o->route = old->route;
	o->began_us = old->began_us;
	turn_send(e, o);
}

static int enter(struct rq *q)
{
	int r;

	q->now_ms = turn_now_ms(q->e);
	if (!needs_store(q->row))
		return KE_OK;
	r = turn_begin(q->e);
	if (r != KE_OK || q->row->method == GET)
		return r;
	r = db_savepoint(q->e->db);
	q->saved = r == KE_OK;
	return r;
}

static int leave(struct rq *q, bool stays)
{
	bool saved = q->saved;

	q->saved = false;
	if (!saved)
		return KE_OK;
	return stays ? db_release(q->e->db) : db_rollback_to(q->e->db);
}

/* Keeps or undoes what the handler did; sends the answer unless the request waits. */
static void settle(struct rq *q, int r)
{
	int left;

	if (r == KE_OK)
		r = idem_keep(q);
	left = leave(q, r == KE_OK || r == RQ_WAIT);
	if (left != KE_OK) {
		job_cancel(q->e, &q->job);
		r = left;
	}
	if (r == RQ_WAIT)
		return;
	if (r == RQ_REFUSED)
		r = idem_keep(q);
	if (r != KE_OK && rq_failure(q, r) != RQ_REFUSED)
		fatal("a failure has no answer");
	finish(q);
}

void rq_run(struct rq *q, rq_handler *handler)
{
	int r = enter(q);

	q->e->turn.requests++;
	q->e->turn.served++;
	settle(q, r == KE_OK ? handler(q) : r);
}

/* What to say when the process that a step waited for does not answer. */
static int refuse_lost(struct rq *q, int r)
{
	if (r == KE_IO)
		return rq_refuse_retry(q, PB_STORE_UNAVAILABLE, 5);
	if (q->job.answer == 0)
		return rq_refuse_retry(q, PB_PROOF_PREPARING, 2);
	if (q->job.answer != MSG_KDF_HASH_ANS && q->job.answer != MSG_KDF_VERIFY_ANS)
		return rq_refuse_retry(q, PB_HSM_UNAVAILABLE, 2);
	return rq_refuse_retry(q, r == KE_TIMEOUT ? PB_PASSWORD_QUEUE : PB_RESTARTING, 2);
}

static int resume(struct engine *e, struct job *j, int result, struct wire_in *in)
{
	struct rq *q = (struct rq *)(void *)j; /* its first member */
	int r;

	(void)e;
	if (in == NULL) {
		settle(q, refuse_lost(q, result));
		return KE_OK;
	}
	r = enter(q);
	if (r == KE_OK)
		r = q->step(q, result, in);
	if (r == KE_PEER) {
		settle(q, refuse_lost(q, KE_UNAVAIL));
		return KE_PEER;
	}
	settle(q, r);
	return KE_OK;
}

int rq_await(struct rq *q, const char *name, rq_step *step, uint16_t answer, int64_t timeout_ms)
{
	int r;

	q->step = step;
	r = job_await(q->e, &q->job, name, resume, answer, timeout_ms);
	return r == KE_OK ? RQ_WAIT : r;
}

static int kdf_waits(struct rq *q, int r)
{
	if (r == KE_OK)
		return RQ_WAIT;
	return r == KE_FULL ? rq_refuse_retry(q, PB_PASSWORD_QUEUE, 1) : r;
}

int rq_kdf_hash(struct rq *q, const char *name, rq_step *step, const struct api_value *password)
{
	q->step = step;
	return kdf_waits(q, eng_kdf_hash(q->e, &q->job, name, resume, password->p, password->n));
}

int rq_kdf_verify(struct rq *q, const char *name, rq_step *step, const struct api_value *password,
    const char *phc)
{
	q->step = step;
	return kdf_waits(
	    q, eng_kdf_verify(q->e, &q->job, name, resume, password->p, password->n, phc));
}

const struct rq *rq_of_job(const struct job *j)
{
	return j->step == resume ? (const struct rq *)(const void *)j : NULL;
}
