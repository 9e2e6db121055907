/*
 * The records of a v2 draw. Pure; see record2.h. Readers trust nobody: each line stands in one
 * function, which writes it and demands it.
 */
#include "policy/record2.h"

#include <string.h>

#include "policy/be.h"
#include "policy/canon.h"
#include "policy/hash.h"
#include "policy/merkle.h"

const char *const record2_words[RECORD2_KINDS] = {
    [RECORD2_OPEN] = "open",
    [RECORD2_CLOSE] = "close",
    [RECORD2_DRAW] = "draw",
    [RECORD2_ABORT] = "abort",
    [RECORD2_FORFEIT] = "forfeit",
    [RECORD2_AMEND] = "amend",
    [RECORD2_APPROVED] = "approved",
};
static const char *const beacon_words[BEACON_KINDS] = {"drand", "nist2"};
static const char *const dedupe_words[] = {"none", "holder"};
static const char *const default_words[] = {"escrow", "void"};

/* --- lines --- */

static void io_space(struct canon *io)
{
	canon_lit(io, " ");
}

static void io_choice_line(
    struct canon *io, const char *name, const char *const *words, unsigned n, unsigned *choice)
{
	canon_lit(io, name);
	canon_choice(io, words, n, choice);
	canon_lit(io, "\n");
}

static void io_leaf_line(struct canon *io, struct record2 *r)
{
	canon_lit(io, "open ");
	canon_u64(io, &r->open_index);
	io_space(io);
	canon_hex(io, r->open_leaf, 32);
	canon_lit(io, "\n");
}

static void io_word_line(struct canon *io, const char *name, struct record2 *r)
{
	canon_lit(io, name);
	canon_name(io, r->word, sizeof(r->word));
	canon_lit(io, "\n");
}

/* --- beacons --- */

/* Whether a beacon's line says what was promised or what came. */
enum beacon_form { PROMISED, CAME };

static void io_beacon(struct canon *io, struct beacon *b, enum beacon_form form)
{
	unsigned kind = b->kind;

	canon_choice(io, beacon_words, BEACON_KINDS, &kind);
	b->kind = (enum beacon_kind)kind;
	io_space(io);
	if (b->kind == BEACON_DRAND) {
		canon_hex(io, b->chain_hash, 32);
		io_space(io);
		canon_u64(io, &b->round);
		if (b->round == 0)
			canon_fail(io, KE_FORMAT);
		if (form == CAME) {
			io_space(io);
			canon_hex(io, b->signature, BLS_SIG_LEN);
		}
	} else {
		canon_u64(io, &b->chain);
		io_space(io);
		canon_u64(io, form == CAME ? &b->pulse : &b->at_ms);
		if (form == CAME) {
			io_space(io);
			canon_hex(io, b->output, 64);
		}
	}
	canon_lit(io, "\n");
}

/* From one to RECORD2_BEACONS_MAX of them, none twice, nist2 at most once: DRAW.md section 6 */
static bool beacons_ok(const struct record2_terms *t)
{
	size_t nist = 0;

	for (size_t i = 0; i < t->nbeacons; i++) {
		const struct beacon *b = &t->beacons[i];

		nist += b->kind == BEACON_NIST2;
		for (size_t k = 0; k < i; k++)
			if (b->kind == BEACON_DRAND && t->beacons[k].kind == BEACON_DRAND &&
			    memcmp(b->chain_hash, t->beacons[k].chain_hash, 32) == 0)
				return false;
	}
	return t->nbeacons >= 1 && nist <= 1;
}

static void io_beacons(struct canon *io, struct record2_terms *t, enum beacon_form form)
{
	size_t n = 0;

	while (canon_reads(io) ? canon_at(io, "beacon ") : n < t->nbeacons) {
		if (n == RECORD2_BEACONS_MAX) {
			canon_fail(io, KE_FORMAT);
			return;
		}
		canon_lit(io, "beacon ");
		io_beacon(io, &t->beacons[n++], form);
	}
	t->nbeacons = n;
	if (!beacons_ok(t))
		canon_fail(io, KE_FORMAT);
}

static void io_terms(struct canon *io, struct record2_terms *t)
{
	canon_u64_line(io, "sales-close ", &t->sales_close_s);
	io_beacons(io, t, PROMISED);
	canon_lit(io, "not-before ");
	io_beacon(io, &t->not_before, CAME);
	if (t->not_before.kind != BEACON_DRAND)
		canon_fail(io, KE_FORMAT);
	canon_u64_line(io, "draw-deadline ", &t->deadline_s);
	if (t->deadline_s <= t->sales_close_s)
		canon_fail(io, KE_FORMAT);
}

/* --- the kinds --- */

