/*
 * POST /witness/add-checkpoint: see witness.h. A stranger's text is read here; hsm gets its meaning
 * and the log's signature. What a log has signed and hsm refuses stays as evidence. Runs in engine.
 */
#include "daemon/engine/witness.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"
#include "policy/origin.h"
#include "policy/text.h"
#include "policy/tlog.h"

_Static_assert(WITNESS_LOGS == RCONF_LOGS, "room for all that are configured");
_Static_assert(TLOG_SUBMISSION_NOTE <= DB_WITNESS_NOTE_MAX, "every note fits");

void witness_start(struct engine *e)
{
	struct witness *w = &e->witness;
	int r;

	for (; w->nlogs < WITNESS_LOGS && e->conf.witness_logs[w->nlogs][0] != '\0'; w->nlogs++) {
		const char *vkey = e->conf.witness_logs[w->nlogs];

		if (note_vkey_parse(&w->logs[w->nlogs], vkey, strlen(vkey)) != KE_OK)
			fatal("witness-log: malformed");
	}
	r = turn_begin(e);
	for (unsigned k = DB_EVIDENCE_SPLIT; r == KE_OK && k < DB_EVIDENCE_KINDS; k++)
		r = db_witness_count(e->db, (enum db_evidence_kind)k, &w->evidence[k]);
	if (r != KE_OK)
		opening_failed(e, "evidence of witnesses", r);
}

const char *witness_word(const struct engine *e)
{
	const struct witness *w = &e->witness;

	if (w->evidence[DB_EVIDENCE_SPLIT] > 0)
		return "split-view";
	if (w->evidence[DB_EVIDENCE_INCONSISTENT] > 0)
		return "inconsistent";
	return w->nlogs > 0 ? "ok" : NULL;
}

/* --- a submission --- */

struct checked {
	struct tlog_submission s;
	struct checkpoint c;
	struct note_key log;
};

/* The log whose origin is the note's first line, with the key of its operator log. */
static int find_log(const struct witness *w, const struct tlog_submission *s, struct note_key *k)
{
	const char *lf = memchr(s->note, '\n', s->note_len);
	char origin[NOTE_NAME_MAX + 1];
	size_t n = lf != NULL ? (size_t)(lf - s->note) : sizeof origin;

	if (n >= sizeof origin || memchr(s->note, '\0', n) != NULL)
		return KE_FORMAT;
	memcpy(origin, s->note, n);
	origin[n] = '\0';
	for (size_t i = 0; i < w->nlogs; i++) {
		if (!origin_belongs(origin, w->logs[i].name))
			continue;
		*k = w->logs[i];
		memcpy(k->name, origin, n + 1);
		note_key_id(k->id, k->name, k->type, k->pub);
		return KE_OK;
	}
	return KE_NOTFOUND;
}

/* KE_OK, or refused as the specification has it. */
static int check(struct rq *q, struct checked *c)
{
	const struct api_value *text = rq_field(q, 0);
	int r = tlog_submission_parse(&c->s, (const char *)text->p, text->n);

	if (r != KE_OK || c->s.note_len > TLOG_SUBMISSION_NOTE)
		return rq_refuse(q, PB_SUBMISSION);
	r = find_log(&q->e->witness, &c->s, &c->log);
	if (r == KE_NOTFOUND)
		return rq_refuse(q, PB_NOT_FOUND);
	if (r == KE_OK)
		r = checkpoint_open(&c->c, c->s.note, c->s.note_len, &c->log);
	if (r == KE_NOTFOUND || r == KE_CRYPTO)
		return rq_refuse(q, PB_NOT_THEIR_KEY);
	if (r != KE_OK || c->s.old > c->c.size || c->c.size > INT64_MAX)
		return rq_refuse(q, PB_SUBMISSION);
	return KE_OK;
}

static struct db_witnessed row_of(const struct rq *q, const struct checked *c)
{
	return (struct db_witnessed){
	    c->c.origin, c->c.size, c->c.root, c->s.note, c->s.note_len, q->now_ms};
}

/* --- what hsm says --- */

static int answer_size(struct rq *q, uint64_t size)
{
	size_t n = text_u64(q->e->scratch, size);

	q->e->scratch[n++] = '\n';
	q->ans.status = 409;
	return rq_text(q, API_LOG_SIZE, n);
}

/* It was signed by its log: kept, and told to those who look after this appliance. */
static int keep_evidence(struct rq *q, const struct checked *c, enum db_evidence_kind kind)
{
	struct db_witnessed row = row_of(q, c);
	bool kept;
	int r = db_witness_evidence(q->e->db, kind, &row, &kept);

	if (r != KE_OK || !kept)
		return r;
	q->e->witness.evidence[kind]++;
	log_security("witness: %s has signed %llu leaves that %s: kept as evidence", c->c.origin,
	    (unsigned long long)c->c.size,
	    kind == DB_EVIDENCE_SPLIT ? "are another tree than the one cosigned"
				      : "are not shown to hold what was cosigned");
	return KE_OK;
}

static int answer_lines(struct rq *q, const struct checked *c, struct wire_in *in)
{
	struct db_witnessed row = row_of(q, c);
	struct note_key own = {.type = NOTE_COSIGN};
	uint8_t sig[64];
	uint64_t time_s;
	size_t n;
	int r = origin_witness(q->e->conf.host, own.name);

	wire_get_raw(in, own.id, sizeof own.id);
	time_s = wire_get_u64(in);
	wire_get_raw(in, sig, sizeof sig);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (r == KE_OK)
		r = cosign_line(&own, time_s, sig, q->e->scratch, &n);
	if (r == KE_OK)
		r = db_witness_put(q->e->db, &row);
	if (r != KE_OK)
		return r;
	q->e->witness.cosigned++;
	return rq_text(q, API_TEXT, n);
}

static int cosigned(struct rq *q, int r, struct wire_in *in)
{
	struct checked c;
	int v = check(q, &c);

	if (v != KE_OK)
		return v;
	if (r == KE_OK)
		return answer_lines(q, &c, in);
	if (in == NULL)
		return KE_UNAVAIL;
	q->e->witness.refused++;
	if (r == KE_STATE) {
		uint64_t size = wire_get_u64(in);

		return wire_end(in) == KE_OK ? answer_size(q, size) : KE_PEER;
	}
	if (r == KE_EXISTS || r == KE_CRYPTO)
		v = keep_evidence(
		    q, &c, r == KE_EXISTS ? DB_EVIDENCE_SPLIT : DB_EVIDENCE_INCONSISTENT);
	if (v != KE_OK)
		return v;
	if (r == KE_EXISTS)
		return answer_size(q, c.c.size);
	if (r == KE_CRYPTO)
		return rq_problem(q, PB_INCONSISTENT);
	return r == KE_CONFLICT ? rq_refuse_retry(q, PB_BUSY, 1) : KE_UNAVAIL;
}

int api_witness_add(struct rq *q)
{
	uint8_t sig[NOTE_SIG_MAX];
	struct checked c;
	size_t n = 0;
	int r = check(q, &c);

	if (r == KE_OK)
		r = note_signature(c.s.note, c.s.note_len, &c.log, sig, &n);
	return r == KE_OK ? eng_hsm_cosign(q, "cosigned", cosigned, &c.c, sig, n, &c.s) : r;
}
