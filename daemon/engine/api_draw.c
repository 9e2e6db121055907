/*
 * The draw of a v1 raffle (DRAW.md sections 8 and 11): draw_begin → hsm reveals the seed →
 * draw_revealed → hsm draws again, compares and signs → draw_signed stores. Each step leaves a
 * state from which the draw can be asked for again: the time in the record is fixed in the store
 * before the first question, hsm reveals the seed only for the very same tickets and entropy, and
 * Ed25519 signs the very same bytes, so a repeated draw is the same draw.
 * Where hsm wants officers to approve the draw first, it is put to them, and asked for again then.
 * With fewer tickets than winners + reserves, winners are filled first (DRAW.md section 8).
 * Runs in engine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/api_life.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/drawing.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/logkey.h"
#include "daemon/engine/money.h"
#include "daemon/engine/proof.h"
#include "daemon/engine/quorum.h"
#include "daemon/engine/raffle.h"
#include "daemon/msg/log.h"
#include "db/db_job.h"
#include "db/db_meta.h"
#include "db/db_ticket.h"
#include "policy/be.h"
#include "policy/bundle.h"
#include "policy/text.h"

/* What the server's own look at a v2 draw is worth. */
#define LABEL2 "reproduced by the server; klero-verify checks the logs and the beacons"

/* Positions of the shuffle that POST …/verify repeats: everybody else waits meanwhile. */
#define VERIFY_POSITIONS 20000

/* --- draw --- */

struct draw {
	struct record1 rec;
	struct record_pick picks[RECORD1_PICKS_MAX];
	int64_t no; /* of the raffle */
	char text[RECORD1_TEXT_MAX];
	char note[DB_NOTE_MAX];
};

/* When this raffle is said to be drawn: now, or when it was tried first. */
static int fix_time(struct rq *q, const uint8_t raffle[16], uint64_t *ms)
{
	char key[DB_META_KEY_MAX + 1] = "drawn-at/";
	uint8_t raw[8];
	size_t n;
	int r;

	text_hex(key + strlen(key), raffle, 16);
	r = db_meta_get(q->e->db, key, raw, sizeof raw, &n);
	if (r == KE_OK && n == sizeof raw) {
		*ms = be_get64(raw);
		return KE_OK;
	}
	if (r != KE_NOTFOUND)
		return r == KE_OK ? KE_DAMAGED : r;
	*ms = (uint64_t)q->now_ms;
	be_put64(raw, *ms);
	return db_meta_set(q->e->db, key, raw, sizeof raw);
}

static uint32_t at_most(int64_t want, uint64_t have)
{
	return (uint32_t)((uint64_t)want < have ? (uint64_t)want : have);
}

static int fill_record(struct rq *q, struct draw *d, const struct db_raffle *r)
{
	struct record1 *rec = &d->rec;

	d->no = r->no;
	rec->picks = d->picks;
	memcpy(rec->raffle, r->id, sizeof rec->raffle);
	memcpy(rec->seed_commit, r->seed_commit1, sizeof rec->seed_commit);
	rec->tickets = (uint64_t)r->sold;
	memcpy(rec->root, r->root, sizeof rec->root);
	memcpy(rec->aggregate, r->aggregate, sizeof rec->aggregate);
	memcpy(rec->entropy, r->entropy, r->entropy_len);
	rec->entropy_len = r->entropy_len;
	memcpy(rec->entropy_by, r->entropy_by, sizeof rec->entropy_by);
	rec->entropy_ms = (uint64_t)r->entropy_ms;
	rec->winners = at_most(r->winners, rec->tickets);
	rec->reserves = at_most(r->reserves, rec->tickets - rec->winners);
	return fix_time(q, r->id, &rec->drawn_ms);
}

static int take_id(void *arg, const struct db_ticket_row *row)
{
	memcpy(arg, row->t.id, 16);
	return KE_OK;
}

static int name_tickets(struct rq *q, struct draw *d)
{
	for (uint32_t i = 0; i < d->rec.winners + d->rec.reserves; i++) {
		struct record_pick *p = &d->picks[i];
		int r = db_ticket_at(q->e->db, d->no, (int64_t)p->index, take_id, p->ticket);

		if (r != KE_OK)
			return r == KE_NOTFOUND ? KE_DAMAGED : r;
	}
	return KE_OK;
}

