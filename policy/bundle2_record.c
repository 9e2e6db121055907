/*
 * The records of a v2 proof bundle: that they belong together, and are in the operator log in the
 * order that they must have. Pure; see bundle2.h.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/life.h"

const char *const check2_words[RECORDS] = {"open", "close", "draw", "abort"};
static const enum record2_kind kinds[RECORDS] = {
    RECORD2_OPEN, RECORD2_CLOSE, RECORD2_DRAW, RECORD2_ABORT};

/* --- reading --- */

/* The record whose text and proof are those two strings. */
static int read_record(
    struct check2 *c, size_t text, size_t proof, enum record2_kind kind, struct logged2 *l)
{
	const char *word = record2_words[kind];
	size_t n;
	int r = bundle_string(&c->doc, text, &l->text, &l->len);

	if (r == KE_OK)
		r = bundle_string(&c->doc, proof, &l->proof_text, &n);
	if (r != KE_OK)
		return r;
	l->rec.picks = c->picks;
	l->rec.picks_cap = kind == RECORD2_DRAW ? c->picks_cap : 0;
	r = record2_parse(&l->rec, l->text, l->len);
	if (r != KE_OK || l->rec.kind != kind)
		return bundle_no(&c->doc, KE_FORMAT, "\"%s\" is not a v2 %s record", word, word);
	if (tlog_proof_parse(&l->proof, l->proof_text, n) != KE_OK)
		return bundle_no(&c->doc, KE_FORMAT, "\"%s_proof\" is not a tlog-proof", word);
	record2_leaf(l->leaf, l->text, l->len);
	if (memcmp(l->rec.raffle, c->rec[OPEN].rec.raffle, 16) != 0)
		return bundle_no(&c->doc, KE_CRYPTO, "the %s record is of another raffle", word);
	return KE_OK;
}

/* The records of a list of {"record", "proof"}. */
static int read_list(
    struct check2 *c, size_t array, enum record2_kind kind, struct logged2 **list, size_t *count)
{
	size_t n = (size_t)c->doc.toks[array].size, at = array + 1, text, proof;
	const struct bundle_member members[] = {
	    {"record", JSON_STRING, &text},
	    {"proof", JSON_STRING, &proof},
	};
	int r = KE_OK;

	if (n > BUNDLE2_LIST_MAX)
		return bundle_no(&c->doc, KE_FORMAT, "more than %d %s records", BUNDLE2_LIST_MAX,
		    record2_words[kind]);
	*list = calloc(n + 1, sizeof(**list));
	if (*list == NULL)
		return bundle_no_memory(&c->doc);
	*count = n;
	for (size_t i = 0; r == KE_OK && i < n; i++) {
		r = bundle_members(&c->doc, at, record2_words[kind], members, 2);
		if (r == KE_OK)
			r = read_record(c, text, proof, kind, &(*list)[i]);
		at = json_next(c->doc.toks, c->doc.ntoks, at);
	}
	return r;
}

static int read_records(struct check2 *c)
{
	int r = KE_OK;

	for (unsigned w = OPEN; r == KE_OK && w < RECORDS; w++)
		if (!bundle_null(&c->doc, c->at.text[w]))
			r = read_record(c, c->at.text[w], c->at.proof[w], kinds[w], &c->rec[w]);
	if (r == KE_OK)
		r = read_list(c, c->at.amends, RECORD2_AMEND, &c->amends, &c->namends);
	if (r == KE_OK)
		r = read_list(c, c->at.forfeits, RECORD2_FORFEIT, &c->forfeits, &c->nforfeits);
	return r;
}

/* --- what they say of one another --- */

int check2_numbers(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN].rec, *draw = &c->rec[DRAW].rec;
	uint64_t n = c->rec[CLOSE].rec.tickets;

	c->res->winners = draw->winners;
	c->res->reserves = draw->reserves;
	if (!record2_numbers_ok(open, n, draw))
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the draw from %llu tickets has %llu winners and %llu reserves, %llu and %llu "
		    "were announced",
		    (unsigned long long)n, (unsigned long long)draw->winners,
		    (unsigned long long)draw->reserves, (unsigned long long)open->winners,
		    (unsigned long long)open->reserves);
	return KE_OK;
}

/* Close, abort and amends name the open record by its hash, and all by one index. */
static int check_open(struct check2 *c, const struct logged2 *l)
{
	const char *word = record2_words[l->rec.kind];

	if (l->text == NULL)
		return KE_OK;
	if (l->rec.kind != RECORD2_DRAW && memcmp(l->rec.open_leaf, c->rec[OPEN].leaf, 32) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the %s record was made for another open record", word);
	if (l->rec.open_index != c->rec[OPEN].proof.index)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the open record is at %llu in the operator log, the %s record says %llu",
		    (unsigned long long)c->rec[OPEN].proof.index, word,
		    (unsigned long long)l->rec.open_index);
	return KE_OK;
}

