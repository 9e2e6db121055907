/*
 * How values of beacons get here: which is due, which relay is asked, what becomes of its answer
 * (beacons.h). Runs in engine. An errand asks out for a value and beacon for its verdict; only what
 * is verified and is what was asked for goes on. A relay that lies is left alone for a long time,
 * one that fails for a short one, each time for longer.
 */
#include "daemon/engine/beacons.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/loop/backoff.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"

#define FETCH_MS  25000 /* out's own deadline for it, and names to look up */
#define VERIFY_MS 10000
#define FORGET_MS (INT64_C(600) * 1000) /* a want that nobody repeats */
#define NEWEST_MS 30000                 /* between looks at a chain's newest round */
#define FAIL_MS   5000
#define FAIL_MAX  (INT64_C(600) * 1000)
#define LIE_MS    (INT64_C(600) * 1000)
#define LIE_MAX   (INT64_C(86400) * 1000)
#define LAST_MS   60000 /* one that is left alone is asked again, when nobody else is there */
#define AGAIN_MS  1000
#define AGAIN_MAX 30000

/* --- sources --- */

static bool is_nist(const struct beacons_errand *r)
{
	return r->v.b.kind == BEACON_NIST2;
}

static const char *url_of(const struct engine *e, const struct beacons_errand *r, unsigned k)
{
	return is_nist(r) ? e->conf.beacons.nists[k] : e->conf.beacons.relays[k];
}

static struct beacons_source *all_of(struct engine *e, const struct beacons_errand *r)
{
	return is_nist(r) ? e->beacons.nist : e->beacons.relay;
}

static struct beacons_source *source_of(struct engine *e, const struct beacons_errand *r)
{
	return &all_of(e, r)[r->source];
}

static const char *name_of(const struct engine *e, const struct beacons_errand *r)
{
	return url_of(e, r, r->source);
}

static void failed(struct engine *e, const struct beacons_errand *r)
{
	struct beacons_source *s = source_of(e, r);

	s->bad_ms = engine_clock_ms();
	s->until_ms = s->bad_ms + backoff_ms(FAIL_MS, s->fails++, FAIL_MAX);
	metrics_count(&e->metrics, METRIC_BEACON_FAILURES);
}

static void lied(struct engine *e, const struct beacons_errand *r, const char *what)
{
	struct beacons_source *s = source_of(e, r);
	int64_t wait_ms = backoff_ms(LIE_MS, s->lies++, LIE_MAX);

	s->bad_ms = engine_clock_ms();
	s->until_ms = s->bad_ms + wait_ms;
	metrics_count(&e->metrics, METRIC_BEACON_LIES);
	log_security(
	    "%s %s: left alone for %lld s", name_of(e, r), what, (long long)(wait_ms / 1000));
}

static unsigned *tries_of(const struct beacons_errand *r)
{
	return r->want != NULL ? &r->want->tries : &r->chain->tries;
}

static struct beacons_turns *turns_of(const struct beacons_errand *r)
{
	return r->want != NULL ? &r->want->sources : &r->chain->sources;
}

/*
 * Is source a rather to be asked than b? Each second try goes to one that has failed least, for it
 * is the likeliest to have the value; those between to the one that this asker has left out
 * longest, so that none is passed over for ever, whatever the others answer.
 */
static bool is_before(struct engine *e, const struct beacons_errand *r, unsigned a, unsigned b)
{
	const uint64_t *asked = turns_of(r)->asked;
	const struct beacons_source *all = all_of(e, r);

	if (*tries_of(r) % 2 == 0 && all[a].fails != all[b].fails)
		return all[a].fails < all[b].fails;
	if (asked[a] != asked[b])
		return asked[a] < asked[b];
	return all[a].asked < all[b].asked;
}

/* May be asked, and has not been stale in this cycle. */
static bool is_good(struct engine *e, const struct beacons_errand *r, unsigned k)
{
	const struct beacons_source *s = &all_of(e, r)[k];

	return s->until_ms <= engine_clock_ms() && !(r->chain != NULL && s->stale);
}

