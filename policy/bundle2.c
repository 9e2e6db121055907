/*
 * Checking a v2 proof bundle. Pure; see bundle2.h. Nothing in the file is trusted but, when the
 * caller gives no key, the name of the signer.
 *
 * The steps stand in one table, in the order of enum bundle2_step; each either holds or says in one
 * line what does not agree. Beacons are in bundle2_beacon.c, witnesses in bundle2_witness.c.
 */
#include "policy/bundle2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/hash.h"
#include "policy/merkle.h"
#include "policy/text.h"

#define TOKENS_MAX ((size_t)400000)

/* --- reading --- */

static int step_read(struct check2 *c)
{
	struct bundle_doc *d = &c->doc;
	size_t format, timestamps, escrow, software, amends, forfeits, abort, abort_proof;
	const struct bundle_member members[] = {
	    {"format", JSON_STRING, &format},
	    {"operator_vkey", JSON_STRING, &c->at.operator_vkey},
	    {"tickets_vkey", JSON_STRING, &c->at.tickets_vkey},
	    {"policy", JSON_STRING, &c->at.policy},
	    {"open", JSON_STRING, &c->at.text[OPEN]},
	    {"close", JSON_STRING, &c->at.text[CLOSE]},
	    {"draw", JSON_STRING, &c->at.text[DRAW]},
	    {"open_proof", JSON_STRING, &c->at.proof[OPEN]},
	    {"close_proof", JSON_STRING, &c->at.proof[CLOSE]},
	    {"draw_proof", JSON_STRING, &c->at.proof[DRAW]},
	    {"abort", JSON_NULL, &abort},
	    {"abort_proof", JSON_NULL, &abort_proof},
	    {"amends", JSON_ARRAY, &amends},
	    {"forfeits", JSON_ARRAY, &forfeits},
	    {"tickets_checkpoint", JSON_STRING, &c->at.checkpoint},
	    {"winners", JSON_ARRAY, &c->at.winners},
	    {"passed", JSON_ARRAY, &c->at.passed},
	    {"beacons", JSON_ARRAY, &c->at.beacons},
	    {"timestamps", JSON_ARRAY, &timestamps},
	    {"software", JSON_OBJECT, &software},
	};
	int r = bundle_tokens(d, TOKENS_MAX);

	if (r != KE_OK)
		return r;
	format = json_member(d->text, d->toks, d->ntoks, 0, "format");
	if (format != 0 && !bundle_is(d, format, BUNDLE2_FORMAT))
		return bundle_no(d, KE_VERSION, "the format is not " BUNDLE2_FORMAT);
	/* the one member of two types */
	escrow = json_member(d->text, d->toks, d->ntoks, 0, "escrow_bundle_sha256");
	if (escrow == 0)
		return bundle_no(d, KE_FORMAT, "the bundle has no member \"escrow_bundle_sha256\"");
	c->at.escrow = escrow;
	d->toks[0].size--;
	r = bundle_members(d, 0, "the bundle", members, sizeof(members) / sizeof(members[0]));
	d->toks[0].size++;
	if (r == KE_OK && (d->toks[timestamps].size != 0 || d->toks[amends].size != 0 ||
			      d->toks[forfeits].size != 0))
		r = bundle_no(
		    d, KE_VERSION, "this version reads no amends, forfeits or time stamps");
	return r;
}

/* --- keys and policy --- */

static int read_key(struct check2 *c, size_t at, const char *what, struct note_key *k)
{
	char *s = NULL;
	size_t n;
	int r = bundle_string(&c->doc, at, &s, &n);

	if (r == KE_OK && note_vkey_parse(k, s, n) != KE_OK)
		r = bundle_no(&c->doc, KE_FORMAT, "the bundle's %s is not a verifier key", what);
	if (r == KE_OK && k == &c->operator_key && n < sizeof(c->res->operator_vkey))
		memcpy(c->res->operator_vkey, s, n + 1);
	free(s);
	return r;
}

static int read_policy(struct check2 *c)
{
	char *s = NULL;
	size_t n, line;
	int r = bundle_string(&c->doc, c->at.policy, &s, &n);

	if (r == KE_OK && tlog_policy_parse(&c->own_policy, s, n, &line) != KE_OK)
		r = bundle_no(
		    &c->doc, KE_FORMAT, "the bundle's policy cannot be read, line %zu", line);
	c->policy = c->trust->policy != NULL ? c->trust->policy : &c->own_policy;
	c->res->witnesses = (unsigned)c->policy->nwitnesses;
	free(s);
	return r;
}

