/*
 * Drawing a v2 raffle whose seed hsm has revealed (DRAW.md section 8): see life.h. Runs in engine.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/proof.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_ticket.h"
#include "policy/hash.h"

/* --- what the draw rests on --- */

static int basis(struct engine *e, const uint8_t raffle[16], enum record2_kind kind,
    struct record2 *rec, uint64_t *index, uint8_t leaf[32])
{
	struct oplog_record *o = malloc(sizeof *o);
	int r;

	if (o == NULL)
		fatal("out of memory");
	r = oplog_get(e, raffle, kind, o);
	*rec = (struct record2){.picks = NULL};
	if (r == KE_OK && record2_parse(rec, o->text, o->len) != KE_OK)
		r = KE_DAMAGED;
	*index = o->index;
	memcpy(leaf, o->leaf, 32);
	free(o);
	return r == KE_NOTFOUND ? KE_DAMAGED : r;
}

static void make_key(struct record2 *draw, const struct record2 *close, const uint8_t open_leaf[32])
{
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX];
	size_t n = record2_contributions(draw, given);

	draw_context_v2(draw->context, draw->raffle, open_leaf, close->tickets, close->root,
	    (uint16_t)draw->terms.nbeacons, given, n);
	hash_kdf(draw->draw_key, draw->server_seed, DRAW_KEY_LABEL, draw->context, 32);
}

/* --- who has won --- */

/* The picks so far, and whose they are. */
struct walk {
	struct record_pick *picks;
	uint8_t (*user)[16];
	size_t n, want;
	bool dedupe;
	uint64_t index;
};

static int walk_ticket(void *arg, const struct db_ticket_row *row)
{
	struct walk *w = arg;

	for (size_t i = 0; w->dedupe && i < w->n; i++)
		if (memcmp(w->user[i], row->user, 16) == 0)
			return KE_OK;
	memcpy(w->user[w->n], row->user, 16);
	memcpy(w->picks[w->n].ticket, row->t.id, 16);
	w->picks[w->n++].index = w->index;
	return KE_OK;
}

static int walk(struct engine *e, int64_t no, struct walk *w, const uint64_t *index, size_t k)
{
	w->n = 0;
	for (size_t i = 0; i < k && w->n < w->want; i++) {
		int r;

		w->index = index[i];
		r = db_ticket_at(e->db, no, (int64_t)index[i], walk_ticket, w);
		if (r != KE_OK)
			return r == KE_NOTFOUND ? KE_DAMAGED : r;
	}
	return KE_OK;
}

/*
 * More of the shuffle until there are as many holders as are wanted, or no more tickets; asking
 * for more changes nothing of what came before. KE_LIMIT: not within DRAW_MAX positions.
 */
static int pick(
    struct engine *e, int64_t no, struct walk *w, uint64_t tickets, const uint8_t key[32])
{
	size_t most = tickets < DRAW_MAX ? (size_t)tickets : DRAW_MAX;
	size_t k = w->want < most ? w->want : most;
	uint64_t *index = calloc(most, sizeof *index);
	int r = KE_OK;

	if (index == NULL)
		fatal("out of memory");
	for (;;) {
		r = draw_shuffle(index, k, tickets, key);
		if (r == KE_OK)
			r = walk(e, no, w, index, k);
		if (r != KE_OK || w->n == w->want || k == most)
			break;
		k = 4 * k < most ? 4 * k : most;
	}
	if (r == KE_OK && w->n < w->want && most < tickets)
		r = KE_LIMIT;
	free(index);
	return r;
}

static int pick_all(struct engine *e, const struct life_file *f, const struct record2 *open,
    const struct record2 *close, struct record2 *draw)
{
	struct walk w = {.picks = draw->picks,
	    .want = (size_t)(open->winners + open->reserves),
	    .dedupe = open->dedupe == DEDUPE_HOLDER};
	int r;

	if (w.want > RECORD2_LISTED_MAX)
		return KE_LIMIT;
	w.user = calloc(w.want, sizeof *w.user);
	if (w.user == NULL)
		fatal("out of memory");
	r = pick(e, f->r.no, &w, close->tickets, draw->draw_key);
	free(w.user);
	/* with fewer holders than prizes, winners are filled first */
	draw->winners = w.n < open->winners ? w.n : open->winners;
	draw->reserves = w.n - draw->winners;
	return r;
}

int life_draw_record(struct engine *e, const struct life_file *f, const uint8_t seed[32],
    struct record_pick *picks, struct record2 *draw)
{
	struct record2 open, close;
	uint8_t open_leaf[32], close_leaf[32];
	int r;

	*draw = (struct record2){
	    .kind = RECORD2_DRAW, .picks = picks, .picks_cap = RECORD2_LISTED_MAX, .listed = true};
	memcpy(draw->raffle, f->r.id, 16);
	memcpy(draw->server_seed, seed, 32);
	r = basis(e, f->r.id, RECORD2_OPEN, &open, &draw->open_index, open_leaf);
	if (r == KE_OK)
		r = basis(e, f->r.id, RECORD2_CLOSE, &close, &draw->close_index, close_leaf);
	if (r == KE_OK)
		r = life_values(e, f, &draw->terms);
	if (r != KE_OK)
		return r;
	make_key(draw, &close, open_leaf);
	return pick_all(e, f, &open, &close, draw);
}

/* --- and that it was so --- */

static int write_down(
    struct engine *e, const struct life_file *f, const struct record2 *draw, const uint8_t *by)
{
	char *text = malloc(RECORD2_TEXT_MAX);
	uint64_t index;
	size_t n;
	int r;

	if (text == NULL)
		fatal("out of memory");
	r = record2_text(draw, text, RECORD2_TEXT_MAX, &n);
	if (r == KE_OK)
		r = db_raffle_set_drawn2(e->db, f->r.id, draw->server_seed, turn_now_ms(e));
	if (r == KE_OK)
		r = oplog_append(e, f->r.id, RECORD2_DRAW, text, n, turn_now_ms(e), &index);
	free(text);
	if (r == KE_OK)
		r = db_life_set_over(e->db, f->r.no);
	if (r == KE_OK)
		r = db_audit_append(e->db, turn_now_ms(e), by, "raffle-draw", f->r.id, "{}", 2);
	return r == KE_OK ? proof_order(e, f->r.id, turn_now_ms(e)) : r;
}

int life_draw(
    struct engine *e, const struct life_file *f, const uint8_t seed[32], const uint8_t *by)
{
	struct record_pick *picks = calloc(RECORD2_LISTED_MAX, sizeof *picks);
	struct record2 draw;
	int r;

	if (picks == NULL)
		fatal("out of memory");
	r = life_draw_record(e, f, seed, picks, &draw);
	if (r == KE_OK)
		r = write_down(e, f, &draw, by);
	free(picks);
	if (r == KE_OK)
		turn_dirty(e, CACHE_RAFFLES);
	return r;
}
