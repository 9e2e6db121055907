/*
 * Re-sealing by the million: see reseal.h. Runs in engine.
 */
#include "daemon/engine/reseal.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"
#include "policy/text.h"

/* Beside requests: so many questions of so many values, each tick of 250 ms. */
#define LOADED        10 /* requests since the last tick */
#define LOADED_BATCH  100
#define LOADED_BUDGET 5
#define FREE_BUDGET   1000000
#define LINES_MAX     20 /* of a pass, about what hsm refuses */
#define SHORT_MS      INT64_C(1000)
#define PAUSE_MS      (INT64_C(60) * 1000)
#define LONG_MS       (INT64_C(3600) * 1000)

static void begin_pass(struct engine *e)
{
	struct reseal *s = &e->reseal;

	s->pass++;
	memset(s->head, 0, sizeof s->head);
	memset(s->after, 0, sizeof s->after);
	s->through = s->progress = s->missed = s->failed = false;
	s->early = e->peers.former.chan != NULL;
	s->lines = 0;
}

void reseal_start(struct engine *e)
{
	struct reseal *s = &e->reseal;

	if (!s->due) {
		s->began_ms = engine_clock_ms();
		s->done = 0;
	}
	s->due = true;
	s->raise = false;
	s->least = 0;        /* a fresh hsm has not heard of it */
	e->kdf.renew = true; /* nobody's credential is one too */
	s->pause_ms = s->wait_until_ms = 0;
	begin_pass(e);
}

/* --- an answer --- */

static void refused(struct engine *e, const struct reseal_batch *b, const uint8_t id[16], int r)
{
	char hex[37];

	text_uuid(hex, id);
	e->reseal.failed_all++;
	e->reseal.failed |= b->pass == e->reseal.pass;
	metrics_count(&e->metrics, METRIC_SEALED_BAD);
	if (e->reseal.lines < LINES_MAX)
		log_warn("the credential of user %s cannot be sealed anew: %s", hex, ke_words(r));
	e->reseal.lines++;
}

/* One of the answer; *moved counts those that the row has taken. */
static int take_one(struct engine *e, const struct reseal_batch *b, const struct db_credential *was,
    struct wire_in *in, char text[DB_CREDENTIAL_MAX + 1], int64_t *moved)
{
	char fresh[DB_CREDENTIAL_MAX + 1];
	int sealed = wire_get_i32(in), r;

	wire_get_cstr(in, fresh, sizeof fresh);
	if (in->err != KE_OK || (sealed == KE_OK && strlen(fresh) < DB_HEAD_LEN))
		return KE_PEER;
	if (sealed != KE_OK) {
		refused(e, b, was->id, sealed);
		return KE_OK;
	}
	r = db_user_reseal(e->db, was->id, was->text, fresh);
	if (r == KE_STATE) /* a new password meanwhile, which is under the active version */
		return KE_OK;
	if (r != KE_OK)
		return r;
	memcpy(text, fresh, sizeof fresh);
	(*moved)++;
	return KE_OK;
}

/* All of an answer is sealed under one version, and all of a question stood under one head. */
static int take_all(struct engine *e, struct reseal_batch *b, struct wire_in *in)
{
	char text[DB_CREDENTIAL_MAX + 1] = "";
	int64_t moved = 0;
	int r = turn_begin(e);

	for (uint16_t i = 0; r == KE_OK && i < b->n; i++)
		r = take_one(e, b, &b->c[i], in, text, &moved);
	if (r == KE_OK)
		r = wire_end(in) == KE_OK ? KE_OK : KE_PEER;
	if (r == KE_OK)
		r = db_user_moved(e->db, b->c[0].text, text, moved);
	if (r != KE_OK)
		return r;
	e->reseal.done += (uint64_t)moved;
	e->reseal.done_all += (uint64_t)moved;
	e->reseal.progress |= moved > 0;
	return KE_OK;
}

static void go_on(struct engine *e);

static int resealed(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct reseal_batch *b = (struct reseal_batch *)(void *)j;

	if (in != NULL && r == KE_OK)
		r = take_all(e, b, in);
	if (r == KE_PEER)
		return r;
	/* hsm or the store is away: the next pass meets these again */
	if (in == NULL || r != KE_OK)
		e->reseal.missed |= b->pass == e->reseal.pass;
	else
		go_on(e);
	return KE_OK;
}

/* --- a question --- */

static int put_one(void *arg, const struct db_credential *c)
{
	struct reseal_batch *b = arg;

	b->c[b->n++] = *c;
	return KE_OK;
}

/* The next values of the pass, b->n of them: 0 when it is through. */
static int gather(struct engine *e, const char *active, int64_t limit, struct reseal_batch *b)
{
	struct reseal *s = &e->reseal;
	char next[DB_HEAD_LEN + 1];
	int r = KE_OK;

	b->n = 0;
	while (r == KE_OK && !s->through) {
		if (s->head[0] != '\0')
			r = db_user_with_head(e->db, s->head, s->after, limit, put_one, b);
		if (r != KE_OK || b->n > 0)
			break;
		r = db_user_next_head(e->db, s->head, active, next);
		s->through = r == KE_NOTFOUND;
		if (r == KE_OK)
			memcpy(s->head, next, sizeof next);
		if (r == KE_NOTFOUND)
			r = KE_OK;
		memset(s->after, 0, sizeof s->after);
	}
	if (r == KE_OK && b->n > 0)
		memcpy(s->after, b->c[b->n - 1].id, sizeof s->after);
	return r;
}

