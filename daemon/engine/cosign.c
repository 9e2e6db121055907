/*
 * Asking witnesses: see cosign.h. Runs in engine.
 */
#include "daemon/engine/cosign.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine/ckpt.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "db/db_log.h"
#include "db/db_raffle.h"

#define ASK_MS   25000
#define ROUND_MS 1000
#define FAIL_MS  2000
#define FAIL_MAX (INT64_C(300) * 1000)
#define CLOSED   32 /* of the newest closed raffles, whose ticket logs are looked at */
#define QUESTION (3 + TLOG_SUBMISSION_MAX)

void cosign_start(struct engine *e)
{
	struct cosign *c = &e->cosign;
	const struct rconf_witnesses *w = &e->conf.witnesses;
	size_t n = strlen(w->policy);

	if (n > 0 && tlog_policy_parse(&c->policy, w->policy, n, NULL) != KE_OK)
		fatal("witness-policy: malformed");
	for (size_t i = 0; i < RCONF_WITNESSES && i < c->policy.nwitnesses; i++) {
		c->witness[i].used = w->urls[i][0] != '\0';
		c->any = c->any || c->witness[i].used;
	}
}

const char *cosign_word(const struct engine *e)
{
	if (!e->cosign.any)
		return NULL;
	return e->cosign.met ? "ok" : "waiting";
}

bool cosign_met(const struct engine *e, const char *note, size_t n)
{
	uint64_t seen;

	return tlog_policy_seen(&e->cosign.policy, note, n, UINT64_MAX, &seen) == KE_OK &&
	       tlog_policy_met(&e->cosign.policy, seen);
}

static const struct note_key *key_of(struct engine *e, const struct cosign_witness *w)
{
	return &e->cosign.policy.witnesses[w - e->cosign.witness];
}

static void failed(struct engine *e, struct cosign_witness *w, const char *why)
{
	int64_t wait_ms = FAIL_MS;

	for (unsigned i = 0; i < w->fails && wait_ms < FAIL_MAX; i++)
		wait_ms *= 2;
	if (w->fails++ == 0)
		log_warn("witness %s: %s; asked again later", key_of(e, w)->name, why);
	w->until_ms = engine_clock_ms() + (wait_ms < FAIL_MAX ? wait_ms : FAIL_MAX);
	w->running = false;
}

/* --- a question --- */

static int answered(struct engine *e, struct job *j, int r, struct wire_in *in);

static int send(struct engine *e, struct cosign_witness *w, const struct tlog_submission *s)
{
	struct peer *p = &e->peers.out;
	uint8_t *buf = malloc(QUESTION), *text = malloc(TLOG_SUBMISSION_MAX);
	struct wire_out q;
	size_t n = 0;
	int r;

	if (buf == NULL || text == NULL)
		fatal("out of memory");
	wire_out_init(&q, buf, QUESTION);
	r = tlog_submission_text(s, (char *)text, TLOG_SUBMISSION_MAX, &n);
	wire_put_u8(&q, (uint8_t)(w - e->cosign.witness));
	wire_put_str(&q, text, r == KE_OK ? n : 0);
	if (r == KE_OK && p->chan == NULL)
		r = KE_UNAVAIL;
	if (r == KE_OK)
		r = job_await(e, &w->job, "answered", answered, MSG_OUT_WITNESS_ANS, ASK_MS);
	if (r == KE_OK) {
		job_sent(e, w->job.id, p->serial);
		r = chan_send(p->chan, MSG_OUT_WITNESS, w->job.id, q.buf, q.len, -1);
		if (r != KE_OK)
			job_cancel(e, &w->job);
	}
	free(text);
	free(buf);
	return r;
}

/* About the log's newest checkpoint, from what the witness knows. */
static int ask(struct engine *e, struct cosign_witness *w)
{
	struct db_checkpoint *c = malloc(sizeof *c);
	struct tlog_submission s = {.old = w->old};
	struct logread read;
	struct db_log log;
	int r;

	if (c == NULL)
		fatal("out of memory");
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_log_get(e->db, w->log, &log);
	if (r == KE_OK)
		r = db_log_checkpoint(e->db, w->log, UINT64_MAX, c);
	if (r == KE_OK && w->old > c->size)
		r = KE_STATE;
	logread_init(&read, e, &log);
	if (r == KE_OK && w->old > 0)
		r = tile_consistency(&read.reader, w->old, c->size, s.path, &s.path_len);
	if (r == KE_OK) {
		w->size = c->size;
		s.note = c->note;
		s.note_len = c->len;
		r = c->len <= TLOG_SUBMISSION_NOTE ? send(e, w, &s) : KE_LONG;
	}
	free(c);
	return r;
}

