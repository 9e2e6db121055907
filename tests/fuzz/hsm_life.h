/*
 * A v2 raffle as fuzz_hsm_msg.c's hsm is told of it, with a beacon whose secret is known: AGREE and
 * REVEAL2 that are good. Included there, behind struct body, must() and run().
 */
#ifndef TESTS_FUZZ_HSM_LIFE_H
#define TESTS_FUZZ_HSM_LIFE_H

#include "policy/life.h"
#include "tests/unit/chain_make.h"

struct told {
	uint8_t commit1[32], commit2[32], blob[BLOB_TEXT_MAX];
	size_t blob_len;
	struct record2 open, close;
	char text[2][1200];
	size_t len[2];
};

/* seen: whether a word on witnesses stands before the records; there are none. */
static void put_told(struct wire_out *w, const struct told *t, bool seen, uint8_t n)
{
	wire_put_raw(w, t->commit1, 32);
	wire_put_str(w, t->blob, t->blob_len);
	if (seen)
		wire_put_cstr(w, "");
	wire_put_u8(w, n);
	for (uint8_t i = 0; i < n; i++)
		wire_put_str(w, t->text[i], t->len[i]);
}

static void agree(struct body *b, const struct told *t, uint8_t n)
{
	struct wire_out w;
	struct wire_in in;

	wire_out_init(&w, b->bytes, sizeof b->bytes);
	put_told(&w, t, false, n);
	b->n = w.len;
	must(run(25, b->bytes, b->n, &in) == KE_OK);
}

static void wait_until(uint64_t at_s)
{
	while ((uint64_t)time(NULL) < at_s)
		usleep(50000);
}

/* A seed, its raffle opened until in a second, drawn by a round three seconds later. */
static void make_told(struct told *t, const struct drand_chain *chain)
{
	uint64_t now = (uint64_t)time(NULL);
	struct record2 *open = &t->open;
	uint8_t raffle[16];
	struct wire_in in;
	const uint8_t *blob;

	memset(raffle, 0x37, sizeof raffle);
	must(run(5, raffle, 16, &in) == KE_OK);
	wire_get_raw(&in, t->commit1, 32);
	wire_get_raw(&in, t->commit2, 32);
	blob = wire_get_str(&in, sizeof t->blob, &t->blob_len);
	memcpy(t->blob, blob, t->blob_len);
	*open = (struct record2){.kind = RECORD2_OPEN,
	    .origin = FX_HOST "/klero/r/37373737373737373737373737373737",
	    .winners = 1,
	    .on_default = DEFAULT_VOID,
	    .terms = {.sales_close_s = now + 2, .deadline_s = now + 3600, .nbeacons = 1}};
	memcpy(open->raffle, raffle, 16);
	memcpy(open->seed_commit, t->commit2, 32);
	open->terms.beacons[0] = life_promise(chain, now + 2, 3);
	open->terms.not_before = life_promise(chain, now - 2, 0);
	chain_sign(open->terms.not_before.round, open->terms.not_before.signature);
	must(record2_text(open, t->text[0], sizeof t->text[0], &t->len[0]) == KE_OK);
}

/* hsm hears of it in time, and is then asked for the seed. */
static void make_life(struct body *agreed, struct body *reveal)
{
	static struct tlog_policy nobody;
	static struct told t;
	struct drand_chain chain = chain_made();
	struct beacon *b = &t.open.terms.beacons[0];
	uint64_t drawn_s;
	struct wire_out w;
	struct wire_in in;

	hsm.policy = &nobody;
	life_site_init(&hsm.site, 1);
	must(life_site_add(&hsm.site, &chain) == KE_OK);
	make_told(&t, &chain);
	agree(agreed, &t, 1);
	wait_until(t.open.terms.sales_close_s);
	t.close = (struct record2){
	    .kind = RECORD2_CLOSE, .tickets = 5, .at_s = t.open.terms.sales_close_s};
	memcpy(t.close.raffle, t.open.raffle, 16);
	record2_leaf(t.close.open_leaf, t.text[0], t.len[0]);
	must(record2_text(&t.close, t.text[1], sizeof t.text[1], &t.len[1]) == KE_OK);
	agree(agreed, &t, 2);
	must(drand_round_time(&chain, b->round, &drawn_s) == KE_OK);
	wait_until(drawn_s);
	chain_sign(b->round, b->signature);
	wire_out_init(&w, reveal->bytes, sizeof reveal->bytes);
	wire_put_cstr(&w, "");
	wire_put_cstr(&w, "");
	put_told(&w, &t, true, 2);
	wire_put_u8(&w, 1);
	wire_put_raw(&w, b->signature, BLS_SIG_LEN);
	reveal->n = w.len;
	must(run(26, reveal->bytes, reveal->n, &in) == KE_OK);
}

#endif