/* Left alone, but its fault is a while ago and may be over. It is believed as little as any. */
static bool is_rested(struct engine *e, const struct beacons_errand *r, unsigned k)
{
	const struct beacons_source *s = &all_of(e, r)[k];
	int64_t now_ms = engine_clock_ms();

	return s->until_ms > now_ms && now_ms - s->bad_ms >= LAST_MS;
}

#define NOBODY RCONF_RELAYS

/* The first, in the order of is_before(), of those that `may` holds for; or NOBODY. */
static unsigned first_who(struct engine *e, const struct beacons_errand *r,
    bool (*may)(struct engine *e, const struct beacons_errand *r, unsigned k))
{
	unsigned first = NOBODY;

	for (unsigned k = 0; k < (is_nist(r) ? RCONF_NISTS : RCONF_RELAYS); k++)
		if (url_of(e, r, k)[0] != '\0' && may(e, r, k) &&
		    (first == NOBODY || is_before(e, r, k, first)))
			first = k;
	return first;
}

/*
 * Whom it is to ask; false when there is nobody. Where all are left alone, a rested one: a draw
 * waits.
 */
static bool choose(struct engine *e, struct beacons_errand *r)
{
	unsigned k = first_who(e, r, is_good);

	if (k == NOBODY) {
		k = first_who(e, r, is_rested);
		if (k == NOBODY)
			return false;
		all_of(e, r)[k].bad_ms = engine_clock_ms(); /* it rests again */
	}
	r->source = (uint8_t)k;
	source_of(e, r)->asked = turns_of(r)->asked[k] = ++e->beacons.questions;
	return true;
}

/* --- errands --- */

static struct beacons_errand *errand_of(struct job *j)
{
	return (struct beacons_errand *)(void *)j;
}

static void put_away(struct beacons_errand *r)
{
	if (r->want != NULL)
		r->want->running = false;
	if (r->chain != NULL)
		r->chain->running = false;
	r->used = false;
}

/* Not this time: another source soon, and less and less often. */
static int again(struct beacons_errand *r)
{
	int64_t *next_ms = r->want != NULL ? &r->want->next_ms : &r->chain->next_ms;

	*next_ms = engine_clock_ms() + backoff_ms(AGAIN_MS, (*tries_of(r))++ / 2, AGAIN_MAX);
	put_away(r);
	return KE_OK;
}

/* Asks one of the two processes, which is not part of the turn's transaction. */
static int ask(struct engine *e, struct beacons_errand *r, struct peer *p, const char *name,
    job_step *step, uint16_t type, const struct wire_out *w)
{
	bool fetch = p == &e->peers.out;
	int err = KE_UNAVAIL;

	if (p->chan == NULL || w->err != KE_OK)
		return err;
	err = job_await(e, &r->job, name, step, (uint16_t)(type + 1), fetch ? FETCH_MS : VERIFY_MS);
	if (err != KE_OK)
		return err;
	job_sent(e, r->job.id, p->serial);
	err = chan_send(p->chan, type, r->job.id, w->buf, w->len, -1);
	if (err != KE_OK)
		job_cancel(e, &r->job);
	return err;
}

/*
 * What out says of an exchange, when it was none: true when there is nothing to read. in NULL: out
 * ended or did not answer in time, perhaps for what this source has sent.
 */
static bool without(struct engine *e, struct beacons_errand *r, int result, struct wire_in *in)
{
	if (in != NULL && result == KE_OK)
		return false;
	if (result == KE_AUTH)
		lied(e, r, "has a certificate that is not believed");
	else if (result == KE_FORMAT || result == KE_VERSION)
		lied(e, r, "answers what is no value");
	else if (result == KE_LONG)
		lied(e, r, "answers without end");
	else if (result != KE_NOTFOUND)
		failed(e, r);
	return true;
}

