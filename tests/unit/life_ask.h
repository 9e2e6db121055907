/*
 * A v2 raffle's records as engine tells them to klerod-hsm, with beacons whose secrets are known
 * (chain_make.h): for tests with a captured engine.
 */
#ifndef TESTS_UNIT_LIFE_ASK_H
#define TESTS_UNIT_LIFE_ASK_H

#include <sodium.h>
#include <time.h>

#include "hsm/role/hsm.h"
#include "policy/life.h"
#include "tests/unit/chain_make.h"
#include "tests/unit/officers.h"

#define TEXTS     4
#define DELAY_S   4 /* in which hsm has to hear of a close */
#define ORIGIN    FX_HOST "/klero/r/"
#define PULSE_LEN (2 * (PULSE_PACKED_MAX + 2))

static struct peer hsm;
static struct drand_chain chain;
U static struct nist_made nist;

/* A raffle as engine would have it: its records' texts, open first. */
struct raffle {
	uint8_t id[16], commit1[32], commit2[32];
	char blob[512];
	struct record2 open, amend, close;
	char text[TEXTS][RECORD2_TEXT_MAX];
	size_t len[TEXTS];
	uint8_t n;
};

/* What is shown with the question for a seed: a tlog-proof of the close record, or nothing. */
U static char seen[8192];
U static size_t seen_len;

U static uint64_t now(void)
{
	return (uint64_t)time(NULL);
}

U static void sleep_until(uint64_t at_s)
{
	while (now() < at_s)
		usleep(20000);
}

U static void new_seed(struct raffle *r)
{
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, r->id, 16), KE_OK);
	wire_get_raw(&hsm.in, r->commit1, 32);
	wire_get_raw(&hsm.in, r->commit2, 32);
	wire_get_cstr(&hsm.in, r->blob, sizeof r->blob);
}

U static void set_terms(struct record2_terms *t, uint64_t sales_close_s)
{
	*t = (struct record2_terms){.sales_close_s = sales_close_s,
	    .deadline_s = sales_close_s + 3600,
	    .beacons = {life_promise(&chain, sales_close_s, DELAY_S)},
	    .nbeacons = 1};
	t->not_before = life_promise(&chain, now() - 2, 0);
	chain_sign(t->not_before.round, t->not_before.signature);
}

/* Behind those that are there. */
U static void write_text(struct raffle *r, const struct record2 *rec)
{
	assert_int_equal(record2_text(rec, r->text[r->n], RECORD2_TEXT_MAX, &r->len[r->n]), KE_OK);
	r->n++;
}

/* Its open record, which hsm has not seen yet. */
U static void make(struct raffle *r, uint64_t sales_close_s)
{
	char id[37];

	*r = (struct raffle){.n = 0};
	randombytes_buf(r->id, 16);
	new_seed(r);
	text_hex(id, r->id, 16);
	r->open = (struct record2){
	    .kind = RECORD2_OPEN, .winners = 1, .on_default = DEFAULT_VOID, .rules = {9}};
	memcpy(r->open.raffle, r->id, 16);
	memcpy(r->open.seed_commit, r->commit2, 32);
	snprintf(r->open.origin, sizeof r->open.origin, ORIGIN "%s", id);
	set_terms(&r->open.terms, sales_close_s);
	write_text(r, &r->open);
}

U static void put_papers(struct wire_out *w, const struct raffle *r)
{
	wire_put_u8(w, r->n);
	for (uint8_t i = 0; i < r->n; i++)
		wire_put_str(w, r->text[i], r->len[i]);
}

U static int agree(const struct raffle *r)
{
	static uint8_t body[MSG_BODY_MAX];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, r->commit1, 32);
	wire_put_cstr(&w, r->blob);
	put_papers(&w, r);
	assert_int_equal(w.err, KE_OK);
	return ask(&hsm, MSG_HSM_AGREE, body, w.len);
}

/* The open record with something altered; *r stays. */
U static int agree_open(struct raffle *r, const struct record2 *open)
{
	struct raffle *x = malloc(sizeof *x);
	int e;

	assert_non_null(x);
	*x = *r;
	x->n = 0;
	write_text(x, open);
	e = agree(x);
	free(x);
	return e;
}

U static void follow(struct raffle *r, struct record2 *rec, enum record2_kind kind)
{
	rec->kind = kind;
	memcpy(rec->raffle, r->id, 16);
	record2_leaf(rec->open_leaf, r->text[0], r->len[0]);
}

/* The terms in force. */
U static const struct record2_terms *terms(const struct raffle *r)
{
	return r->amend.kind == RECORD2_AMEND ? &r->amend.terms : &r->open.terms;
}

U static void close_at(struct raffle *r, uint64_t tickets, uint64_t at_s)
{
	r->close = (struct record2){.tickets = tickets, .root = {3}, .at_s = at_s};
	follow(r, &r->close, RECORD2_CLOSE);
	write_text(r, &r->close);
}

/* Not before its sales end: where that is to come, hsm takes its own clock to be slow. */
U static void close_it(struct raffle *r, uint64_t tickets)
{
	uint64_t end_s = terms(r)->sales_close_s, at_s = now();

	close_at(r, tickets, at_s > end_s ? at_s : end_s);
}

U static int reveal_as(const struct raffle *r, const struct rconf_keyadm *c,
    const struct record2_terms *t, const uint8_t *pulses, size_t n)
{
	static uint8_t body[MSG_BODY_MAX];
	uint8_t seed[32], own[32];
	struct wire_out w;
	int e;

	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, c != NULL ? c->text : "");
	wire_put_cstr(&w, c != NULL ? c->approvals : "");
	wire_put_raw(&w, r->commit1, 32);
	wire_put_cstr(&w, r->blob);
	wire_put_str(&w, seen, seen_len);
	put_papers(&w, r);
	wire_put_u8(&w, (uint8_t)t->nbeacons);
	for (size_t i = 0; i < t->nbeacons; i++)
		if (t->beacons[i].kind == BEACON_DRAND)
			wire_put_raw(&w, t->beacons[i].signature, BLS_SIG_LEN);
	wire_put_raw(&w, pulses, n);
	assert_int_equal(w.err, KE_OK);
	e = ask(&hsm, MSG_HSM_REVEAL2, body, w.len);
	if (e != KE_OK)
		return e;
	wire_get_raw(&hsm.in, seed, 32);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	hash_kdf(own, seed, DRAW_COMMIT_LABEL, r->id, 16);
	assert_memory_equal(own, r->commit2, 32);
	return e;
}

U static int reveal_with(const struct raffle *r, const struct record2_terms *t)
{
	return reveal_as(r, NULL, t, NULL, 0);
}

/* With the values that the terms in force promise. */
U static int reveal(const struct raffle *r)
{
	struct record2_terms t = *terms(r);

	for (size_t i = 0; i < t.nbeacons; i++)
		if (t.beacons[i].kind == BEACON_DRAND)
			chain_sign(t.beacons[i].round, t.beacons[i].signature);
	return reveal_with(r, &t);
}

U static uint64_t last_s(const struct record2_terms *t)
{
	uint64_t at_s;

	assert_int_equal(drand_round_time(&chain, t->beacons[0].round, &at_s), KE_OK);
	return at_s;
}

U static bool said(const char *words)
{
	return fx_logged(&ctx.f, words) != 0;
}

U static void begin(void)
{
	pins = (struct rconf_beacons){.nchains = 1, .chains = {chain}};
	pin_delay_s = DELAY_S;
	start_role(&hsm, ROLE_HSM);
}

#endif
