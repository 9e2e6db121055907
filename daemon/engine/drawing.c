/*
 * Drawing, some positions at a time: see drawing.h. Runs in engine.
 */
#include "daemon/engine/drawing.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/oplog.h"
#include "daemon/msg/log.h"
#include "db/db_ticket.h"
#include "policy/hash.h"
#include "policy/seen.h"

struct drawing {
	int64_t no; /* of the raffle */
	struct record2 open, close, draw;
	struct draw_walk shuffle;
	struct seen users; /* whose tickets are picked, where a holder wins once */
	size_t n, want;    /* picks */
	uint64_t index;    /* that is looked at */
	char *file;
	size_t file_len;
};

void drawing_free(struct drawing *d)
{
	if (d == NULL)
		return;
	draw_walk_free(&d->shuffle);
	seen_free(&d->users);
	free(d->draw.picks);
	free(d->file);
	sodium_memzero(d, sizeof *d);
	free(d);
}

const struct record2 *drawing_record(const struct drawing *d)
{
	return &d->draw;
}

const char *drawing_file(const struct drawing *d, size_t *n)
{
	*n = d->file_len;
	return d->file;
}

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

static int begin(
    struct engine *e, const struct life_file *f, const uint8_t seed[32], struct drawing *d)
{
	uint8_t open_leaf[32], close_leaf[32];
	int r;

	d->no = f->r.no;
	d->draw = (struct record2){.kind = RECORD2_DRAW, .listed = true};
	memcpy(d->draw.raffle, f->r.id, 16);
	memcpy(d->draw.server_seed, seed, 32);
	r = basis(e, f->r.id, RECORD2_OPEN, &d->open, &d->draw.open_index, open_leaf);
	if (r == KE_OK)
		r = basis(e, f->r.id, RECORD2_CLOSE, &d->close, &d->draw.close_index, close_leaf);
	if (r == KE_OK)
		r = life_values(e, f, &d->draw.terms);
	if (r != KE_OK)
		return r;
	make_key(&d->draw, &d->close, open_leaf);
	d->want = (size_t)(d->open.winners + d->open.reserves);
	if (d->want > d->close.tickets)
		d->want = (size_t)d->close.tickets;
	d->draw.picks = calloc(d->want, sizeof *d->draw.picks);
	d->draw.picks_cap = d->want;
	if (d->draw.picks == NULL || seen_init(&d->users, 16, d->draw.draw_key) != KE_OK)
		fatal("out of memory");
	return draw_walk_init(&d->shuffle, d->close.tickets, d->want, d->draw.draw_key);
}

int drawing_begin(
    struct engine *e, const struct life_file *f, const uint8_t seed[32], struct drawing **out)
{
	struct drawing *d = calloc(1, sizeof *d);
	int r;

	if (d == NULL)
		fatal("out of memory");
	r = begin(e, f, seed, d);
	*out = r == KE_OK ? d : NULL;
	if (r != KE_OK)
		drawing_free(d);
	return r;
}

/* --- who has won --- */

static int take_ticket(void *arg, const struct db_ticket_row *row)
{
	struct drawing *d = arg;
	struct record_pick *pick = &d->draw.picks[d->n];
	int r = d->open.dedupe == DEDUPE_HOLDER ? seen_add(&d->users, row->user) : KE_OK;

	if (r == KE_EXISTS)
		return KE_OK; /* passed over */
	if (r != KE_OK)
		return r;
	memcpy(pick->ticket, row->t.id, 16);
	pick->index = d->index;
	d->n++;
	return KE_OK;
}

/* KE_NOTFOUND: there are no more tickets. */
static int next_position(struct engine *e, struct drawing *d)
{
	int r = draw_walk_next(&d->shuffle, &d->index);

	if (r != KE_OK)
		return r;
	r = db_ticket_at(e->db, d->no, (int64_t)d->index, take_ticket, d);
	return r == KE_NOTFOUND ? KE_DAMAGED : r;
}

/* More picks than the record may list stand in a file. */
static int write_file(struct drawing *d)
{
	int r;

	if (d->n <= RECORD2_LISTED_MAX)
		return KE_OK;
	d->file = malloc(RECORD2_FILE_MAX);
	if (d->file == NULL)
		fatal("out of memory");
	r = record2_file_text(&d->draw, d->file, RECORD2_FILE_MAX, &d->file_len);
	if (r != KE_OK)
		return r;
	hash_sha256(d->draw.winners_file, d->file, d->file_len);
	d->draw.listed = false;
	return KE_OK;
}

int drawing_more(struct engine *e, struct drawing *d, uint64_t positions)
{
	int r = KE_OK;

	while (r == KE_OK && d->n < d->want) {
		if (positions-- == 0)
			return KE_AGAIN;
		r = next_position(e, d);
	}
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	/* with fewer holders than prizes, winners are filled first */
	d->draw.winners = d->n < d->open.winners ? d->n : d->open.winners;
	d->draw.reserves = d->n - d->draw.winners;
	return write_file(d);
}