/* The record's text with the signature line: a C2SP signed note. */
static int write_note(struct engine *e, struct draw *d, enum note_type type, const uint8_t id[4],
    const uint8_t sig[64], size_t *text_len, size_t *note_len)
{
	struct note_key k;
	size_t line, signed_len;
	int r = record1_text(&d->rec, d->text, sizeof d->text, text_len);

	if (r != KE_OK)
		return r;
	memcpy(d->note, d->text, *text_len);
	d->note[*text_len] = '\n';
	r = note_sig_line(e->hsm.log.name, type, id, sig, d->note + *text_len + 1,
	    sizeof d->note - *text_len - 1, &line);
	if (r != KE_OK)
		return r;
	*note_len = *text_len + 1 + line;
	/* what is published must verify; better to find out before */
	r = logkey_of(e, d->note, *note_len, &k);
	return r == KE_OK ? note_open(d->note, *note_len, &k, &signed_len) : r;
}

/*
 * hsm has revealed this seed, or signed this raffle's record, for another draw: that one is out,
 * and this store is older than it.
 */
static int no_draw(struct rq *q, int r)
{
	return r == KE_DENIED ? rq_refuse(q, PB_RAFFLE_DRAWN) : KE_UNAVAIL;
}

static int draw_signed(struct rq *q, int r, struct wire_in *in)
{
	struct draw *d = q->state;
	size_t text_len, note_len;
	uint8_t id[4], sig[64];
	enum note_type type;

	if (r != KE_OK)
		return no_draw(q, r);
	wire_get_raw(in, id, sizeof id);
	type = (enum note_type)wire_get_u8(in);
	wire_get_raw(in, sig, sizeof sig);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = write_note(q->e, d, type, id, sig, &text_len, &note_len);
	if (r != KE_OK)
		return r;
	r = db_raffle_set_drawn(q->e->db, d->rec.raffle, d->rec.server_seed, d->text, text_len,
	    d->note, note_len, (int64_t)d->rec.drawn_ms);
	if (r == KE_STATE)
		return rq_refuse(q, PB_RAFFLE_DRAWN);
	if (r == KE_OK)
		r = proof_order(q->e, d->rec.raffle, q->now_ms);
	if (r == KE_OK)
		r = audit_add(q, q->user, "raffle-draw", d->rec.raffle,
		    "{\"winners\":%u,\"reserves\":%u}", d->rec.winners, d->rec.reserves);
	if (r != KE_OK)
		return r;
	turn_dirty(q->e, CACHE_RAFFLES);
	return raffle_answer(q);
}

int raffle_ask_officers(struct rq *q, const uint8_t raffle[16])
{
	uint8_t id[16];
	int r = quorum_propose_draw(q->e, raffle, q->user, id);

	if (r == KE_STATE)
		return rq_refuse(q, PB_NO_OFFICERS);
	if (r != KE_OK)
		return r;
	r = rq_problem(q, PB_APPROVAL_NEEDED); /* which clears the answer */
	rq_location(q, "/api/v1/proposals/", id);
	return r;
}

static int draw_revealed(struct rq *q, int r, struct wire_in *in)
{
	struct draw *d = q->state;

	if (r == KE_AUTH)
		return raffle_ask_officers(q, d->rec.raffle);
	if (r != KE_OK)
		return no_draw(q, r);
	wire_get_raw(in, d->rec.server_seed, sizeof d->rec.server_seed);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = record1_draw(&d->rec);
	if (r == KE_OK)
		r = name_tickets(q, d);
	if (r != KE_OK)
		return r;
	return eng_hsm_sign_draw1(q, "draw_signed", draw_signed, &d->rec);
}

