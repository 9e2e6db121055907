/*
 * Checking a v2 proof bundle. Pure; see bundle2.h. Nothing in the file is trusted but, when the
 * caller gives no key, the name of the signer.
 *
 * The steps stand in one table, in the order of enum bundle2_step; each either holds or says in one
 * line what does not agree. Records are in bundle2_record.c, winners in bundle2_winner.c, beacons
 * in bundle2_beacon.c, witnesses in bundle2_witness.c, time stamps in bundle2_stamp.c.
 */
#include "policy/bundle2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/hash.h"

/* eleven of each winner and of each that was passed over, and the few others */
#define TOKENS_MAX ((size_t)2 * DRAW_MAX * 11 + 100000)

/* --- reading --- */

/* Which members go together: a draw or an abort ends it, and what has a text has a proof. */
static int check_ending(struct check2 *c)
{
	struct bundle_doc *d = &c->doc;
	bool has[RECORDS];

	for (unsigned w = OPEN; w < RECORDS; w++) {
		has[w] = !bundle_null(d, c->at.text[w]);
		if (has[w] == bundle_null(d, c->at.proof[w]))
			return bundle_no(d, KE_FORMAT,
			    "of \"%s\" and \"%s_proof\" one is null, and not the other",
			    check2_words[w], check2_words[w]);
	}
	c->drawn = has[DRAW];
	c->res->aborted = has[ABORT];
	if (has[DRAW] && has[ABORT])
		return bundle_no(d, KE_FORMAT, "the raffle was both drawn and aborted");
	if (!has[DRAW] && !has[ABORT])
		return bundle_no(d, KE_FORMAT, "the raffle was neither drawn nor aborted");
	if (has[DRAW] && !has[CLOSE])
		return bundle_no(d, KE_FORMAT, "the raffle was drawn and not closed");
	if (has[CLOSE] == bundle_null(d, c->at.checkpoint))
		return bundle_no(d, KE_FORMAT,
		    "of \"close\" and \"tickets_checkpoint\" one is null, and not the other");
	if (has[ABORT] &&
	    (d->toks[c->at.winners].size != 0 || d->toks[c->at.passed].size != 0 ||
		d->toks[c->at.forfeits].size != 0 || d->toks[c->at.beacons].size != 0))
		return bundle_no(d, KE_FORMAT, "a raffle that was aborted has no winners");
	c->res->unlisted = bundle_null(d, c->at.passed);
	if (has[ABORT] && c->res->unlisted)
		return bundle_no(d, KE_FORMAT, "a raffle that was aborted has no winners");
	if (!has[CLOSE] && d->toks[c->at.timestamps].size != 0)
		return bundle_no(d, KE_FORMAT, "time stamps of a close that was not");
	return KE_OK;
}

/* Room for the picks that the record lists, or that its file has: the bundle's winners. */
static int make_room(struct check2 *c)
{
	size_t n = (size_t)c->doc.toks[c->at.winners].size;

	if (n > DRAW_MAX)
		return bundle_no(&c->doc, KE_FORMAT, "more than %d winners", DRAW_MAX);
	c->picks_cap = n > RECORD2_LISTED_MAX ? n : RECORD2_LISTED_MAX;
	c->picks = calloc(c->picks_cap, sizeof(*c->picks));
	return c->picks != NULL ? KE_OK : bundle_no_memory(&c->doc);
}

