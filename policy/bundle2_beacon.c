/*
 * The beacons of a v2 proof bundle: that the draw's values are those that were promised, of moments
 * after the sale, and that their sources signed them (DRAW.md sections 6 and 7). Pure; see
 * bundle2.h. A source that nobody has pinned leaves the level unreached, a wrong value fails.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/hash.h"

/* --- what the bundle brings --- */

struct given {
	struct drand_chain chain;
	struct pulse pulse, previous;
	bool has_previous;
	char *pem;
	size_t pem_len;
};

/* Chains and pulses stand in the bundle as their sources serve them, as objects. */
static const char *object(const struct check2 *c, size_t at, size_t *n)
{
	const struct json_tok *t = &c->doc.toks[at];

	*n = (size_t)(t->end - t->start);
	return c->doc.text + t->start;
}

static int read_chain(struct check2 *c, size_t at, struct drand_chain *chain)
{
	size_t n;
	const char *json = object(c, at, &n);
	int r = drand_chain_parse(chain, json, n);

	if (r == KE_VERSION)
		return bundle_no(
		    &c->doc, KE_FORMAT, "chain_info is of another scheme than " DRAND_SCHEME);
	if (r != KE_OK)
		return bundle_no(&c->doc, KE_FORMAT, "chain_info is of no chain that can be used");
	return KE_OK;
}

static int read_drand(struct check2 *c, size_t at, const struct beacon *b, struct given *g)
{
	struct bundle_doc *d = &c->doc;
	size_t type, info, round, signature;
	const struct bundle_member members[] = {
	    {"type", JSON_STRING, &type},
	    {"chain_info", JSON_OBJECT, &info},
	    {"round", JSON_NUMBER, &round},
	    {"signature", JSON_STRING, &signature},
	};
	uint8_t hash[32], sig[BLS_SIG_LEN];
	uint64_t number = 0;
	int r = bundle_members(d, at, "a beacon", members, 4);

	if (r == KE_OK && !bundle_is(d, type, "drand"))
		r = bundle_no(d, KE_CRYPTO, "a beacon is of another type than in the draw record");
	if (r == KE_OK)
		r = read_chain(c, info, &g->chain);
	if (r == KE_OK)
		r = bundle_number(d, round, "round", &number);
	if (r == KE_OK)
		r = bundle_hex(d, signature, "signature", sig, sizeof(sig));
	if (r != KE_OK)
		return r;
	drand_chain_hash(hash, &g->chain);
	if (memcmp(hash, b->chain_hash, 32) != 0)
		return bundle_no(d, KE_CRYPTO, "chain_info is not of the chain in the draw record");
	if (number != b->round || memcmp(sig, b->signature, sizeof(sig)) != 0)
		return bundle_no(d, KE_CRYPTO, "the bundle's round is not the draw record's");
	return KE_OK;
}

static int read_pulse(struct check2 *c, size_t at, struct pulse *p)
{
	size_t n;
	const char *json = object(c, at, &n);
	int r = pulse_parse(p, json, n);

	if (r == KE_NOMEM)
		return bundle_no_memory(&c->doc);
	return r == KE_OK ? r : bundle_no(&c->doc, KE_FORMAT, "a pulse that cannot be read");
}

static int read_nist(struct check2 *c, size_t at, const struct beacon *b, struct given *g)
{
	struct bundle_doc *d = &c->doc;
	size_t type, pulse, previous, pem, intermediate;
	const struct bundle_member members[] = {
	    {"type", JSON_STRING, &type},
	    {"pulse", JSON_OBJECT, &pulse},
	    {"previous_pulse", JSON_OBJECT | BUNDLE_OR_NULL, &previous},
	    {"certificate_pem", JSON_STRING, &pem},
	    {"intermediate_pem", JSON_STRING, &intermediate},
	};
	int r = bundle_members(d, at, "a beacon", members, 5);

	if (r == KE_OK && !bundle_is(d, type, "nist2"))
		r = bundle_no(d, KE_CRYPTO, "a beacon is of another type than in the draw record");
	if (r == KE_OK)
		r = read_pulse(c, pulse, &g->pulse);
	g->has_previous = r == KE_OK && !bundle_null(d, previous);
	if (g->has_previous)
		r = read_pulse(c, previous, &g->previous);
	if (r == KE_OK)
		r = bundle_string(d, pem, &g->pem, &g->pem_len);
	if (r == KE_OK && (g->pulse.chain != b->chain || g->pulse.pulse != b->pulse ||
			      memcmp(g->pulse.output, b->output, PULSE_HASH) != 0))
		r = bundle_no(d, KE_CRYPTO, "the bundle's pulse is not the draw record's");
	return r;
}

