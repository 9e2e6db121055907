/*
 * What goes on by itself in a v2 raffle's life: see life.h. One job row per raffle; a step looks
 * where the raffle stands, does or asks for what comes next, and says when to look again. Runs in
 * engine.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/engine/quorum.h"
#include "daemon/engine/witnessed.h"
#include "daemon/msg/log.h"

#define SOON_MS  1000
#define ASKED_MS 3000  /* hsm has been asked */
#define LATER_MS 10000 /* somebody has to do something first */

static int again(struct maint_run *run, int64_t at_ms)
{
	run->again_ms = at_ms;
	return KE_OK;
}

/* --- asking hsm --- */

static struct life_one *one_for(struct engine *e, const uint8_t raffle[16], bool *asked)
{
	struct life_one *place = NULL;

	*asked = false;
	for (size_t i = 0; i < LIFE_AT_ONCE; i++) {
		struct life_one *o = &e->lives.one[i];

		if (o->job.id == 0)
			place = o;
		else if (memcmp(o->raffle, raffle, 16) == 0)
			*asked = true;
	}
	return place;
}

typedef int answered(struct engine *e, struct life_file *f, int r, struct wire_in *in);

/*
 * An answer is one savepoint: what it cannot finish, it does not begin. KE_AGAIN of its function:
 * that is all for now.
 */
static int settle(struct engine *e, struct job *j, int r, struct wire_in *in, answered *what)
{
	const struct life_one *o = (const struct life_one *)(const void *)j;
	struct life_file f;
	int s;

	if (in == NULL)
		return KE_OK; /* the job comes again */
	s = turn_begin(e);
	if (s == KE_OK)
		s = db_savepoint(e->db);
	if (s != KE_OK)
		return KE_OK;
	s = life_get(e, o->raffle, &f);
	if (s == KE_OK)
		s = what(e, &f, r, in);
	if (s == KE_OK)
		s = life_order(e, o->raffle, turn_now_ms(e));
	s = s == KE_AGAIN ? KE_OK : s;
	if (s != KE_OK && db_rollback_to(e->db) != KE_OK)
		return KE_OK;
	if (s == KE_OK && db_release(e->db) != KE_OK)
		return KE_OK;
	if (s == KE_PEER)
		return KE_PEER;
	if (s != KE_OK) {
		log_warn("a raffle waits: %s", ke_words(s));
		/* its moments do not wait for when the job would come by itself */
		if (life_order(e, o->raffle, turn_now_ms(e) + SOON_MS) != KE_OK)
			log_warn("it is looked at later than it should be");
	}
	return KE_OK;
}

typedef int write_body(struct engine *e, const struct life_file *f, struct wire_out *w);

static int ask(struct engine *e, const struct life_file *f, write_body *body,
    int (*stub)(struct engine *, struct job *, job_step *, struct wire_out *), job_step *step)
{
	uint8_t *buf;
	struct wire_out w;
	struct life_one *o;
	bool asked;
	int r;

	o = one_for(e, f->r.id, &asked);
	if (asked || o == NULL)
		return KE_OK;
	buf = sodium_malloc(MSG_BODY_MAX);
	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	memcpy(o->raffle, f->r.id, 16);
	r = body(e, f, &w);
	if (r == KE_OK)
		r = stub(e, &o->job, step, &w);
	sodium_free(buf);
	/* hsm is not there, or busy: no failure of the raffle's, whose moments do not wait */
	return r == KE_UNAVAIL || r == KE_FULL ? KE_OK : r;
}

/* --- a record that nobody has heard of again --- */

static int decided(struct engine *e, struct life_file *f, int r, struct wire_in *in)
{
	struct db_pending p;
	int s = wire_end(in) == KE_OK ? db_life_pending(e->db, f->r.no, &p) : KE_PEER;

	if (s == KE_NOTFOUND) /* its own request was faster */
		return KE_OK;
	if (s != KE_OK)
		return s;
	s = life_decide(e, f, &p, r);
	/* a refusal is final too; what the time has proposed, it proposes again, but not at once */
	return s == r && life_refused(r) ? KE_AGAIN : s;
}