/* With what officers have approved, when they have: hsm knows whether it needs that. */
static int ask_seed(struct rq *q, const struct draw *d, const char *seed_blob)
{
	char approvals[RCONF_KEYADM_APPROVALS];
	struct db_proposal p;
	int r = quorum_draw(q->e, d->rec.raffle, &p);

	if (r == KE_NOTFOUND || (r == KE_OK && p.state != DB_PROPOSAL_DONE))
		return eng_hsm_reveal_seed(q, "draw_revealed", draw_revealed, &d->rec, seed_blob);
	if (r == KE_OK)
		r = quorum_approvals(q->e, p.id, approvals);
	if (r != KE_OK)
		return r;
	return eng_hsm_reveal_approved(
	    q, "draw_revealed", draw_revealed, &d->rec, seed_blob, p.text, approvals);
}

int api_raffle_draw(struct rq *q)
{
	struct db_raffle raffle;
	struct draw *d;
	enum rules_no no;
	int r = raffle_find(q, &raffle);

	if (r != KE_OK)
		return r;
	if (raffle.format == RAFFLE_V2)
		return life_api_draw(q);
	no = rules_raffle_act(raffle.state, RAFFLE_ACT_DRAW, raffle.entropy_len > 0, raffle.sold);
	if (no != RULES_YES)
		return rq_refuse(q, money_problem(no));
	d = rq_state(q, sizeof *d);
	r = fill_record(q, d, &raffle);
	if (r != KE_OK)
		return r;
	return ask_seed(q, d, raffle.seed_blob);
}

/* --- proof and verify --- */

/* The raffle, if it is drawn. */
static int find_drawn(struct rq *q, struct db_raffle *raffle)
{
	enum rules_no no;
	int r = raffle_find(q, raffle);

	if (r != KE_OK)
		return r;
	if (raffle->state == RAFFLE_ABORTED)
		return rq_refuse(q, PB_RAFFLE_ABORTED);
	no = rules_raffle_act(raffle->state, RAFFLE_ACT_PROVE, true, raffle->sold);
	return no == RULES_YES ? KE_OK : rq_refuse(q, money_problem(no));
}

/* Or aborted: that, too, is proven. */
static int find_ended(struct rq *q, struct db_raffle *raffle)
{
	int r = raffle_find(q, raffle);

	return r == KE_OK && raffle->state != RAFFLE_ABORTED ? find_drawn(q, raffle) : r;
}

static int give(struct rq *q, enum proof_file which)
{
	const enum api_type type = which == PROOF_BUNDLE ? API_JSON : API_TEXT;
	uint64_t len;
	int fd, r = proof_open(q->e, rq_field(q, 0)->p, which, &fd, &len);

	return r == KE_OK ? rq_file(q, type, fd, len) : r;
}

static rq_step proof_ready, winners_ready;

static int await(struct rq *q, enum proof_file which)
{
	return proof_await(q, which == PROOF_BUNDLE ? proof_ready : winners_ready);
}

/* A proof is finished; perhaps this one. */
static int ready(struct rq *q, int r, enum proof_file which)
{
	if (r == KE_OK)
		r = give(q, which);
	return r == KE_NOTFOUND ? await(q, which) : r;
}

static int proof_ready(struct rq *q, int r, struct wire_in *in)
{
	(void)in;
	return ready(q, r, PROOF_BUNDLE);
}

static int winners_ready(struct rq *q, int r, struct wire_in *in)
{
	(void)in;
	return ready(q, r, PROOF_WINNERS);
}

/* What is there, or when it has been written. */
static int give_in_time(struct rq *q, const uint8_t raffle[16], enum proof_file which)
{
	int r = give(q, which);

	if (r != KE_NOTFOUND)
		return r;
	r = proof_order(q->e, raffle, q->now_ms);
	return r == KE_OK ? await(q, which) : r;
}

int api_raffle_proof(struct rq *q)
{
	struct db_raffle raffle;
	int r = find_ended(q, &raffle);

	return r == KE_OK ? give_in_time(q, raffle.id, PROOF_BUNDLE) : r;
}

int api_raffle_winners(struct rq *q)
{
	struct db_raffle raffle;
	struct drawn *d;
	bool filed = false;
	int r = raffle_find(q, &raffle);

	if (r == KE_OK && raffle.format == RAFFLE_V2 && raffle.state == RAFFLE_DRAWN) {
		r = raffle_drawn(q, &raffle, &d);
		if (r == KE_OK)
			filed = d->filed;
		if (r == KE_OK)
			raffle_drawn_free(d);
	}
	if (r != KE_OK)
		return r;
	return filed ? give_in_time(q, raffle.id, PROOF_WINNERS) : rq_refuse(q, PB_NOT_FOUND);
}

