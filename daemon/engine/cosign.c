/*
 * Asking witnesses: see cosign.h. Runs in engine.
 */
#include "daemon/engine/cosign.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine/ckpt.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"
#include "daemon/loop/backoff.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "db/db_log.h"

#define ASK_MS   25000
#define ROUND_MS 1000
#define FAIL_MS  2000
#define FAIL_MAX 30000 /* a close record has some minutes: who comes back is asked soon */
#define WANT_MS  30000 /* a wish that was not said again for so long is none any more */
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
	const struct cosign_log *l = &e->cosign.log[0];

	if (!e->cosign.any)
		return NULL;
	return l->met && l->size == l->newest ? "ok" : "waiting";
}

void cosign_kick(struct engine *e)
{
	e->cosign.next_ms = 0;
}

static const struct note_key *key_of(struct engine *e, const struct cosign_witness *w)
{
	return &e->cosign.policy.witnesses[w - e->cosign.witness];
}

/* --- which logs --- */

static struct cosign_log *find_log(struct cosign *c, int64_t no)
{
	if (no == DB_LOG_OPERATOR)
		return &c->log[0];
	for (size_t i = 1; i < COSIGN_LOGS; i++)
		if (c->log[i].no == no)
			return &c->log[i];
	return NULL;
}

bool cosign_asking(const struct engine *e, int64_t no)
{
	for (size_t i = 0; i < RCONF_WITNESSES; i++)
		if (e->cosign.witness[i].running && e->cosign.witness[i].log == no)
			return true;
	return false;
}

/* Does somebody still wait for that ticket log? */
static bool is_wanted(const struct cosign_log *l, int64_t now_ms)
{
	return l->no != 0 && now_ms - l->wanted_ms <= WANT_MS;
}

/* A free place, or that of a log that nobody waits for; NULL: those who wait will ask again. */
static struct cosign_log *place(struct engine *e)
{
	for (size_t i = 1; i < COSIGN_LOGS; i++) {
		struct cosign_log *l = &e->cosign.log[i];

		if (!is_wanted(l, engine_clock_ms()))
			return l;
	}
	return NULL;
}

void cosign_want(struct engine *e, int64_t no)
{
	struct cosign_log *l = find_log(&e->cosign, no);

	if (!e->cosign.any)
		return;
	if (l == NULL) {
		l = place(e);
		if (l == NULL)
			return;
		*l = (struct cosign_log){.no = no};
		cosign_kick(e);
	}
	l->wanted_ms = engine_clock_ms();
}

/* --- who does not do it --- */

static int64_t later_ms(unsigned *fails)
{
	return engine_clock_ms() + backoff_ms(FAIL_MS, (*fails)++, FAIL_MAX);
}

/* It gives no answer: it is left alone for a while, whatever it is to cosign. */
static void silent(struct engine *e, struct cosign_witness *w, const char *why)
{
	if (w->fails == 0)
		log_warn("witness %s: %s; asked again later", key_of(e, w)->name, why);
	w->until_ms = later_ms(&w->fails);
	w->failures++;
	w->running = false;
}

/* What it says of this log is no cosignature; of others it may give some. */
static void unwilling(struct engine *e, struct cosign_witness *w, const char *why)
{
	struct cosign_log *l = find_log(&e->cosign, w->log);
	size_t i = (size_t)(w - e->cosign.witness);

	w->failures++;
	w->running = false;
	if (l == NULL)
		return;
	if (l->by[i].fails == 0)
		log_warn("witness %s: %s; asked again later", key_of(e, w)->name, why);
	l->by[i].until_ms = later_ms(&l->by[i].fails);
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

/* About a checkpoint of the log, from what the witness knows. */
static int ask(struct engine *e, struct cosign_witness *w, const struct db_checkpoint *c)
{
	struct tlog_submission s = {.old = w->old, .note = c->note, .note_len = c->len};
	struct logread read;
	struct db_log log;
	int r = db_log_get(e->db, w->log, &log);

	if (r == KE_OK && w->old > c->size)
		r = KE_STATE;
	logread_init(&read, e, &log);
	if (r == KE_OK && w->old > 0 && w->old < c->size)
		r = tile_consistency(&read.reader, w->old, c->size, s.path, &s.path_len);
	if (r == KE_OK)
		r = c->len <= TLOG_SUBMISSION_NOTE ? send(e, w, &s) : KE_LONG;
	return r;
}

static void begin(struct engine *e, struct cosign_witness *w, const struct cosign_log *l,
    const struct db_checkpoint *c)
{
	int r;

	w->running = true;
	w->log = l->no;
	w->size = c->size;
	w->old = l->by[w - e->cosign.witness].known;
	r = ask(e, w, c);
	if (r == KE_STATE)
		unwilling(e, w, "it has cosigned more than this log holds");
	else if (r != KE_OK)
		silent(e, w, ke_words(r));
}

/* --- what comes back --- */

/* Since when has it its quorum? Kept beside the note, by which others find it. */
static bool judge(struct engine *e, struct db_checkpoint *c)
{
	uint64_t at_s;
	bool met = tlog_policy_met_at(&e->cosign.policy, c->note, c->len, &at_s) == KE_OK;

	c->met_s = met ? at_s : 0;
	return met;
}

/* What it has cosigned, for the metrics. */
static void remember(struct cosign_witness *w, int64_t log, uint64_t size, uint64_t when_s)
{
	if ((int64_t)when_s > w->last_s)
		w->last_s = (int64_t)when_s;
	if (log == DB_LOG_OPERATOR && size > w->last_size)
		w->last_size = size;
}

/* One more line on the checkpoint that was asked about, if that is still there. */
static int add_line(struct engine *e, struct cosign_witness *w, const char *text, size_t n)
{
	struct db_checkpoint *c = malloc(sizeof *c);
	const char *line = NULL;
	uint64_t when = 0;
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
		c->len += len;
		c->note[c->len] = '\0';
		judge(e, c);
		r = db_log_set_note(e->db, w->log, c);
	}
	if (r == KE_OK)
		remember(w, w->log, w->size, when);
	free(c);
	return r;
}

