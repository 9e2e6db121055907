/*
 * Beacons' values: see beacons.h. Runs in engine.
 */
#include "daemon/engine/beacons.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"

/* What was once verified is past: a clock that stands before it is wrong. */
static void load_newest(struct engine *e, uint8_t i)
{
	struct beacons_chain *c = &e->beacons.chain[i];
	struct beacon b;
	uint64_t s;
	int r = beacons_newest(e, c->hash, &b);

	if (r == KE_OK && drand_round_time(&e->conf.beacons.chains[i], b.round, &s) == KE_OK)
		c->least_ms = (int64_t)s * 1000;
	else if (r != KE_NOTFOUND)
		log_warn("the newest round that is stored cannot be read: %s", ke_words(r));
}

void beacons_start(struct engine *e)
{
	const struct rconf_beacons *c = &e->conf.beacons;

	for (uint8_t i = 0; i < c->nchains; i++)
		drand_chain_hash(e->beacons.chain[i].hash, &c->chains[i]);
	for (uint8_t i = 0; i < c->nchains; i++)
		load_newest(e, i);
}

const struct drand_chain *beacons_chain(const struct engine *e, const uint8_t hash[32])
{
	for (uint8_t i = 0; i < e->conf.beacons.nchains; i++)
		if (memcmp(e->beacons.chain[i].hash, hash, 32) == 0)
			return &e->conf.beacons.chains[i];
	return NULL;
}

bool beacons_known(const struct engine *e, const struct beacon *b)
{
	if (b->kind == BEACON_DRAND)
		return beacons_chain(e, b->chain_hash) != NULL;
	return b->kind == BEACON_NIST2 && e->conf.beacons.nists[0][0] != '\0';
}

/* --- what is stored --- */

static bool same(const struct beacon *a, const struct beacon *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == BEACON_DRAND)
		return a->round == b->round && memcmp(a->chain_hash, b->chain_hash, 32) == 0;
	return a->chain == b->chain && a->at_ms == b->at_ms;
}

/* Somebody waits for it: when all places are taken, until one is free. */
static void want(struct engine *e, const struct beacon *b)
{
	struct beacons_want *place = NULL;

	for (size_t i = 0; i < BEACONS_WANTS; i++) {
		struct beacons_want *w = &e->beacons.want[i];

		if (w->used && same(&w->b, b)) {
			w->asked_ms = engine_clock_ms();
			return;
		}
		if (!w->used && place == NULL)
			place = w;
	}
	if (place != NULL)
		*place =
		    (struct beacons_want){.used = true, .b = *b, .asked_ms = engine_clock_ms()};
}

int beacons_stored(struct engine *e, const struct beacon *wanted, struct db_beacon *got)
{
	int r;

	if (!beacons_known(e, wanted))
		return KE_STATE;
	got->b = *wanted;
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_beacon_get(e->db, got);
	if (r == KE_NOTFOUND)
		want(e, wanted);
	return r;
}

int beacons_value(struct engine *e, const struct beacon *wanted, struct beacon *got)
{
	struct db_beacon v;
	struct pulse p;
	int r = beacons_stored(e, wanted, &v);

	if (r != KE_OK)
		return r;
	*got = v.b;
	if (wanted->kind == BEACON_DRAND)
		return KE_OK;
	if (pulse_unpack(&p, v.pulse, v.pulse_len) != KE_OK)
		return KE_DAMAGED;
	got->pulse = p.pulse;
	memcpy(got->output, p.output, sizeof got->output);
	return KE_OK;
}

int beacons_newest(struct engine *e, const uint8_t chain_hash[32], struct beacon *got)
{
	int r;

	if (beacons_chain(e, chain_hash) == NULL)
		return KE_STATE;
	*got = (struct beacon){.kind = BEACON_DRAND};
	memcpy(got->chain_hash, chain_hash, 32);
	r = turn_begin(e);
	return r == KE_OK ? db_beacon_newest(e->db, got) : r;
}

/* --- the clock --- */

#define TRUSTED_MS (INT64_C(900) * 1000) /* a round tells the time for so long */

static enum beacons_clock clock_of(const struct engine *e, uint8_t i, int64_t wall_ms)
{
	const struct beacons_chain *c = &e->beacons.chain[i];
	int64_t period_ms = (int64_t)e->conf.beacons.chains[i].period_s * 1000;
	int64_t since_ms = engine_clock_ms() - c->seen_ms, off_ms;

	if (wall_ms < c->least_ms - BEACONS_CLOCK_MS)
		return BEACONS_CLOCK_OFF;
	if (c->round == 0 || since_ms > TRUSTED_MS)
		return BEACONS_CLOCK_UNKNOWN;
	/* at best it was this moment's round when it came, at worst the one before the next */
	off_ms = wall_ms - (c->time_ms + since_ms);
	return off_ms < -BEACONS_CLOCK_MS || off_ms > BEACONS_CLOCK_MS + period_ms
		   ? BEACONS_CLOCK_OFF
		   : BEACONS_CLOCK_OK;
}

enum beacons_clock beacons_clock(const struct engine *e)
{
	enum beacons_clock all =
	    e->conf.beacons.nchains == 0 ? BEACONS_CLOCK_NONE : BEACONS_CLOCK_UNKNOWN;
	int64_t wall_ms = engine_now_ms();

	for (uint8_t i = 0; i < e->conf.beacons.nchains; i++) {
		enum beacons_clock one = clock_of(e, i, wall_ms);

		if (one > all)
			all = one;
	}
	return all;
}

const char *beacons_clock_word(enum beacons_clock c)
{
	static const char *const words[BEACONS_CLOCK_STATES] = {
	    [BEACONS_CLOCK_NONE] = "unchecked",
	    [BEACONS_CLOCK_UNKNOWN] = "unknown",
	    [BEACONS_CLOCK_OK] = "ok",
	    [BEACONS_CLOCK_OFF] = "off",
	};

	return words[c];
}