static int step_keys(struct check2 *c)
{
	const struct note_key *trusted = c->trust->operator_key;
	int r = read_key(c, c->at.operator_vkey, "operator_vkey", &c->operator_key);

	if (r == KE_OK)
		r = read_key(c, c->at.tickets_vkey, "tickets_vkey", &c->tickets_key);
	if (r == KE_OK)
		r = read_policy(c);
	if (r == KE_OK && trusted != NULL && !note_key_same(trusted, &c->operator_key))
		r = bundle_no(&c->doc, KE_WRONG_KEY,
		    "the bundle names %s as its operator's log, not the trusted key of %s",
		    c->res->operator_vkey, trusted->name);
	return r;
}

/* --- records --- */

const char *const check2_words[RECORDS] = {"open", "close", "draw"};
static const enum record2_kind kinds[RECORDS] = {RECORD2_OPEN, RECORD2_CLOSE, RECORD2_DRAW};

static int read_record(struct check2 *c, enum which w)
{
	struct record2 *rec = &c->rec[w];
	int r = bundle_string(&c->doc, c->at.text[w], &c->text[w], &c->text_len[w]);

	if (r != KE_OK)
		return r;
	rec->picks = c->picks;
	rec->picks_cap = w == DRAW ? RECORD2_LISTED_MAX : 0;
	r = record2_parse(rec, c->text[w], c->text_len[w]);
	if (r != KE_OK || rec->kind != kinds[w])
		return bundle_no(&c->doc, KE_FORMAT, "\"%s\" is not a v2 %s record",
		    check2_words[w], check2_words[w]);
	record2_leaf(c->leaf[w], c->text[w], c->text_len[w]);
	if (memcmp(rec->raffle, c->rec[OPEN].raffle, 16) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the %s record is of another raffle", check2_words[w]);
	return KE_OK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As many as were announced, as far as the tickets go; dedupe may find fewer. */
static int check_numbers(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN], *draw = &c->rec[DRAW];
	uint64_t n = c->rec[CLOSE].tickets, winners = least(open->winners, n);
	uint64_t reserves = least(open->reserves, n - winners);

	if (!draw->listed)
		return bundle_no(&c->doc, KE_VERSION,
		    "more than %d winners stand in a file of their own, which this version does "
		    "not "
		    "read",
		    RECORD2_LISTED_MAX);
	if (open->dedupe == DEDUPE_NONE
		? draw->winners != winners || draw->reserves != reserves
		: draw->winners > winners || draw->reserves > open->reserves ||
		      (draw->reserves > 0 && draw->winners != open->winners))
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the draw has %llu winners and %llu reserves, it should have %llu and %llu",
		    (unsigned long long)draw->winners, (unsigned long long)draw->reserves,
		    (unsigned long long)winners, (unsigned long long)reserves);
	return KE_OK;
}

static int step_records(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN], *close = &c->rec[CLOSE], *draw = &c->rec[DRAW];

	for (unsigned w = OPEN; w < RECORDS; w++) {
		int r = read_record(c, (enum which)w);

		if (r != KE_OK)
			return r;
	}
	c->res->tickets = close->tickets;
	c->res->winners = draw->winners;
	c->res->reserves = draw->reserves;
	if (memcmp(close->open_leaf, c->leaf[OPEN], 32) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the close record was made for another open record");
	if (close->open_index != draw->open_index)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "close and draw name different indexes of the open record");
	if (strcmp(open->origin, c->tickets_key.name) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the open record's ticket log is %s, the bundle's key is of %s", open->origin,
		    c->tickets_key.name);
	if (close->at_s < open->terms.sales_close_s)
		return bundle_no(&c->doc, KE_CRYPTO, "the sale was closed before its time");
	return check_numbers(c);
}

/* --- the operator log --- */

static int check_proof(struct check2 *c, enum which w)
{
	struct tlog_proof *p = &c->proof[w];
	struct checkpoint at;
	size_t n;
	int r = bundle_string(&c->doc, c->at.proof[w], &c->proof_text[w], &n);

	if (r != KE_OK)
		return r;
	if (tlog_proof_parse(p, c->proof_text[w], n) != KE_OK)
		return bundle_no(
		    &c->doc, KE_FORMAT, "\"%s_proof\" is not a tlog-proof", check2_words[w]);
	r = tlog_proof_verify(p, c->leaf[w], &c->operator_key, &at);
	if (r == KE_NOTFOUND)
		return bundle_no(&c->doc, r, "the checkpoint of the %s record is not signed by %s",
		    check2_words[w], c->res->operator_vkey);
	if (r == KE_FORMAT)
		return bundle_no(&c->doc, r, "the checkpoint of the %s record is none of that log",
		    check2_words[w]);
	if (r != KE_OK)
		return bundle_no(&c->doc, r,
		    "the %s record is not in the operator log: it, its proof or the signature was "
		    "altered",
		    check2_words[w]);
	return KE_OK;
}

