/*
 * Proof bundles: good ones hold, and each kind of tampering is found in its step, in words of its
 * own. What only the operator could do (sign again) is done with the operator's key.
 */
#include "tests/unit/vectors.h"

#include "policy/json.h"
#include "tests/unit/bundle_make.h"

#define TICKETS 50

struct fixture {
	struct made m;
	char *text;
	size_t n;
	struct bundle_result res;
};

static struct fixture f;

static void start(void)
{
	assert_int_equal(made_init(&f.m, TICKETS, 3, 2), 0);
}

/* Signs and writes what lies in f.m now. */
static void finish(void)
{
	FILE *out = open_memstream(&f.text, &f.n);

	assert_non_null(out);
	assert_int_equal(made_write(&f.m, out), 0);
	fclose(out);
}

static void clean(void)
{
	free(f.text);
	f.text = NULL;
	made_free(&f.m);
}

/* The result must be of this step with these words in it. */
static void expect(enum bundle_step step, int err, const char *words)
{
	if (f.res.step != step || f.res.err != err || strstr(f.res.why, words) == NULL)
		fail_msg("%s, %s: %s; expected %s, %s: %s", bundle_step_words(f.res.step),
		    ke_words(f.res.err), f.res.why, bundle_step_words(step), ke_words(err), words);
}

static void check_text(const struct note_key *trusted, const uint8_t *commit)
{
	int r = bundle_check(f.text, f.n, trusted, commit, &f.res);

	assert_int_equal(r, f.res.err);
}

/* Finishes, checks, expects. */
static void conclude(enum bundle_step step, int err, const char *words)
{
	finish();
	check_text(NULL, NULL);
	expect(step, err, words);
	clean();
}

/* Replaces the first `from` of the finished text by `to`. */
static void replace(const char *from, const char *to)
{
	char *at = strstr(f.text, from), *text = malloc(f.n + strlen(to) + 1);
	size_t before;

	assert_non_null(at);
	assert_non_null(text);
	before = (size_t)(at - f.text);
	memcpy(text, f.text, before);
	memcpy(text + before, to, strlen(to));
	memcpy(text + before + strlen(to), at + strlen(from), f.n - before - strlen(from) + 1);
	f.n += strlen(to) - strlen(from);
	free(f.text);
	f.text = text;
}

/* A good bundle with one text replaced. */
static void replaced(
    const char *from, const char *to, enum bundle_step step, int err, const char *words)
{
	start();
	finish();
	replace(from, to);
	check_text(NULL, NULL);
	expect(step, err, words);
	clean();
}

static void test_good(void **state)
{
	struct note_key trusted;

	(void)state;
	start();
	finish();
	assert_int_equal(note_vkey_parse(&trusted, f.m.vkey, strlen(f.m.vkey)), KE_OK);
	check_text(&trusted, f.m.rec.seed_commit);
	expect(BUNDLE_WINNERS, KE_OK, "");
	assert_true(f.res.tickets == TICKETS);
	assert_int_equal(f.res.winners, 3);
	assert_int_equal(f.res.reserves, 2);
	assert_string_equal(f.res.vkey, f.m.vkey);
	check_text(NULL, NULL);
	expect(BUNDLE_WINNERS, KE_OK, "");
	clean();
}

/* Fewer tickets than prizes: everyone wins, in some order. */
static void test_few_tickets(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 6; n++) {
		assert_int_equal(made_init(&f.m, n, 3, 2), 0);
		conclude(BUNDLE_WINNERS, KE_OK, "");
	}
}

static void test_escaped_seeds(void **state)
{
	(void)state;
	start();
	for (uint64_t i = 0; i < TICKETS; i++) {
		struct leaf l;

		snprintf(f.m.seed[i], sizeof(f.m.seed[i]), "\"\\\n\x01\xc3\xa9\xf0\x9f\x98\x80%d",
		    (int)i);
		assert_int_equal(leaf_decode(&l, f.m.leaf[i], LEAF_LEN), KE_OK);
		leaf_client_seed_hash(l.client_seed_hash, f.m.seed[i], strlen(f.m.seed[i]));
		leaf_encode(f.m.leaf[i], &l);
	}
	made_sums(&f.m);
	assert_int_equal(made_draw(&f.m), 0);
	conclude(BUNDLE_WINNERS, KE_OK, "");
}

