/*
 * Checking a v1 proof bundle. Pure; runs in klero-verify on strangers' files and trusts nothing in
 * them but, when the caller gives no key, the name of the signer.
 *
 * The steps stand in one table, in the order of enum bundle_step; each is one function that either
 * holds or says in one line what does not agree.
 */
#include "policy/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle_doc.h"
#include "policy/hash.h"
#include "policy/leaf.h"
#include "policy/merkle.h"
#include "policy/record.h"
#include "policy/text.h"

#define SEED_MAX 65535 /* bytes of a client seed: its length is a u16 in the leaf */

/* A ticket is two strings of 162 characters together: what has more tokens is no bundle. */
#define TOKENS_MAX(n) ((n) / 81 + 64)

struct check {
	struct bundle_doc doc;
	size_t vkey, note, raffle, leaves, seeds; /* tokens of the members */
	const struct note_key *trusted;
	const uint8_t *commit;
	struct note_key key;
	char *record_text;
	size_t record_len;
	uint8_t raffle_id[16];
	uint64_t winners, reserves; /* as announced */
	struct record1 rec;
	struct merkle_range range;
	uint8_t aggregate[HASH_STATE_LEN];
	struct bundle_result *res;
	struct record_pick picks[RECORD1_PICKS_MAX];
	char seed[SEED_MAX];
};

static int read_raffle(struct check *c)
{
	size_t id = 0, title = 0, winners = 0, reserves = 0, n;
	const struct bundle_member members[] = {
	    {"id", JSON_STRING, &id},
	    {"title", JSON_STRING, &title},
	    {"winners", JSON_NUMBER, &winners},
	    {"reserves", JSON_NUMBER, &reserves},
	};
	int64_t w, s;
	char uuid[36];
	int r = bundle_members(&c->doc, c->raffle, "\"raffle\"", members, 4);

	if (r != KE_OK)
		return r;
	if (json_string(c->doc.text, &c->doc.toks[id], uuid, sizeof(uuid), &n) != KE_OK ||
	    text_unuuid(c->raffle_id, uuid, n) != KE_OK)
		return bundle_no(&c->doc, KE_FORMAT, "the raffle's id is not a UUID");
	if (json_int(c->doc.text, &c->doc.toks[winners], &w) != KE_OK || w < 1 ||
	    w > RECORD1_PICKS_MAX)
		return bundle_no(
		    &c->doc, KE_FORMAT, "the raffle's number of winners is out of range");
	if (json_int(c->doc.text, &c->doc.toks[reserves], &s) != KE_OK || s < 0 ||
	    s > RECORD1_PICKS_MAX)
		return bundle_no(
		    &c->doc, KE_FORMAT, "the raffle's number of reserves is out of range");
	c->winners = (uint64_t)w;
	c->reserves = (uint64_t)s;
	return KE_OK;
}

static int step_read(struct check *c)
{
	size_t format, label = 0;
	const struct bundle_member members[] = {
	    {"format", JSON_STRING, &format},
	    {"label", JSON_STRING, &label},
	    {"vkey", JSON_STRING, &c->vkey},
	    {"note", JSON_STRING, &c->note},
	    {"raffle", JSON_OBJECT, &c->raffle},
	    {"leaves", JSON_ARRAY, &c->leaves},
	    {"client_seeds", JSON_ARRAY, &c->seeds},
	};
	int r = bundle_tokens(&c->doc, TOKENS_MAX(c->doc.n));

	if (r != KE_OK)
		return r;
	/* The format first: another one may well have other members. */
	format = json_member(c->doc.text, c->doc.toks, c->doc.ntoks, 0, "format");
	if (format != 0 && !bundle_is(&c->doc, format, BUNDLE_FORMAT))
		return bundle_no(&c->doc, KE_VERSION, "the format is not " BUNDLE_FORMAT);
	r = bundle_members(&c->doc, 0, "the bundle", members, 7);
	if (r != KE_OK)
		return r;
	if (!bundle_is(&c->doc, label, BUNDLE_LABEL))
		return bundle_no(&c->doc, KE_FORMAT, "the label is not \"" BUNDLE_LABEL "\"");
	c->res->tickets = (uint64_t)c->doc.toks[c->leaves].size;
	return read_raffle(c);
}

/* --- the signature --- */

static int read_vkey(struct check *c)
{
	struct bundle_result *res = c->res;
	size_t n;
	int r =
	    json_string(c->doc.text, &c->doc.toks[c->vkey], res->vkey, sizeof(res->vkey) - 1, &n);

	if (r == KE_OK)
		r = note_vkey_parse(&c->key, res->vkey, n);
	res->vkey[r == KE_OK ? n : 0] = '\0';
	if (r != KE_OK)
		return bundle_no(
		    &c->doc, KE_FORMAT, "the bundle's vkey is no verifier key of Ed25519 or P-256");
	return KE_OK;
}

