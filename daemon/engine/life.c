/*
 * Records of v2 raffles: see life.h. Runs in engine.
 */
#include "daemon/engine/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/proof.h"
#include "daemon/engine/quorum.h"
#include "daemon/engine/tlogproof.h"
#include "daemon/engine/witnessed.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_log.h"
#include "policy/hash.h"
#include "policy/origin.h"

#define PRIORITY 20 /* before proofs */

void life_start(struct engine *e)
{
	const struct rconf_beacons *c = &e->conf.beacons;

	life_site_init(&e->lives.site, e->conf.beacon_delay_s);
	for (uint8_t i = 0; i < c->nchains; i++)
		if (life_site_add(&e->lives.site, &c->chains[i]) == KE_FULL)
			fatal("more drand chains than there is room for");
	e->lives.site.nist = c->nists[0][0] != '\0';
	if (e->lives.site.delay_s < LIFE_DELAY_S)
		log_warn("beacon-delay is %llu s, less than the %d s that verifiers expect",
		    (unsigned long long)e->lives.site.delay_s, LIFE_DELAY_S);
}

bool life_possible(const struct engine *e)
{
	return e->lives.site.nchains > 0 && e->conf.beacons.relays[0][0] != '\0';
}

int life_get(struct engine *e, const uint8_t raffle[16], struct life_file *f)
{
	int r = db_raffle_get(e->db, raffle, &f->r);

	if (r == KE_OK && f->r.format != RAFFLE_V2)
		return KE_STATE;
	if (r == KE_OK)
		r = db_life_get(e->db, f->r.no, &f->l);
	return r;
}

int life_late(struct engine *e, int64_t *n)
{
	return db_life_late(e->db, turn_now_ms(e) / 1000, n);
}

struct life life_facts(const struct life_file *f, int64_t now_ms, bool values)
{
	return (struct life){.state = f->r.state,
	    .sold = f->r.sold,
	    .sales_close_s = f->l.terms.sales_close_s,
	    .now_s = (uint64_t)now_ms / 1000,
	    .values = values};
}

int life_order(struct engine *e, const uint8_t raffle[16], int64_t run_at_ms)
{
	int r = db_job_put(e->db, LIFE_JOB, raffle, PRIORITY, run_at_ms, turn_now_ms(e));

	if (r == KE_OK)
		maint_kick(e);
	return r;
}

int life_values(struct engine *e, const struct life_file *f, struct record2_terms *t)
{
	int r = KE_OK;

	*t = f->l.terms;
	/* all are asked for, so that all are fetched */
	for (size_t i = 0; i < t->nbeacons; i++) {
		int one = beacons_value(e, &f->l.terms.beacons[i], &t->beacons[i]);

		r = r != KE_OK ? r : one;
	}
	return r;
}

/* --- what hsm is asked --- */

struct papers {
	struct wire_out *w;
	uint8_t n;
};

static int put_paper(void *arg, const struct db_record *rec)
{
	struct papers *p = arg;

	wire_put_str(p->w, rec->text, rec->len);
	p->n++;
	return p->w->err;
}

static int put_kind(
    struct engine *e, const struct life_file *f, enum record2_kind kind, struct papers *p)
{
	return db_log_records_of(e->db, f->r.id, kind, put_paper, p);
}

/* u8 n, open, amends, then what is asked about; n is known at the end. */
static int put_papers(
    struct engine *e, const struct life_file *f, const struct db_pending *last, struct wire_out *w)
{
	struct papers p = {.w = w};
	uint8_t *n = w->buf + w->len;
	int r;

	wire_put_u8(w, 0);
	r = put_kind(e, f, RECORD2_OPEN, &p);
	if (r == KE_OK)
		r = put_kind(e, f, RECORD2_AMEND, &p);
	if (r == KE_OK && last == NULL)
		r = put_kind(e, f, RECORD2_CLOSE, &p);
	if (r == KE_OK && last != NULL) {
		wire_put_str(w, last->text, last->len);
		p.n++;
	}
	if (r == KE_OK)
		r = w->err;
	if (r == KE_OK)
		*n = p.n;
	return r;
}

int life_agree_body(
    struct engine *e, const struct life_file *f, const struct db_pending *p, struct wire_out *w)
{
	bool open = p != NULL && p->kind == RECORD2_OPEN;

	wire_put_raw(w, open ? p->commit1 : f->r.seed_commit1, 32);
	wire_put_cstr(w, open ? p->blob : "");
	return put_papers(e, f, p, w);
}

static int put_value(struct engine *e, const struct beacon *promised, struct wire_out *w)
{
	struct db_beacon *v = calloc(1, sizeof *v);
	int r;

	if (v == NULL)
		fatal("out of memory");
	r = beacons_stored(e, promised, v);
	if (r == KE_OK && promised->kind == BEACON_DRAND) {
		wire_put_raw(w, v->b.signature, BLS_SIG_LEN);
	} else if (r == KE_OK) {
		wire_put_str(w, v->pulse, v->pulse_len);
		wire_put_str(w, v->before, v->before_len);
	}
	free(v);
	return r == KE_OK ? w->err : r;
}

