/*
 * The record of a v1 draw: a text that says everything the draw was made from and came to, and its
 * wire form for the message that asks hsm to sign it. Pure; engine and hsm build the very same
 * text from the same fields, and klero-verify reads it.
 *
 * Lines, LF, single spaces, this order, nothing optional:
 *	kleroterion/v1 draw
 *	raffle <32 hex>
 *	seed-commit sha256 <64 hex>
 *	server-seed <64 hex>
 *	tickets <n>
 *	root <64 hex>
 *	aggregate <64 hex>
 *	entropy <hex>
 *	entropy-by <32 hex user id> <unix ms>
 *	drawn-at <unix ms>
 *	draw-key <64 hex>
 *	winner <pos> <index> <32 hex ticket id>      pos from 1
 *	reserve <pos> <index> <32 hex ticket id>     pos from 1
 */
#ifndef POLICY_RECORD_H
#define POLICY_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "policy/draw.h"
#include "policy/ke.h"
#include "policy/pick.h"

#define RECORD1_PICKS_MAX 2000
#define RECORD1_TEXT_MAX  (2048 + RECORD1_PICKS_MAX * 80)

struct record1 {
	uint8_t raffle[16];
	uint8_t seed_commit[32];
	uint8_t server_seed[32];
	uint64_t tickets;
	uint8_t root[32];
	uint8_t aggregate[32];
	uint8_t entropy[DRAW_ENTROPY_MAX];
	size_t entropy_len; /* 1 … DRAW_ENTROPY_MAX */
	uint8_t entropy_by[16];
	uint64_t entropy_ms, drawn_ms;
	uint8_t draw_key[32];
	uint32_t winners, reserves; /* picks = winners then reserves */
	struct record_pick *picks;  /* the caller's, RECORD1_PICKS_MAX of them for record1_parse */
};

/* Writes the text; *len its length without a NUL. KE_FULL; KE_RANGE: no or too many winners or
 * bytes of entropy. */
int record1_text(const struct record1 *r, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict: what record1_text would not write is KE_FORMAT. */
int record1_parse(struct record1 *r, const char *text, size_t n) KE_CHECK;

/*
 * Draws from the record's own seed, entropy, aggregate and tickets and compares draw-key and every
 * index; checks the commitment too. KE_OK, or KE_CRYPTO with *what naming the first line that
 * does not agree ("seed-commit", "tickets", "draw-key", "winner", "reserve"); KE_NOMEM. Ticket ids
 * are not known here: the caller compares them with the leaves.
 */
int record1_check(const struct record1 *r, const char **what) KE_CHECK;
/* The same, with the position (from 1) and the two indexes when it is a winner or a reserve. */
struct record1_fault {
	const char *what;
	uint32_t pos;
	uint64_t said, drawn;
};
int record1_fault(const struct record1 *r, struct record1_fault *f) KE_CHECK;
/* Fills draw_key and the indexes of winners + reserves picks; KE_RANGE when there are too few
 * tickets. */
int record1_draw(struct record1 *r) KE_CHECK;

/*
 * Wire form for MSG_HSM_SIGN_DRAW1 (little-endian as daemon/msg/wire.h); KE_FULL, KE_RANGE as
 * above. record1_unwire demands the exact end: KE_FORMAT.
 */
int record1_wire(const struct record1 *r, void *out, size_t cap, size_t *len) KE_CHECK;
int record1_unwire(struct record1 *r, const void *p, size_t n) KE_CHECK;

#endif