/* The i-th beacon of the bundle, which is that of the draw record. g->pem is the caller's. */
static int read_given(struct check2 *c, size_t i, struct given *g)
{
	const struct beacon *b = &c->rec[DRAW].rec.terms.beacons[i];
	size_t at = c->at.beacons + 1;

	g->pem = NULL;
	while (i-- > 0)
		at = json_next(c->doc.toks, c->doc.ntoks, at);
	return b->kind == BEACON_DRAND ? read_drand(c, at, b, g) : read_nist(c, at, b, g);
}

/* --- times --- */

/* The same sources in the same order, and the very round or pulse that was promised. */
static int check_promise(struct check2 *c, const struct beacon *promised, const struct beacon *came,
    const struct given *g)
{
	if (promised->kind != came->kind)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the draw used another beacon than was promised");
	if (came->kind == BEACON_DRAND) {
		if (memcmp(promised->chain_hash, came->chain_hash, 32) != 0)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the draw used another drand chain than was promised");
		if (promised->round != came->round)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the draw used round %llu, round %llu was promised",
			    (unsigned long long)came->round, (unsigned long long)promised->round);
		return KE_OK;
	}
	if (promised->chain != came->chain)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the draw used another chain than was promised");
	if (pulse_first(&g->pulse, g->has_previous ? &g->previous : NULL,
		(int64_t)promised->at_ms) != KE_OK)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the pulse is not the first one from the promised moment on");
	return KE_OK;
}

static int moment(struct check2 *c, const struct beacon *b, const struct given *g, uint64_t *at_s)
{
	*at_s = (uint64_t)g->pulse.at_ms / 1000;
	if (b->kind == BEACON_DRAND && drand_round_time(&g->chain, b->round, at_s) != KE_OK)
		return bundle_no(&c->doc, KE_CRYPTO, "the round has no time");
	return KE_OK;
}

uint64_t check2_delay(const struct check2 *c)
{
	return c->trust->delay_s != 0 ? c->trust->delay_s : BUNDLE2_DELAY_S;
}

int check2_times(struct check2 *c)
{
	const struct record2_terms *promised = c->terms, *came = &c->rec[DRAW].rec.terms;
	uint64_t delay = check2_delay(c), at_s = 0;
	struct given g = {0};
	int r = KE_OK;

	if (!c->drawn)
		return r;
	if (came->nbeacons != promised->nbeacons ||
	    (size_t)c->doc.toks[c->at.beacons].size != came->nbeacons)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the draw, its bundle and the promise differ in beacons");
	c->first_s = UINT64_MAX;
	for (size_t i = 0; r == KE_OK && i < came->nbeacons; i++) {
		r = read_given(c, i, &g);
		if (r == KE_OK)
			r = check_promise(c, &promised->beacons[i], &came->beacons[i], &g);
		if (r == KE_OK)
			r = moment(c, &came->beacons[i], &g, &at_s);
		if (r == KE_OK && (at_s < delay || at_s - delay < promised->sales_close_s))
			r = bundle_no(&c->doc, KE_CRYPTO,
			    "a beacon's value came less than %llu s after the end of sales",
			    (unsigned long long)delay);
		if (at_s < c->first_s)
			c->first_s = at_s;
		free(g.pem);
	}
	return r;
}

/* --- signatures --- */