static int step_signature(struct check *c)
{
	const struct note_key *k = c->trusted;
	size_t n;
	int r = read_vkey(c);

	if (r != KE_OK)
		return r;
	if (k != NULL && !note_key_same(k, &c->key))
		return bundle_no(&c->doc, KE_WRONG_KEY,
		    "the bundle names %s as its signer, not the trusted key of %s", c->res->vkey,
		    k->name);
	r = bundle_string(&c->doc, c->note, &c->record_text, &n);
	if (r != KE_OK)
		return r;
	r = note_open(c->record_text, n, &c->key, &c->record_len);
	if (r == KE_NOTFOUND)
		return bundle_no(&c->doc, r, "the note bears no signature by %s", c->res->vkey);
	if (r == KE_CRYPTO)
		return bundle_no(
		    &c->doc, r, "the signature is wrong: the record or the signature was altered");
	return r == KE_OK ? r : bundle_no(&c->doc, r, "the note is not a signed note");
}

/* --- the record --- */

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int step_record(struct check *c)
{
	struct record1 *r = &c->rec;
	uint64_t winners, reserves;

	r->picks = c->picks;
	if (record1_parse(r, c->record_text, c->record_len) != KE_OK)
		return bundle_no(&c->doc, KE_FORMAT, "the signed text is not a v1 draw record");
	c->res->winners = r->winners;
	c->res->reserves = r->reserves;
	if (memcmp(r->raffle, c->raffle_id, 16) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the record is of another raffle than the bundle");
	winners = at_most(c->winners, r->tickets);
	if (r->winners != winners)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record has %u winners, the raffle should have %llu", r->winners,
		    (unsigned long long)winners);
	reserves = at_most(c->reserves, r->tickets - winners);
	if (r->reserves != reserves)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record has %u reserves, the raffle should have %llu", r->reserves,
		    (unsigned long long)reserves);
	return KE_OK;
}

