/*
 * The records of a v2 draw: the specification's own records go both ways and lead to its context,
 * key and winners; every other kind goes both ways; whatever is altered in a text is refused or is
 * another record that is written just so.
 */
#include "tests/unit/vectors.h"

#include "policy/hash.h"
#include "policy/record2.h"

#define PICKS 16

static struct record_pick picks[PICKS];

static void want_hex(const char *name, const uint8_t have[32])
{
	struct vectors v;

	vectors_open(&v, "draw2.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, name))
			assert_hex(have, 32, v.word[1]);
}

static void assert_both_ways(const char *text, size_t n, struct record2 *r)
{
	char again[8192];
	size_t len;

	r->picks = picks;
	r->picks_cap = PICKS;
	assert_int_equal(record2_parse(r, text, n), KE_OK);
	assert_int_equal(record2_text(r, again, sizeof(again), &len), KE_OK);
	assert_int_equal(len, n);
	assert_memory_equal(again, text, n);
	for (size_t cap = 0; cap < n; cap += 7)
		assert_int_equal(record2_text(r, again, cap, &len), KE_FULL);
}

static void test_vectors(void **state)
{
	char text[8192];
	uint8_t leaf[32], given[RECORD2_CONTRIBUTIONS_MAX], context[32], key[32];
	uint64_t index[5];
	struct record2 open, close, draw;
	size_t n;

	(void)state;
	n = vectors_file("draw2/open.record", text, sizeof(text));
	assert_both_ways(text, n, &open);
	record2_leaf(leaf, text, n);
	want_hex("open_leaf_hash", leaf);
	want_hex("seed_commit", open.seed_commit);
	n = vectors_file("draw2/close.record", text, sizeof(text));
	assert_both_ways(text, n, &close);
	assert_memory_equal(close.open_leaf, leaf, 32);
	want_hex("ticket_root", close.root);
	n = vectors_file("draw2/draw.record", text, sizeof(text));
	assert_both_ways(text, n, &draw);

	n = record2_contributions(&draw, given);
	draw_context_v2(context, draw.raffle, leaf, close.tickets, close.root,
	    (uint16_t)draw.terms.nbeacons, given, n);
	assert_memory_equal(context, draw.context, 32);
	hash_kdf(key, draw.server_seed, DRAW_KEY_LABEL, context, 32);
	assert_memory_equal(key, draw.draw_key, 32);
	assert_int_equal(draw_shuffle(index, 5, close.tickets, key), KE_OK);
	assert_true(draw.winners == open.winners && draw.reserves == open.reserves);
	for (size_t i = 0; i < 5; i++)
		assert_true(draw.picks[i].index == index[i]);
	/* the rounds that are named are real ones */
	assert_int_equal(drand_verify(&drand_quicknet, draw.terms.beacons[0].round,
			     draw.terms.beacons[0].signature, BLS_SIG_LEN),
	    KE_OK);
	assert_int_equal(drand_verify(&drand_quicknet, open.terms.not_before.round,
			     open.terms.not_before.signature, BLS_SIG_LEN),
	    KE_OK);
}

#define H32 "abababababababababababababababab"
#define H64 H32 H32

static const char abort_text[] =
    "kleroterion/v2 abort\nraffle " H32 "\nopen 7 " H64
    "\nreason organiser-withdrew\nstatement " H64 "\naborted-at 1787742000\n";
static const char forfeit_text[] = "kleroterion/v2 forfeit\nraffle " H32 "\ndraw 9\nwinner 2\nrule "
				   "not-claimed\nevidence " H64 "\nforfeited-at 1787742000\n";
static const char amend_text[] =
    "kleroterion/v2 amend\nraffle " H32 "\nopen 7 " H64
    "\nsales-close 1787742000\nbeacon drand " H64 " 12345\nnot-before drand " H64 " 1 " H64 H32
    "\ndraw-deadline 1787752000\n";
static const char approved_text[] =
    "kleroterion/v2 approved\nappliance " H32 "\naction roll-back\nproposal " H64
    "\napproved-at 1787742000\n";
static const char file_text[] =
    "kleroterion/v2 draw\nraffle " H32 "\nopen 0\nclose 1\nserver-seed " H64 "\nbeacon drand " H64
    " 12345 " H64 H32 "\ncontext " H64 "\ndraw-key " H64 "\nwinners-file " H64 " 801\n";

static void test_other_kinds(void **state)
{
	struct record2 r;

	(void)state;
	assert_both_ways(abort_text, strlen(abort_text), &r);
	assert_int_equal(r.kind, RECORD2_ABORT);
	assert_string_equal(r.word, "organiser-withdrew");
	assert_both_ways(forfeit_text, strlen(forfeit_text), &r);
	assert_true(r.kind == RECORD2_FORFEIT && r.draw_index == 9 && r.pos == 2);
	assert_both_ways(amend_text, strlen(amend_text), &r);
	assert_true(r.kind == RECORD2_AMEND && r.terms.beacons[0].round == 12345);
	assert_both_ways(approved_text, strlen(approved_text), &r);
	assert_true(r.kind == RECORD2_APPROVED && r.paper[0] == 0xab);
	assert_string_equal(r.word, "roll-back");
	assert_both_ways(file_text, strlen(file_text), &r);
	assert_true(!r.listed && r.winners == 801);
}

static void refuse(const char *text, const char *what, const char *instead)
{
	const char *at = strstr(text, what);
	char bad[8192];
	struct record2 r = {.picks = picks, .picks_cap = PICKS};

	assert_non_null(at);
	snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - text), text, instead, at + strlen(what));
	assert_int_equal(record2_parse(&r, bad, strlen(bad)), KE_FORMAT);
}

