/*
 * Turns: see turn.h. Runs in engine.
 */
#include "daemon/engine/turn.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/rq.h"
#include "daemon/msg/log.h"
#include "db/db.h"

void turn_init(struct engine *e)
{
	e->turn = (struct turn){.number = 1};
	STAILQ_INIT(&e->turn.queue);
}

/* A token that was issued before the clock went back would live longer than it may. */
static void watch_clock(struct engine *e)
{
	int64_t step = engine_clock_step(&e->turn.watch, e->turn.now_ms, engine_clock_ms());

	if (step == 0)
		return;
	log_warn("the clock was set %s by %lld s", step < 0 ? "back" : "forward",
	    (long long)(step < 0 ? -step : step) / 1000);
	tokcache_drop_all(e->tokens);
	maint_clock_set(e);
}

int64_t turn_now_ms(struct engine *e)
{
	if (!e->turn.timed) {
		e->turn.timed = true;
		e->turn.now_ms = engine_now_ms();
		watch_clock(e);
	}
	return e->turn.now_ms;
}

/* Says it once per trouble, not once per request. */
static void trouble(struct engine *e, const char *what, int r)
{
	if (!e->turn.sick)
		log_error("store: %s: %s: %s", what, ke_words(r), db_why(e->db));
	e->turn.sick = true;
}

int turn_begin(struct engine *e)
{
	int r;

	if (e->db == NULL)
		return KE_UNAVAIL; /* its key is hsm's, which is away (opening.h) */
	if (e->turn.open)
		return db_turn_lost(e->db) ? KE_IO : KE_OK;
	r = db_turn_begin(e->db);
	if (r != KE_OK) {
		trouble(e, "begin", r);
		return KE_IO;
	}
	e->turn.open = true;
	return KE_OK;
}

struct turn_out *turn_out_new(enum turn_kind kind, size_t len)
{
	struct turn_out *o = malloc(sizeof *o + len);

	if (o == NULL)
		fatal("out of memory");
	*o = (struct turn_out){.kind = kind, .fd = -1, .len = len};
	return o;
}

static void out_free(struct turn_out *o)
{
	if (o->fd >= 0)
		close(o->fd);
	sodium_memzero(o->body, o->len); /* tokens */
	free(o);
}

/* An answer to what was durable before this turn. A question to hsm always rests on the turn. */
static bool rests_on_nothing_new(const struct engine *e, const struct turn_out *o)
{
	if (o->kind != TURN_ANSWER && o->kind != TURN_CTL)
		return false;
	return !e->turn.open || !db_turn_wrote(e->db);
}

void turn_send(struct engine *e, struct turn_out *o)
{
	o->loose |= rests_on_nothing_new(e, o);
	STAILQ_INSERT_TAIL(&e->turn.queue, o, link);
}

void turn_dirty(struct engine *e, uint32_t tags)
{
	e->turn.dirty |= tags;
}

static int commit(struct engine *e)
{
	int64_t began = engine_clock_us();
	bool wrote = false;
	int r;

	e->turn.open = false;
	if (db_turn_lost(e->db)) {
		db_turn_rollback(e->db);
		return KE_IO;
	}
	r = db_turn_commit(e->db, &wrote);
	if (r != KE_OK || !wrote)
		return r;
	metrics_commit(&e->metrics, engine_clock_us() - began, e->turn.requests);
	e->turn.sick = false; /* only a write proves that there is room again */
	return KE_OK;
}

static bool of_turn(const struct job *j, uint64_t turn)
{
	return j->turn == turn;
}

/* Nothing of this turn happened: every answer that rests on it says so. */
static void undo(struct engine *e, int r)
{
	struct turn_queue old = STAILQ_HEAD_INITIALIZER(old);
	bool first = !e->turn.sick;
	struct turn_out *o;

	trouble(e, "commit", r);
	/* it may have been one failure alone: tried again at once, then at maint's own pace */
	if (first)
		maint_kick(e);
	metrics_count(&e->metrics, METRIC_FAILED_TURNS);
	/* it may have taken roles and sessions from what was never committed */
	tokcache_drop_all(e->tokens);
	STAILQ_CONCAT(&old, &e->turn.queue);
	job_fail_all(e, of_turn, e->turn.number, KE_IO);
	while ((o = STAILQ_FIRST(&old)) != NULL) {
		STAILQ_REMOVE_HEAD(&old, link);
		if (o->loose) {
			turn_send(e, o);
			continue;
		}
		if (o->kind == TURN_ANSWER)
			rq_replace(e, o);
		else if (o->kind == TURN_CTL)
			ctl_replace(e, o);
		out_free(o);
	}
	maint_lost(e);
	ckpt_lost(e);
}

/*
 * Stale answers that net may keep go first, then the order to drop them, then everything else:
 * whoever reads its answer to a change finds the change.
 */
static void flush(struct engine *e)
{
	struct turn_queue all = STAILQ_HEAD_INITIALIZER(all);
	uint32_t dirty = e->turn.dirty;
	struct turn_out *o;

	STAILQ_CONCAT(&all, &e->turn.queue);
	e->turn.dirty = 0;
	if (dirty != 0) {
		STAILQ_FOREACH(o, &all, link)
		{
			if (o->cacheable)
				peers_deliver(e, o);
		}
		peers_drop_cache(e, dirty);
	}
	while ((o = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, link);
		if (dirty == 0 || !o->cacheable)
			peers_deliver(e, o);
		if (o->kind == TURN_ANSWER)
			metrics_request(
			    &e->metrics, o->route, o->status, engine_clock_us() - o->began_us);
		out_free(o);
	}
}

void turn_end(struct engine *e)
{
	int r = KE_OK;

	if (e->turn.open) {
		r = commit(e);
		if (r != KE_OK)
			undo(e, r);
	}
	if (e->db != NULL)
		db_refuse_writes(e->db, e->turn.sick);
	flush(e);
	kdf_pump(e);
	peers_resume(e);
	backup_between(e);
	/* a question that could not be delivered has left a 503 behind */
	if (!STAILQ_EMPTY(&e->turn.queue))
		flush(e);
	e->turn.number++;
	e->turn.requests = 0;
	e->turn.timed = false;
}

void turn_try(struct engine *e)
{
	turn_end(e);
	if (e->db != NULL)
		db_refuse_writes(e->db, false);
}
