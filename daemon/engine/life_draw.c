/*
 * The draws of v2 raffles whose seed hsm has revealed (DRAW.md section 8): a draw that is done in
 * its turn, or goes on in the raffle's job, and its record (life.h). Runs in engine.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/drawing.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/proof.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_winners.h"

/* Positions of the shuffle in one turn: what sales then wait for is a tenth of a second. */
#define AT_ONCE 10000

/* --- and that it was so --- */

/* Who asked for it may have been told to try again, and is told of it then. */
static int promise(struct engine *e, const struct life_file *f)
{
	struct db_idem_name request;
	int r = db_life_asked(e->db, f->r.no, &request);

	return r == KE_OK ? db_idem_promise(e->db, &request, turn_now_ms(e)) : r;
}

static int write_down(
    struct engine *e, const struct life_file *f, const struct drawing *d, const uint8_t *by)
{
	const struct record2 *draw = drawing_record(d);
	char *text = malloc(RECORD2_TEXT_MAX);
	const char *file;
	uint64_t index;
	size_t n, file_len;
	int r;

	if (text == NULL)
		fatal("out of memory");
	file = drawing_file(d, &file_len);
	r = record2_text(draw, text, RECORD2_TEXT_MAX, &n);
	if (r == KE_OK)
		r = db_raffle_set_drawn2(e->db, f->r.id, draw->server_seed, turn_now_ms(e));
	if (r == KE_OK && file_len > 0)
		r = db_winners_put(e->db, f->r.id, file, file_len);
	if (r == KE_OK)
		r = oplog_append(e, f->r.id, RECORD2_DRAW, text, n, turn_now_ms(e), &index);
	free(text);
	if (r == KE_OK)
		r = db_life_set_over(e->db, f->r.no);
	if (r == KE_OK)
		r = promise(e, f);
	if (r == KE_OK)
		r = db_audit_append(e->db, turn_now_ms(e), by, "raffle-draw", f->r.id, "{}", 2);
	if (r == KE_OK)
		turn_dirty(e, CACHE_RAFFLES);
	return r == KE_OK ? proof_order(e, f->r.id, turn_now_ms(e)) : r;
}

/* Some more of it; KE_AGAIN: it is not over. */
static int go_on(struct engine *e, const struct life_file *f, struct drawing *d, const uint8_t *by)
{
	int r = drawing_more(e, d, AT_ONCE);

	return r == KE_OK ? write_down(e, f, d, by) : r;
}

/* For the raffle's job. While there is another one under way, this one begins anew later. */
static int keep(struct engine *e, const struct life_file *f, struct drawing *d, const uint8_t *by)
{
	struct lives *l = &e->lives;

	if (l->drawing != NULL) {
		drawing_free(d);
		return KE_OK;
	}
	l->drawing = d;
	l->drawing_by_user = by != NULL;
	if (by != NULL)
		memcpy(l->drawing_by, by, sizeof l->drawing_by);
	return life_order(e, f->r.id, turn_now_ms(e));
}

int life_draw(
    struct engine *e, const struct life_file *f, const uint8_t seed[32], const uint8_t *by)
{
	struct drawing *d;
	int r = drawing_begin(e, f, seed, &d);

	if (r != KE_OK)
		return r;
	r = go_on(e, f, d, by);
	if (r == KE_AGAIN) {
		r = keep(e, f, d, by);
		return r == KE_OK ? KE_AGAIN : r;
	}
	drawing_free(d);
	return r;
}

int life_draw_on(struct engine *e, const struct life_file *f)
{
	struct lives *l = &e->lives;
	int r;

	if (l->drawing == NULL || memcmp(drawing_record(l->drawing)->raffle, f->r.id, 16) != 0)
		return KE_NOTFOUND;
	r = f->r.state == RAFFLE_CLOSED
		? go_on(e, f, l->drawing, l->drawing_by_user ? l->drawing_by : NULL)
		: KE_OK;
	if (r == KE_AGAIN)
		return r;
	drawing_free(l->drawing);
	l->drawing = NULL;
	return r;
}
