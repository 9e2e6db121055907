/*
 * Checkpoints: see ckpt.h. Runs in engine.
 */
#include "daemon/engine/ckpt.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"
#include "daemon/loop/backoff.h"
#include "daemon/msg/log.h"

bool ckpt_covers(const struct db_log *log, uint64_t index)
{
	return log->logged >= 0 && index < (uint64_t)log->logged;
}

struct log_name ckpt_name(const struct db_log *log)
{
	struct log_name n = {.oplog = log->no == DB_LOG_OPERATOR};

	memcpy(n.raffle, log->raffle, sizeof n.raffle);
	return n;
}

bool ckpt_late(const struct engine *e)
{
	const struct ckpt *c = &e->ckpt;
	bool failing = c->running ? c->failing_ms != 0 : c->retry_ms != 0;

	return failing && engine_clock_ms() - c->failing_ms >= CKPT_LATE_MS;
}

/* --- when --- */

static void arm(struct engine *e)
{
	struct ckpt *c = &e->ckpt;
	int64_t wait_ms = c->next_ms - engine_clock_ms();
	struct timeval tv = {0};

	if (wait_ms > 0) {
		tv.tv_sec = wait_ms / 1000;
		tv.tv_usec = wait_ms % 1000 * 1000;
	}
	if (c->timer != NULL && !c->running && evtimer_pending(c->timer, NULL) == 0)
		event_add(c->timer, &tv);
}

void ckpt_kick(struct engine *e)
{
	e->ckpt.dirty = true;
	arm(e);
}

/* There is something that could not be signed now; a round fails once. */
static void later(struct ckpt *c)
{
	int64_t now_ms = engine_clock_ms();

	if (c->failing_ms == 0)
		c->failing_ms = now_ms;
	if (c->retry_ms == 0)
		c->retry_ms = now_ms + backoff_ms(CKPT_RETRY_MS, c->fails++, CKPT_RETRY_MAX);
}

/* Between two rounds: if nothing of the last one failed, it is durable by now. */
static void settle(struct ckpt *c)
{
	if (c->retry_ms != 0)
		return;
	c->failing_ms = 0;
	c->fails = 0;
}

void ckpt_lost(struct engine *e)
{
	later(&e->ckpt);
}

/* One log could not be signed now; the others go on. */
static void failed(struct engine *e, const struct ckpt_one *one, int r)
{
	struct ckpt *c = &e->ckpt;

	/* once per trouble: hsm has its own lines */
	if (c->failing_ms == 0 || r == KE_DENIED || r == KE_DAMAGED)
		log_warn("checkpoint of %s: %s", one->head.origin, ke_words(r));
	later(c);
}

static bool idle(const struct ckpt *c)
{
	for (size_t i = 0; i < CKPT_AT_ONCE; i++)
		if (c->one[i].job.id != 0)
			return false;
	return true;
}

static struct ckpt_one *place(struct ckpt *c)
{
	for (size_t i = 0; i < CKPT_AT_ONCE; i++)
		if (c->one[i].job.id == 0)
			return &c->one[i];
	return NULL;
}

/* --- one log --- */

static int signed_by_hsm(struct engine *e, struct job *j, int r, struct wire_in *in);

/* What hsm is to see of the log as it is: its head, and that it holds the first `from` leaves. */
static int ask(struct engine *e, struct ckpt_one *one, const struct db_log *log, uint64_t from)
{
	struct ckpt_question q = {.name = ckpt_name(log), .from = from};
	struct db_checkpoint last = {.len = 0};
	struct logread read;
	int r = KE_OK;

	logread_init(&read, e, log);
	if (log->logged >= 0)
		r = db_log_checkpoint(e->db, log->no, (uint64_t)log->logged, &last);
	if (r == KE_OK && from > log->range.size)
		r = KE_DAMAGED; /* hsm has signed more than the store holds */
	if (r == KE_OK && from > 0)
		r = tile_consistency(&read.reader, from, log->range.size, q.proof, &q.n);
	if (r != KE_OK)
		return r;
	one->head.size = log->range.size;
	merkle_range_root(&log->range, one->head.root);
	q.head = &one->head;
	q.note = last.note;
	q.note_len = last.len;
	return eng_hsm_sign_checkpoint(e, &one->job, signed_by_hsm, &q);
}

/* from: size that hsm knows, -1 for that of the newest checkpoint */
static void begin_one(struct engine *e, struct ckpt_one *one, int64_t from)
{
	struct log_name name;
	struct db_log log;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_log_get(e->db, one->log, &log);
	if (r == KE_OK) {
		name = ckpt_name(&log);
		r = origin_of(&name, e->conf.host, one->head.origin);
	}
	if (r == KE_OK && from < 0)
		from = log.logged < 0 ? 0 : log.logged;
	if (r == KE_OK)
		r = ask(e, one, &log, (uint64_t)from);
	if (r != KE_OK)
		failed(e, one, r);
}