static int step_logged(struct check2 *c)
{
	const uint64_t want[RECORDS] = {
	    c->rec[CLOSE].open_index, c->rec[DRAW].close_index, c->proof[DRAW].index};

	for (unsigned w = OPEN; w < RECORDS; w++) {
		int r = check_proof(c, (enum which)w);

		if (r != KE_OK)
			return r;
		if (w != DRAW && c->proof[w].index != want[w])
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the %s record is at %llu in the operator log, not at %llu",
			    check2_words[w], (unsigned long long)c->proof[w].index,
			    (unsigned long long)want[w]);
		if (w > OPEN && c->proof[w].index <= c->proof[w - 1].index)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the %s record stands before the %s record", check2_words[w],
			    check2_words[w - 1]);
	}
	return KE_OK;
}

/* --- the ticket log --- */

static int step_tickets(struct check2 *c)
{
	const struct record2 *close = &c->rec[CLOSE];
	int r = bundle_string(&c->doc, c->at.checkpoint, &c->note, &c->note_len);

	if (r != KE_OK)
		return r;
	r = checkpoint_open(&c->tickets, c->note, c->note_len, &c->tickets_key);
	if (r != KE_OK)
		return bundle_no(&c->doc, r, "the ticket log's checkpoint is not signed by %s",
		    c->tickets_key.name);
	if (c->tickets.size != close->tickets || memcmp(c->tickets.root, close->root, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the ticket log's last checkpoint is not the one that the close record names");
	return KE_OK;
}

static int step_commit(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN];
	uint8_t commit[32];

	if (c->trust->commit != NULL && memcmp(c->trust->commit, open->seed_commit, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record's seed commitment is not the one published before the sale");
	hash_kdf(commit, c->rec[DRAW].server_seed, DRAW_COMMIT_LABEL, open->raffle, 16);
	if (memcmp(commit, open->seed_commit, 32) != 0)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the server seed is not the one that was committed to");
	return KE_OK;
}

/* --- winners --- */

/* The leaf is in the ticket log; the proof brings the bundle's own checkpoint along. */
static int check_inclusion(
    struct check2 *c, size_t at, const uint8_t leaf[LEAF_LEN], uint64_t index)
{
	struct tlog_proof p;
	uint8_t hash[32];
	char *s = NULL;
	size_t n;
	int r = bundle_string(&c->doc, at, &s, &n);

	if (r != KE_OK)
		goto out;
	merkle_leaf_hash(hash, leaf, LEAF_LEN);
	if (tlog_proof_parse(&p, s, n) != KE_OK || p.index != index || p.note_len != c->note_len ||
	    memcmp(p.note, c->note, p.note_len) != 0 ||
	    merkle_verify_inclusion(hash, index, c->tickets.size, (const uint8_t(*)[32])p.path,
		p.path_len, c->tickets.root) != KE_OK)
		r = bundle_no(&c->doc, KE_CRYPTO,
		    "ticket %llu is not shown to be in the ticket log", (unsigned long long)index);
out:
	free(s);
	return r;
}

/* A ticket of the bundle: of this raffle, at its index, in the ticket log. */
static int check_ticket(struct check2 *c, size_t at, const char *what, struct ticket2 *t)
{
	size_t pos = 0, index = 0, id = 0, leaf_hex = 0, proof = 0;
	const struct bundle_member members[] = {
	    {"pos", JSON_NUMBER, &pos},
	    {"index", JSON_NUMBER, &index},
	    {"ticket_id", JSON_STRING, &id},
	    {"leaf_hex", JSON_STRING, &leaf_hex},
	    {"tlog_proof", JSON_STRING, &proof},
	};
	uint8_t leaf[LEAF_LEN], ticket[16];
	uint64_t said = 0;
	int r = bundle_members(&c->doc, at, what, members, 5);

	if (r == KE_OK)
		r = bundle_number(&c->doc, pos, "pos", &t->pos);
	if (r == KE_OK)
		r = bundle_number(&c->doc, index, "index", &said);
	if (r == KE_OK)
		r = bundle_hex(&c->doc, id, "ticket_id", ticket, 16);
	if (r == KE_OK)
		r = bundle_hex(&c->doc, leaf_hex, "leaf_hex", leaf, LEAF_LEN);
	if (r != KE_OK)
		return r;
	if (leaf_decode(&t->leaf, leaf, LEAF_LEN) != KE_OK || t->leaf.index != said ||
	    memcmp(t->leaf.ticket, ticket, 16) != 0 ||
	    memcmp(t->leaf.raffle, c->rec[OPEN].raffle, 16) != 0)
		return bundle_no(&c->doc, KE_CRYPTO, "the leaf of ticket %llu is of another one",
		    (unsigned long long)said);
	return check_inclusion(c, proof, leaf, said);
}

static int read_tickets(
    struct check2 *c, size_t array, const char *what, struct ticket2 **list, size_t *count)
{
	size_t n = (size_t)c->doc.toks[array].size, at = array + 1;
	int r = KE_OK;

	if (n > RECORD2_LISTED_MAX)
		return bundle_no(&c->doc, KE_FORMAT, "more than %d %s", RECORD2_LISTED_MAX, what);
	*list = calloc(n + 1, sizeof(**list));
	if (*list == NULL)
		return bundle_no_memory(&c->doc);
	for (size_t i = 0; r == KE_OK && i < n; i++) {
		r = check_ticket(c, at, what, &(*list)[i]);
		at = json_next(c->doc.toks, c->doc.ntoks, at);
	}
	*count = n;
	return r;
}

/* The bundle's winners and reserves are the record's. */
static int check_picks(struct check2 *c)
{
	const struct record2 *draw = &c->rec[DRAW];

	if (c->nwinners != draw->winners + draw->reserves)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record has %llu winners and reserves, the bundle %zu",
		    (unsigned long long)(draw->winners + draw->reserves), c->nwinners);
	for (size_t i = 0; i < c->nwinners; i++) {
		const struct ticket2 *t = &c->winners[i];
		bool winner = i < draw->winners;
		uint64_t pos = winner ? i + 1 : i - draw->winners + 1;

		if (t->pos != pos || t->leaf.index != draw->picks[i].index ||
		    memcmp(t->leaf.ticket, draw->picks[i].ticket, 16) != 0)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "%s %llu of the bundle is not the record's",
			    winner ? "winner" : "reserve", (unsigned long long)pos);
	}
	return KE_OK;
}

static int step_winners(struct check2 *c)
{
	int r = read_tickets(c, c->at.winners, "winners", &c->winners, &c->nwinners);

	if (r == KE_OK)
		r = read_tickets(c, c->at.passed, "passed", &c->passed, &c->npassed);
	if (r == KE_OK)
		r = check_picks(c);
	if (r == KE_OK && c->npassed > 0 && c->rec[OPEN].dedupe == DEDUPE_NONE)
		r = bundle_no(&c->doc, KE_CRYPTO, "tickets were passed over without a rule for it");
	return r;
}

/* --- the draw --- */

static bool won_before(const struct check2 *c, size_t n, const struct ticket2 *t)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(c->winners[i].leaf.holder_commit, t->leaf.holder_commit, 32) == 0)
			return true;
	return false;
}

