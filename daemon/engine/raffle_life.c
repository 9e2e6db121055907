/*
 * What the JSON of a v2 raffle says besides: its terms, its records, who stands for the prizes.
 * Runs in engine: see raffle.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/engine/raffle.h"
#include "daemon/engine/witnessed.h"
#include "daemon/msg/log.h"
#include "db/db_log.h"
#include "policy/origin.h"
#include "policy/text.h"

/* --- drawn --- */

struct forfeits {
	uint64_t pos[2 * RECORD1_PICKS_MAX];
	size_t n;
};

static int take_draw(void *arg, const struct db_record *rec)
{
	struct drawn *d = arg;

	d->len = rec->len;
	if (rec->len > sizeof d->text)
		return KE_DAMAGED;
	memcpy(d->text, rec->text, rec->len);
	return KE_OK;
}

static int take_forfeit(void *arg, const struct db_record *rec)
{
	struct forfeits *f = arg;
	struct record2 r = {.picks = NULL};

	if (record2_parse(&r, rec->text, rec->len) != KE_OK ||
	    f->n == sizeof f->pos / sizeof f->pos[0])
		return KE_DAMAGED;
	f->pos[f->n++] = r.pos;
	return KE_OK;
}

int raffle_drawn2(struct rq *q, const struct db_raffle *r, struct drawn *d)
{
	struct record2 rec = {.picks = d->picks, .picks_cap = RECORD2_LISTED_MAX};
	struct forfeits f = {.n = 0};
	int err = db_log_records_of(q->e->db, r->id, RECORD2_DRAW, take_draw, d);

	if (err == KE_OK)
		err = db_log_records_of(q->e->db, r->id, RECORD2_FORFEIT, take_forfeit, &f);
	if (err != KE_OK)
		return err;
	if (record2_parse(&rec, d->text, d->len) != KE_OK)
		return KE_DAMAGED;
	d->filed = !rec.listed;
	memcpy(d->winners_file, rec.winners_file, 32);
	if (d->filed && rec.winners > (uint64_t)r->winners) {
		rec.reserves = rec.winners - (uint64_t)r->winners;
		rec.winners = (uint64_t)r->winners;
	}
	d->winners = (uint32_t)rec.winners;
	d->reserves = (uint32_t)rec.reserves;
	d->standing = calloc(d->winners, sizeof *d->standing);
	if (d->standing == NULL)
		fatal("out of memory");
	if (life_standing(d->winners, d->reserves, f.pos, f.n, d->standing) != KE_OK)
		return KE_DAMAGED;
	d->forfeits = f.n;
	return KE_OK;
}

/* --- JSON --- */

static void put_promise(struct jsonw *w, const struct life_site *s, const struct beacon *b)
{
	uint64_t at_s = 0;

	if (life_moment(s, b, &at_s) != KE_OK)
		at_s = 0; /* a chain that is not pinned any more */
	jsonw_object(w);
	jsonw_kcstr(w, "type", b->kind == BEACON_DRAND ? "drand" : "nist2");
	if (b->kind == BEACON_DRAND) {
		jsonw_khex(w, "drand_chain", b->chain_hash, 32);
		jsonw_kint(w, "round", (int64_t)b->round);
		jsonw_ktime(w, "at", (int64_t)at_s * 1000);
	} else {
		jsonw_kint(w, "nist_chain", (int64_t)b->chain);
		jsonw_ktime(w, "at", (int64_t)b->at_ms);
	}
	jsonw_object_end(w);
}

static void put_terms(struct jsonw *w, const struct life_site *s, const struct record2_terms *t)
{
	uint64_t first_s, last_s;

	jsonw_ktime(w, "draw_deadline", (int64_t)t->deadline_s * 1000);
	if (life_moments(s, t, &first_s, &last_s) == KE_OK && first_s > t->sales_close_s)
		jsonw_kint(w, "beacon_delay", (int64_t)(first_s - t->sales_close_s));
	jsonw_key(w, "beacons");
	jsonw_array(w);
	for (size_t i = 0; i < t->nbeacons; i++)
		put_promise(w, s, &t->beacons[i]);
	jsonw_array_end(w);
}

static int put_rules(struct engine *e, struct jsonw *w, const struct life_file *f)
{
	char *text = malloc(DB_RULES_MAX + 1);
	size_t n;
	int r;

	if (text == NULL)
		fatal("out of memory");
	r = db_life_rules(e->db, f->l.raffle, text, DB_RULES_MAX, &n);
	jsonw_khex(w, "rules_sha256", f->l.rules, 32);
	if (r == KE_OK && n > 0)
		jsonw_kstr(w, "rules", text, n);
	free(text);
	return r;
}