/* What beacon says of a value. False: it is not that source's, or nobody knows. */
static bool verified(struct engine *e, struct beacons_errand *r, int verdict, struct wire_in *in)
{
	if (in != NULL && verdict == KE_OK) {
		source_of(e, r)->fails = 0;
		metrics_count(&e->metrics, METRIC_BEACON_VALUES);
		return true;
	}
	if (in == NULL || verdict == KE_NOMEM || verdict == KE_INTERNAL)
		log_warn("a beacon's value is not verified: %s", ke_words(verdict));
	else if (verdict == KE_WRONG_KEY)
		lied(e, r, "gave a pulse of a certificate that is not pinned");
	else
		lied(e, r, "gave a value that its beacon has not signed");
	return false;
}

static int stored(struct engine *e, struct beacons_errand *r)
{
	int err = turn_begin(e);

	r->v.stored_ms = turn_now_ms(e);
	if (err == KE_OK)
		err = db_beacon_put(e->db, &r->v);
	if (err != KE_OK && err != KE_EXISTS)
		return again(r); /* the store says by itself what it lacks */
	r->want->used = false;
	put_away(r);
	maint_kick(e); /* somebody waits for it */
	return KE_OK;
}

/* --- drand --- */

static int64_t time_of(const struct engine *e, uint8_t chain, uint64_t round)
{
	uint64_t s;

	if (drand_round_time(&e->conf.beacons.chains[chain], round, &s) != KE_OK ||
	    s > INT64_MAX / 1000)
		return INT64_MAX;
	return (int64_t)s * 1000;
}

static void end_cycle(struct engine *e)
{
	for (size_t i = 0; i < RCONF_RELAYS; i++)
		e->beacons.relay[i].stale = false;
}

static void take_newest(struct engine *e, struct beacons_errand *r, int64_t time_ms)
{
	struct beacons_chain *c = r->chain;

	if (turn_begin(e) != KE_OK || db_beacon_newest_put(e->db, &r->v.b, turn_now_ms(e)) != KE_OK)
		log_warn("the newest round cannot be stored");
	c->round = r->v.b.round;
	c->time_ms = time_ms;
	c->seen_ms = engine_clock_ms();
	c->next_ms = c->seen_ms + NEWEST_MS;
	c->tries = 0;
	if (time_ms > c->least_ms)
		c->least_ms = time_ms;
	end_cycle(e);
}

/* By what we know, is this round of now? If we know nothing yet, our clock is asked. */
static bool is_fresh(const struct engine *e, const struct beacons_errand *r, int64_t time_ms)
{
	const struct beacons_chain *c = r->chain;
	int64_t slack_ms =
	    BEACONS_CLOCK_MS + (int64_t)e->conf.beacons.chains[r->index].period_s * 1000;
	int64_t at_ms =
	    c->round != 0 ? c->time_ms + (engine_clock_ms() - c->seen_ms) : engine_now_ms();

	return time_ms >= at_ms - slack_ms;
}

/*
 * An old round is a relay's fault, or our clock is wrong: which of them, the others say. When none
 * is left to ask, the newest round that they had is what there is.
 */
static int newest_verified(struct engine *e, struct beacons_errand *r)
{
	int64_t time_ms = time_of(e, r->index, r->v.b.round);
	struct beacons_chain *c = r->chain;

	if (is_fresh(e, r, time_ms)) {
		take_newest(e, r, time_ms);
		put_away(r);
		return KE_OK;
	}
	log_warn(
	    "%s has no newer round than %llu", name_of(e, r), (unsigned long long)r->v.b.round);
	source_of(e, r)->stale = true;
	if (first_who(e, r, is_good) != NOBODY) {
		c->next_ms = engine_clock_ms();
		put_away(r);
		return KE_OK;
	}
	if (c->round == 0 || time_ms > c->time_ms)
		take_newest(e, r, time_ms);
	else
		c->next_ms = engine_clock_ms() + NEWEST_MS;
	end_cycle(e);
	put_away(r);
	return KE_OK;
}

