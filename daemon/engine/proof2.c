/*
 * Proof bundles of v2 raffles: see proof2.h. Runs in engine. What is written is public.
 */
#include "daemon/engine/proof2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/logkey.h"
#include "daemon/engine/logread.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/tlogproof.h"
#include "daemon/engine/witnessed.h"
#include "daemon/msg/log.h"
#include "db/db_winners.h"
#include "policy/bundle2.h"
#include "policy/bundle2_write.h"
#include "policy/text.h"

#define TICKETS_A_STEP 25
/* So long the bundle waits for witnesses who have not seen the end; then it is shown without. */
#define PATIENCE_MS (INT64_C(600) * 1000)
#define GIVE_UP_MS  (INT64_C(7) * 24 * 3600 * 1000) /* and then it is not written again */

/* A ticket of the bundle, in the shuffle's order. */
struct shown {
	uint64_t index, pos;
};

struct proof2 {
	struct life_file f;
	struct bundle2_writer w;
	struct db_log oplog, tickets;
	bool drawn, lacking; /* the witnesses of something that it shows */
	/* checkpoint of the operator log that covers all of it, seen by witnesses if there are; its
	 * key */
	uint64_t size;
	struct note_key key;
	struct record2 draw; /* its picks: */
	struct record_pick *picks;
	size_t npicks;
	char *file; /* that the record names */
	size_t file_len;
	struct shown *passed;
	size_t npassed;
	bool unlisted; /* they are too many */
	unsigned list; /* enum bundle2_list that is being written; BUNDLE2_LISTS: the tail */
	size_t next;   /* of its elements */
	/* of one piece */
	struct oplog_record rec;
	char proof[TLOGPROOF_MAX];
};

bool proof2_lacks(const struct proof2 *p)
{
	return p->lacking;
}

void proof2_free(struct proof2 *p)
{
	if (p == NULL)
		return;
	free(p->picks);
	free(p->file);
	free(p->passed);
	free(p);
}

const char *proof2_winners(const struct proof2 *p, size_t *n)
{
	*n = p->file_len;
	return p->file;
}

/* --- what it shows --- */

/*
 * Between the picks stand those who were passed over, as having won before. With fewer holders
 * than prizes the draw went through all tickets. More than BUNDLE2_PASSED_MAX are not listed.
 */
static int find_passed(struct proof2 *p, uint64_t wanted, uint64_t tickets)
{
	struct draw_walk walk;
	size_t won = 0;
	uint64_t index;
	int r;

	p->passed = calloc(BUNDLE2_PASSED_MAX, sizeof *p->passed);
	if (p->passed == NULL)
		fatal("out of memory");
	r = draw_walk_init(&walk, tickets, p->npicks, p->draw.draw_key);
	while (r == KE_OK && (won < p->npicks || won < wanted)) {
		r = draw_walk_next(&walk, &index);
		if (r != KE_OK)
			break;
		if (won < p->npicks && index == p->picks[won].index) {
			won++;
			continue;
		}
		p->unlisted = p->npassed == BUNDLE2_PASSED_MAX;
		if (p->unlisted)
			break;
		p->passed[p->npassed++] = (struct shown){index, won};
	}
	draw_walk_free(&walk);
	return r == KE_NOTFOUND ? KE_OK : r;
}

static int read_record(struct engine *e, struct proof2 *p, enum record2_kind kind)
{
	return oplog_get(e, p->f.r.id, kind, &p->rec);
}

/* The picks of a record that names a file of them. */
static int read_file(struct engine *e, struct proof2 *p)
{
	int r;

	p->file = malloc(RECORD2_FILE_MAX);
	if (p->file == NULL)
		fatal("out of memory");
	r = db_winners_get(e->db, p->f.r.id, p->file, RECORD2_FILE_MAX, &p->file_len);
	if (r == KE_OK)
		r = record2_file_parse(&p->draw, p->file, p->file_len);
	return r == KE_OK ? r : KE_DAMAGED;
}