/* --- somebody alters the file --- */

static void test_form(void **state)
{
	(void)state;
	replaced("kleroterion-proof/1", "kleroterion-proof/2", BUNDLE_READ, KE_VERSION, "format");
	replaced("reproduced;", "proven fair;", BUNDLE_READ, KE_FORMAT, "label");
	replaced("\"label\"", "\"lable\"", BUNDLE_READ, KE_FORMAT, "no member \"label\"");
	replaced("\"title\"", "\"extra\":1,\"title\"", BUNDLE_READ, KE_FORMAT, "does not know");
	replaced("{\"format\"", "{\"extra\":1,\"format\"", BUNDLE_READ, KE_FORMAT, "does not know");
	replaced("\"title\"", "\"id\":1,\"title\"", BUNDLE_READ, KE_FORMAT, "twice");
	replaced("\"title\":\"A raffle\"", "\"title\":7", BUNDLE_READ, KE_FORMAT, "wrong type");
	replaced("\"winners\":3", "\"winners\":0", BUNDLE_READ, KE_FORMAT, "winners");
	replaced("\"winners\":3", "\"winners\":3.0", BUNDLE_READ, KE_FORMAT, "winners");
	replaced("\"reserves\":2", "\"reserves\":-1", BUNDLE_READ, KE_FORMAT, "reserves");
	replaced("abababab-", "ABABABAB-", BUNDLE_READ, KE_FORMAT, "UUID");
	replaced("\"A raffle\"", "\"A\nraffle\"", BUNDLE_READ, KE_FORMAT, "not a JSON text");
	replaced("]}", "]}x", BUNDLE_READ, KE_FORMAT, "not a JSON text");
	replaced("[", "[[[[[[[[[[[[[[[[[", BUNDLE_READ, KE_FORMAT, "deeper");
}

static void test_truncated(void **state)
{
	(void)state;
	start();
	finish();
	/* but for the line's end, which a JSON text may lack */
	for (size_t n = 0; n < f.n - 1; n += 1 + n / 100) {
		assert_int_not_equal(bundle_check(f.text, n, NULL, NULL, &f.res), KE_OK);
		expect(BUNDLE_READ, KE_FORMAT, "");
	}
	assert_int_equal(bundle_check(f.text, f.n / 2, NULL, NULL, &f.res), KE_FORMAT);
	expect(BUNDLE_READ, KE_FORMAT, "truncated");
	assert_int_equal(bundle_check(f.text, f.n - 1, NULL, NULL, &f.res), KE_OK);
	clean();
}

/* A text of very many tokens for its size is refused before any memory is taken for them. */
static void test_many_tokens(void **state)
{
	size_t n = 1000000;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, '0', n);
	for (size_t i = 0; i < n; i += 2)
		text[i] = i == 0 ? '[' : ',';
	text[n - 1] = ']';
	text[n - 2] = '0';
	assert_int_equal(bundle_check(text, n, NULL, NULL, &f.res), KE_FORMAT);
	expect(BUNDLE_READ, KE_FORMAT, "of more values");
	free(text);
}

static void test_signature(void **state)
{
	(void)state;
	/* the record's text without the signature following it */
	replaced("tickets 50", "tickets 51", BUNDLE_SIGNATURE, KE_CRYPTO, "altered");
	replaced("\xe2\x80\x94 draws.example.org", "\xe2\x80\x94 other.example.org",
	    BUNDLE_SIGNATURE, KE_NOTFOUND, "no signature by");
	replaced("\\n\\n\xe2\x80\x94", "\\n\xe2\x80\x94", BUNDLE_SIGNATURE, KE_FORMAT,
	    "not a signed note");
	replaced("\"vkey\":\"draws", "\"vkey\":\"xraws", BUNDLE_SIGNATURE, KE_FORMAT, "vkey");
	replaced(
	    "\"vkey\":\"draws", "\"vkey\":\"\\u001b[2Jdraws", BUNDLE_SIGNATURE, KE_FORMAT, "vkey");
}