static int check_close(struct check2 *c)
{
	const struct record2 *close = &c->rec[CLOSE].rec;

	if (c->rec[CLOSE].text == NULL)
		return KE_OK;
	c->res->tickets = close->tickets;
	if (close->at_s < c->terms->sales_close_s)
		return bundle_no(&c->doc, KE_CRYPTO, "the sale was closed before its time");
	return KE_OK;
}

static int check_draw(struct check2 *c)
{
	const struct record2 *draw = &c->rec[DRAW].rec;

	if (!c->drawn)
		return KE_OK;
	if (draw->close_index != c->rec[CLOSE].proof.index)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the close record is at %llu in the operator log, the draw record says %llu",
		    (unsigned long long)c->rec[CLOSE].proof.index,
		    (unsigned long long)draw->close_index);
	/* of a file the bundle's winners are the lines */
	return draw->listed ? check2_numbers(c) : KE_OK;
}

/* Each forfeit is of this draw; together they can be followed. */
static int check_forfeits(struct check2 *c)
{
	for (size_t i = 0; i < c->nforfeits; i++)
		if (c->forfeits[i].rec.draw_index != c->rec[DRAW].proof.index)
			return bundle_no(
			    &c->doc, KE_CRYPTO, "a forfeit record was made for another draw");
	return KE_OK;
}

int check2_records(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN].rec;
	int r = read_records(c);

	if (r != KE_OK)
		return r;
	c->terms = c->namends > 0 ? &c->amends[c->namends - 1].rec.terms : &open->terms;
	c->res->amends = c->namends;
	c->res->forfeits = c->nforfeits;
	if (!c->drawn)
		memcpy(c->res->reason, c->rec[ABORT].rec.word, sizeof(c->res->reason));
	if (strcmp(open->origin, c->tickets_key.name) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the open record's ticket log is %s, the bundle's key is of %s", open->origin,
		    c->tickets_key.name);
	for (unsigned w = CLOSE; r == KE_OK && w < RECORDS; w++)
		r = check_open(c, &c->rec[w]);
	for (size_t i = 0; r == KE_OK && i < c->namends; i++)
		r = check_open(c, &c->amends[i]);
	if (r == KE_OK)
		r = check_close(c);
	if (r == KE_OK)
		r = check_draw(c);
	if (r == KE_OK)
		r = check_forfeits(c);
	return r;
}

/* --- the operator log --- */

static int check_proof(struct check2 *c, const struct logged2 *l)
{
	const char *word = record2_words[l->rec.kind];
	struct checkpoint at;
	int r = tlog_proof_verify(&l->proof, l->leaf, &c->operator_key, &at);

	if (r == KE_NOTFOUND)
		return bundle_no(&c->doc, r, "the checkpoint of the %s record is not signed by %s",
		    word, c->res->operator_vkey);
	if (r == KE_FORMAT)
		return bundle_no(
		    &c->doc, r, "the checkpoint of the %s record is none of that log", word);
	if (r != KE_OK)
		return bundle_no(&c->doc, r,
		    "the %s record is not in the operator log: it, its proof or the signature was "
		    "altered",
		    word);
	return KE_OK;
}

/* It is in the log, behind the record before it. */
static int check_next(struct check2 *c, const struct logged2 *l, const struct logged2 **before)
{
	int r;

	if (l->text == NULL)
		return KE_OK;
	r = check_proof(c, l);
	if (r == KE_OK && *before != NULL && l->proof.index <= (*before)->proof.index)
		r = bundle_no(&c->doc, KE_CRYPTO, "the %s record stands before the %s record",
		    record2_words[l->rec.kind], record2_words[(*before)->rec.kind]);
	*before = l;
	return r;
}

/* Open, amends, close, draw or abort, forfeits: DRAW.md section 6, policy/life.h. */
int check2_logged(struct check2 *c)
{
	const struct logged2 *before = NULL;
	int r = check_next(c, &c->rec[OPEN], &before);

	for (size_t i = 0; r == KE_OK && i < c->namends; i++)
		r = check_next(c, &c->amends[i], &before);
	for (unsigned w = CLOSE; r == KE_OK && w < RECORDS; w++)
		r = check_next(c, &c->rec[w], &before);
	for (size_t i = 0; r == KE_OK && i < c->nforfeits; i++)
		r = check_next(c, &c->forfeits[i], &before);
	return r;
}
