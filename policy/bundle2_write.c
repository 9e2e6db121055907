/*
 * Writing a v2 proof bundle piece by piece: see bundle2_write.h. Pure.
 */
#include "policy/bundle2_write.h"

#include <string.h>

#include "policy/bundle2.h"
#include "policy/jsonw.h"

/* What may come next, besides the lists' own numbers from 1. */
enum { HEAD = 0, TAIL = BUNDLE2_LISTS + 1 };

static const char *const names[BUNDLE2_LISTS] = {
    [BUNDLE2_AMENDS] = "amends",
    [BUNDLE2_FORFEITS] = "forfeits",
    [BUNDLE2_PICKS] = "winners",
    [BUNDLE2_PASSED] = "passed",
    [BUNDLE2_VALUES] = "beacons",
    [BUNDLE2_TIMESTAMPS] = "timestamps",
};

void bundle2_write_init(struct bundle2_writer *w, char *out, size_t cap)
{
	*w = (struct bundle2_writer){.out = out, .cap = cap, .next = HEAD};
}

/* --- pieces --- */

/* Text that is no value by itself. */
static int put_literal(struct bundle2_writer *w, const char *s)
{
	size_t n = strlen(s);

	if (n > w->cap - w->len)
		return KE_FULL;
	memcpy(w->out + w->len, s, n);
	w->len += n;
	return KE_OK;
}

static void value_begin(struct bundle2_writer *w, struct jsonw *j)
{
	jsonw_init(j, w->out + w->len, w->cap - w->len);
}

static int value_end(struct bundle2_writer *w, const struct jsonw *j)
{
	if (j->err == KE_OK)
		w->len += j->len;
	return j->err;
}

/* An element of the list that is being written; *was is where it begins. */
static int element_begin(
    struct bundle2_writer *w, struct jsonw *j, enum bundle2_list l, size_t *was)
{
	int r;

	*was = w->len;
	if (w->next != (unsigned)l + 2 || w->null)
		return KE_RANGE;
	r = put_literal(w, w->first ? "" : ",");
	value_begin(w, j);
	jsonw_object(j);
	return r;
}

static int element_end(struct bundle2_writer *w, struct jsonw *j, size_t was)
{
	int r;

	jsonw_object_end(j);
	r = value_end(w, j);
	if (r == KE_OK)
		w->first = false;
	else
		w->len = was;
	return r;
}

/* Of the two lists whose elements look alike, the one that is being written. */
static enum bundle2_list either(
    const struct bundle2_writer *w, enum bundle2_list a, enum bundle2_list b)
{
	return w->next == (unsigned)a + 2 ? a : b;
}

static void put_text(struct jsonw *j, const char *name, const struct bundle2_text *t)
{
	jsonw_key(j, name);
	if (t->s != NULL)
		jsonw_str(j, t->s, t->n);
	else
		jsonw_null(j);
}

/* What is JSON already. */
static void put_json(struct jsonw *j, const char *name, const struct bundle2_text *t)
{
	jsonw_key(j, name);
	if (t->s != NULL)
		jsonw_raw(j, t->s, t->n);
	else
		jsonw_null(j);
}

/* As readers of JSON have numbers. */
static void put_number(struct jsonw *j, const char *name, uint64_t v)
{
	if (v <= INT64_MAX)
		jsonw_kint(j, name, (int64_t)v);
	else if (j->err == KE_OK)
		j->err = KE_RANGE;
}

/* --- public --- */

int bundle2_put_head(struct bundle2_writer *w, const struct bundle2_head *h)
{
	struct jsonw j;
	int r;

	if (w->next != HEAD)
		return KE_RANGE;
	value_begin(w, &j);
	jsonw_object(&j);
	jsonw_kcstr(&j, "format", BUNDLE2_FORMAT);
	jsonw_kcstr(&j, "operator_vkey", h->operator_vkey);
	jsonw_kcstr(&j, "tickets_vkey", h->tickets_vkey);
	put_text(&j, "policy", &h->policy);
	put_text(&j, "open", &h->open.text);
	put_text(&j, "close", &h->close.text);
	put_text(&j, "draw", &h->draw.text);
	put_text(&j, "abort", &h->abort.text);
	put_text(&j, "open_proof", &h->open.proof);
	put_text(&j, "close_proof", &h->close.proof);
	put_text(&j, "draw_proof", &h->draw.proof);
	put_text(&j, "abort_proof", &h->abort.proof);
	put_text(&j, "tickets_checkpoint", &h->tickets_checkpoint);
	r = value_end(w, &j);
	if (r == KE_OK)
		w->next++;
	return r;
}