static void test_signature_bytes(void **state)
{
	char *sig;

	(void)state;
	start();
	finish();
	sig = strstr(f.text, "\xe2\x80\x94 ");
	assert_non_null(sig);
	sig = strchr(sig + 5, ' ') + 20;
	*sig = *sig == 'A' ? 'B' : 'A';
	check_text(NULL, NULL);
	expect(BUNDLE_SIGNATURE, KE_CRYPTO, "altered");
	clean();
}

static void test_other_key(void **state)
{
	uint8_t seed[32] = {99}, pub[32], secret[64];
	struct note_key k;
	char vkey[400];

	(void)state;
	crypto_sign_seed_keypair(pub, secret, seed);
	assert_int_equal(note_vkey(MADE_NAME, NOTE_ED25519, pub, vkey, sizeof(vkey)), KE_OK);
	assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
	start();
	finish();
	check_text(&k, NULL);
	expect(BUNDLE_SIGNATURE, KE_WRONG_KEY, "not the trusted key");
	clean();
}

static void test_leaves(void **state)
{
	uint8_t swap[LEAF_LEN];

	(void)state;
	start();
	f.m.leaf[9][30] ^= 1; /* the time of sale */
	conclude(BUNDLE_ROOT, KE_CRYPTO, "leaf was altered");
	start();
	f.m.leaf[9][90] ^= 1; /* the client seed's hash */
	conclude(BUNDLE_ROOT, KE_CRYPTO, "leaf was altered");
	start();
	f.m.leaf[9][0] = 'X';
	conclude(BUNDLE_LEAVES, KE_FORMAT, "leaf 9 is not a ticket leaf");
	start();
	f.m.leaf[9][4] ^= 1;
	conclude(BUNDLE_LEAVES, KE_CRYPTO, "leaf 9 is of another raffle");
	start();
	memcpy(swap, f.m.leaf[4], LEAF_LEN);
	memcpy(f.m.leaf[4], f.m.leaf[5], LEAF_LEN);
	memcpy(f.m.leaf[5], swap, LEAF_LEN);
	conclude(BUNDLE_LEAVES, KE_CRYPTO, "leaf 4 says that its index is 5: reordered");
	start();
	f.m.n--;
	conclude(BUNDLE_LEAVES, KE_CRYPTO, "some are missing");
	start();
	f.m.rec.tickets--;
	conclude(BUNDLE_LEAVES, KE_CRYPTO, "some were added");
}

static void test_leaf_texts(void **state)
{
	char first[BUNDLE_LEAF_CAP] = "";
	size_t n = 0;

	(void)state;
	start();
	assert_int_equal(bundle_put_leaf(f.m.leaf[0], true, first, sizeof(first) - 1, &n), KE_OK);
	first[n] = '\0';
	clean();
	replaced(first, "7", BUNDLE_LEAVES, KE_FORMAT, "element 0 of the leaves is not a string");
	replaced(first, "[]", BUNDLE_LEAVES, KE_FORMAT, "element 0 of the leaves is not a string");
	replaced(first, "\"\"", BUNDLE_LEAVES, KE_FORMAT, "leaf 0 is not a ticket leaf");
	replaced(first, "\"S0xUMg==\"", BUNDLE_LEAVES, KE_FORMAT, "leaf 0 is not a ticket leaf");
}

static void test_seeds(void **state)
{
	(void)state;
	replaced("client seed 17\"", "client seed 18\"", BUNDLE_SEEDS, KE_CRYPTO,
	    "client seed 17 is not the one in its leaf");
	replaced("\"client seed 17\",", "", BUNDLE_SEEDS, KE_CRYPTO,
	    "49 client seeds: some are missing");
	replaced(
	    "\"client seed 17\",", "\"client seed 17\",\"\",", BUNDLE_SEEDS, KE_CRYPTO, "added");
	replaced("\"client seed 17\"", "null", BUNDLE_SEEDS, KE_FORMAT,
	    "element 17 of the client seeds");
}

