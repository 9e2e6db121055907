/*
 * The records of a v2 draw (DRAW.md section 6): the leaves of the operator log, as texts. One list
 * of lines each writes and reads. Pure; engine writes them, hsm builds the ones that it answers for
 * anew, klero-verify reads them from strangers.
 *
 * Lines, LF, single spaces, this order, nothing optional but beacon and pick lines:
 *	open    as in DRAW.md; without an escrow its line is `escrow 0 0` and 64 zeros
 *	close   as in DRAW.md
 *	draw    as in DRAW.md; above RECORD2_LISTED_MAX winners and reserves a winners-file line in
 *	        their place: SHA-256 and number of the winner and reserve lines
 *	abort   raffle, `open <index> <leaf hash>`, `reason <word>`, `statement <sha256>`,
 *	        `aborted-at <s>`
 *	forfeit raffle, `draw <index>`, `winner <position>`, `rule <word>`, `evidence <sha256>`,
 *	        `forfeited-at <s>`
 *	amend   raffle, `open <index> <leaf hash>`, then sales-close to draw-deadline as in open
 *	approved  `appliance <32 hex>`, `action <word>`, `proposal <sha256>`, `approved-at <s>`:
 *what the officers have approved and the appliance has carried out (KEYS.md section 5); of no
 *raffle, but for the action "draw", which the proposal's text names
 */
#ifndef POLICY_RECORD2_H
#define POLICY_RECORD2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/draw.h"
#include "policy/drand.h"
#include "policy/ke.h"
#include "policy/record.h"

#define RECORD2_ORIGIN_MAX  255
#define RECORD2_BEACONS_MAX 4
#define RECORD2_WORD_MAX    64
#define RECORD2_TEXT_MAX    65535 /* entry bundles of the log give a leaf's length as a u16 */
/*
 * Winners and reserves that stand in the text: record2.c shows that they fit, DRAW.md's ten
 * thousand would not. More stand in a file of their own, the very same lines (ASCII, LF, no other
 * byte), of which the text has the hash and their number.
 */
#define RECORD2_LISTED_MAX 800
#define RECORD2_FILE_MAX   (DRAW_MAX * 69)

enum record2_kind {
	RECORD2_OPEN,
	RECORD2_CLOSE,
	RECORD2_DRAW,
	RECORD2_ABORT,
	RECORD2_FORFEIT,
	RECORD2_AMEND,
	RECORD2_APPROVED, /* of no raffle */
	RECORD2_KINDS
};
extern const char *const record2_words[RECORD2_KINDS];

enum beacon_kind { BEACON_DRAND, BEACON_NIST2, BEACON_KINDS };

/* A source of randomness, and in a draw what it gave. */
struct beacon {
	enum beacon_kind kind;
	uint8_t chain_hash[32];         /* drand */
	uint64_t round;                 /* drand, from 1 */
	uint8_t signature[BLS_SIG_LEN]; /* drand: not-before, draw */
	uint64_t chain;                 /* nist2 */
	uint64_t at_ms;                 /* nist2: open, amend */
	uint64_t pulse;                 /* nist2: draw */
	uint8_t output[64];             /* nist2: draw */
};

/* What open and amend say of time and randomness. */
struct record2_terms {
	uint64_t sales_close_s, deadline_s;
	struct beacon beacons[RECORD2_BEACONS_MAX];
	size_t nbeacons; /* from 1 */
	struct beacon not_before;
};

enum record2_dedupe { DEDUPE_NONE, DEDUPE_HOLDER };
enum record2_default { DEFAULT_ESCROW, DEFAULT_VOID };

struct record2 {
	enum record2_kind kind;
	uint8_t raffle[16]; /* approved: the appliance */

	/* open, amend */
	struct record2_terms terms;
	/* open */
	char origin[RECORD2_ORIGIN_MAX + 1];
	uint8_t seed_commit[32];
	uint64_t winners, reserves; /* open: announced; draw: how many follow */
	unsigned dedupe, on_default;
	uint64_t escrow_m, escrow_n;
	uint8_t escrow[32], rules[32];

	/* close, abort, amend: the open record; draw: its index alone */
	uint64_t open_index;
	uint8_t open_leaf[32];
	/* close */
	uint64_t tickets;
	uint8_t root[32];
	uint64_t at_s; /* closed-at, aborted-at, forfeited-at, approved-at */

	/* draw; its beacons are terms.beacons */
	uint64_t close_index;
	uint8_t server_seed[32], context[32], draw_key[32];
	struct record_pick *picks; /* winners, then reserves; the caller's */
	size_t picks_cap;
	/* false: winners_file stands for them; then a record that was read has the sum in winners,
	 * until record2_file_parse() has read the file */
	bool listed;
	uint8_t winners_file[32];

	/* abort: reason, statement; forfeit: rule, evidence; approved: action, proposal */
	char word[RECORD2_WORD_MAX + 1];
	uint8_t paper[32];
	uint64_t draw_index, pos; /* forfeit */
};

/* Writes the text; *len its length without a NUL. KE_FULL; KE_RANGE for what has no text. */
int record2_text(const struct record2 *r, char *out, size_t cap, size_t *len) KE_CHECK;
/*
 * Strict: what record2_text() would not write is KE_FORMAT. picks and picks_cap are the caller's;
 * a draw that lists more is KE_LIMIT.
 */
int record2_parse(struct record2 *r, const char *text, size_t n) KE_CHECK;

/*
 * The file of a draw with more picks than are listed: its text, whose hash goes into winners_file,
 * and its reading for a record whose winners_file and number it must be. Then picks, winners and
 * reserves are filled as of a record that lists them. KE_FULL; KE_FORMAT, KE_LIMIT as above;
 * KE_CRYPTO for the file of another record.
 */
int record2_file_text(const struct record2 *draw, char *out, size_t cap, size_t *len) KE_CHECK;
int record2_file_parse(struct record2 *draw, const char *text, size_t n) KE_CHECK;

/*
 * Has a draw from that many tickets as many winners and reserves as its open record announces? Too
 * few tickets leave places free; so do too few holders, where each may win once.
 */
bool record2_numbers_ok(const struct record2 *open, uint64_t tickets, const struct record2 *draw);

/* The leaf hash of a record's text. */
void record2_leaf(uint8_t out[32], const char *text, size_t n);

/* What the draw's beacons give to the context, one after the other; at most this many bytes. */
#define RECORD2_CONTRIBUTIONS_MAX (RECORD2_BEACONS_MAX * 96)
size_t record2_contributions(const struct record2 *draw, uint8_t out[RECORD2_CONTRIBUTIONS_MAX]);

#endif