static int read_draw(struct engine *e, struct proof2 *p)
{
	uint64_t wanted = (uint64_t)(p->f.r.winners + p->f.r.reserves);
	int r = read_record(e, p, RECORD2_DRAW);

	p->draw.picks_cap = wanted > RECORD2_LISTED_MAX ? (size_t)wanted : RECORD2_LISTED_MAX;
	p->draw.picks = p->picks = calloc(p->draw.picks_cap, sizeof *p->picks);
	if (p->picks == NULL)
		fatal("out of memory");
	if (r == KE_OK && record2_parse(&p->draw, p->rec.text, p->rec.len) != KE_OK)
		r = KE_DAMAGED;
	if (r == KE_OK && !p->draw.listed)
		r = read_file(e, p);
	if (r != KE_OK)
		return r;
	p->npicks = (size_t)(p->draw.winners + p->draw.reserves);
	return p->f.l.dedupe == DEDUPE_HOLDER ? find_passed(p, wanted, (uint64_t)p->f.r.sold)
					      : KE_OK;
}

/* Is all that was sold, and the end, under checkpoints that everybody can see? */
static int covered(struct engine *e, struct proof2 *p)
{
	int r = read_record(e, p, p->drawn ? RECORD2_DRAW : RECORD2_ABORT);

	if (r == KE_OK)
		r = db_log_get(e->db, DB_LOG_OPERATOR, &p->oplog);
	if (r == KE_OK)
		r = db_log_of_raffle(e->db, p->f.r.id, &p->tickets);
	if (r != KE_OK)
		return r == KE_NOTFOUND ? KE_DAMAGED : r;
	if (p->tickets.logged != p->f.r.sold || !ckpt_covers(&p->oplog, p->rec.index))
		return KE_NOTFOUND;
	return KE_OK;
}

/* Under checkpoints that enough witnesses have seen, too? Behind covered(), whose record is read.
 */
static int witnessed(struct engine *e, struct proof2 *p)
{
	uint64_t index = p->rec.index;
	int64_t age_ms = turn_now_ms(e) - p->rec.at_ms;
	int r;

	p->size = UINT64_MAX;
	if (!witnessed_wanted(e))
		return KE_OK;
	cosign_want(e, p->tickets.no);
	r = read_record(e, p, RECORD2_FORFEIT);
	if (r == KE_OK) { /* the last one comes behind the draw */
		index = p->rec.index;
		age_ms = turn_now_ms(e) - p->rec.at_ms;
	}
	if (r == KE_OK || r == KE_NOTFOUND)
		r = witnessed_record(e, index, UINT64_MAX, &p->size);
	if (r == KE_OK)
		r = witnessed_tickets(e, &p->tickets);
	if (r != KE_NOTFOUND)
		return r;
	p->size = UINT64_MAX;
	p->lacking = age_ms < GIVE_UP_MS;
	return age_ms < PATIENCE_MS ? r : KE_OK;
}

int proof2_begin(struct engine *e, const struct db_raffle *raffle, struct proof2 **out)
{
	struct proof2 *p = calloc(1, sizeof *p);
	int r;

	*out = NULL;
	if (p == NULL)
		fatal("out of memory");
	r = life_get(e, raffle->id, &p->f);
	p->drawn = p->f.r.state == RAFFLE_DRAWN;
	if (r == KE_OK && !p->drawn && p->f.r.state != RAFFLE_ABORTED)
		r = KE_STATE;
	if (r == KE_OK)
		r = covered(e, p);
	if (r == KE_OK)
		r = witnessed(e, p);
	if (r == KE_OK && p->drawn)
		r = read_draw(e, p);
	if (r != KE_OK) {
		proof2_free(p);
		return r;
	}
	*out = p;
	return KE_OK;
}

/* --- the head --- */

/* Texts that the head shows, kept until it is written. */
struct head {
	struct {
		char text[DB_LOG_TEXT_MAX + 1], proof[TLOGPROOF_MAX];
		size_t len, proof_len;
	} rec[RECORD2_KINDS];
	struct db_checkpoint tickets;
	char operator_vkey[NOTE_VKEY_MAX], tickets_vkey[NOTE_VKEY_MAX];
	char policy[RCONF_POLICY + 2 * NOTE_VKEY_MAX + 64];
	size_t policy_len;
};

static int key_in(
    struct engine *e, const struct db_log *log, const struct db_checkpoint *c, struct note_key *k)
{
	struct log_name name = ckpt_name(log);

	return logkey_of_log(e, &name, c->note, c->len, k);
}