static int step_read(struct check2 *c)
{
	struct bundle_doc *d = &c->doc;
	size_t format, software;
	const struct bundle_member members[] = {
	    {"format", JSON_STRING, &format},
	    {"operator_vkey", JSON_STRING, &c->at.operator_vkey},
	    {"tickets_vkey", JSON_STRING, &c->at.tickets_vkey},
	    {"policy", JSON_STRING, &c->at.policy},
	    {"open", JSON_STRING, &c->at.text[OPEN]},
	    {"close", JSON_STRING | BUNDLE_OR_NULL, &c->at.text[CLOSE]},
	    {"draw", JSON_STRING | BUNDLE_OR_NULL, &c->at.text[DRAW]},
	    {"abort", JSON_STRING | BUNDLE_OR_NULL, &c->at.text[ABORT]},
	    {"open_proof", JSON_STRING, &c->at.proof[OPEN]},
	    {"close_proof", JSON_STRING | BUNDLE_OR_NULL, &c->at.proof[CLOSE]},
	    {"draw_proof", JSON_STRING | BUNDLE_OR_NULL, &c->at.proof[DRAW]},
	    {"abort_proof", JSON_STRING | BUNDLE_OR_NULL, &c->at.proof[ABORT]},
	    {"amends", JSON_ARRAY, &c->at.amends},
	    {"forfeits", JSON_ARRAY, &c->at.forfeits},
	    {"tickets_checkpoint", JSON_STRING | BUNDLE_OR_NULL, &c->at.checkpoint},
	    {"winners", JSON_ARRAY, &c->at.winners},
	    {"passed", JSON_ARRAY | BUNDLE_OR_NULL, &c->at.passed},
	    {"beacons", JSON_ARRAY, &c->at.beacons},
	    {"timestamps", JSON_ARRAY, &c->at.timestamps},
	    {"escrow_bundle_sha256", JSON_STRING | BUNDLE_OR_NULL, &c->at.escrow},
	    {"software", JSON_OBJECT, &software},
	};
	int r = bundle_tokens(d, TOKENS_MAX);

	if (r != KE_OK)
		return r;
	format = json_member(d->text, d->toks, d->ntoks, 0, "format");
	if (format != 0 && !bundle_is(d, format, BUNDLE2_FORMAT))
		return bundle_no(d, KE_VERSION, "the format is not " BUNDLE2_FORMAT);
	r = bundle_members(d, 0, "the bundle", members, sizeof(members) / sizeof(members[0]));
	if (r == KE_OK)
		r = check_ending(c);
	if (r == KE_OK)
		r = make_room(c);
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
	if (r == KE_OK && k == &c->operator_key)
		snprintf(c->res->operator_vkey, sizeof(c->res->operator_vkey), "%s", s);
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

/* --- the ticket log --- */

static int step_tickets(struct check2 *c)
{
	const struct record2 *close = &c->rec[CLOSE].rec;
	int r = KE_OK;

	if (c->rec[CLOSE].text == NULL)
		return r;
	r = bundle_string(&c->doc, c->at.checkpoint, &c->note, &c->note_len);
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

/* --- commitments --- */

/* The escrow's bundle is the one that was named, where there is one. */
static int check_escrow(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN].rec;
	uint8_t said[32];
	int r = KE_OK;

	if (bundle_null(&c->doc, c->at.escrow)) {
		if (open->escrow_n != 0)
			r = bundle_no(&c->doc, KE_CRYPTO, "the open record's escrow is left out");
		return r;
	}
	r = bundle_hex(&c->doc, c->at.escrow, "escrow_bundle_sha256", said, 32);
	if (r == KE_OK && (open->escrow_n == 0 || memcmp(said, open->escrow, 32) != 0))
		r = bundle_no(&c->doc, KE_CRYPTO, "the escrow is not the open record's");
	return r;
}

static int step_commit(struct check2 *c)
{
	const struct record2 *open = &c->rec[OPEN].rec;
	uint8_t commit[32];

	if (c->trust->commit != NULL && memcmp(c->trust->commit, open->seed_commit, 32) != 0)
		return bundle_no(&c->doc, KE_CRYPTO,
		    "the record's seed commitment is not the one published before the sale");
	if (c->drawn) {
		hash_kdf(commit, c->rec[DRAW].rec.server_seed, DRAW_COMMIT_LABEL, open->raffle, 16);
		if (memcmp(commit, open->seed_commit, 32) != 0)
			return bundle_no(&c->doc, KE_CRYPTO,
			    "the server seed is not the one that was committed to");
	}
	return check_escrow(c);
}

/* --- all steps --- */

static const struct {
	const char *words;
	int (*run)(struct check2 *c);
	unsigned levels; /* that this step is the last of */
} steps[BUNDLE2_STEPS] = {
    [BUNDLE2_READ] = {"bundle", step_read, 0},
    [BUNDLE2_KEYS] = {"keys", step_keys, 0},
    [BUNDLE2_RECORDS] = {"records", check2_records, 0},
    [BUNDLE2_LOGGED] = {"operator log", check2_logged, BUNDLE2_SIGNED | BUNDLE2_IN_LOG},
    [BUNDLE2_TICKETS] = {"ticket log", step_tickets, 0},
    [BUNDLE2_COMMIT] = {"commitment", step_commit, 0},
    [BUNDLE2_WINNERS] = {"winners", check2_winners, 0},
    [BUNDLE2_DRAW] = {"draw", check2_draw, 0},
    [BUNDLE2_TIMES] = {"times", check2_times, 0},
    [BUNDLE2_BEACONS] = {"beacons", check2_beacons, 0},
    [BUNDLE2_WITNESSES] = {"witnesses", check2_witnesses, 0},
    [BUNDLE2_STAMPS] = {"time stamps", check2_stamps, 0},
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
	case BUNDLE2_STAMPED:
		return "time-stamped";
	}
	return "unknown";
}

void check2_lacks(struct check2 *c, const char *what)
{
	if (c->res->lacking[0] == '\0')
		snprintf(c->res->lacking, sizeof(c->res->lacking), "%s", what);
}

static void free_records(struct logged2 *l, size_t n)
{
	for (size_t i = 0; l != NULL && i < n; i++) {
		free(l[i].text);
		free(l[i].proof_text);
	}
}

/* What an audit of the logs has to find there again. */
static void tell_places(const struct check2 *c)
{
	const struct logged2 *open = &c->rec[OPEN], *end = &c->rec[c->drawn ? DRAW : ABORT];

	c->res->operator_key = c->operator_key;
	c->res->tickets_key = c->tickets_key;
	memcpy(c->res->raffle, open->rec.raffle, 16);
	memcpy(c->res->open_leaf, open->leaf, 32);
	memcpy(c->res->end_leaf, end->leaf, 32);
	c->res->open_index = open->proof.index;
	c->res->end_index = end->proof.index;
}

static void check2_free(struct check2 *c)
{
	free_records(c->rec, RECORDS);
	free_records(c->amends, c->namends);
	free_records(c->forfeits, c->nforfeits);
	free(c->amends);
	free(c->forfeits);
	free(c->picks);
	free(c->holders);
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
	res->claimed = BUNDLE2_SIGNED | BUNDLE2_IN_LOG;
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
		if (c->drawn)
			res->claimed |= BUNDLE2_REPRODUCED | BUNDLE2_BEACON;
	}
	if (res->err == KE_OK)
		tell_places(c);
	check2_free(c);
	return res->err;
}