static void begin(struct engine *e, struct cosign_witness *w, int64_t log, uint64_t old)
{
	int r;

	w->running = true;
	w->log = log;
	w->old = old;
	r = ask(e, w);
	if (r == KE_STATE)
		failed(e, w, "it has cosigned more than this log holds");
	else if (r != KE_OK)
		failed(e, w, ke_words(r));
}

/* --- what comes back --- */

/* One more line on the checkpoint that was asked about, if that is still there. */
static int add_line(struct engine *e, struct cosign_witness *w, const char *text, size_t n)
{
	struct db_checkpoint *c = malloc(sizeof *c);
	const char *line = NULL;
	uint64_t when;
	size_t len = 0;
	int r;

	if (c == NULL)
		fatal("out of memory");
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_log_checkpoint(e->db, w->log, w->size, c);
	if (r == KE_OK && c->size != w->size)
		r = KE_NOTFOUND;
	if (r == KE_OK)
		r = cosign_take(c->note, c->len, text, n, key_of(e, w), &line, &len, &when);
	if (r == KE_OK && len > sizeof c->note - 1 - c->len)
		r = KE_FULL;
	if (r == KE_OK) {
		memcpy(c->note + c->len, line, len);
		r = db_log_set_note(e->db, w->log, w->size, c->note, c->len + len);
	}
	free(c);
	return r;
}

static int take_lines(struct engine *e, struct cosign_witness *w, struct wire_in *in)
{
	size_t n;
	const char *text = (const char *)wire_get_str(in, 4096, &n);
	int r = wire_end(in);

	if (r != KE_OK)
		return KE_PEER;
	r = add_line(e, w, text, n);
	if (r != KE_OK) {
		failed(e, w, "its answer is no cosignature of its");
		return KE_OK;
	}
	w->fails = 0;
	w->running = false;
	w->cosigned++;
	e->cosign.next_ms = 0;
	turn_dirty(e, CACHE_CHECKPOINTS);
	return KE_OK;
}

static int answered(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct cosign_witness *w = (struct cosign_witness *)(void *)j;
	uint64_t size;

	if (in == NULL) {
		failed(e, w, ke_words(r));
		return KE_OK;
	}
	if (r == KE_OK)
		return take_lines(e, w, in);
	if (r != KE_STATE) {
		failed(e, w, r == KE_DENIED ? "it refuses the checkpoint" : ke_words(r));
		return KE_OK;
	}
	size = wire_get_u64(in);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (size == w->old)
		failed(e, w, "it says it knows another tree of this log");
	else
		begin(e, w, w->log, size);
	return KE_OK;
}

/* --- who has not cosigned yet --- */

struct closed {
	int64_t no[CLOSED];
	size_t n;
};

static int take_closed(void *arg, const struct db_raffle *r)
{
	struct closed *c = arg;

	if (r->format == 2 && c->n < CLOSED)
		c->no[c->n++] = r->no;
	return KE_OK;
}

/* The newest checkpoint's note, when it covers all that the log will ever have (or ever has). */
static int newest(struct engine *e, int64_t no, struct db_checkpoint *c)
{
	struct db_log log;
	int r = db_log_get(e->db, no, &log);

	if (r == KE_OK && (log.logged < 0 || (uint64_t)log.logged != log.range.size))
		return KE_NOTFOUND;
	return r == KE_OK ? db_log_checkpoint(e->db, no, (uint64_t)log.logged, c) : r;
}

static void look_at(struct engine *e, int64_t no, struct db_checkpoint *c)
{
	uint64_t when;

	if (newest(e, no, c) != KE_OK)
		return;
	if (no == DB_LOG_OPERATOR)
		e->cosign.met = cosign_met(e, c->note, c->len);
	for (size_t i = 0; i < RCONF_WITNESSES; i++) {
		struct cosign_witness *w = &e->cosign.witness[i];

		if (!w->used || w->running || w->until_ms > engine_clock_ms() ||
		    cosign_verify(c->note, c->len, key_of(e, w), &when) == KE_OK)
			continue;
		/* of the log that it was asked about last its size is known */
		begin(e, w, no, w->log == no && w->cosigned > 0 ? w->size : 0);
	}
}

void cosign_tick(struct engine *e)
{
	struct closed closed = {.n = 0};
	struct db_checkpoint *c;

	if (!e->cosign.any || e->stopping || engine_clock_ms() < e->cosign.next_ms)
		return;
	e->cosign.next_ms = engine_clock_ms() + ROUND_MS;
	if (turn_begin(e) != KE_OK ||
	    db_raffle_page(e->db, RAFFLE_CLOSED, NULL, CLOSED, take_closed, &closed) != KE_OK)
		return;
	c = malloc(sizeof *c);
	if (c == NULL)
		fatal("out of memory");
	look_at(e, DB_LOG_OPERATOR, c);
	for (size_t i = 0; i < closed.n; i++)
		look_at(e, closed.no[i], c);
	free(c);
}