/* The end of the list before, then the name of this one and what opens it, or null. */
static int next_list(struct bundle2_writer *w, enum bundle2_list l, bool null)
{
	size_t was = w->len;
	int r = w->next == (unsigned)l + 1 ? KE_OK : KE_RANGE;

	if (r == KE_OK)
		r = put_literal(w, l == 0 || w->null ? ",\"" : "],\"");
	if (r == KE_OK)
		r = put_literal(w, names[l]);
	if (r == KE_OK)
		r = put_literal(w, null ? "\":null" : "\":[");
	if (r != KE_OK) {
		w->len = was;
		return r;
	}
	w->next++;
	w->first = true;
	w->null = null;
	return KE_OK;
}

int bundle2_put_list(struct bundle2_writer *w, enum bundle2_list l)
{
	return next_list(w, l, false);
}

int bundle2_put_unlisted(struct bundle2_writer *w)
{
	return next_list(w, BUNDLE2_PASSED, true);
}

int bundle2_put_record(struct bundle2_writer *w, const struct bundle2_record *rec)
{
	struct jsonw j;
	size_t was;
	int r = element_begin(w, &j, either(w, BUNDLE2_AMENDS, BUNDLE2_FORFEITS), &was);

	if (r != KE_OK)
		return r;
	put_text(&j, "record", &rec->text);
	put_text(&j, "proof", &rec->proof);
	return element_end(w, &j, was);
}

int bundle2_put_ticket(struct bundle2_writer *w, uint64_t pos, const uint8_t leaf[LEAF_LEN],
    const struct bundle2_text *proof)
{
	struct leaf l;
	struct jsonw j;
	size_t was;
	int r = leaf_decode(&l, leaf, LEAF_LEN);

	if (r == KE_OK)
		r = element_begin(w, &j, either(w, BUNDLE2_PICKS, BUNDLE2_PASSED), &was);
	if (r != KE_OK)
		return r;
	put_number(&j, "pos", pos);
	put_number(&j, "index", l.index);
	jsonw_khex(&j, "ticket_id", l.ticket, 16);
	jsonw_khex(&j, "leaf_hex", leaf, LEAF_LEN);
	put_text(&j, "tlog_proof", proof);
	return element_end(w, &j, was);
}

int bundle2_put_drand(
    struct bundle2_writer *w, const struct bundle2_text *chain_info, const struct beacon *b)
{
	struct jsonw j;
	size_t was;
	int r = element_begin(w, &j, BUNDLE2_VALUES, &was);

	if (r != KE_OK)
		return r;
	jsonw_kcstr(&j, "type", "drand");
	put_json(&j, "chain_info", chain_info);
	put_number(&j, "round", b->round);
	jsonw_khex(&j, "signature", b->signature, BLS_SIG_LEN);
	return element_end(w, &j, was);
}

int bundle2_put_nist(struct bundle2_writer *w, const struct bundle2_pulse *p)
{
	struct jsonw j;
	size_t was;
	int r = element_begin(w, &j, BUNDLE2_VALUES, &was);

	if (r != KE_OK)
		return r;
	jsonw_kcstr(&j, "type", "nist2");
	put_json(&j, "pulse", &p->pulse);
	put_json(&j, "previous_pulse", &p->previous);
	put_text(&j, "certificate_pem", &p->certificate);
	put_text(&j, "intermediate_pem", &p->intermediate);
	return element_end(w, &j, was);
}

int bundle2_put_stamp(
    struct bundle2_writer *w, const void *token, size_t n, const struct bundle2_text *certificates)
{
	struct jsonw j;
	size_t was;
	int r = element_begin(w, &j, BUNDLE2_TIMESTAMPS, &was);

	if (r != KE_OK)
		return r;
	jsonw_key(&j, "token");
	jsonw_b64(&j, token, n);
	put_text(&j, "certificates_pem", certificates);
	return element_end(w, &j, was);
}

static int put_escrow(struct bundle2_writer *w, const uint8_t *escrow)
{
	struct jsonw j;

	value_begin(w, &j);
	if (escrow != NULL)
		jsonw_hex(&j, escrow, 32);
	else
		jsonw_null(&j);
	return value_end(w, &j);
}

static int put_software(struct bundle2_writer *w, const struct bundle2_tail *t)
{
	struct jsonw j;

	value_begin(w, &j);
	jsonw_object(&j);
	jsonw_kcstr(&j, "version", t->version);
	jsonw_kcstr(&j, "git", t->git);
	jsonw_kcstr(&j, "sha256", t->sha256);
	jsonw_object_end(&j);
	return value_end(w, &j);
}

int bundle2_put_tail(struct bundle2_writer *w, const struct bundle2_tail *t)
{
	size_t was = w->len;
	int r = w->next == TAIL ? KE_OK : KE_RANGE;

	if (r == KE_OK)
		r = put_literal(w, "],\"escrow_bundle_sha256\":");
	if (r == KE_OK)
		r = put_escrow(w, t->escrow);
	if (r == KE_OK)
		r = put_literal(w, ",\"software\":");
	if (r == KE_OK)
		r = put_software(w, t);
	if (r == KE_OK)
		r = put_literal(w, "}\n");
	if (r == KE_OK)
		w->next++;
	else
		w->len = was;
	return r;
}