static int ask(struct engine *e, struct reseal_batch *b)
{
	uint8_t *items = malloc(MSG_BODY_MAX);
	struct wire_out w;
	int r;

	if (items == NULL)
		fatal("out of memory");
	wire_out_init(&w, items, MSG_BODY_MAX - 2);
	for (uint16_t i = 0; i < b->n; i++) {
		wire_put_raw(&w, b->c[i].id, 16);
		wire_put_cstr(&w, b->c[i].text);
	}
	r = w.err;
	if (r == KE_OK)
		r = eng_hsm_reseal_credentials(e, &b->job, resealed, b->n, items, w.len);
	free(items);
	return r;
}

static bool in_flight(const struct reseal *s)
{
	for (unsigned i = 0; i < RESEAL_FLIGHTS; i++)
		if (s->batch[i].job.id != 0)
			return true;
	return false;
}

static void tell(const struct reseal *s)
{
	if (s->lines > LINES_MAX)
		log_warn("%u credentials cannot be sealed anew", s->lines);
	if (s->done > 0 && !s->due)
		log_info("%llu credentials are sealed anew, in %lld ms",
		    (unsigned long long)s->done, (long long)(engine_clock_ms() - s->began_ms));
}

/* All were tried: is that the end, or is there another pass, and when? */
static void end_pass(struct engine *e)
{
	struct reseal *s = &e->reseal;
	int64_t twice = 2 * s->pause_ms;

	s->due = s->missed || s->failed || s->early;
	s->raise = !s->due;
	tell(s);
	if (s->progress)
		s->pause_ms = s->early ? SHORT_MS : 0;
	else if (!s->failed)
		s->pause_ms = SHORT_MS;
	else
		s->pause_ms = twice < PAUSE_MS ? PAUSE_MS : twice < LONG_MS ? twice : LONG_MS;
	s->wait_until_ms = engine_clock_ms() + s->pause_ms;
	begin_pass(e);
}

static int fill(struct engine *e, const char *active, struct reseal_batch *b)
{
	struct reseal *s = &e->reseal;
	int r = gather(e, active, s->budget > LOADED_BUDGET ? RESEAL_BATCH : LOADED_BATCH, b);

	if (r != KE_OK || b->n == 0)
		return r;
	b->pass = s->pass;
	s->budget--;
	r = ask(e, b);
	s->missed |= r != KE_OK;
	return r;
}

static void go_on(struct engine *e)
{
	struct reseal *s = &e->reseal;
	char active[REWRAP_HEAD];
	int r;

	/* an end that waits for what is in flight must not wait for what comes after it */
	if (!s->due || e->stopping || engine_clock_ms() < s->wait_until_ms ||
	    !rewrap_active_head(e, KEY_DATA, active))
		return;
	r = turn_begin(e);
	for (unsigned i = 0; r == KE_OK && i < RESEAL_FLIGHTS && s->budget > 0 && !s->through; i++)
		if (s->batch[i].job.id == 0)
			r = fill(e, active, &s->batch[i]);
	if (r != KE_OK && r != KE_UNAVAIL && r != KE_FULL)
		log_warn("credentials cannot be sealed anew now: %s", ke_words(r));
	if (r == KE_OK && s->through && !in_flight(s))
		end_pass(e);
}

static int raised(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	uint32_t least;

	(void)j;
	/* a fresh hsm hears of it when its anchor is known and nothing is found */
	if (in == NULL || r != KE_OK)
		return KE_OK;
	least = wire_get_u32(in);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	e->reseal.least = least;
	return KE_OK;
}

/* Nothing is left under older versions, nobody's credential included. */
static void raise_least(struct engine *e)
{
	struct reseal *s = &e->reseal;
	const struct anchor_key *k =
	    anchor_active(&e->quorum.anchor, KEY_DATA, (uint64_t)(turn_now_ms(e) / 1000));

	if (!s->raise || s->due || e->kdf.renew || s->rjob.id != 0 || k == NULL)
		return;
	s->raise = false;
	(void)!eng_hsm_raise(e, &s->rjob, raised, KEY_DATA, (uint32_t)k->version);
}

void reseal_tick(struct engine *e)
{
	struct reseal *s = &e->reseal;
	bool loaded = e->turn.served - s->served > LOADED;

	s->served = e->turn.served;
	if (e->peers.hsm.chan == NULL || e->stopping)
		return;
	raise_least(e);
	if (!s->due)
		return;
	s->budget = loaded ? LOADED_BUDGET : FREE_BUDGET;
	go_on(e);
}

int reseal_progress(struct engine *e, struct reseal_progress *p)
{
	const struct reseal *s = &e->reseal;
	int64_t ms = engine_clock_ms() - s->began_ms, all, good;
	char active[REWRAP_HEAD];
	int r;

	*p = (struct reseal_progress){-1, -1, -1};
	if (!rewrap_active_head(e, KEY_DATA, active))
		return KE_OK;
	r = db_user_count(e->db, &all);
	if (r == KE_OK)
		r = db_user_count_head(e->db, active, &good);
	if (r != KE_OK)
		return r;
	p->left = all - good;
	if (!s->due || ms <= 0 || s->done == 0)
		return KE_OK;
	p->per_s = (int64_t)s->done * 1000 / ms;
	if (p->per_s > 0)
		p->seconds = p->left / p->per_s + 1;
	return KE_OK;
}