/* With what officers have approved, when they have: hsm knows whether it needs that. */
static int put_consent(struct engine *e, const uint8_t raffle[16], struct wire_out *w)
{
	char approvals[RCONF_KEYADM_APPROVALS];
	struct db_proposal p;
	int r = quorum_draw(e, raffle, &p);
	bool there = r == KE_OK && p.state == DB_PROPOSAL_DONE;

	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	if (there) {
		r = quorum_approvals(e, p.id, approvals);
		if (r != KE_OK)
			return r;
	}
	wire_put_cstr(w, there ? p.text : "");
	wire_put_cstr(w, there ? approvals : "");
	return w->err;
}

/* That witnesses have seen the close record in time, where hsm is to ask for that. */
static int put_seen(struct engine *e, const struct life_file *f, struct wire_out *w)
{
	struct oplog_record *close = malloc(sizeof *close);
	char *proof = malloc(TLOGPROOF_MAX);
	uint64_t until_s, size;
	struct db_log oplog;
	size_t n = 0;
	int r = KE_OK;

	if (close == NULL || proof == NULL)
		fatal("out of memory");
	if (witnessed_wanted(e)) {
		r = witnessed_until(e, f, &until_s);
		if (r == KE_OK)
			r = oplog_get(e, f->r.id, RECORD2_CLOSE, close);
		if (r == KE_OK)
			r = witnessed_record(e, close->index, until_s, &size);
		if (r == KE_OK)
			r = db_log_get(e->db, DB_LOG_OPERATOR, &oplog);
		if (r == KE_OK)
			r = tlogproof_write(
			    e, &oplog, close->index, size, NULL, 0, proof, TLOGPROOF_MAX, &n);
	}
	wire_put_str(w, proof, n);
	free(close);
	free(proof);
	return r == KE_OK ? w->err : r;
}

int life_reveal_body(struct engine *e, const struct life_file *f, struct wire_out *w)
{
	const struct record2_terms *t = &f->l.terms;
	int r = put_consent(e, f->r.id, w);

	if (r != KE_OK)
		return r;
	wire_put_raw(w, f->r.seed_commit1, 32);
	wire_put_cstr(w, f->r.seed_blob);
	r = put_seen(e, f, w);
	if (r == KE_OK)
		r = put_papers(e, f, NULL, w);
	wire_put_u8(w, (uint8_t)t->nbeacons);
	for (size_t i = 0; r == KE_OK && i < t->nbeacons; i++)
		r = put_value(e, &t->beacons[i], w);
	return r == KE_OK ? w->err : r;
}

/* --- records --- */

/* by: NULL or zeroes for nobody but the time. */
static int audit_line(struct engine *e, const uint8_t *by, const char *action, const uint8_t id[16])
{
	static const uint8_t nobody[16];

	if (by != NULL && memcmp(by, nobody, sizeof nobody) == 0)
		by = NULL;
	return db_audit_append(e->db, turn_now_ms(e), by, action, id, "{}", 2);
}

int life_propose(
    struct engine *e, const struct life_file *f, const struct record2 *rec, struct db_pending *p)
{
	int r = record2_text(rec, p->text, sizeof p->text - 1, &p->len);

	if (r != KE_OK)
		return r;
	p->kind = rec->kind;
	r = db_life_propose(e->db, f->r.no, p);
	/* should nobody hear hsm's answer */
	return r == KE_OK ? life_order(e, f->r.id, turn_now_ms(e) + 10000) : r;
}

static int append(struct engine *e, const struct life_file *f, const struct db_pending *p)
{
	uint64_t index;

	return oplog_append(e, f->r.id, p->kind, p->text, p->len, turn_now_ms(e), &index);
}

static int opened(struct engine *e, const struct life_file *f, const struct db_pending *p)
{
	int r = db_raffle_set_open(e->db, f->r.id, p->commit1, p->commit2, p->blob, turn_now_ms(e));

	if (r == KE_OK)
		r = life_order(e, f->r.id, f->r.sales_close_s * 1000);
	return r == KE_OK ? audit_line(e, p->by, "raffle-open", f->r.id) : r;
}

static int amended(struct engine *e, const struct life_file *f, const struct db_pending *p)
{
	struct record2 rec = {.picks = NULL};

	if (record2_parse(&rec, p->text, p->len) != KE_OK)
		return KE_DAMAGED;
	int r =
	    db_life_set_terms(e->db, f->r.no, &rec.terms, life_late_s(&e->lives.site, &rec.terms));

	if (r == KE_OK)
		r = life_order(e, f->r.id, (int64_t)rec.terms.sales_close_s * 1000);
	return r == KE_OK ? audit_line(e, p->by, "raffle-amend", f->r.id) : r;
}