static int round_verified(struct engine *e, struct job *j, int verdict, struct wire_in *in)
{
	struct beacons_errand *r = errand_of(j);

	if (in != NULL && wire_end(in) != KE_OK)
		return put_away(r), KE_PEER;
	if (!verified(e, r, verdict, in))
		return again(r);
	return r->chain != NULL ? newest_verified(e, r) : stored(e, r);
}

static int round_came(struct engine *e, struct job *j, int result, struct wire_in *in)
{
	struct beacons_errand *r = errand_of(j);
	uint8_t body[1 + 8 + BLS_SIG_LEN];
	struct wire_out w;
	uint64_t round;

	if (without(e, r, result, in))
		return again(r);
	round = wire_get_u64(in);
	wire_get_raw(in, r->v.b.signature, BLS_SIG_LEN);
	if (wire_end(in) != KE_OK)
		return put_away(r), KE_PEER;
	if (r->want != NULL && round != r->v.b.round) {
		lied(e, r, "answers with another round");
		return again(r);
	}
	r->v.b.round = round;
	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, r->index);
	wire_put_u64(&w, round);
	wire_put_raw(&w, r->v.b.signature, BLS_SIG_LEN);
	if (ask(e, r, &e->peers.beacon, "round_verified", round_verified, MSG_BEACON_ROUND, &w) !=
	    KE_OK)
		return again(r);
	return KE_OK;
}

/* round 0: the newest */
static int ask_round(struct engine *e, struct beacons_errand *r, uint64_t round)
{
	uint8_t body[1 + 1 + 8];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, r->source);
	wire_put_u8(&w, r->index);
	wire_put_u64(&w, round);
	return ask(e, r, &e->peers.out, "round_came", round_came, MSG_OUT_ROUND, &w);
}

/* --- NIST --- */

static job_step pulse_came;

static int ask_pulse(struct engine *e, struct beacons_errand *r, uint8_t what, uint64_t number)
{
	uint8_t body[1 + 1 + 8 + 8];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, r->source);
	wire_put_u8(&w, what);
	wire_put_u64(&w, r->v.b.chain);
	wire_put_u64(&w, number);
	return ask(e, r, &e->peers.out, "pulse_came", pulse_came, MSG_OUT_PULSE, &w);
}

/* The pulse of that very moment, or a later one that its predecessor shows to be the first. */
static int pulse_verified(struct engine *e, struct job *j, int verdict, struct wire_in *in)
{
	struct beacons_errand *r = errand_of(j);
	struct pulse p, q;

	if (in != NULL && wire_end(in) != KE_OK)
		return put_away(r), KE_PEER;
	if (!verified(e, r, verdict, in) || pulse_unpack(&p, r->v.pulse, r->v.pulse_len) != KE_OK)
		return again(r);
	if (p.at_ms == (int64_t)r->v.b.at_ms)
		return stored(e, r);
	if (!r->before) {
		r->before = true;
		return p.pulse > 1 && ask_pulse(e, r, 1, p.pulse - 1) == KE_OK ? KE_OK : again(r);
	}
	if (pulse_unpack(&q, r->v.before, r->v.before_len) != KE_OK ||
	    pulse_first(&p, &q, (int64_t)r->v.b.at_ms) != KE_OK) {
		lied(e, r, "gave a pulse that is not the first from its moment on");
		return again(r);
	}
	return stored(e, r);
}

/* Is it what was asked for, as far as it says itself? */
static bool is_asked(const struct beacons_errand *r, const uint8_t *packed, size_t n)
{
	struct pulse p;

	if (pulse_unpack(&p, packed, n) != KE_OK || p.chain != r->v.b.chain)
		return false;
	return r->before || p.at_ms >= (int64_t)r->v.b.at_ms;
}