static bool escrow_ok(const struct record2 *r)
{
	static const uint8_t none[32];

	if (r->escrow_n == 0)
		return r->escrow_m == 0 && r->on_default == DEFAULT_VOID &&
		       memcmp(r->escrow, none, 32) == 0;
	return r->escrow_m >= 1 && r->escrow_m <= r->escrow_n;
}

static void io_open(struct canon *io, struct record2 *r)
{
	canon_lit(io, "tickets-origin ");
	canon_visible(io, r->origin, sizeof(r->origin));
	canon_lit(io, "\n");
	canon_hex_line(io, "seed-commit kbkdf-hmac-sha256 ", r->seed_commit, 32);
	canon_u64_line(io, "winners ", &r->winners);
	canon_u64_line(io, "reserves ", &r->reserves);
	io_choice_line(io, "dedupe ", dedupe_words, 2, &r->dedupe);
	io_terms(io, &r->terms);
	canon_lit(io, "escrow ");
	canon_u64(io, &r->escrow_m);
	io_space(io);
	canon_u64(io, &r->escrow_n);
	io_space(io);
	canon_hex(io, r->escrow, 32);
	canon_lit(io, "\n");
	io_choice_line(io, "on-default ", default_words, 2, &r->on_default);
	canon_hex_line(io, "rules ", r->rules, 32);
	if (r->winners == 0 || r->winners > DRAW_MAX || r->reserves > DRAW_MAX - r->winners ||
	    !escrow_ok(r))
		canon_fail(io, KE_FORMAT);
}

static void io_close(struct canon *io, struct record2 *r)
{
	io_leaf_line(io, r);
	canon_u64_line(io, "tickets ", &r->tickets);
	canon_hex_line(io, "root ", r->root, 32);
	canon_u64_line(io, "closed-at ", &r->at_s);
}

static void io_winners_file(struct canon *io, struct record2 *r)
{
	uint64_t picks = r->winners + r->reserves;

	canon_lit(io, "winners-file ");
	canon_hex(io, r->winners_file, 32);
	io_space(io);
	canon_u64(io, &picks);
	canon_lit(io, "\n");
	if (picks <= RECORD2_LISTED_MAX || picks > DRAW_MAX)
		canon_fail(io, KE_FORMAT);
	if (canon_reads(io))
		r->winners = picks;
}

/* Winners from one, then reserves, as lines. */
static void io_picks(struct canon *io, struct record2 *r, size_t max)
{
	size_t room = r->picks_cap < max ? r->picks_cap : max;

	pick_lines(io, "winner ", r->picks, room, &r->winners);
	if (r->winners == 0)
		canon_fail(io, KE_FORMAT);
	if (io->err == KE_OK)
		pick_lines(io, "reserve ", r->picks + r->winners, room - r->winners, &r->reserves);
}

/*
 * The longest draw record: what comes before the picks with RECORD2_BEACONS_MAX beacons of drand,
 * and lines of reserves.
 */
enum {
	DRAW_HEAD = sizeof("kleroterion/v2 draw\nraffle \nopen \nclose \nserver-seed \ncontext "
			   "\ndraw-key \n") +
		    32 + 20 + 20 + 64 + 64 + 64,
	DRAW_BEACON = sizeof("beacon drand   \n") + 64 + 20 + 2 * BLS_SIG_LEN,
	DRAW_PICK = sizeof("reserve 800  \n") + 20 + 32,
	FILE_PICK = sizeof("reserve 100000  \n") - 1 + 20 + 32
};
_Static_assert(DRAW_HEAD + RECORD2_BEACONS_MAX * DRAW_BEACON + RECORD2_LISTED_MAX * DRAW_PICK <=
		   RECORD2_TEXT_MAX,
    "a draw record fits into an entry of the log");
_Static_assert(RECORD2_FILE_MAX >= DRAW_MAX * FILE_PICK, "a file of all picks fits");

static void io_draw(struct canon *io, struct record2 *r)
{
	canon_u64_line(io, "open ", &r->open_index);
	canon_u64_line(io, "close ", &r->close_index);
	canon_hex_line(io, "server-seed ", r->server_seed, 32);
	io_beacons(io, &r->terms, CAME);
	canon_hex_line(io, "context ", r->context, 32);
	canon_hex_line(io, "draw-key ", r->draw_key, 32);
	if (canon_reads(io))
		r->listed = !canon_at(io, "winners-file ");
	if (!r->listed) {
		io_winners_file(io, r);
		return;
	}
	io_picks(io, r, RECORD2_LISTED_MAX);
}

static void io_abort(struct canon *io, struct record2 *r)
{
	io_leaf_line(io, r);
	io_word_line(io, "reason ", r);
	canon_hex_line(io, "statement ", r->paper, 32);
	canon_u64_line(io, "aborted-at ", &r->at_s);
}

