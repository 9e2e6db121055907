/*
 * The record of a v1 draw. Pure; engine fills it, hsm draws again and signs its text, klero-verify
 * reads it. Each reader trusts none of the others: parsing is strict and the draw is repeated.
 *
 * The lines, and the fields of the wire form, stand here once each: the same list writes and reads.
 */
#include "policy/record.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/canon.h"
#include "policy/hash.h"

/* A record that has a text and a wire form. */
static bool valid(const struct record1 *r)
{
	return r->entropy_len >= 1 && r->entropy_len <= DRAW_ENTROPY_MAX && r->winners >= 1 &&
	       r->winners <= RECORD1_PICKS_MAX && r->reserves <= RECORD1_PICKS_MAX - r->winners;
}

/* --- the text --- */

/* Winners, then reserves: together RECORD1_PICKS_MAX at most. */
static void io_picks(struct canon *io, struct record1 *r)
{
	uint64_t winners = r->winners, reserves = r->reserves;

	pick_lines(io, "winner ", r->picks, RECORD1_PICKS_MAX, &winners);
	if (io->err == KE_OK)
		pick_lines(
		    io, "reserve ", r->picks + winners, RECORD1_PICKS_MAX - winners, &reserves);
	r->winners = (uint32_t)winners;
	r->reserves = (uint32_t)reserves;
}

static void io_text(struct canon *io, struct record1 *r)
{
	canon_lit(io, "kleroterion/v1 draw\n");
	canon_hex_line(io, "raffle ", r->raffle, 16);
	canon_hex_line(io, "seed-commit sha256 ", r->seed_commit, 32);
	canon_hex_line(io, "server-seed ", r->server_seed, 32);
	canon_u64_line(io, "tickets ", &r->tickets);
	canon_hex_line(io, "root ", r->root, 32);
	canon_hex_line(io, "aggregate ", r->aggregate, 32);
	canon_lit(io, "entropy ");
	if (io->out == NULL)
		r->entropy_len = canon_word(io) / 2;
	if (r->entropy_len > DRAW_ENTROPY_MAX)
		canon_fail(io, KE_FORMAT);
	else
		canon_hex(io, r->entropy, r->entropy_len);
	canon_lit(io, "\nentropy-by ");
	canon_hex(io, r->entropy_by, 16);
	canon_lit(io, " ");
	canon_u64(io, &r->entropy_ms);
	canon_lit(io, "\n");
	canon_u64_line(io, "drawn-at ", &r->drawn_ms);
	canon_hex_line(io, "draw-key ", r->draw_key, 32);
	io_picks(io, r);
}

int record1_text(const struct record1 *r, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct record1 copy = *r;

	if (!valid(r))
		return KE_RANGE;
	io_text(&io, &copy);
	*len = io.len;
	return io.err;
}

int record1_parse(struct record1 *r, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};

	io_text(&io, r);
	if (io.err != KE_OK || io.len != n || !valid(r))
		return KE_FORMAT;
	return KE_OK;
}

/* --- the wire form --- */

static void io_wire(struct canon *io, struct record1 *r)
{
	uint64_t entropy_len = r->entropy_len, winners = r->winners, reserves = r->reserves;

	canon_raw(io, r->raffle, 16);
	canon_raw(io, r->seed_commit, 32);
	canon_raw(io, r->server_seed, 32);
	canon_uint(io, &r->tickets, 8);
	canon_raw(io, r->root, 32);
	canon_raw(io, r->aggregate, 32);
	canon_raw(io, r->entropy_by, 16);
	canon_uint(io, &r->entropy_ms, 8);
	canon_uint(io, &r->drawn_ms, 8);
	canon_raw(io, r->draw_key, 32);
	canon_uint(io, &entropy_len, 2);
	canon_uint(io, &winners, 4);
	canon_uint(io, &reserves, 4);
	r->entropy_len = (size_t)entropy_len;
	r->winners = (uint32_t)winners;
	r->reserves = (uint32_t)reserves;
	if (!valid(r)) {
		canon_fail(io, KE_FORMAT);
		return;
	}
	canon_raw(io, r->entropy, r->entropy_len);
	for (uint32_t i = 0; i < r->winners + r->reserves; i++) {
		canon_uint(io, &r->picks[i].index, 8);
		canon_raw(io, r->picks[i].ticket, 16);
	}
}

int record1_wire(const struct record1 *r, void *out, size_t cap, size_t *len)
{
	struct canon io = {.out = out, .cap = cap};
	struct record1 copy = *r;

	if (!valid(r))
		return KE_RANGE;
	io_wire(&io, &copy);
	*len = io.len;
	return io.err;
}

int record1_unwire(struct record1 *r, const void *p, size_t n)
{
	struct canon io = {.in = p, .cap = n};

	r->entropy_len = 0;
	r->winners = r->reserves = 0;
	io_wire(&io, r);
	return io.err == KE_OK && io.len == n ? KE_OK : KE_FORMAT;
}

/* --- the draw --- */

int record1_draw(struct record1 *r)
{
	uint64_t index[RECORD1_PICKS_MAX];
	size_t k;
	int err;

	if (!valid(r))
		return KE_RANGE;
	k = r->winners + r->reserves;
	err = draw_key_v1(r->draw_key, r->server_seed, r->entropy, r->entropy_len, r->aggregate);
	if (err != KE_OK)
		return err;
	err = draw_shuffle(index, k, r->tickets, r->draw_key);
	for (size_t i = 0; err == KE_OK && i < k; i++)
		r->picks[i].index = index[i];
	return err;
}

/* Compares a record with the one drawn from its own sources. */
static int compare(const struct record1 *r, const struct record1 *drawn, struct record1_fault *f)
{
	f->what = "draw-key";
	if (memcmp(r->draw_key, drawn->draw_key, 32) != 0)
		return KE_CRYPTO;
	for (uint32_t i = 0; i < r->winners + r->reserves; i++) {
		bool winner = i < r->winners;

		f->what = winner ? "winner" : "reserve";
		f->pos = winner ? i + 1 : i - r->winners + 1;
		f->said = r->picks[i].index;
		f->drawn = drawn->picks[i].index;
		if (f->said != f->drawn)
			return KE_CRYPTO;
	}
	return KE_OK;
}

int record1_fault(const struct record1 *r, struct record1_fault *f)
{
	struct record1 drawn = *r;
	uint8_t commit[32];
	int err;

	*f = (struct record1_fault){.what = "seed-commit"};
	hash_sha256(commit, r->server_seed, 32);
	if (memcmp(commit, r->seed_commit, 32) != 0)
		return KE_CRYPTO;
	f->what = "tickets";
	drawn.picks = calloc(RECORD1_PICKS_MAX, sizeof(*drawn.picks));
	if (drawn.picks == NULL)
		return KE_NOMEM;
	err = record1_draw(&drawn);
	if (err == KE_OK)
		err = compare(r, &drawn, f);
	free(drawn.picks);
	return err == KE_RANGE ? KE_CRYPTO : err;
}

int record1_check(const struct record1 *r, const char **what)
{
	struct record1_fault f;
	int err = record1_fault(r, &f);

	*what = f.what;
	return err;
}