/* What no record may say, one at a time. */
static void test_rules(void **state)
{
	char open[8192], draw[8192];
	struct record2 r = {.picks = picks, .picks_cap = 4};

	(void)state;
	vectors_file("draw2/open.record", open, sizeof(open));
	vectors_file("draw2/draw.record", draw, sizeof(draw));
	refuse(open, "winners 3", "winners 0");
	refuse(open, "winners 3", "winners 100001");
	refuse(open, "reserves 2", "reserves 99998");
	refuse(open, "dedupe none", "dedupe ticket");
	refuse(open, "escrow 2 3", "escrow 4 3");
	refuse(open, "escrow 2 3", "escrow 0 0");
	refuse(open, "on-default escrow", "on-default redraw");
	refuse(open, " 31799517\n", " 0\n");
	refuse(open, "draw-deadline 1788288315", "draw-deadline 1787742000");
	refuse(open, "beacon nist2 2 1787745600000\n",
	    "beacon nist2 2 1787745600000\nbeacon nist2 2 1787745660000\n");
	refuse(open, "not-before drand", "not-before nist2");
	refuse(open, "draws.example.org/klero/r", "draws.example.org/kl ero/r");
	refuse(open, "draws.example.org/klero/r", "draws.example.org/kl+ero/r");
	refuse(draw, "winner 1", "winner 2");
	refuse(draw, "winner 2 1 584375da1468bb5a3f16df6c22201ec5\n", "");
	refuse(draw, "reserve 1", "winner 4");
	refuse(file_text, " 801", " 800");
	refuse(file_text, " 801", " 100001");
	refuse(forfeit_text, "winner 2", "winner 0");
	refuse(abort_text, "organiser-withdrew", "Organiser withdrew");
	refuse(abort_text, "/v2 ", "/v1 ");
	refuse(amend_text, "beacon drand " H64 " 12345\n", "");
	refuse(amend_text, "beacon drand " H64 " 12345\n",
	    "beacon drand " H64 " 12345\nbeacon drand " H64 " 12346\n");
	assert_int_equal(record2_parse(&r, draw, strlen(draw)), KE_LIMIT);
}

/* Each byte replaced, each line left out or doubled, each end: no two texts are one record. */
static void altered(const char *text, size_t n)
{
	static const char instead[] = {'0', '1', ' ', '\n', 'a', '\0', '+'};
	struct record2 r = {.picks = picks, .picks_cap = PICKS};
	char bad[8192], again[8192];
	size_t len;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof(instead); k++) {
			memcpy(bad, text, n);
			bad[i] = instead[k];
			if (record2_parse(&r, bad, n) != KE_OK)
				continue;
			assert_int_equal(record2_text(&r, again, sizeof(again), &len), KE_OK);
			assert_true(len == n && memcmp(again, bad, n) == 0);
		}
	for (size_t i = 0; i < n; i++)
		assert_true(record2_parse(&r, text, i) != KE_OK || text[i - 1] == '\n');
	memcpy(bad, text, n);
	bad[n] = '\n';
	assert_int_equal(record2_parse(&r, bad, n + 1), KE_FORMAT);
	for (size_t i = 0, end; i < n; i = end) {
		end = (size_t)((char *)memchr(text + i, '\n', n - i) - text) + 1;
		memcpy(bad, text, end);
		memcpy(bad + end, text + i, n - i);
		assert_int_not_equal(record2_parse(&r, bad, n + end - i), KE_OK);
	}
}

static void test_altered(void **state)
{
	static const char *const names[] = {
	    "draw2/open.record", "draw2/close.record", "draw2/draw.record"};
	char text[8192];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		altered(text, vectors_file(names[i], text, sizeof(text)));
	altered(abort_text, strlen(abort_text));
	altered(forfeit_text, strlen(forfeit_text));
	altered(amend_text, strlen(amend_text));
	altered(approved_text, strlen(approved_text));
	altered(file_text, strlen(file_text));
}

/* What has no text is refused when it is written, too. */
static void test_unwritable(void **state)
{
	struct record2 r = {.kind = RECORD2_ABORT, .word = "Two words"};
	char text[1024];
	size_t n;

	(void)state;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_RANGE);
	strcpy(r.word, "one");
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_OK);
	r.kind = RECORD2_AMEND;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_RANGE);
	r.kind = RECORD2_OPEN;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_RANGE);
}

