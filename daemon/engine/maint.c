/*
 * Background work: see maint.h. Runs in engine.
 */
#include "daemon/engine/maint.h"

#include <event2/event.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/engine/proof.h"
#include "daemon/msg/log.h"
#include "db/db_idem.h"
#include "db/db_ledger.h"
#include "db/db_meta.h"
#include "db/db_session.h"

#define TICK_S       1
#define SIGNED_MS    500
#define WITNESSES_MS (INT64_C(3600) * 1000)
#define MAX_ATTEMPTS 20
#define BATCH        500 /* rows deleted in one step */
#define IDEM_KEEP_MS (INT64_C(24) * 3600 * 1000)
#define AHEAD_MS     (INT64_C(3600) * 1000)
#define JOBS_KEEP_MS (INT64_C(7) * 24 * 3600 * 1000)

/* One step; KE_AGAIN: there is more. */
typedef int maint_step(struct engine *e, struct maint_run *run, int64_t now_ms);

/*
 * What is deleted for its age is deleted for good, and a clock that is wrong for a moment must not
 * do that: it would let a sale be made twice under one key. So nothing goes until the clock has
 * been left alone for as long as a key is kept.
 */
static bool ages_are_true(const struct engine *e)
{
	return !e->maint.set || engine_clock_ms() - e->maint.set_ms >= IDEM_KEEP_MS;
}

/* A row from the future was made before the clock was set back, or before the start. */
static int64_t future_from(const struct engine *e, int64_t now_ms)
{
	bool long_ago = engine_clock_ms() - e->maint.set_ms >= IDEM_KEEP_MS;

	return long_ago ? now_ms + AHEAD_MS : INT64_MAX;
}

static int purge_idem(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	int64_t n = 0;
	int r;

	(void)run;
	if (!ages_are_true(e))
		return KE_OK;
	r = db_idem_purge(e->db, now_ms - IDEM_KEEP_MS, future_from(e, now_ms), BATCH, &n);
	return r == KE_OK && n == BATCH ? KE_AGAIN : r;
}

static int purge_sessions(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	int64_t n = 0;
	int r;

	(void)run;
	if (!ages_are_true(e))
		return KE_OK;
	r = db_session_purge_expired(e->db, now_ms, BATCH, &n);
	return r == KE_OK && n == BATCH ? KE_AGAIN : r;
}

static int purge_jobs(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	int64_t n = 0;
	int r = db_job_purge(e->db, now_ms - JOBS_KEEP_MS, BATCH, &n);

	(void)run;
	return r == KE_OK && n == BATCH ? KE_AGAIN : r;
}

static int check_ledger(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	bool whole;
	int r = db_ledger_walk(e->db, BATCH, &whole);

	(void)run;
	(void)now_ms;
	if (r != KE_OK)
		return r;
	e->maint.ledger = whole ? MAINT_LEDGER_OK : MAINT_LEDGER_BROKEN;
	if (!whole)
		log_error("ledger: the balances of a currency do not sum to zero");
	return KE_OK;
}

static int write_proof(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	int r = proof_step(e, run->job.subject, &run->proof);

	if (r == KE_OK && proof_lacks(run->proof))
		run->again_ms = now_ms + WITNESSES_MS;
	if (r != KE_NOTFOUND)
		return r;
	/* a checkpoint that it shows is still to come, or who cosigns it */
	run->again_ms = now_ms + SIGNED_MS;
	return KE_OK;
}