static int aborted(struct engine *e, const struct life_file *f, const struct db_pending *p)
{
	int r = db_raffle_set_aborted(e->db, f->r.id, turn_now_ms(e));

	if (r == KE_OK)
		r = db_life_set_over(e->db, f->r.no);
	if (r == KE_OK)
		r = life_order(e, f->r.id, turn_now_ms(e));
	if (r == KE_OK)
		r = proof_order(e, f->r.id, turn_now_ms(e));
	return r == KE_OK ? audit_line(e, p->by, "raffle-abort", f->r.id) : r;
}

bool life_refused(int r)
{
	return r == KE_DENIED || r == KE_FORMAT || r == KE_RANGE || r == KE_LIMIT ||
	       r == KE_CRYPTO || r == KE_VERSION;
}

int life_decide(struct engine *e, struct life_file *f, const struct db_pending *p, int r)
{
	static int (*const happens[RECORD2_KINDS])(
	    struct engine *, const struct life_file *, const struct db_pending *) = {
	    [RECORD2_OPEN] = opened, [RECORD2_AMEND] = amended, [RECORD2_ABORT] = aborted};
	int done;

	if (r != KE_OK && !life_refused(r))
		return KE_UNAVAIL;
	done = db_life_decided(e->db, f->r.no);
	if (done != KE_OK || r != KE_OK)
		return done != KE_OK ? done : r;
	if (happens[p->kind] == NULL)
		return KE_DAMAGED;
	r = happens[p->kind](e, f, p);
	if (r == KE_OK)
		r = append(e, f, p);
	if (r == KE_OK)
		r = db_idem_promise(e->db, &p->request, turn_now_ms(e));
	if (r == KE_OK)
		turn_dirty(e, CACHE_RAFFLES);
	return r;
}

/* --- ends that nobody asked for --- */

int life_propose_void(struct engine *e, const struct life_file *f, enum life_void why)
{
	static const struct {
		const char *reason, *statement;
	} ends[LIFE_VOIDS] = {
	    [LIFE_VOID_EMPTY] = {"nothing-sold", "No ticket was sold."},
	    [LIFE_VOID_DEADLINE] = {"not-drawn-in-time",
		"The raffle was not drawn by its deadline and is void, as its open record says."},
	};
	struct oplog_record *open = malloc(sizeof *open);
	struct record2 rec = {.kind = RECORD2_ABORT, .at_s = (uint64_t)turn_now_ms(e) / 1000};
	struct db_pending p = {.len = 0};
	int r;

	if (open == NULL)
		fatal("out of memory");
	r = oplog_get(e, f->r.id, RECORD2_OPEN, open);
	rec.open_index = open->index;
	memcpy(rec.open_leaf, open->leaf, 32);
	free(open);
	memcpy(rec.raffle, f->r.id, 16);
	snprintf(rec.word, sizeof rec.word, "%s", ends[why].reason);
	hash_sha256(rec.paper, ends[why].statement, strlen(ends[why].statement));
	return r == KE_OK ? life_propose(e, f, &rec, &p) : r;
}

/* --- close --- */

static int close_text(struct engine *e, const struct life_file *f, struct db_pending *p)
{
	struct oplog_record *open = malloc(sizeof *open);
	struct record2 rec = {.kind = RECORD2_CLOSE,
	    .tickets = (uint64_t)f->r.sold,
	    .at_s = (uint64_t)turn_now_ms(e) / 1000};
	int r;

	if (open == NULL)
		fatal("out of memory");
	r = oplog_get(e, f->r.id, RECORD2_OPEN, open);
	memcpy(rec.raffle, f->r.id, 16);
	memcpy(rec.root, f->r.root, 32);
	rec.open_index = open->index;
	memcpy(rec.open_leaf, open->leaf, 32);
	free(open);
	p->kind = RECORD2_CLOSE;
	return r == KE_OK ? record2_text(&rec, p->text, sizeof p->text, &p->len) : r;
}

int life_close(struct engine *e, const struct life_file *f, const uint8_t *by)
{
	struct life_file closed = *f;
	struct db_pending p;
	struct db_sale s;
	uint8_t aggregate[32];
	int r = db_raffle_sale(e->db, f->r.id, &s);

	if (r != KE_OK)
		return r;
	merkle_range_root(&s.range, closed.r.root);
	hash_run_end(aggregate, s.aggregate);
	closed.r.sold = s.sold;
	r = db_raffle_set_closed(e->db, f->r.id, closed.r.root, aggregate, turn_now_ms(e));
	if (r == KE_OK)
		r = close_text(e, &closed, &p);
	if (r == KE_OK)
		r = append(e, f, &p);
	if (r == KE_OK)
		r = life_order(e, f->r.id, turn_now_ms(e)); /* hsm is told at once */
	if (r == KE_OK)
		r = audit_line(e, by, "raffle-close", f->r.id);
	if (r == KE_OK)
		turn_dirty(e, CACHE_RAFFLES);
	return r;
}