/* The chain that the auditor or this program has pinned; NULL when nobody has. */
static const struct drand_chain *pinned(const struct check2 *c, const uint8_t chain_hash[32])
{
	const struct drand_chain *known[] = {&drand_quicknet, c->trust->chain};
	uint8_t hash[32];

	for (size_t i = 0; i < 2; i++) {
		if (known[i] == NULL)
			continue;
		drand_chain_hash(hash, known[i]);
		if (memcmp(hash, chain_hash, 32) == 0)
			return known[i];
	}
	return NULL;
}

uint64_t check2_first(const struct check2 *c, const struct record2_terms *t)
{
	uint64_t first_s = UINT64_MAX, at_s;

	for (size_t i = 0; i < t->nbeacons; i++) {
		const struct beacon *b = &t->beacons[i];
		const struct drand_chain *chain =
		    b->kind == BEACON_DRAND ? pinned(c, b->chain_hash) : NULL;

		at_s = b->at_ms / 1000;
		if (b->kind == BEACON_DRAND &&
		    (chain == NULL || drand_round_time(chain, b->round, &at_s) != KE_OK))
			return 0;
		if (at_s < first_s)
			first_s = at_s;
	}
	return first_s;
}

/* KE_NOTFOUND when nobody has pinned the source. */
static int verify_drand(struct check2 *c, const struct beacon *b, const char *what)
{
	const struct drand_chain *chain = pinned(c, b->chain_hash);

	if (chain == NULL)
		return KE_NOTFOUND;
	if (drand_verify(chain, b->round, b->signature, BLS_SIG_LEN) != KE_OK)
		return bundle_no(&c->doc, KE_CRYPTO, "%s %llu is not signed by its drand chain",
		    what, (unsigned long long)b->round);
	return KE_OK;
}

static int verify_nist(struct check2 *c, const struct given *g)
{
	bool known = false;

	for (size_t i = 0; i < c->trust->ncertificates; i++)
		known = known ||
			memcmp(c->trust->certificates[i], g->pulse.certificate, PULSE_HASH) == 0;
	if (pulse_verify(&g->pulse, g->pem, g->pem_len) != KE_OK)
		return bundle_no(&c->doc, KE_CRYPTO, "the pulse is not signed by its certificate");
	if (g->has_previous && pulse_verify(&g->previous, g->pem, g->pem_len) != KE_OK)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the previous pulse is not signed by its certificate");
	return known ? KE_OK : KE_NOTFOUND;
}

/* Reached or not, a value of a source that nobody has pinned is no failure. */
static int known(struct check2 *c, int r, const char *lacking, bool *all)
{
	if (r != KE_NOTFOUND)
		return r;
	check2_lacks(c, lacking);
	*all = false;
	return KE_OK;
}

/* The records cannot be older than the values that they name. */
static int verify_not_before(struct check2 *c, bool *all)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i <= c->namends; i++) {
		const struct logged2 *l = i == 0 ? &c->rec[OPEN] : &c->amends[i - 1];

		r = known(c, verify_drand(c, &l->rec.terms.not_before, "not-before: round"),
		    "beacon not verified: the not-before chain is not a known one", all);
	}
	return r;
}

static int verify_value(struct check2 *c, size_t i, bool *all)
{
	const struct beacon *b = &c->rec[DRAW].rec.terms.beacons[i];
	struct given g = {0};
	int r = read_given(c, i, &g);

	if (r == KE_OK && b->kind == BEACON_DRAND)
		r = known(c, verify_drand(c, b, "round"),
		    "beacon not verified: its chain is not a known one", all);
	else if (r == KE_OK)
		r = known(c, verify_nist(c, &g),
		    "beacon not verified: the pulse's certificate is not a known one", all);
	free(g.pem);
	return r;
}

int check2_beacons(struct check2 *c)
{
	bool all = true;
	int r = verify_not_before(c, &all);

	for (size_t i = 0; r == KE_OK && i < c->rec[DRAW].rec.terms.nbeacons; i++)
		r = verify_value(c, i, &all);
	if (r == KE_OK && all && c->drawn)
		c->res->levels |= BUNDLE2_BEACON;
	return r;
}