static const struct kind {
	const char *name;
	maint_step *step;
	int64_t every_ms; /* 0: once per order */
	bool at_start;
} kinds[] = {
    {"idempotency", purge_idem, 600 * 1000, false},
    {"sessions", purge_sessions, 600 * 1000, false},
    {"jobs", purge_jobs, 3600 * 1000, false},
    {"ledger", check_ledger, 600 * 1000, true},
    {PROOF_JOB, write_proof, 0, false},
    {LIFE_JOB, life_step, 0, false},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static void forget(struct engine *e, struct maint_run *run)
{
	proof_free(e, run->proof);
	*run = (struct maint_run){0};
}

/* Due rows become runs, as many as there is room for. */
static int claim(struct engine *e, int64_t now_ms)
{
	struct db_job jobs[DB_JOBS_AT_ONCE];
	size_t n = 0, free_places = 0, taken = 0;
	int r;

	for (size_t i = 0; i < DB_JOBS_AT_ONCE; i++)
		free_places += !e->maint.run[i].active;
	if (free_places == 0)
		return KE_OK;
	r = db_job_claim(e->db, now_ms, jobs, free_places, &n);
	for (size_t i = 0; r == KE_OK && i < DB_JOBS_AT_ONCE && taken < n; i++) {
		if (e->maint.run[i].active)
			continue;
		e->maint.run[i].active = true;
		e->maint.run[i].job = jobs[taken++];
	}
	return r;
}

/* One step, and what it means for the row. Its own failures are undone and tried again later. */
static int run_step(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	const struct kind *k = kind_of(run->job.kind);
	int64_t id = run->job.id;
	int r = db_savepoint(e->db), step;

	if (r != KE_OK)
		return r;
	step = k == NULL ? KE_VERSION : k->step(e, run, now_ms);
	if (step == KE_OK)
		step = db_job_done(
		    e->db, id, k->every_ms == 0 ? run->again_ms : now_ms + k->every_ms, now_ms);
	if (step == KE_AGAIN)
		return db_release(e->db);
	if (step == KE_OK) {
		forget(e, run);
		return db_release(e->db);
	}
	log_warn("job %s: %s", run->job.kind, ke_words(step));
	forget(e, run);
	r = db_rollback_to(e->db);
	return r == KE_OK ? db_job_retry(e->db, id, ke_words(step), MAX_ATTEMPTS, now_ms) : r;
}

static int work(struct engine *e)
{
	int64_t now_ms = turn_now_ms(e), next_ms = 0, n;
	int r = turn_begin(e);

	/* somebody must try whether the store can be written again */
	if (r == KE_OK && e->turn.sick)
		r = db_meta_set(e->db, "probe", &now_ms, sizeof now_ms);
	if (r == KE_OK && e->maint.recover) {
		r = db_job_recover(e->db, now_ms, &n);
		e->maint.recover = r != KE_OK;
	}
	if (r == KE_OK && e->maint.hasten) {
		r = db_job_hasten(e->db, now_ms, &n);
		e->maint.hasten = r != KE_OK;
	}
	if (r == KE_OK)
		r = db_job_next(e->db, &next_ms);
	if (r == KE_OK && next_ms <= now_ms)
		r = claim(e, now_ms);
	if (r == KE_NOTFOUND)
		r = KE_OK;
	for (size_t i = 0; r == KE_OK && i < DB_JOBS_AT_ONCE; i++) {
		if (e->maint.run[i].active)
			r = run_step(e, &e->maint.run[i], now_ms);
	}
	return r;
}

static bool busy(const struct engine *e)
{
	for (size_t i = 0; i < DB_JOBS_AT_ONCE; i++) {
		if (e->maint.run[i].active)
			return true;
	}
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tick = {.tv_sec = TICK_S}, at_once = {.tv_usec = 1};
	struct engine *e = arg;
	bool sick = e->turn.sick;

	(void)fd;
	(void)what;
	if (sick)
		turn_try(e);
	if (work(e) != KE_OK && !e->turn.sick)
		log_warn("background work: %s", db_why(e->db));
	if (sick)
		turn_end(e);
	event_add(e->maint.timer, busy(e) ? &at_once : &tick);
}

void maint_kick(struct engine *e)
{
	if (e->maint.timer != NULL)
		event_active(e->maint.timer, EV_TIMEOUT, 0);
}

void maint_lost(struct engine *e)
{
	for (size_t i = 0; i < DB_JOBS_AT_ONCE; i++)
		forget(e, &e->maint.run[i]);
	e->maint.recover = true;
	e->maint.hasten = true;
}

void maint_clock_set(struct engine *e)
{
	e->maint.set = true;
	e->maint.set_ms = engine_clock_ms();
	e->maint.hasten = true;
}

static int order_periodic(struct engine *e)
{
	static const uint8_t nobody[16];
	int64_t now_ms = turn_now_ms(e);
	int r = turn_begin(e);

	for (size_t i = 0; r == KE_OK && i < KINDS; i++) {
		int64_t first_ms = kinds[i].at_start ? now_ms : now_ms + kinds[i].every_ms;

		if (kinds[i].every_ms != 0)
			r = db_job_put(e->db, kinds[i].name, nobody, 0, first_ms, now_ms);
	}
	return r;
}

void maint_start(struct engine *e)
{
	int r = order_periodic(e);

	if (r != KE_OK)
		opening_failed(e, "jobs", r);
	e->maint.recover = true;
	e->maint.hasten = true;
	e->maint.set_ms = engine_clock_ms();
	e->maint.timer = evtimer_new(e->base, on_timer, e);
	if (e->maint.timer == NULL)
		fatal("out of memory");
	maint_kick(e);
}

void maint_stop(struct engine *e)
{
	for (size_t i = 0; i < DB_JOBS_AT_ONCE; i++)
		forget(e, &e->maint.run[i]);
	event_free(e->maint.timer);
}