/* --- the operator signs something wrong --- */

static void test_record(void **state)
{
	(void)state;
	start();
	f.m.rec.raffle[0] ^= 1;
	conclude(BUNDLE_RECORD, KE_CRYPTO, "another raffle");
	start();
	f.m.winners = 4;
	conclude(BUNDLE_RECORD, KE_CRYPTO, "3 winners, the raffle should have 4");
	start();
	f.m.rec.reserves = 1;
	conclude(BUNDLE_RECORD, KE_CRYPTO, "1 reserves, the raffle should have 2");
	start();
	f.m.rec.tickets = 0;
	conclude(BUNDLE_RECORD, KE_CRYPTO, "winners");
}

/* A signed text that is no record. */
static void test_not_a_record(void **state)
{
	static const char text[] = "kleroterion/v1 something else\n";
	uint8_t sig[64], id[4];
	char note[512];
	struct bundle_head h = {.vkey = f.m.vkey, .title = "", .winners = 1, .note = note};
	size_t n;

	(void)state;
	start();
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, strlen(text), f.m.secret);
	note_key_id(id, MADE_NAME, NOTE_ED25519, f.m.pub);
	snprintf(note, sizeof(note), "%s\n", text);
	assert_int_equal(
	    note_sig_line(MADE_NAME, NOTE_ED25519, id, sig, note + strlen(note), 300, &n), KE_OK);
	h.note_len = strlen(note);
	f.text = malloc(BUNDLE_HEAD_CAP(512));
	f.n = 0;
	assert_int_equal(bundle_put_head(&h, f.text, BUNDLE_HEAD_CAP(512), &f.n), KE_OK);
	assert_int_equal(bundle_put_middle(f.text, BUNDLE_HEAD_CAP(512), &f.n), KE_OK);
	assert_int_equal(bundle_put_tail(f.text, BUNDLE_HEAD_CAP(512), &f.n), KE_OK);
	check_text(NULL, NULL);
	expect(BUNDLE_RECORD, KE_FORMAT, "not a v1 draw record");
	clean();
}

static void test_commitment(void **state)
{
	uint8_t published[32] = {1};

	(void)state;
	start();
	f.m.rec.server_seed[0] ^= 1;
	conclude(BUNDLE_COMMIT, KE_CRYPTO, "server seed is not the one");
	start();
	f.m.rec.seed_commit[0] ^= 1;
	conclude(BUNDLE_COMMIT, KE_CRYPTO, "server seed is not the one");
	start();
	finish();
	check_text(NULL, published);
	expect(BUNDLE_COMMIT, KE_CRYPTO, "not the one published");
	clean();
}

static void test_sums(void **state)
{
	(void)state;
	start();
	f.m.rec.root[0] ^= 1;
	conclude(BUNDLE_ROOT, KE_CRYPTO, "root");
	start();
	f.m.rec.aggregate[0] ^= 1;
	conclude(BUNDLE_AGGREGATE, KE_CRYPTO, "aggregate");
}

static void test_draw(void **state)
{
	(void)state;
	start();
	f.m.rec.entropy[0] ^= 1;
	conclude(BUNDLE_DRAW, KE_CRYPTO, "draw-key does not follow");
	start();
	f.m.rec.draw_key[0] ^= 1;
	conclude(BUNDLE_DRAW, KE_CRYPTO, "draw-key does not follow");
	start();
	f.m.picks[1].index = (f.m.picks[1].index + 1) % TICKETS;
	conclude(BUNDLE_DRAW, KE_CRYPTO, "winner 2 is ticket");
	start();
	f.m.picks[4].index = UINT64_MAX;
	conclude(BUNDLE_DRAW, KE_CRYPTO, "reserve 2 is ticket 18446744073709551615");
	start();
	f.m.picks[1].ticket[0] ^= 1;
	conclude(BUNDLE_WINNERS, KE_CRYPTO, "ticket id of winner 2");
	start();
	f.m.picks[3].ticket[0] ^= 1;
	conclude(BUNDLE_WINNERS, KE_CRYPTO, "ticket id of reserve 1");
}