static int pulse_came(struct engine *e, struct job *j, int result, struct wire_in *in)
{
	struct beacons_errand *r = errand_of(j);
	uint8_t *to = r->before ? r->v.before : r->v.pulse, body[PULSE_PACKED_MAX + 2];
	const uint8_t *packed;
	struct wire_out w;
	size_t n;

	if (without(e, r, result, in))
		return again(r);
	packed = wire_get_str(in, PULSE_PACKED_MAX, &n);
	if (wire_end(in) != KE_OK)
		return put_away(r), KE_PEER;
	if (!is_asked(r, packed, n)) {
		lied(e, r, "answers with another pulse");
		return again(r);
	}
	memcpy(to, packed, n);
	*(r->before ? &r->v.before_len : &r->v.pulse_len) = n;
	wire_out_init(&w, body, sizeof body);
	wire_put_str(&w, packed, n);
	if (ask(e, r, &e->peers.beacon, "pulse_verified", pulse_verified, MSG_BEACON_PULSE, &w) !=
	    KE_OK)
		return again(r);
	return KE_OK;
}

/* --- what is due --- */

static struct beacons_errand *fresh_errand(struct engine *e)
{
	for (size_t i = 0; i < BEACONS_ERRANDS; i++) {
		struct beacons_errand *r = &e->beacons.errand[i];

		if (r->used)
			continue;
		*r = (struct beacons_errand){.used = true};
		return r;
	}
	return NULL;
}

static uint8_t index_of(const struct engine *e, const uint8_t hash[32])
{
	uint8_t i = 0;

	while (memcmp(e->beacons.chain[i].hash, hash, 32) != 0)
		i++;
	return i;
}

static bool is_due(const struct engine *e, const struct beacons_want *w, int64_t now_ms)
{
	int64_t at_ms = (int64_t)w->b.at_ms;

	if (!w->used || w->running || w->next_ms > now_ms)
		return false;
	if (w->b.kind == BEACON_DRAND)
		at_ms = time_of(e, index_of(e, w->b.chain_hash), w->b.round);
	return at_ms <= engine_now_ms();
}

static void send_for_want(struct engine *e, struct beacons_want *w)
{
	struct beacons_errand *r = fresh_errand(e);
	int err = KE_UNAVAIL;

	if (r == NULL)
		return;
	r->want = w;
	r->v.b = w->b;
	w->running = true;
	if (w->b.kind == BEACON_DRAND)
		r->index = index_of(e, w->b.chain_hash);
	if (choose(e, r))
		err = w->b.kind == BEACON_DRAND ? ask_round(e, r, w->b.round)
						: ask_pulse(e, r, 0, w->b.at_ms);
	if (err != KE_OK)
		(void)again(r);
}

static void send_for_newest(struct engine *e, uint8_t i)
{
	struct beacons_chain *c = &e->beacons.chain[i];
	struct beacons_errand *r = fresh_errand(e);

	if (r == NULL)
		return;
	r->chain = c;
	r->index = i;
	r->v.b.kind = BEACON_DRAND;
	memcpy(r->v.b.chain_hash, c->hash, 32);
	c->running = true;
	if (choose(e, r) && ask_round(e, r, 0) == KE_OK)
		return;
	/* those with nothing newer are heard again, when nobody else is there */
	end_cycle(e);
	(void)again(r);
}

bool beacons_works(const struct engine *e)
{
	return e->peers.out.chan != NULL && e->peers.beacon.chan != NULL;
}

void beacons_tick(struct engine *e)
{
	int64_t now_ms = engine_clock_ms();

	if (!beacons_works(e) || e->stopping)
		return;
	for (size_t i = 0; i < BEACONS_WANTS; i++) {
		struct beacons_want *w = &e->beacons.want[i];

		if (is_due(e, w, now_ms))
			send_for_want(e, w);
		else if (!w->running && now_ms - w->asked_ms > FORGET_MS)
			w->used = false;
	}
	for (uint8_t i = 0; i < e->conf.beacons.nchains; i++)
		if (!e->beacons.chain[i].running && e->beacons.chain[i].next_ms <= now_ms)
			send_for_newest(e, i);
}

void beacons_stop(struct engine *e)
{
	for (size_t i = 0; i < BEACONS_ERRANDS; i++)
		job_cancel(e, &e->beacons.errand[i].job);
}