static int put_record(void *arg, const struct db_record *rec)
{
	struct jsonw *w = arg;

	jsonw_object(w);
	jsonw_kcstr(w, "kind", record2_words[rec->kind]);
	jsonw_kint(w, "index", (int64_t)rec->index);
	jsonw_khex(w, "leaf", rec->leaf, 32);
	jsonw_object_end(w);
	return KE_OK;
}

/* Where they are in the operator log, whose tiles anybody can read. */
static int put_records(struct engine *e, struct jsonw *w, const uint8_t raffle[16])
{
	static const enum record2_kind order[] = {RECORD2_OPEN, RECORD2_AMEND, RECORD2_CLOSE,
	    RECORD2_DRAW, RECORD2_ABORT, RECORD2_FORFEIT};
	int r = KE_OK;

	jsonw_key(w, "records");
	jsonw_array(w);
	for (size_t i = 0; r == KE_OK && i < sizeof order / sizeof order[0]; i++)
		r = db_log_records_of(e->db, raffle, order[i], put_record, w);
	jsonw_array_end(w);
	return r;
}

/* What the record says instead of so many lines, and where they are. */
static void put_file(struct jsonw *w, const uint8_t raffle[16], const struct drawn *d)
{
	char id[33], path[64];

	text_hex(id, raffle, 16);
	snprintf(path, sizeof path, "/r/%s/winners", id);
	jsonw_key(w, "winners_file");
	jsonw_object(w);
	jsonw_kcstr(w, "path", path);
	jsonw_khex(w, "sha256", d->winners_file, 32);
	jsonw_kint(w, "count", (int64_t)d->winners + d->reserves);
	jsonw_object_end(w);
}

static int put_reason(void *arg, const struct db_record *rec)
{
	struct record2 r = {.picks = NULL};

	if (record2_parse(&r, rec->text, rec->len) != KE_OK)
		return KE_DAMAGED;
	jsonw_kcstr(arg, "abort_reason", r.word);
	return KE_OK;
}

static void put_standing(struct jsonw *w, const struct drawn *d)
{
	jsonw_key(w, "standing");
	jsonw_array(w);
	for (size_t i = 0; i < d->winners; i++)
		if (d->standing[i] != LIFE_NOBODY)
			raffle_put_pick(w, i + 1, &d->picks[d->standing[i]]);
	jsonw_array_end(w);
}

int raffle_put_life(struct rq *q, struct jsonw *w, const struct db_raffle *r, const struct drawn *d)
{
	struct log_name name = {.oplog = false};
	char origin[NOTE_NAME_MAX + 1];
	struct life_file f;
	int err = life_get(q->e, r->id, &f);

	if (err != KE_OK)
		return err;
	put_terms(w, &q->e->lives.site, &f.l.terms);
	jsonw_kcstr(w, "dedupe", f.l.dedupe == DEDUPE_HOLDER ? "holder" : "none");
	jsonw_kcstr(w, "on_default", f.l.on_default == DEFAULT_VOID ? "void" : "escrow");
	err = put_rules(q->e, w, &f);
	if (r->state == RAFFLE_CLOSED)
		jsonw_kbool(w, "drawable",
		    f.l.told != DB_TOLD_REFUSED && f.l.seen != DB_SEEN_TOO_LATE && r->sold > 0);
	if (witnessed_word(f.l.seen) != NULL &&
	    (r->state == RAFFLE_CLOSED || f.l.seen != DB_SEEN_WAITING))
		jsonw_kcstr(w, "witnesses", witnessed_word(f.l.seen));
	if (f.l.refunded_ms != 0)
		jsonw_ktime(w, "refunded_at", f.l.refunded_ms);
	memcpy(name.raffle, r->id, 16);
	if (err == KE_OK)
		err = origin_of(&name, q->e->conf.host, origin);
	if (err == KE_OK && r->state >= RAFFLE_OPEN) {
		jsonw_kcstr(w, "log", origin);
		err = put_records(q->e, w, r->id);
	}
	if (err == KE_OK && r->state == RAFFLE_ABORTED)
		err = db_log_records_of(q->e->db, r->id, RECORD2_ABORT, put_reason, w);
	if (d != NULL && d->filed)
		put_file(w, r->id, d);
	else if (d != NULL && d->forfeits > 0)
		put_standing(w, d);
	return err;
}
