/*
 * Beacons' values: see beacons.h. Runs in engine.
 */
#include "daemon/engine/beacons.h"

#include <string.h>

#include "daemon/engine/engine.h"

void beacons_start(struct engine *e)
{
	const struct rconf_beacons *c = &e->conf.beacons;

	for (uint8_t i = 0; i < c->nchains; i++)
		drand_chain_hash(e->beacons.hash[i], &c->chains[i]);
}

const struct drand_chain *beacons_chain(const struct engine *e, const uint8_t hash[32])
{
	for (uint8_t i = 0; i < e->conf.beacons.nchains; i++)
		if (memcmp(e->beacons.hash[i], hash, 32) == 0)
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

enum beacons_clock beacons_clock(const struct engine *e)
{
	return e->conf.beacons.nchains == 0 ? BEACONS_CLOCK_NONE : BEACONS_CLOCK_UNKNOWN;
}