static int key_of(struct engine *e, const struct db_log *log, uint64_t size, struct note_key *k)
{
	struct db_checkpoint *c = malloc(sizeof *c);
	int r;

	if (c == NULL)
		fatal("out of memory");
	r = db_log_checkpoint(e->db, log->no, size, c);
	if (r == KE_OK)
		r = key_in(e, log, c, k);
	free(c);
	return r;
}

/*
 * The checkpoint that a record is shown under. What must have been seen before a beacon's value:
 * the first one that witnesses have seen. A bundle names one log key; where that has turned over
 * since, the record is shown all the same, and not in time.
 */
static int shown_under(struct engine *e, const struct proof2 *p, uint64_t *size)
{
	bool early = p->rec.kind == RECORD2_CLOSE || p->rec.kind == RECORD2_AMEND;
	struct note_key k;
	uint64_t first;
	int r;

	*size = p->size;
	if (!early || !witnessed_wanted(e))
		return KE_OK;
	r = witnessed_record(e, p->rec.index, UINT64_MAX, &first);
	if (r == KE_OK)
		r = key_of(e, &p->oplog, first, &k);
	if (r == KE_OK && note_key_same(&k, &p->key))
		*size = first;
	return r == KE_NOTFOUND ? KE_OK : r;
}

/* The proof of the record in p->rec. */
static int prove_record(struct engine *e, struct proof2 *p, char out[TLOGPROOF_MAX], size_t *n)
{
	uint64_t size;
	int r = shown_under(e, p, &size);

	return r == KE_OK ? tlogproof_write(
				e, &p->oplog, p->rec.index, size, NULL, 0, out, TLOGPROOF_MAX, n)
			  : r;
}

static int fill_record(struct engine *e, struct proof2 *p, enum record2_kind kind, struct head *h,
    struct bundle2_record *out)
{
	int r = read_record(e, p, kind);

	if (r == KE_NOTFOUND) /* an abort before the close */
		return KE_OK;
	if (r != KE_OK)
		return r;
	memcpy(h->rec[kind].text, p->rec.text, p->rec.len);
	r = prove_record(e, p, h->rec[kind].proof, &h->rec[kind].proof_len);
	out->text = (struct bundle2_text){h->rec[kind].text, p->rec.len};
	out->proof = (struct bundle2_text){h->rec[kind].proof, h->rec[kind].proof_len};
	return r;
}

static int vkey_of(const struct note_key *k, char vkey[NOTE_VKEY_MAX])
{
	return note_vkey(k->name, k->type, k->pub, vkey, NOTE_VKEY_MAX);
}

static int fill_keys(struct engine *e, struct proof2 *p, struct head *h)
{
	const char *logs[] = {h->operator_vkey, h->tickets_vkey};
	struct note_key tickets;
	int r = key_of(e, &p->oplog, p->size, &p->key);

	if (r == KE_OK)
		r = db_log_checkpoint(e->db, p->tickets.no, UINT64_MAX, &h->tickets);
	if (r == KE_OK)
		r = key_in(e, &p->tickets, &h->tickets, &tickets);
	if (r == KE_OK)
		r = vkey_of(&p->key, h->operator_vkey);
	if (r == KE_OK)
		r = vkey_of(&tickets, h->tickets_vkey);
	if (r == KE_OK)
		r = tlog_policy_text(
		    &e->cosign.policy, logs, 2, h->policy, sizeof h->policy, &h->policy_len);
	return r;
}

static int put_head(struct engine *e, struct proof2 *p)
{
	struct head *h = calloc(1, sizeof *h);
	struct bundle2_head b;
	int r;

	if (h == NULL)
		fatal("out of memory");
	b = (struct bundle2_head){
	    .operator_vkey = h->operator_vkey, .tickets_vkey = h->tickets_vkey};
	r = fill_keys(e, p, h);
	if (r == KE_OK)
		r = fill_record(e, p, RECORD2_OPEN, h, &b.open);
	if (r == KE_OK)
		r = fill_record(e, p, RECORD2_CLOSE, h, &b.close);
	if (r == KE_OK)
		r = p->drawn ? fill_record(e, p, RECORD2_DRAW, h, &b.draw)
			     : fill_record(e, p, RECORD2_ABORT, h, &b.abort);
	b.policy = (struct bundle2_text){h->policy, h->policy_len};
	if (b.close.text.s != NULL)
		b.tickets_checkpoint = (struct bundle2_text){h->tickets.note, h->tickets.len};
	if (r == KE_OK)
		r = bundle2_put_head(&p->w, &b);
	free(h);
	return r;
}