static int write_note(struct engine *e, const struct ckpt_one *one, const struct db_checkpoint *c)
{
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_savepoint(e->db);
	if (r != KE_OK)
		return r;
	r = db_log_set_checkpoint(e->db, one->log, c);
	if (r == KE_OK)
		return db_release(e->db);
	return db_rollback_to(e->db) == KE_OK ? r : KE_IO;
}

/* text ‖ LF ‖ the signature's line */
static int make_note(const struct ckpt_one *one, struct wire_in *in, struct db_checkpoint *c)
{
	uint8_t id[4], sig[64], type;
	size_t n = 0;
	int r = checkpoint_text(&one->head, c->note, sizeof c->note, &c->len);

	wire_get_raw(in, id, sizeof id);
	type = wire_get_u8(in);
	wire_get_raw(in, sig, sizeof sig);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (r != KE_OK)
		return r;
	c->note[c->len++] = '\n';
	r = note_sig_line(one->head.origin, (enum note_type)type, id, sig, c->note + c->len,
	    sizeof c->note - c->len, &n);
	c->len += n;
	return r;
}

static int publish(struct engine *e, struct ckpt_one *one, struct wire_in *in)
{
	struct db_checkpoint c = {.size = one->head.size, .at_ms = turn_now_ms(e)};
	uint64_t size = wire_get_u64(in);
	int r = make_note(one, in, &c);

	if (r == KE_PEER || (r == KE_OK && size != c.size))
		return KE_PEER;
	memcpy(c.root, one->head.root, sizeof c.root);
	if (r == KE_OK)
		r = write_note(e, one, &c);
	if (r != KE_OK) {
		failed(e, one, r);
		return KE_OK;
	}
	e->ckpt.signatures++;
	cosign_kick(e);
	turn_dirty(e, CACHE_CHECKPOINTS);
	return KE_OK;
}

static void pump(struct engine *e);
static void end_round(struct engine *e);

static int signed_by_hsm(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ckpt_one *one = (struct ckpt_one *)(void *)j;
	int64_t known;

	if (in != NULL && r == KE_OK) {
		r = publish(e, one, in);
		if (r != KE_OK)
			return r;
	} else if (in != NULL && r == KE_STATE && !one->again) {
		known = wire_get_i64(in);
		if (wire_end(in) != KE_OK || known < 0)
			return KE_PEER;
		one->again = true;
		begin_one(e, one, known);
	} else {
		failed(e, one, r);
	}
	/* where no answer comes, the turn may be over: the next round goes on */
	if (in != NULL)
		pump(e);
	else if (idle(&e->ckpt))
		end_round(e);
	return KE_OK;
}

/* --- a round --- */

/* Everything that was behind has been asked for and answered. */
static void end_round(struct engine *e)
{
	struct ckpt *c = &e->ckpt;

	c->running = false;
	if (c->dirty || c->after >= 0)
		arm(e);
}

/* The next log that is behind; false: the round has come to the end. */
static bool find_next(struct engine *e, struct ckpt_one *one)
{
	struct ckpt *c = &e->ckpt;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_log_behind(e->db, c->after, &one->log);
	if (r == KE_OK)
		return true;
	if (r != KE_NOTFOUND)
		later(c);
	c->after = -1;
	/* those that hsm has not answered for yet are still behind, and must not be found again */
	c->seen_all = true;
	return false;
}

/* The next logs, as many as there are places for. */
static void pump(struct engine *e)
{
	struct ckpt *c = &e->ckpt;
	struct ckpt_one *one;

	while (c->running && !c->seen_all && (one = place(c)) != NULL && c->asked < CKPT_ROUND) {
		if (!find_next(e, one))
			break;
		c->asked++;
		c->after = one->log;
		one->again = false;
		begin_one(e, one, -1);
	}
	if (idle(c))
		end_round(e);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;
	struct ckpt *c = &e->ckpt;

	(void)fd;
	(void)what;
	if (c->running)
		return;
	settle(c);
	c->next_ms = engine_clock_ms() + CKPT_ROUND_MS;
	if (e->peers.hsm.chan == NULL) {
		later(c);
		return;
	}
	c->running = true;
	c->dirty = c->after >= 0; /* this one begins behind some that may be behind too */
	c->seen_all = false;
	c->asked = 0;
	c->retry_ms = 0;
	c->chan = e->peers.hsm.serial;
	pump(e);
}

void ckpt_tick(struct engine *e)
{
	struct ckpt *c = &e->ckpt;

	if (c->running)
		return;
	settle(c);
	if (e->peers.hsm.chan == NULL)
		return;
	if ((c->retry_ms != 0 && engine_clock_ms() >= c->retry_ms) ||
	    c->chan != e->peers.hsm.serial)
		ckpt_kick(e);
}

void ckpt_start(struct engine *e)
{
	e->ckpt.after = -1;
	e->ckpt.timer = evtimer_new(e->base, on_timer, e);
	if (e->ckpt.timer == NULL)
		fatal("out of memory");
	ckpt_kick(e);
}

void ckpt_stop(struct engine *e)
{
	event_free(e->ckpt.timer);
	e->ckpt.timer = NULL;
}