/* As many picks as are listed at most fit into an entry of the log; one more is a file's. */
static void test_file(void **state)
{
	static struct record_pick many[RECORD2_LISTED_MAX + 1], read[RECORD2_LISTED_MAX + 1];
	static char text[RECORD2_TEXT_MAX], file[RECORD2_FILE_MAX];
	struct record2 r = {.kind = RECORD2_DRAW,
	    .picks = many,
	    .picks_cap = RECORD2_LISTED_MAX + 1,
	    .listed = true};
	struct record2 got = {.picks = read, .picks_cap = RECORD2_LISTED_MAX + 1};
	size_t n, len;

	(void)state;
	for (size_t i = 0; i < RECORD2_LISTED_MAX + 1; i++)
		many[i].index = UINT64_MAX - i;
	r.open_index = r.close_index = UINT64_MAX;
	for (r.terms.nbeacons = 0; r.terms.nbeacons < RECORD2_BEACONS_MAX; r.terms.nbeacons++) {
		r.terms.beacons[r.terms.nbeacons].round = UINT64_MAX;
		r.terms.beacons[r.terms.nbeacons].chain_hash[0] = (uint8_t)r.terms.nbeacons;
	}
	r.winners = 1;
	r.reserves = RECORD2_LISTED_MAX - 1;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_OK);
	r.reserves++;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_RANGE);
	assert_int_equal(record2_file_text(&r, file, sizeof(file), &len), KE_OK);
	assert_int_equal(record2_file_text(&r, file, len - 1, &n), KE_FULL);
	r.listed = false;
	hash_sha256(r.winners_file, file, len);
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_OK);
	assert_int_equal(record2_parse(&got, text, n), KE_OK);
	assert_true(!got.listed && got.winners == RECORD2_LISTED_MAX + 1 && got.reserves == 0);
	assert_int_equal(record2_file_parse(&got, file, len), KE_OK);
	assert_true(got.winners == 1 && got.reserves == RECORD2_LISTED_MAX);
	assert_memory_equal(read, many, sizeof(many));
	/* another file; one that has the hash and not the number; one that is none */
	file[7] ^= 1;
	assert_int_equal(record2_file_parse(&got, file, len), KE_CRYPTO);
	hash_sha256(got.winners_file, file, len);
	assert_int_equal(record2_file_parse(&got, file, len), KE_FORMAT);
	file[7] ^= 1;
	hash_sha256(got.winners_file, file, len);
	got.winners = 2;
	got.reserves = RECORD2_LISTED_MAX;
	assert_int_equal(record2_file_parse(&got, file, len), KE_CRYPTO);
	/* of a record that lists them itself; more than there is room for; more behind it */
	got.listed = true;
	assert_int_equal(record2_file_parse(&got, file, len), KE_CRYPTO);
	got.listed = false;
	got.picks_cap = RECORD2_LISTED_MAX;
	assert_int_equal(record2_file_parse(&got, file, len), KE_LIMIT);
	got.picks_cap++;
	file[len] = '\n';
	hash_sha256(got.winners_file, file, len + 1);
	assert_int_equal(record2_file_parse(&got, file, len + 1), KE_FORMAT);
	r.winners = 0;
	assert_int_equal(record2_file_text(&r, file, sizeof(file), &len), KE_RANGE);
	/* one beacon more than a draw may have */
	r.winners = 1;
	r.terms.nbeacons++;
	assert_int_equal(record2_text(&r, text, sizeof(text), &n), KE_RANGE);
}

static void test_numbers(void **state)
{
	static const struct {
		unsigned dedupe;
		uint64_t winners, reserves, tickets, drawn, reserve;
		bool ok;
	} rows[] = {
	    {DEDUPE_NONE, 3, 2, 20, 3, 2, true},
	    {DEDUPE_NONE, 3, 2, 20, 2, 3, false},
	    {DEDUPE_NONE, 3, 2, 20, 3, 1, false},
	    {DEDUPE_NONE, 3, 2, 4, 3, 1, true},
	    {DEDUPE_NONE, 3, 2, 2, 2, 0, true},
	    {DEDUPE_NONE, 3, 2, 2, 1, 1, false},
	    {DEDUPE_HOLDER, 3, 2, 20, 3, 2, true},
	    {DEDUPE_HOLDER, 3, 2, 20, 3, 1, true},
	    {DEDUPE_HOLDER, 3, 2, 20, 1, 0, true},
	    {DEDUPE_HOLDER, 3, 2, 20, 2, 1, false},
	    {DEDUPE_HOLDER, 3, 2, 20, 3, 3, false},
	    {DEDUPE_HOLDER, 3, 2, 20, 4, 1, false},
	    {DEDUPE_HOLDER, 3, 2, 2, 3, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct record2 open = {.dedupe = rows[i].dedupe,
		    .winners = rows[i].winners,
		    .reserves = rows[i].reserves};
		const struct record2 draw = {.winners = rows[i].drawn, .reserves = rows[i].reserve};

		assert_int_equal(record2_numbers_ok(&open, rows[i].tickets, &draw), rows[i].ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_other_kinds),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_altered),
	    cmocka_unit_test(test_unwritable),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