/* --- lists --- */

struct records {
	struct engine *e;
	struct proof2 *p;
};

static int put_record(void *arg, const struct db_record *rec)
{
	struct records *a = arg;
	struct bundle2_record b = {.text = {rec->text, rec->len}};
	size_t n = 0;
	int r;

	a->p->rec.kind = rec->kind;
	a->p->rec.index = rec->index;
	r = prove_record(a->e, a->p, a->p->proof, &n);
	b.proof = (struct bundle2_text){a->p->proof, n};
	return r == KE_OK ? bundle2_put_record(&a->p->w, &b) : r;
}

/* As many records as a raffle can have in one step; those that are signed yet. */
static int put_records(struct engine *e, struct proof2 *p, enum record2_kind kind)
{
	struct records a = {e, p};

	return db_log_records_of(e->db, p->f.r.id, kind, put_record, &a);
}

struct leaf_of {
	const uint8_t *raffle;
	uint8_t leaf[LEAF_LEN];
};

static int take_leaf(void *arg, const struct db_ticket_row *row)
{
	struct leaf_of *l = arg;

	logread_ticket(l->leaf, l->raffle, row);
	return KE_OK;
}

static int put_ticket(struct engine *e, struct proof2 *p, const struct shown *s)
{
	struct leaf_of l = {.raffle = p->f.r.id};
	struct bundle2_text proof = {.s = p->proof};
	int r = db_ticket_at(e->db, p->f.r.no, (int64_t)s->index, take_leaf, &l);

	if (r == KE_OK)
		r = tlogproof_write(e, &p->tickets, s->index, UINT64_MAX, NULL, 0, p->proof,
		    sizeof p->proof, &proof.n);
	return r == KE_OK ? bundle2_put_ticket(&p->w, s->pos, l.leaf, &proof) : r;
}

static struct shown picked(const struct proof2 *p, size_t i)
{
	size_t winners = (size_t)p->draw.winners;

	return (struct shown){p->picks[i].index, i < winners ? i + 1 : i - winners + 1};
}

/* Some of them; KE_AGAIN: more. */
static int put_tickets(struct engine *e, struct proof2 *p, size_t count)
{
	size_t end = p->next + TICKETS_A_STEP < count ? p->next + TICKETS_A_STEP : count;
	int r = KE_OK;

	for (; r == KE_OK && p->next < end; p->next++) {
		struct shown s = p->list == BUNDLE2_PICKS ? picked(p, p->next) : p->passed[p->next];

		r = put_ticket(e, p, &s);
	}
	return r == KE_OK && end < count ? KE_AGAIN : r;
}

static int put_drand(struct engine *e, struct proof2 *p, const struct beacon *b)
{
	const struct drand_chain *c = beacons_chain(e, b->chain_hash);
	struct bundle2_text info = {.s = p->proof};
	struct jsonw w;

	if (c == NULL)
		return KE_DAMAGED;
	jsonw_init(&w, p->proof, sizeof p->proof);
	jsonw_object(&w);
	jsonw_khex(&w, "public_key", c->pub, sizeof c->pub);
	jsonw_kint(&w, "period", c->period_s);
	jsonw_kint(&w, "genesis_time", (int64_t)c->genesis_s);
	jsonw_khex(&w, "hash", b->chain_hash, 32);
	jsonw_khex(&w, "groupHash", c->group_hash, 32);
	jsonw_kcstr(&w, "schemeID", DRAND_SCHEME);
	jsonw_key(&w, "metadata");
	jsonw_object(&w);
	jsonw_kcstr(&w, "beaconID", c->id);
	jsonw_object_end(&w);
	jsonw_object_end(&w);
	info.n = w.len;
	return jsonw_end(&w) == KE_OK ? bundle2_put_drand(&p->w, &info, b) : KE_FULL;
}

/* Behind what is in buf already; "" for none. */
static int write_pulse(const uint8_t *packed, size_t n, char *buf, struct bundle2_text *out)
{
	struct pulse pulse;
	struct jsonw w;

	if (n == 0)
		return KE_OK;
	if (pulse_unpack(&pulse, packed, n) != KE_OK)
		return KE_DAMAGED;
	jsonw_init(&w, buf, PULSE_WRITTEN_MAX);
	pulse_write(&pulse, &w);
	*out = (struct bundle2_text){buf, w.len};
	return jsonw_end(&w);
}