/* What the server can say of a draw: its record reproduces, and is the one it once signed. */
static const char *check_draw(
    struct rq *q, const struct db_raffle *raffle, const struct drawn *d, char *note, size_t cap)
{
	const char *what = "";
	struct note_key k;
	size_t n, text_len;

	if (db_raffle_note(q->e->db, raffle->id, note, cap, &n) != KE_OK ||
	    logkey_of(q->e, note, n, &k) != KE_OK || note_open(note, n, &k, &text_len) != KE_OK)
		return "signature";
	if (text_len != d->len || memcmp(note, d->text, text_len) != 0)
		return "record";
	if (memcmp(d->rec.seed_commit, raffle->seed_commit1, 32) != 0)
		return "seed-commit";
	if (d->rec.tickets != (uint64_t)raffle->sold || memcmp(d->rec.root, raffle->root, 32) != 0)
		return "root";
	if (memcmp(d->rec.aggregate, raffle->aggregate, 32) != 0)
		return "aggregate";
	return record1_check(&d->rec, &what) == KE_OK ? NULL : what;
}

/*
 * A v2 draw once more, from the seed, the beacons' values and the tickets in the store. KE_LIMIT:
 * it looks at more of them than one request is worth.
 */
static int check_draw2(
    struct rq *q, const struct db_raffle *raffle, const struct drawn *d, const char **bad)
{
	char *text = malloc(RECORD2_TEXT_MAX);
	struct drawing *drawing = NULL;
	struct life_file f;
	size_t n = 0;
	int r;

	if (text == NULL)
		fatal("out of memory");
	r = life_get(q->e, raffle->id, &f);
	if (r == KE_OK)
		r = drawing_begin(q->e, &f, raffle->server_seed, &drawing);
	if (r == KE_OK)
		r = drawing_more(q->e, drawing, VERIFY_POSITIONS);
	if (r == KE_OK)
		r = record2_text(drawing_record(drawing), text, RECORD2_TEXT_MAX, &n);
	if (r == KE_OK && (n != d->len || memcmp(text, d->text, n) != 0))
		r = KE_CRYPTO;
	drawing_free(drawing);
	free(text);
	*bad = r == KE_OK ? NULL : "record";
	return r == KE_AGAIN ? KE_LIMIT : KE_OK;
}

static int check(
    struct rq *q, const struct db_raffle *raffle, const struct drawn *d, const char **bad)
{
	char *note;

	if (raffle->format == RAFFLE_V2)
		return check_draw2(q, raffle, d, bad);
	note = malloc(DB_NOTE_MAX);
	if (note == NULL)
		fatal("out of memory");
	*bad = check_draw(q, raffle, d, note, DB_NOTE_MAX);
	free(note);
	return KE_OK;
}

int api_raffle_verify(struct rq *q)
{
	struct db_raffle raffle;
	struct drawn *d;
	const char *bad;
	struct jsonw *w;
	int r = find_drawn(q, &raffle);

	if (r == KE_OK)
		r = raffle_drawn(q, &raffle, &d);
	if (r != KE_OK)
		return r;
	r = check(q, &raffle, d, &bad);
	if (r != KE_OK) {
		raffle_drawn_free(d);
		return r == KE_LIMIT ? rq_refuse(q, PB_DRAW_LONG) : r;
	}
	w = rq_json(q);
	jsonw_object(w);
	jsonw_kuuid(w, "raffle_id", raffle.id);
	jsonw_kbool(w, "verified", bad == NULL);
	if (bad != NULL)
		jsonw_kcstr(w, "disagrees", bad);
	jsonw_kcstr(w, "label", raffle.format == RAFFLE_V2 ? LABEL2 : BUNDLE_LABEL);
	jsonw_kint(w, "tickets", raffle.sold);
	jsonw_kint(w, "winners", d->winners);
	jsonw_kint(w, "reserves", d->reserves);
	jsonw_object_end(w);
	raffle_drawn_free(d);
	return rq_json_end(q);
}