/* --- members that are there and are not what they must be --- */

static void test_values(void **state)
{
	static const struct {
		const char *from, *to, *words;
	} rows[] = {
	    {"\"winners\":3", "\"winners\":100001", "number of winners is out of range"},
	    {"\"winners\":3", "\"winners\":0", "number of winners is out of range"},
	    {"\"winners\":3", "\"winners\":1e3", "number of winners is out of range"},
	    {"\"reserves\":2", "\"reserves\":100001", "number of reserves is out of range"},
	    {"\"reserves\":2", "\"reserves\":-1", "number of reserves is out of range"},
	    {"\"reserves\":2", "\"reserves\":0.5", "number of reserves is out of range"},
	    {"\"id\":\"abab", "\"id\":\"aba", "id is not a UUID"},
	    {"\"id\":\"abab", "\"id\":\"abababababababab", "id is not a UUID"},
	    {"\"label\":\"repro", "\"label\":\"Repro", "the label is not"},
	};
	char label[400];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start();
		finish();
		replace(rows[i].from, rows[i].to);
		check_text(NULL, NULL);
		expect(BUNDLE_READ, KE_FORMAT, rows[i].words);
		clean();
	}
	/* longer than any label of ours */
	memset(label, 'x', sizeof label);
	memcpy(label, "\"label\":\"", 9);
	label[sizeof label - 1] = '\0';
	start();
	finish();
	replace("\"label\":\"", label);
	check_text(NULL, NULL);
	expect(BUNDLE_READ, KE_FORMAT, "the label is not");
	clean();
	assert_string_equal(bundle_step_words(BUNDLE_STEPS), "unknown");
}

/* The words may go to a terminal, and the name in them came with the bundle. */
static void test_words_are_printable(void **state)
{
	struct note_key other = {.name = "draws.\x1b[2J\xc3\xa9"};

	(void)state;
	start();
	finish();
	check_text(&other, NULL);
	expect(BUNDLE_SIGNATURE, KE_WRONG_KEY, "draws.?[2J??");
	clean();
}

/* --- writing --- */

static void test_put_full(void **state)
{
	uint8_t leaf[LEAF_LEN] = {0};
	char buf[256];
	size_t n;

	(void)state;
	for (size_t cap = 0; cap < 159; cap++) {
		n = 0;
		assert_int_equal(bundle_put_leaf(leaf, false, buf, cap, &n), KE_FULL);
		assert_true(n <= cap);
	}
	n = 0;
	assert_int_equal(bundle_put_leaf(leaf, false, buf, 159, &n), KE_OK);
	assert_int_equal(n, 159);
	n = 0;
	assert_int_equal(bundle_put_seed("\x01\x02", 2, false, buf, BUNDLE_SEED_CAP(2), &n), KE_OK);
	assert_int_equal(bundle_put_seed("\xff", 1, true, buf, sizeof(buf), &n), KE_FORMAT);
	n = 5;
	assert_int_equal(bundle_put_tail(buf, 7, &n), KE_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_few_tickets),
	    cmocka_unit_test(test_escaped_seeds),
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_many_tokens),
	    cmocka_unit_test(test_signature),
	    cmocka_unit_test(test_signature_bytes),
	    cmocka_unit_test(test_other_key),
	    cmocka_unit_test(test_leaves),
	    cmocka_unit_test(test_leaf_texts),
	    cmocka_unit_test(test_seeds),
	    cmocka_unit_test(test_record),
	    cmocka_unit_test(test_not_a_record),
	    cmocka_unit_test(test_commitment),
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_draw),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_words_are_printable),
	    cmocka_unit_test(test_put_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