static int pending_answered(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	return settle(e, j, r, in, decided);
}

static int pending_body(struct engine *e, const struct life_file *f, struct wire_out *w)
{
	struct db_pending p;
	int r = db_life_pending(e->db, f->r.no, &p);

	return r == KE_OK ? life_agree_body(e, f, &p, w) : r;
}

/* --- the close record --- */

static int told(struct engine *e, struct life_file *f, int r, struct wire_in *in)
{
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (r == KE_OK)
		return db_life_set_told(e->db, f->r.no, DB_TOLD_YES);
	if (!life_refused(r))
		return r;
	log_error("hsm does not agree to a close record: the raffle can only be aborted");
	r = db_life_set_told(e->db, f->r.no, DB_TOLD_REFUSED);
	turn_dirty(e, CACHE_RAFFLES);
	return r;
}

static int close_answered(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	return settle(e, j, r, in, told);
}

static int close_body(struct engine *e, const struct life_file *f, struct wire_out *w)
{
	return life_agree_body(e, f, NULL, w);
}

/* --- the draw --- */

/*
 * Its deadline has passed, and its terms say that it is void then: what can still be drawn is
 * drawn, everything else paid back.
 */
static bool is_void(struct engine *e, const struct life_file *f)
{
	return f->l.on_default == DEFAULT_VOID &&
	       turn_now_ms(e) >= (int64_t)f->l.terms.deadline_s * 1000 &&
	       beacons_clock(e) != BEACONS_CLOCK_OFF;
}

static int revealed(struct engine *e, struct life_file *f, int r, struct wire_in *in)
{
	uint8_t seed[32], id[16];

	if ((r == KE_AUTH || life_refused(r)) && is_void(e, f))
		return life_propose_void(e, f, LIFE_VOID_DEADLINE);
	if (r == KE_AUTH) {
		r = quorum_propose_draw(e, f->r.id, NULL, id);
		return r == KE_OK ? KE_AGAIN : r; /* the job looks later */
	}
	if (r != KE_OK)
		return r;
	wire_get_raw(in, seed, sizeof seed);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = f->r.state == RAFFLE_CLOSED ? life_draw(e, f, seed, NULL) : KE_OK;
	sodium_memzero(seed, sizeof seed);
	return r;
}

static int reveal_answered(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	return settle(e, j, r, in, revealed);
}

/* --- steps --- */

static int step_open(
    struct engine *e, struct maint_run *run, const struct life_file *f, int64_t now_ms)
{
	int64_t close_ms = (int64_t)f->l.terms.sales_close_s * 1000;
	int r;

	if (now_ms < close_ms)
		return again(run, close_ms);
	if (beacons_clock(e) == BEACONS_CLOCK_OFF)
		return again(run, now_ms + SOON_MS);
	r = life_close(e, f, NULL);
	return r == KE_OK ? again(run, now_ms) : r;
}

/* When to look for the values: not before the last of them can be there. */
static int64_t values_ms(struct engine *e, const struct life_file *f, int64_t now_ms)
{
	uint64_t first_s, last_s;

	if (life_moments(&e->lives.site, &f->l.terms, &first_s, &last_s) != KE_OK)
		return now_ms + LATER_MS;
	return (int64_t)last_s * 1000 > now_ms ? (int64_t)last_s * 1000 : now_ms + SOON_MS;
}

/* Looks what witnesses have seen of it, and keeps that for those who ask how it stands. */
static int look_at_witnesses(struct engine *e, const struct life_file *f, enum db_seen *seen)
{
	int r = witnessed_close(e, f, seen);

	if (r != KE_OK || *seen == f->l.seen)
		return r;
	if (*seen == DB_SEEN_TOO_LATE)
		log_error("too few witnesses saw a close record in time: the raffle can only be "
			  "aborted");
	turn_dirty(e, CACHE_RAFFLES);
	return db_life_set_seen(e->db, f->r.no, *seen);
}