/* Walks the shuffle: each index is the next winner's, or that of one rightly passed over. */
static int check_order(struct check2 *c, const uint64_t *index, size_t k)
{
	bool dedupe = c->rec[OPEN].dedupe == DEDUPE_HOLDER;
	size_t won = 0, passed = 0;

	for (size_t i = 0; i < k; i++) {
		const struct ticket2 *p = passed < c->npassed ? &c->passed[passed] : NULL;

		if (p != NULL && p->leaf.index == index[i] && p->pos == won &&
		    won_before(c, won, p)) {
			passed++;
			continue;
		}
		if (won == c->nwinners || c->winners[won].leaf.index != index[i])
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the draw gives ticket %llu where the record has another one",
			    (unsigned long long)index[i]);
		if (dedupe && won_before(c, won, &c->winners[won]))
			return bundle_no(&c->doc, KE_CRYPTO,
			    "ticket %llu is of a holder who had won before",
			    (unsigned long long)index[i]);
		won++;
	}
	return KE_OK;
}

/* Fewer distinct holders than prizes: then every ticket must have been looked at. */
static int check_enough(struct check2 *c, size_t k)
{
	const struct record2 *open = &c->rec[OPEN];

	if (c->nwinners < open->winners + open->reserves && k != c->rec[CLOSE].tickets)
		return bundle_no(
		    &c->doc, KE_CRYPTO, "the draw ended before all tickets had been looked at");
	return KE_OK;
}