static int take_lines(struct engine *e, struct cosign_witness *w, struct wire_in *in)
{
	struct cosign_log *l = find_log(&e->cosign, w->log);
	size_t n, i = (size_t)(w - e->cosign.witness);
	const char *text = (const char *)wire_get_str(in, 4096, &n);
	int r = wire_end(in);

	if (r != KE_OK)
		return KE_PEER;
	r = add_line(e, w, text, n);
	if (r != KE_OK) {
		unwilling(e, w, "its answer is no cosignature of its");
		return KE_OK;
	}
	w->fails = 0;
	w->running = false;
	w->cosigned++;
	if (l != NULL) {
		l->by[i].known = w->size;
		l->by[i].fails = 0;
	}
	cosign_kick(e);
	turn_dirty(e, CACHE_CHECKPOINTS);
	return KE_OK;
}

/* It does not know what we took it to know. */
static void knows(struct engine *e, struct cosign_witness *w, uint64_t size)
{
	struct cosign_log *l = find_log(&e->cosign, w->log);

	w->fails = 0;
	if (size == w->old) {
		unwilling(e, w, "it says it knows another tree of this log");
		return;
	}
	w->running = false;
	if (l == NULL)
		return;
	l->by[w - e->cosign.witness].known = size;
	/* beyond the checkpoint that all are asked about it cannot cosign that any more */
	l->aimed = l->aimed && size <= l->size;
	cosign_kick(e);
}

static int answered(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct cosign_witness *w = (struct cosign_witness *)(void *)j;
	uint64_t size;

	if (in == NULL) {
		silent(e, w, ke_words(r));
		return KE_OK;
	}
	if (r == KE_OK)
		return take_lines(e, w, in);
	if (r == KE_DENIED) {
		unwilling(e, w, "it refuses the checkpoint");
		return KE_OK;
	}
	if (r != KE_STATE) {
		silent(e, w, ke_words(r));
		return KE_OK;
	}
	size = wire_get_u64(in);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	knows(e, w, size);
	return KE_OK;
}

/* --- who has not cosigned yet --- */

/* The checkpoint that all are asked about now. Of a ticket log the one that covers every ticket. */
static int aim(struct engine *e, struct cosign_log *l, struct db_checkpoint *c)
{
	int64_t now_ms = engine_clock_ms();
	struct db_log log;
	int r = db_log_get(e->db, l->no, &log);

	if (r == KE_OK && (log.logged < 0 ||
			      (l->no != DB_LOG_OPERATOR && (uint64_t)log.logged != log.range.size)))
		r = KE_NOTFOUND;
	if (r != KE_OK)
		return r;
	l->newest = (uint64_t)log.logged;
	if (!l->aimed ||
	    (l->newest > l->size && (l->met || now_ms - l->since_ms >= COSIGN_AIM_MS))) {
		l->aimed = true;
		l->size = l->newest;
		l->since_ms = now_ms;
	}
	r = db_log_checkpoint(e->db, l->no, l->size, c);
	if (r == KE_OK && c->size == l->size)
		return KE_OK;
	l->aimed = false; /* a ticket log keeps its newest only */
	return r == KE_OK ? KE_NOTFOUND : r;
}

static void look_at(struct engine *e, struct cosign_log *l, struct db_checkpoint *c)
{
	int64_t now_ms = engine_clock_ms();
	uint64_t when, was;

	if (aim(e, l, c) != KE_OK)
		return;
	was = c->met_s;
	l->met = judge(e, c);
	/* another policy than when the last line came */
	if (c->met_s != was && db_log_set_note(e->db, l->no, c) != KE_OK)
		return;
	for (size_t i = 0; i < RCONF_WITNESSES; i++) {
		struct cosign_witness *w = &e->cosign.witness[i];

		if (!w->used)
			continue;
		if (cosign_verify(c->note, c->len, key_of(e, w), &when) == KE_OK)
			remember(w, l->no, c->size, when);
		else if (!w->running && w->until_ms <= now_ms && l->by[i].until_ms <= now_ms)
			begin(e, w, l, c);
	}
}

void cosign_tick(struct engine *e)
{
	struct cosign *c = &e->cosign;
	int64_t now_ms = engine_clock_ms();
	struct db_checkpoint *scratch;

	if (!c->any || e->stopping || now_ms < c->next_ms)
		return;
	c->next_ms = now_ms + ROUND_MS;
	if (turn_begin(e) != KE_OK)
		return;
	scratch = malloc(sizeof *scratch);
	if (scratch == NULL)
		fatal("out of memory");
	look_at(e, &c->log[0], scratch);
	for (size_t i = 1; i < COSIGN_LOGS; i++)
		if (is_wanted(&c->log[i], now_ms))
			look_at(e, &c->log[i], scratch);
	free(scratch);
}