static int step_commit(struct check *c)
{
	uint8_t digest[32];

	if (c->commit != NULL && memcmp(c->commit, c->rec.seed_commit, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record's seed commitment is not the one published before the sale");
	hash_sha256(digest, c->rec.server_seed, 32);
	if (memcmp(digest, c->rec.seed_commit, 32) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the server seed is not the one that was committed to");
	return KE_OK;
}

/* --- leaves and client seeds --- */

/* The i-th element of an array of strings. */
static const struct json_tok *element(const struct check *c, size_t array, uint64_t i)
{
	return &c->doc.toks[array + 1 + i];
}

/* Both arrays have one string a ticket: strings have nothing below them, so element() holds. */
static int check_array(struct check *c, size_t array, const char *what)
{
	uint64_t n = (uint64_t)c->doc.toks[array].size;

	if (n != c->rec.tickets)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record counts %llu tickets, the bundle has %llu %s: %s",
		    (unsigned long long)c->rec.tickets, (unsigned long long)n, what,
		    n < c->rec.tickets ? "some are missing" : "some were added");
	for (uint64_t i = 0; i < n; i++)
		if (element(c, array, i)->type != JSON_STRING)
			return bundle_no(&c->doc, KE_FORMAT,
			    "element %llu of the %s is not a string", (unsigned long long)i, what);
	return KE_OK;
}

static int read_leaf(const struct check *c, uint64_t i, struct leaf *l, uint8_t bytes[LEAF_LEN])
{
	const struct json_tok *t = element(c, c->leaves, i);
	size_t n;

	if (text_unb64(bytes, LEAF_LEN, &n, c->doc.text + t->start, (size_t)(t->end - t->start)) !=
	    KE_OK)
		return KE_FORMAT;
	return leaf_decode(l, bytes, n);
}

static int step_leaves(struct check *c)
{
	uint8_t bytes[LEAF_LEN], digest[32];
	struct leaf l;
	int r = check_array(c, c->leaves, "leaves");

	merkle_range_init(&c->range);
	for (uint64_t i = 0; r == KE_OK && i < c->rec.tickets; i++) {
		unsigned long long pos = i;

		if (read_leaf(c, i, &l, bytes) != KE_OK)
			return bundle_no(&c->doc, KE_FORMAT, "leaf %llu is not a ticket leaf", pos);
		if (memcmp(l.raffle, c->raffle_id, 16) != 0)
			return bundle_no(&c->doc, KE_CRYPTO, "leaf %llu is of another raffle", pos);
		if (l.index != i)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "leaf %llu says that its index is %llu: reordered", pos,
			    (unsigned long long)l.index);
		merkle_leaf_hash(digest, bytes, sizeof(bytes));
		merkle_range_add(&c->range, digest);
	}
	return r;
}

static int step_root(struct check *c)
{
	uint8_t root[32];

	merkle_range_root(&c->range, root);
	if (memcmp(root, c->rec.root, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the leaves do not have the record's root: a leaf was altered");
	return KE_OK;
}

static int step_seeds(struct check *c)
{
	uint8_t bytes[LEAF_LEN], digest[32];
	struct leaf l;
	size_t n;
	int r = check_array(c, c->seeds, "client seeds");

	hash_run_start(c->aggregate);
	for (uint64_t i = 0; r == KE_OK && i < c->rec.tickets; i++) {
		unsigned long long pos = i;

		if (json_string(c->doc.text, element(c, c->seeds, i), c->seed, SEED_MAX, &n) !=
		    KE_OK)
			return bundle_no(&c->doc, KE_FORMAT, "client seed %llu is too long", pos);
		if (read_leaf(c, i, &l, bytes) != KE_OK)
			return bundle_no(&c->doc, KE_FORMAT, "leaf %llu is not a ticket leaf", pos);
		leaf_client_seed_hash(digest, c->seed, n);
		if (memcmp(digest, l.client_seed_hash, 32) != 0)
			return bundle_no(
			    &c->doc, KE_CRYPTO, "client seed %llu is not the one in its leaf", pos);
		hash_sha256(digest, c->seed, n);
		hash_run_add(c->aggregate, digest, sizeof(digest));
	}
	return r;
}

static int step_aggregate(struct check *c)
{
	uint8_t aggregate[32];

	hash_run_end(aggregate, c->aggregate);
	if (memcmp(aggregate, c->rec.aggregate, 32) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the client seeds do not have the record's aggregate");
	return KE_OK;
}

/* --- the draw --- */

static int step_draw(struct check *c)
{
	struct record1_fault f;
	int r = record1_fault(&c->rec, &f);

	if (r == KE_OK)
		return r;
	if (r == KE_NOMEM)
		return bundle_no_memory(&c->doc);
	if (f.pos != 0)
		return bundle_no(&c->doc, r,
		    "%s %u is ticket %llu in the record, but the draw gives ticket %llu", f.what,
		    f.pos, (unsigned long long)f.said, (unsigned long long)f.drawn);
	return bundle_no(&c->doc, r,
	    "the record's %s does not follow from its seed, entropy and aggregate", f.what);
}

static int step_winners(struct check *c)
{
	const struct record1 *r = &c->rec;
	uint8_t bytes[LEAF_LEN];
	struct leaf l;

	for (uint32_t i = 0; i < r->winners + r->reserves; i++) {
		const struct record_pick *p = &r->picks[i];
		bool winner = i < r->winners;

		if (read_leaf(c, p->index, &l, bytes) != KE_OK)
			return bundle_no(
			    &c->doc, KE_FORMAT, "the leaf of a winner is not a ticket leaf");
		if (memcmp(l.ticket, p->ticket, 16) != 0)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the ticket id of %s %u is not the one in leaf %llu",
			    winner ? "winner" : "reserve", winner ? i + 1 : i - r->winners + 1,
			    (unsigned long long)p->index);
	}
	return KE_OK;
}

/* --- all steps --- */

static const struct {
	const char *words;
	int (*run)(struct check *c);
} steps[BUNDLE_STEPS] = {
    [BUNDLE_READ] = {"bundle", step_read},
    [BUNDLE_SIGNATURE] = {"signature", step_signature},
    [BUNDLE_RECORD] = {"record", step_record},
    [BUNDLE_COMMIT] = {"commitment", step_commit},
    [BUNDLE_LEAVES] = {"leaves", step_leaves},
    [BUNDLE_ROOT] = {"root", step_root},
    [BUNDLE_SEEDS] = {"client seeds", step_seeds},
    [BUNDLE_AGGREGATE] = {"aggregate", step_aggregate},
    [BUNDLE_DRAW] = {"draw", step_draw},
    [BUNDLE_WINNERS] = {"winners", step_winners},
};

const char *bundle_step_words(enum bundle_step s)
{
	return (unsigned)s < BUNDLE_STEPS ? steps[s].words : "unknown";
}

int bundle_check(const char *text, size_t n, const struct note_key *trusted, const uint8_t *commit,
    struct bundle_result *res)
{
	struct check *c = calloc(1, sizeof(*c));

	memset(res, 0, sizeof(*res));
	res->err = KE_NOMEM;
	if (c == NULL) {
		snprintf(res->why, sizeof(res->why), "out of memory");
		return res->err;
	}
	c->doc = (struct bundle_doc){.text = text, .n = n, .why = res->why};
	c->trusted = trusted;
	c->commit = commit;
	c->res = res;
	res->err = KE_OK;
	for (unsigned s = 0; s < BUNDLE_STEPS && res->err == KE_OK; s++) {
		res->step = (enum bundle_step)s;
		res->err = steps[s].run(c);
	}
	free(c->record_text);
	free(c->doc.toks);
	free(c);
	return res->err;
}