static void io_forfeit(struct canon *io, struct record2 *r)
{
	canon_u64_line(io, "draw ", &r->draw_index);
	canon_u64_line(io, "winner ", &r->pos);
	io_word_line(io, "rule ", r);
	canon_hex_line(io, "evidence ", r->paper, 32);
	canon_u64_line(io, "forfeited-at ", &r->at_s);
	if (r->pos == 0)
		canon_fail(io, KE_FORMAT);
}

static void io_amend(struct canon *io, struct record2 *r)
{
	io_leaf_line(io, r);
	io_terms(io, &r->terms);
}

/* Not about a raffle: what its line names is the appliance. */
static void io_approved(struct canon *io, struct record2 *r)
{
	io_word_line(io, "action ", r);
	canon_hex_line(io, "proposal ", r->paper, 32);
	canon_u64_line(io, "approved-at ", &r->at_s);
}

static void (*const io_kind[RECORD2_KINDS])(struct canon *, struct record2 *) = {
    [RECORD2_OPEN] = io_open,
    [RECORD2_CLOSE] = io_close,
    [RECORD2_DRAW] = io_draw,
    [RECORD2_ABORT] = io_abort,
    [RECORD2_FORFEIT] = io_forfeit,
    [RECORD2_AMEND] = io_amend,
    [RECORD2_APPROVED] = io_approved,
};

static void io_record(struct canon *io, struct record2 *r)
{
	unsigned kind = r->kind;

	canon_lit(io, "kleroterion/v2 ");
	canon_choice(io, record2_words, RECORD2_KINDS, &kind);
	canon_lit(io, "\n");
	canon_hex_line(io, kind == RECORD2_APPROVED ? "appliance " : "raffle ", r->raffle, 16);
	if (io->err != KE_OK)
		return;
	r->kind = (enum record2_kind)kind;
	io_kind[kind](io, r);
}

/* --- public --- */

int record2_text(const struct record2 *r, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct record2 copy = *r;

	io_record(&io, &copy);
	*len = io.len;
	return io.err == KE_OK || io.err == KE_FULL ? io.err : KE_RANGE;
}

int record2_parse(struct record2 *r, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};
	struct record_pick *picks = r->picks;
	size_t cap = r->picks_cap;

	memset(r, 0, sizeof(*r));
	r->picks = picks;
	r->picks_cap = cap;
	io_record(&io, r);
	if (io.err == KE_LIMIT)
		return io.err;
	return io.err == KE_OK && io.len == n ? KE_OK : KE_FORMAT;
}

int record2_file_text(const struct record2 *draw, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct record2 copy = *draw;

	io_picks(&io, &copy, DRAW_MAX);
	*len = io.len;
	return io.err == KE_OK || io.err == KE_FULL ? io.err : KE_RANGE;
}

int record2_file_parse(struct record2 *draw, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};
	uint64_t picks = draw->winners + draw->reserves;
	uint8_t hash[32];

	hash_sha256(hash, text, n);
	if (draw->listed || memcmp(hash, draw->winners_file, 32) != 0)
		return KE_CRYPTO;
	io_picks(&io, draw, DRAW_MAX);
	if (io.err == KE_LIMIT)
		return io.err;
	if (io.err != KE_OK || io.len != n)
		return KE_FORMAT;
	return draw->winners + draw->reserves == picks ? KE_OK : KE_CRYPTO;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

bool record2_numbers_ok(const struct record2 *open, uint64_t tickets, const struct record2 *draw)
{
	uint64_t winners = least(open->winners, tickets);

	if (open->dedupe == DEDUPE_NONE)
		return draw->winners == winners &&
		       draw->reserves == least(open->reserves, tickets - winners);
	return draw->winners <= winners && draw->reserves <= open->reserves &&
	       (draw->reserves == 0 || draw->winners == open->winners);
}

void record2_leaf(uint8_t out[32], const char *text, size_t n)
{
	merkle_leaf_hash(out, text, n);
}

/* 02 ‖ u64 chain ‖ u64 pulse ‖ outputValue */
static size_t nist_contribution(uint8_t *out, const struct beacon *b)
{
	out[0] = 2;
	be_put64(out + 1, b->chain);
	be_put64(out + 9, b->pulse);
	memcpy(out + 17, b->output, 64);
	return 17 + 64;
}

size_t record2_contributions(const struct record2 *draw, uint8_t out[RECORD2_CONTRIBUTIONS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < draw->terms.nbeacons; i++) {
		const struct beacon *b = &draw->terms.beacons[i];

		if (b->kind == BEACON_DRAND) {
			drand_contribution(out + n, b->chain_hash, b->round, b->signature);
			n += DRAND_CONTRIBUTION_LEN;
		} else {
			n += nist_contribution(out + n, b);
		}
	}
	return n;
}