static int check_key(struct check2 *c)
{
	const struct record2 *draw = &c->rec[DRAW], *close = &c->rec[CLOSE];
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], context[32], key[32];
	size_t n = record2_contributions(draw, given);

	draw_context_v2(context, draw->raffle, c->leaf[OPEN], close->tickets, close->root,
	    (uint16_t)draw->terms.nbeacons, given, n);
	if (memcmp(context, draw->context, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the context does not follow from the open record, the tickets and the "
		    "beacons");
	hash_kdf(key, draw->server_seed, DRAW_KEY_LABEL, context, 32);
	if (memcmp(key, draw->draw_key, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the draw key does not follow from the server seed and the context");
	return KE_OK;
}

static int step_draw(struct check2 *c)
{
	size_t k = c->nwinners + c->npassed;
	uint64_t *index = calloc(k + 1, sizeof(*index));
	int r = index != NULL ? check_key(c) : bundle_no_memory(&c->doc);

	if (r == KE_OK) {
		r = draw_shuffle(index, k, c->rec[CLOSE].tickets, c->rec[DRAW].draw_key);
		if (r == KE_NOMEM)
			(void)bundle_no_memory(&c->doc);
		else if (r != KE_OK)
			(void)bundle_no(&c->doc, r, "more winners than tickets");
	}
	if (r == KE_OK)
		r = check_order(c, index, k);
	if (r == KE_OK)
		r = check_enough(c, k);
	free(index);
	return r;
}

/* --- all steps --- */

static const struct {
	const char *words;
	int (*run)(struct check2 *c);
	unsigned levels; /* that this step is the last of */
} steps[BUNDLE2_STEPS] = {
    [BUNDLE2_READ] = {"bundle", step_read, 0},
    [BUNDLE2_KEYS] = {"keys", step_keys, 0},
    [BUNDLE2_RECORDS] = {"records", step_records, 0},
    [BUNDLE2_LOGGED] = {"operator log", step_logged, BUNDLE2_SIGNED | BUNDLE2_IN_LOG},
    [BUNDLE2_TICKETS] = {"ticket log", step_tickets, 0},
    [BUNDLE2_COMMIT] = {"commitment", step_commit, 0},
    [BUNDLE2_WINNERS] = {"winners", step_winners, 0},
    [BUNDLE2_DRAW] = {"draw", step_draw, BUNDLE2_REPRODUCED},
    [BUNDLE2_TIMES] = {"times", check2_times, 0},
    [BUNDLE2_BEACONS] = {"beacons", check2_beacons, 0},
    [BUNDLE2_WITNESSES] = {"witnesses", check2_witnesses, 0},
};

const char *bundle2_step_words(enum bundle2_step s)
{
	return (unsigned)s < BUNDLE2_STEPS ? steps[s].words : "unknown";
}

const char *bundle2_level_words(enum bundle2_level l)
{
	switch (l) {
	case BUNDLE2_REPRODUCED:
		return "reproduced";
	case BUNDLE2_SIGNED:
		return "signed";
	case BUNDLE2_IN_LOG:
		return "logged";
	case BUNDLE2_BEACON:
		return "beacon-verified";
	case BUNDLE2_WITNESSED:
		return "witnessed";
	}
	return "unknown";
}

void check2_lacks(struct check2 *c, const char *what)
{
	if (c->res->lacking[0] == '\0')
		snprintf(c->res->lacking, sizeof(c->res->lacking), "%s", what);
}

static void check2_free(struct check2 *c)
{
	for (unsigned w = OPEN; w < RECORDS; w++) {
		free(c->text[w]);
		free(c->proof_text[w]);
	}
	free(c->note);
	free(c->winners);
	free(c->passed);
	free(c->doc.toks);
	free(c);
}

int bundle2_check(
    const char *text, size_t n, const struct bundle2_trust *trust, struct bundle2_result *res)
{
	struct check2 *c = calloc(1, sizeof(*c));

	memset(res, 0, sizeof(*res));
	res->claimed = BUNDLE2_REPRODUCED | BUNDLE2_SIGNED | BUNDLE2_IN_LOG | BUNDLE2_BEACON;
	res->err = KE_NOMEM;
	if (c == NULL) {
		snprintf(res->why, sizeof(res->why), "out of memory");
		return res->err;
	}
	c->doc = (struct bundle_doc){.text = text, .n = n, .why = res->why};
	c->trust = trust;
	c->res = res;
	res->err = KE_OK;
	for (unsigned s = 0; s < BUNDLE2_STEPS && res->err == KE_OK; s++) {
		res->step = (enum bundle2_step)s;
		res->err = steps[s].run(c);
		if (res->err == KE_OK)
			res->levels |= steps[s].levels;
	}
	check2_free(c);
	return res->err;
}