/* The pinned certificate that has signed the pulse; "" when it was unpinned since. */
static const char *certificate_of(const struct engine *e, const struct db_beacon *v)
{
	struct pulse p;

	if (pulse_unpack(&p, v->pulse, v->pulse_len) != KE_OK)
		return "";
	for (size_t i = 0; i < RCONF_CERTS && e->conf.certificates[i][0] != '\0'; i++) {
		const char *pem = e->conf.certificates[i];

		if (pulse_verify(&p, pem, strlen(pem)) == KE_OK)
			return pem;
	}
	return "";
}

static int put_nist(struct engine *e, struct proof2 *p, const struct beacon *promised)
{
	struct db_beacon *v = calloc(1, sizeof *v);
	char *buf = malloc((size_t)2 * PULSE_WRITTEN_MAX);
	struct bundle2_pulse b = {.intermediate = {"", 0}};
	int r;

	if (v == NULL || buf == NULL)
		fatal("out of memory");
	r = beacons_stored(e, promised, v);
	if (r == KE_OK)
		b.certificate.s = certificate_of(e, v);
	if (r == KE_OK) {
		b.certificate.n = strlen(b.certificate.s);
		r = write_pulse(v->pulse, v->pulse_len, buf, &b.pulse);
	}
	if (r == KE_OK)
		r = write_pulse(v->before, v->before_len, buf + PULSE_WRITTEN_MAX, &b.previous);
	if (r == KE_OK)
		r = bundle2_put_nist(&p->w, &b);
	free(v);
	free(buf);
	return r;
}

static int put_values(struct engine *e, struct proof2 *p)
{
	const struct record2_terms *came = &p->draw.terms;
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && p->drawn && i < came->nbeacons; i++)
		r = came->beacons[i].kind == BEACON_DRAND
			? put_drand(e, p, &came->beacons[i])
			: put_nist(e, p, &p->f.l.terms.beacons[i]);
	return r;
}

static int put_list(struct engine *e, struct proof2 *p)
{
	switch (p->list) {
	case BUNDLE2_AMENDS:
		return put_records(e, p, RECORD2_AMEND);
	case BUNDLE2_FORFEITS:
		return put_records(e, p, RECORD2_FORFEIT);
	case BUNDLE2_PICKS:
		return put_tickets(e, p, p->npicks);
	case BUNDLE2_PASSED:
		return put_tickets(e, p, p->npassed);
	case BUNDLE2_VALUES:
		return put_values(e, p);
	default:
		return KE_OK;
	}
}

static int put_tail(struct engine *e, struct proof2 *p)
{
	static const uint8_t none[32];
	struct record2 open = {.picks = NULL};
	struct bundle2_tail t = {
	    .version = KLERO_VERSION, .git = software_commit(), .sha256 = e->software};
	int r = read_record(e, p, RECORD2_OPEN);

	if (r == KE_OK && record2_parse(&open, p->rec.text, p->rec.len) != KE_OK)
		r = KE_DAMAGED;
	if (memcmp(open.escrow, none, 32) != 0)
		t.escrow = open.escrow;
	return r == KE_OK ? bundle2_put_tail(&p->w, &t) : r;
}

/* The list that is being written, or the next one. */
static int put_more(struct engine *e, struct proof2 *p)
{
	bool null = p->list == BUNDLE2_PASSED && p->unlisted;
	int r = KE_OK;

	if (null)
		r = bundle2_put_unlisted(&p->w);
	else if (p->next == 0)
		r = bundle2_put_list(&p->w, (enum bundle2_list)p->list);
	if (r == KE_OK && !null)
		r = put_list(e, p);
	if (r != KE_OK)
		return r;
	p->list++;
	p->next = 0;
	return KE_AGAIN;
}

int proof2_step(struct engine *e, struct proof2 *p, char *out, size_t cap, size_t *len)
{
	bool first = p->w.out == NULL;
	int r;

	if (first)
		bundle2_write_init(&p->w, out, cap);
	p->w.len = 0;
	if (first)
		r = put_head(e, p);
	else
		r = p->list < BUNDLE2_LISTS ? put_more(e, p) : put_tail(e, p);
	*len = p->w.len;
	return first && r == KE_OK ? KE_AGAIN : r;
}
