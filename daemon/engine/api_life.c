/*
 * The life of v2 raffles as admins drive it: terms at their creation, open, close, amend, abort,
 * draw, forfeit (DRAW.md section 6). What a record says is written down before hsm is asked to
 * agree to it; when nobody hears the answer, the raffle's job asks again (life.h). Runs in engine.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/api_life.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/escrow.h"
#include "daemon/engine/idem.h"
#include "daemon/engine/life.h"
#include "daemon/engine/money.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/proof.h"
#include "daemon/engine/raffle.h"
#include "daemon/engine/witnessed.h"
#include "daemon/msg/log.h"
#include "policy/hash.h"
#include "policy/origin.h"
#include "policy/text.h"

#define DEADLINE_S (7 * 86400) /* behind the last value, unless told otherwise */

/* --- terms --- */

/* A time as this API writes it, in whole seconds; 0 when the field is not there. */
static int get_time(struct rq *q, unsigned field, uint64_t *at_s)
{
	const struct api_value *v = rq_field(q, field);
	char pointer[64];
	int64_t ms;

	*at_s = 0;
	if (!v->present)
		return KE_OK;
	snprintf(pointer, sizeof pointer, "/%s", q->row->fields[field].name);
	if (text_untime(&ms, (const char *)v->p, v->n) != KE_OK || ms < 1000 || ms % 1000 != 0)
		return rq_refuse_field(q, pointer, "time");
	*at_s = (uint64_t)ms / 1000;
	return KE_OK;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The round that is named, or the first one after the delay; of the chain named, or the first. */
static int get_drand(
    struct rq *q, const struct terms_fields *f, uint64_t sales_close_s, struct beacon *b)
{
	const struct life_site *site = &q->e->lives.site;
	const struct api_value *chain = rq_field(q, f->chain), *round = rq_field(q, f->round),
			       *delay = rq_field(q, f->delay);
	const struct drand_chain *c =
	    chain->present ? life_chain(site, chain->p) : &site->chains[0];
	uint64_t delay_s = delay->present ? (uint64_t)delay->i : later(site->delay_s, 1);

	if (c == NULL || site->nchains == 0)
		return rq_refuse(q, PB_BEACON_UNKNOWN);
	*b = life_promise(c, sales_close_s, delay_s);
	if (round->present)
		b->round = (uint64_t)round->i;
	return KE_OK;
}

/* NIST's beacon besides, where its chain is named: the pulse of a moment after the same delay. */
static int get_nist(struct rq *q, const struct terms_fields *f, struct record2_terms *t)
{
	const struct api_value *chain = rq_field(q, f->nist_chain), *delay = rq_field(q, f->delay);
	uint64_t delay_s = delay->present ? (uint64_t)delay->i : q->e->lives.site.delay_s;

	if (!chain->present)
		return KE_OK;
	t->beacons[t->nbeacons++] = (struct beacon){.kind = BEACON_NIST2,
	    .chain = (uint64_t)chain->i,
	    .at_ms = (t->sales_close_s + delay_s) * 1000};
	return KE_OK;
}

static int check_terms(struct rq *q, const struct record2_terms *t)
{
	const char *why;
	enum rules_no no = life_terms(&q->e->lives.site, t, (uint64_t)q->now_ms / 1000, &why);

	return no == RULES_YES ? KE_OK : rq_refuse(q, money_problem(no));
}

int life_terms_get(struct rq *q, const struct terms_fields *f, struct record2_terms *t)
{
	uint64_t first_s, last_s = 0;
	int r;

	*t = (struct record2_terms){.nbeacons = 1};
	r = rq_demand(q, f->sales_close, true);
	if (r == KE_OK)
		r = get_time(q, f->sales_close, &t->sales_close_s);
	if (r == KE_OK)
		r = get_time(q, f->deadline, &t->deadline_s);
	if (r == KE_OK)
		r = get_drand(q, f, t->sales_close_s, &t->beacons[0]);
	if (r == KE_OK)
		r = get_nist(q, f, t);
	if (r != KE_OK)
		return r;
	if (t->deadline_s == 0 && life_moments(&q->e->lives.site, t, &first_s, &last_s) == KE_OK)
		t->deadline_s = last_s + DEADLINE_S;
	return check_terms(q, t);
}

/* --- acts --- */

/* The raffle, if the act may happen to it now. */
static int find_for(struct rq *q, enum raffle_act act, bool values, struct life_file *f)
{
	struct life facts;
	enum rules_no no;
	int r = raffle_find(q, &f->r);

	if (r == KE_OK)
		r = life_get(q->e, f->r.id, f);
	if (r == KE_STATE)
		return rq_refuse(q, PB_RAFFLE_FORMAT);
	if (r != KE_OK)
		return r;
	facts = life_facts(f, q->now_ms, values);
	no = life_act(&facts, act);
	return no == RULES_YES ? KE_OK : rq_refuse(q, money_problem(no));
}

/* A record's first lines. */
static void begin_record(struct record2 *rec, enum record2_kind kind, const struct life_file *f)
{
	*rec = (struct record2){.kind = kind};
	memcpy(rec->raffle, f->r.id, 16);
}

static int name_open(struct rq *q, const struct life_file *f, struct record2 *rec)
{
	struct oplog_record *open = malloc(sizeof *open);
	int r;

	if (open == NULL)
		fatal("out of memory");
	r = oplog_get(q->e, f->r.id, RECORD2_OPEN, open);
	rec->open_index = open->index;
	memcpy(rec->open_leaf, open->leaf, 32);
	free(open);
	return r;
}

/* A verified value of the last minutes: the record that holds it was not made before. */
static int not_before(struct rq *q, struct beacon *b)
{
	const struct life_site *site = &q->e->lives.site;
	const char *why;

	for (size_t i = 0; i < site->nchains; i++) {
		uint8_t hash[32];

		drand_chain_hash(hash, &site->chains[i]);
		if (beacons_newest(q->e, hash, b) == KE_OK &&
		    life_not_before(site, b, (uint64_t)q->now_ms / 1000, &why) == RULES_YES)
			return KE_OK;
	}
	return rq_refuse_retry(q, PB_NO_BEACON, 5);
}

/*
 * hsm's answer to what this raffle has proposed. The job may have been faster: hsm has told it the
 * same.
 */
static int answered(struct rq *q, int r, struct wire_in *in)
{
	struct db_pending p;
	struct life_file f;
	int s;

	if (in == NULL || wire_end(in) != KE_OK)
		return in == NULL ? KE_UNAVAIL : KE_PEER;
	s = life_get(q->e, rq_field(q, 0)->p, &f);
	if (s == KE_OK)
		s = db_life_pending(q->e->db, f.r.no, &p);
	if (s == KE_NOTFOUND && life_refused(r))
		return rq_problem(q, PB_HSM_REFUSED);
	if (s == KE_NOTFOUND)
		return r == KE_OK ? raffle_answer(q) : KE_UNAVAIL;
	if (s == KE_OK)
		s = life_decide(q->e, &f, &p, r);
	if (s == KE_OK)
		return raffle_answer(q);
	/* its refusal is final, and forgetting the proposal stays: not undone with the answer */
	return s == r && r != KE_UNAVAIL ? rq_problem(q, PB_HSM_REFUSED) : s;
}

static int ask_hsm(struct rq *q, const struct life_file *f, const struct db_pending *p)
{
	uint8_t *buf = sodium_malloc(MSG_BODY_MAX);
	struct wire_out w;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	r = life_agree_body(q->e, f, p, &w);
	if (r == KE_OK)
		r = eng_hsm_agree(q, "agreed", answered, &w);
	sodium_free(buf);
	return r;
}

/* Another record waits: this very request's, which was told to try again, or a stranger's. */
static int ask_again(struct rq *q, const struct life_file *f)
{
	struct db_pending p;
	int r = db_life_pending(q->e->db, f->r.no, &p);

	if (r != KE_OK)
		return r;
	return idem_is(q, &p.request) ? ask_hsm(q, f, &p) : rq_refuse_retry(q, PB_BUSY, 2);
}

/* by: the request's user. */
static int propose(
    struct rq *q, const struct life_file *f, const struct record2 *rec, struct db_pending *p)
{
	int r = idem_name(q, &p->request);

	memcpy(p->by, q->user, 16);
	if (r == KE_OK)
		r = life_propose(q->e, f, rec, p);
	if (r == KE_STATE)
		return ask_again(q, f);
	return r == KE_OK ? ask_hsm(q, f, p) : r;
}

/* --- open --- */

/* What hsm has made, until the open record is proposed. */
struct fresh_seed {
	uint8_t commit1[32], commit2[32];
	char blob[sizeof(((struct db_pending *)0)->blob)];
};

static int open_record(
    struct rq *q, const struct life_file *f, const struct db_pending *p, struct record2 *rec)
{
	struct log_name name = {.oplog = false};
	int r;

	begin_record(rec, RECORD2_OPEN, f);
	memcpy(name.raffle, f->r.id, 16);
	r = origin_of(&name, q->e->conf.host, rec->origin);
	rec->winners = (uint64_t)f->r.winners;
	rec->reserves = (uint64_t)f->r.reserves;
	rec->dedupe = f->l.dedupe;
	rec->on_default = f->l.on_default;
	memcpy(rec->seed_commit, p->commit2, 32);
	memcpy(rec->rules, f->l.rules, 32);
	rec->terms = f->l.terms;
	return r == KE_OK ? not_before(q, &rec->terms.not_before) : r;
}

/* The last step before the record: the seed is made, and is in escrow where that is configured. */
static int open_escrowed(struct rq *q, int r, struct wire_in *in)
{
	struct db_pending p = {.len = 0};
	const struct fresh_seed *seed = q->state;
	struct life_file f;
	struct record2 rec;
	int s = find_for(q, RAFFLE_ACT_OPEN, false, &f);

	memcpy(p.commit1, seed->commit1, 32);
	memcpy(p.commit2, seed->commit2, 32);
	memcpy(p.blob, seed->blob, sizeof p.blob);
	if (s == KE_OK)
		s = open_record(q, &f, &p, &rec);
	if (s == KE_OK)
		s = escrow_take(q, r, in, &rec);
	if (s == KE_OK)
		s = db_life_set_default(q->e->db, f.r.no, rec.on_default);
	return s == KE_OK ? propose(q, &f, &rec, &p) : s;
}

static int open_seeded(struct rq *q, int r, struct wire_in *in)
{
	struct fresh_seed *seed;

	if (r != KE_OK)
		return KE_UNAVAIL;
	seed = rq_state(q, sizeof *seed);
	wire_get_raw(in, seed->commit1, 32);
	wire_get_raw(in, seed->commit2, 32);
	wire_get_cstr(in, seed->blob, sizeof seed->blob);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	return eng_hsm_escrow(q, "open_escrowed", open_escrowed, rq_field(q, 0)->p, seed->blob);
}

int life_api_open(struct rq *q)
{
	struct db_pending p;
	struct life_file f;
	int r = find_for(q, RAFFLE_ACT_OPEN, false, &f);

	if (r != KE_OK)
		return r;
	r = db_life_pending(q->e->db, f.r.no, &p);
	if (r == KE_OK) /* one that nobody has heard of again: the very same */
		return ask_hsm(q, &f, &p);
	if (r == KE_NOTFOUND)
		r = check_terms(q, &f.l.terms);
	return r == KE_OK ? eng_hsm_new_seed(q, "open_seeded", open_seeded, f.r.id) : r;
}

/* --- close --- */

int life_api_close(struct rq *q)
{
	struct life_file f;
	int r = find_for(q, RAFFLE_ACT_CLOSE, false, &f);

	if (r == KE_OK && beacons_clock(q->e) == BEACONS_CLOCK_OFF)
		return rq_refuse_retry(q, PB_CLOCK_OFF, 5);
	if (r == KE_OK)
		r = life_close(q->e, &f, q->user);
	return r == KE_OK ? raffle_answer(q) : r;
}

/* --- amend, abort --- */

enum { A_ID, A_SALES_CLOSE, A_DEADLINE, A_DELAY, A_CHAIN, A_ROUND, A_NIST };

int api_raffle_amend(struct rq *q)
{
	static const struct terms_fields fields = {
	    A_SALES_CLOSE, A_DEADLINE, A_DELAY, A_CHAIN, A_ROUND, A_NIST};
	struct db_pending p = {.len = 0};
	struct life_file f;
	struct record2 rec;
	enum rules_no no;
	const char *why;
	int r = find_for(q, RAFFLE_ACT_AMEND, false, &f);

	if (r != KE_OK)
		return r;
	begin_record(&rec, RECORD2_AMEND, &f);
	r = life_terms_get(q, &fields, &rec.terms);
	if (r != KE_OK)
		return r;
	no = life_amend(&q->e->lives.site, &f.l.terms, &rec.terms, f.r.sold > 0,
	    (uint64_t)q->now_ms / 1000, &why);
	if (no != RULES_YES)
		return rq_refuse(q, money_problem(no));
	r = name_open(q, &f, &rec);
	if (r == KE_OK)
		r = not_before(q, &rec.terms.not_before);
	return r == KE_OK ? propose(q, &f, &rec, &p) : r;
}

enum { W_ID, W_WORD, W_PAPER, W_POSITION };

/* A word as records have it, and the hash of a paper that is kept elsewhere. */
static int get_paper(struct rq *q, struct record2 *rec)
{
	const struct api_value *word = rq_field(q, W_WORD), *paper = rq_field(q, W_PAPER);
	char text[DB_PENDING_MAX], pointer[64];
	size_t n;

	memcpy(rec->word, word->p, word->n);
	hash_sha256(rec->paper, paper->p, paper->n);
	snprintf(pointer, sizeof pointer, "/%s", q->row->fields[W_WORD].name);
	if (record2_text(rec, text, sizeof text, &n) != KE_OK)
		return rq_refuse_field(q, pointer, "word");
	return KE_OK;
}

int api_raffle_abort(struct rq *q)
{
	struct db_pending p = {.len = 0};
	struct life_file f;
	struct record2 rec;
	int r = find_for(q, RAFFLE_ACT_ABORT, false, &f);

	if (r != KE_OK)
		return r;
	begin_record(&rec, RECORD2_ABORT, &f);
	rec.at_s = (uint64_t)q->now_ms / 1000;
	r = name_open(q, &f, &rec);
	if (r == KE_OK)
		r = get_paper(q, &rec);
	return r == KE_OK ? propose(q, &f, &rec, &p) : r;
}

/* --- draw --- */

static int revealed(struct rq *q, int r, struct wire_in *in)
{
	struct life_file f;
	uint8_t seed[32];

	if (r == KE_AUTH)
		return raffle_ask_officers(q, rq_field(q, 0)->p);
	if (r != KE_OK)
		return r == KE_DENIED ? rq_refuse(q, PB_HSM_REFUSED) : KE_UNAVAIL;
	wire_get_raw(in, seed, sizeof seed);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = find_for(q, RAFFLE_ACT_DRAW, true, &f);
	if (r == KE_OK)
		r = life_draw(q->e, &f, seed, q->user);
	sodium_memzero(seed, sizeof seed);
	/* or it goes on: the raffle is still closed then */
	return r == KE_OK || r == KE_AGAIN ? raffle_answer(q) : r;
}

static int ask_reveal(struct rq *q, const struct life_file *f)
{
	uint8_t *buf = sodium_malloc(MSG_BODY_MAX);
	struct wire_out w;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	r = life_reveal_body(q->e, f, &w);
	if (r == KE_OK)
		r = eng_hsm_reveal2(q, "revealed", revealed, &w);
	sodium_free(buf);
	return r;
}

/* Have its witnesses seen it in time? */
static int check_seen(struct rq *q, const struct life_file *f)
{
	enum db_seen seen;
	int r = witnessed_close(q->e, f, &seen);

	if (r != KE_OK)
		return r;
	if (seen == DB_SEEN_TOO_LATE)
		return rq_refuse(q, PB_UNWITNESSED);
	return seen == DB_SEEN_WAITING ? rq_refuse_retry(q, PB_WITNESSES_WAIT, 2) : KE_OK;
}

/* Before hsm is asked: the draw may come when nobody waits for it any more. */
static int note_request(struct rq *q, const struct life_file *f)
{
	struct db_idem_name name;
	int r = idem_name(q, &name);

	if (r != KE_OK || !name.keyed)
		return r;
	r = db_life_set_asked(q->e->db, f->r.no, &name);
	return r == KE_STATE ? KE_OK : r; /* a record waits, which would end the raffle */
}

int life_api_draw(struct rq *q)
{
	struct record2_terms values;
	struct life_file f;
	bool there;
	int r = raffle_find(q, &f.r);

	if (r == KE_OK)
		r = life_get(q->e, f.r.id, &f);
	if (r != KE_OK)
		return r;
	r = life_values(q->e, &f, &values);
	there = r == KE_OK && f.l.told == DB_TOLD_YES;
	if (r != KE_OK && r != KE_NOTFOUND && r != KE_STATE)
		return r;
	r = find_for(q, RAFFLE_ACT_DRAW, there, &f);
	if (r == KE_OK && beacons_clock(q->e) == BEACONS_CLOCK_OFF)
		return rq_refuse_retry(q, PB_CLOCK_OFF, 5);
	if (r == KE_OK)
		r = check_seen(q, &f);
	if (r == KE_OK)
		r = note_request(q, &f);
	return r == KE_OK ? ask_reveal(q, &f) : r;
}

/* --- forfeit --- */

/* Does somebody stand at that position who can lose it? */
static int check_standing(struct rq *q, const struct life_file *f, uint64_t pos)
{
	struct drawn *d = NULL;
	int r = raffle_drawn(q, &f->r, &d);

	if (r != KE_OK)
		return r;
	r = pos <= d->winners && d->standing[pos - 1] != LIFE_NOBODY ? KE_OK
								     : rq_refuse(q, PB_NO_WINNER);
	raffle_drawn_free(d);
	return r;
}

int api_raffle_forfeit(struct rq *q)
{
	struct oplog_record *draw;
	char text[DB_PENDING_MAX];
	struct life_file f;
	struct record2 rec;
	uint64_t index;
	size_t n;
	int r = find_for(q, RAFFLE_ACT_FORFEIT, false, &f);

	if (r != KE_OK)
		return r;
	begin_record(&rec, RECORD2_FORFEIT, &f);
	rec.pos = (uint64_t)rq_field(q, W_POSITION)->i;
	rec.at_s = (uint64_t)q->now_ms / 1000;
	draw = malloc(sizeof *draw);
	if (draw == NULL)
		fatal("out of memory");
	r = oplog_get(q->e, f.r.id, RECORD2_DRAW, draw);
	rec.draw_index = draw->index;
	free(draw);
	if (r == KE_OK)
		r = get_paper(q, &rec);
	if (r == KE_OK)
		r = check_standing(q, &f, rec.pos);
	if (r == KE_OK)
		r = record2_text(&rec, text, sizeof text, &n);
	if (r == KE_OK)
		r = oplog_append(q->e, f.r.id, RECORD2_FORFEIT, text, n, q->now_ms, &index);
	if (r == KE_OK)
		r = proof_order(q->e, f.r.id, q->now_ms); /* which shows it, too */
	if (r == KE_OK)
		r = audit_add(q, q->user, "raffle-forfeit", f.r.id, "{\"winner\":%llu}",
		    (unsigned long long)rec.pos);
	if (r != KE_OK)
		return r;
	turn_dirty(q->e, CACHE_RAFFLES);
	return raffle_answer(q);
}