/* The next step asks hsm. */
static int propose_void(struct engine *e, struct maint_run *run, const struct life_file *f,
    enum life_void why, int64_t now_ms)
{
	int r = life_propose_void(e, f, why);

	return r == KE_OK ? again(run, now_ms) : r;
}

/* Only an abort is left: an admin's, or at the deadline its own. */
static int step_undrawable(
    struct engine *e, struct maint_run *run, const struct life_file *f, int64_t now_ms)
{
	int64_t deadline_ms = (int64_t)f->l.terms.deadline_s * 1000;

	if (f->l.on_default != DEFAULT_VOID)
		return KE_OK;
	if (is_void(e, f))
		return propose_void(e, run, f, LIFE_VOID_DEADLINE, now_ms);
	return again(run, deadline_ms > now_ms ? deadline_ms : now_ms + SOON_MS);
}

static int step_closed(
    struct engine *e, struct maint_run *run, const struct life_file *f, int64_t now_ms)
{
	struct record2_terms values;
	enum db_seen seen;
	int r;

	r = life_draw_on(e, f);
	if (r != KE_NOTFOUND)
		return r == KE_OK || r == KE_AGAIN ? again(run, now_ms) : r;
	if (f->r.sold == 0)
		return propose_void(e, run, f, LIFE_VOID_EMPTY, now_ms);
	/* hsm has not heard of its close, and at its deadline would not hear of it any more */
	if (f->l.told == DB_TOLD_REFUSED || f->l.seen == DB_SEEN_TOO_LATE ||
	    (f->l.told == DB_TOLD_NOT && is_void(e, f)))
		return step_undrawable(e, run, f, now_ms);
	if (f->l.told == DB_TOLD_NOT) {
		r = ask(e, f, close_body, eng_hsm_agree_own, close_answered);
		return r == KE_OK ? again(run, now_ms + ASKED_MS) : r;
	}
	if (beacons_clock(e) == BEACONS_CLOCK_OFF)
		return again(run, now_ms + SOON_MS);
	r = look_at_witnesses(e, f, &seen);
	if (r == KE_OK && seen == DB_SEEN_TOO_LATE)
		return step_undrawable(e, run, f, now_ms);
	if (r != KE_OK)
		return r;
	if (seen == DB_SEEN_WAITING)
		return again(run, now_ms + SOON_MS);
	r = life_values(e, f, &values);
	if (r == KE_STATE)
		r = KE_NOTFOUND; /* a source that is not configured any more may be so again */
	if (r == KE_NOTFOUND && is_void(e, f))
		return propose_void(e, run, f, LIFE_VOID_DEADLINE, now_ms);
	if (r == KE_NOTFOUND)
		return again(run, values_ms(e, f, now_ms));
	if (r == KE_OK)
		r = ask(e, f, life_reveal_body, eng_hsm_reveal2_own, reveal_answered);
	return r == KE_OK ? again(run, now_ms + LATER_MS) : r;
}

int life_step(struct engine *e, struct maint_run *run, int64_t now_ms)
{
	struct db_pending p;
	struct life_file f;
	int r = life_get(e, run->job.subject, &f);

	if (r != KE_OK)
		return r;
	r = db_life_pending(e->db, f.r.no, &p);
	if (r == KE_OK) {
		r = ask(e, &f, pending_body, eng_hsm_agree_own, pending_answered);
		return r == KE_OK ? again(run, now_ms + ASKED_MS) : r;
	}
	if (r != KE_NOTFOUND)
		return r;
	switch (f.r.state) {
	case RAFFLE_OPEN:
		return step_open(e, run, &f, now_ms);
	case RAFFLE_CLOSED:
		return step_closed(e, run, &f, now_ms);
	case RAFFLE_ABORTED:
		return f.l.refunded_ms == 0 ? refund_step(e, run, &f) : KE_OK;
	default:
		return KE_OK;
	}
}
