/*
 * What is refused of a v2 bundle that an operator with all keys has made otherwise than the rules
 * have it, in which words; and the same checks without memory.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/chain_make.h"

#include "tests/unit/bundle2_refused.h"

/* A record's text and leaf again, from what its fields say now. */
static void again(int w)
{
	assert_int_equal(made2_text(&m, w), 0);
	record2_leaf(m.log.leaf[made2_at[w]], m.text[w], m.text_len[w]);
}

/* The draw from its beacons as they are now, when the promise was another one. */
static void draw_again(void)
{
	assert_int_equal(made2_draw(&m), 0);
	again(MADE2_DRAW);
	trust_all(&trust);
}

/* Promised, and then drawn with the value of before. */
static void promise_another(void (*change)(struct record2_terms *t))
{
	struct record2_terms was;

	make(20, 20, 3, 2);
	was = m.rec[MADE2_OPEN].terms;
	change(&m.rec[MADE2_OPEN].terms);
	finish();
	m.rec[MADE2_DRAW].terms = was;
	draw_again();
}

static void other_order(struct record2_terms *t)
{
	struct beacon first = t->beacons[0];

	t->beacons[0] = t->beacons[1];
	t->beacons[1] = first;
}

static void other_chain(struct record2_terms *t)
{
	t->beacons[0].chain_hash[0] ^= 1;
}

static void other_round(struct record2_terms *t)
{
	t->beacons[0].round++;
}

static void other_nist(struct record2_terms *t)
{
	t->beacons[1].chain++;
}

static void one_only(struct record2_terms *t)
{
	t->nbeacons = 1;
}

static void test_other_beacons(void **state)
{
	static const struct {
		void (*change)(struct record2_terms *t);
		const char *words;
	} rows[] = {
	    {other_order, "the draw used another beacon than was promised"},
	    {other_chain, "the draw used another drand chain than was promised"},
	    {other_round, "the draw used round 1000000, round 1000001 was promised"},
	    {other_nist, "the draw used another chain than was promised"},
	    {one_only, "the draw, its bundle and the promise differ in beacons"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		promise_another(rows[i].change);
		refused(BUNDLE2_TIMES, rows[i].words);
	}
	/* a round that never comes, and a delay that nothing keeps */
	make(20, 20, 3, 2);
	m.rec[MADE2_OPEN].terms.beacons[0].round = INT64_MAX;
	finish();
	refused(BUNDLE2_TIMES, "the round has no time");
	drawn();
	trust.delay_s = UINT64_MAX;
	refused(BUNDLE2_TIMES, "a beacon's value came less than 18446744073709551615 s");
}

/* The pulse before the one that counts shows that this is the first from the promised moment on. */
static void test_previous_pulse(void **state)
{
	const int64_t promised_ms = 1787745630000;
	static char before_json[PULSE_JSON_MAX];
	struct pulse before, pulse;
	struct nist_made nist;
	struct jsonw w;

	(void)state;
	make(20, 20, 3, 2);
	assert_int_equal(nist_make(&nist), 0);
	nist_pulse(&nist, promised_ms - 30000, 41, NULL, &before);
	nist_pulse(&nist, promised_ms + 30000, 42, &before, &pulse);
	jsonw_init(&w, m.pulse, sizeof(m.pulse) - 1);
	pulse_write(&pulse, &w);
	m.pulse[w.len] = '\0';
	jsonw_init(&w, before_json, sizeof(before_json) - 1);
	pulse_write(&before, &w);
	before_json[w.len] = '\0';
	memcpy(m.cert, nist.pem, sizeof(m.cert));
	m.rec[MADE2_OPEN].terms.beacons[1] = (struct beacon){
	    .kind = BEACON_NIST2, .chain = 7, .pulse = 42, .at_ms = (uint64_t)promised_ms};
	memcpy(m.rec[MADE2_OPEN].terms.beacons[1].output, pulse.output, 64);
	finish();
	/* two are trusted, and the first of them has signed it */
	memset(trust.certificates[1], 1, PULSE_HASH);
	trust.ncertificates = 2;
	assert_int_equal(check_with("beacons/1/previous_pulse", before_json, NULL, NULL), KE_OK);
	assert_int_equal(res.levels, ALL);
	assert_string_equal(res.why, "");
	refused(BUNDLE2_TIMES, "the pulse is not the first one from the promised moment on");
	(void)check_with("beacons/1/previous_pulse", before_json,
	    "beacons/1/previous_pulse/pulse/signatureValue",
	    "@beacons/1/pulse/pulse/signatureValue");
	assert_refused(
	    BUNDLE2_BEACONS, KE_CRYPTO, "the previous pulse is not signed by its certificate");
	EVP_PKEY_free(nist.key);
}

/* The former terms were of a chain that nobody has pinned, or of a round without a time. */
static void test_amended_from(void **state)
{
	struct beacon *was = &m.rec[MADE2_OPEN].terms.beacons[0];

	(void)state;
	amended();
	was->round = INT64_MAX;
	finish();
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
	amended();
	was->chain_hash[0] ^= 1;
	finish();
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
	assert_string_equal(
	    res.lacking, "not enough witnesses saw the records, and the close record in time");
	/* the first of two lacks is the one that is told */
	trust.ncertificates = 0;
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_non_null(strstr(res.lacking, "the pulse's certificate is not a known one"));
}

static void test_forfeits(void **state)
{
	char proof[8192], *draw;

	(void)state;
	/* more than the result has room for */
	make(60, 60, 40, 0);
	m.nforfeits = BUNDLE2_TOLD + 1;
	for (size_t i = 0; i < m.nforfeits; i++)
		m.forfeits[i] = i + 1;
	finish();
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_int_equal(res.forfeits, BUNDLE2_TOLD + 1);
	assert_int_equal(res.forfeit[BUNDLE2_TOLD - 1].pos, BUNDLE2_TOLD);
	/* logged before the draw */
	make(20, 20, 3, 2);
	m.nforfeits = 1;
	m.forfeits[0] = 1;
	finish();
	memcpy(m.log.leaf[0], m.log.leaf[5], 32);
	assert_int_equal(made2_proof(&m, &m.log, MADE2_HOST, 0, proof, sizeof(proof)), 0);
	(void)check_with("forfeits/0/proof", quoted(proof), NULL, NULL);
	assert_refused(
	    BUNDLE2_LOGGED, KE_CRYPTO, "the forfeit record stands before the draw record");
	/* of another draw */
	draw = strstr(m.forfeit_text[0], "draw 4");
	assert_non_null(draw);
	draw[5] = '3';
	record2_leaf(m.log.leaf[5], m.forfeit_text[0], strlen(m.forfeit_text[0]));
	refused(BUNDLE2_RECORDS, "a forfeit record was made for another draw");
}

/* --- one prize a holder --- */

/* Winners that are others than the rule has, in the record and in the bundle. */
static void pick_others(uint64_t winners, uint64_t reserves)
{
	m.rec[MADE2_DRAW].winners = winners;
	m.rec[MADE2_DRAW].reserves = reserves;
	again(MADE2_DRAW);
}

static void test_holders(void **state)
{
	uint64_t index[MADE2_N_MAX];
	struct leaf l;

	(void)state;
	/* the shuffle's first, as if a holder could win twice */
	once();
	assert_int_equal(draw_shuffle(index, 20, 20, m.rec[MADE2_DRAW].draw_key), KE_OK);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(leaf_decode(&l, m.leaf[index[i]], LEAF_LEN), KE_OK);
		m.picks[i].index = index[i];
		memcpy(m.picks[i].ticket, l.ticket, 16);
	}
	m.npassed = 0;
	pick_others(3, 1);
	refused(BUNDLE2_DRAW, "is of a holder who had won before");
	/* one is passed over who had not won */
	once();
	memmove(m.passed + 1, m.passed, m.npassed * sizeof(m.passed[0]));
	memmove(m.pos_passed + 1, m.pos_passed, m.npassed * sizeof(m.pos_passed[0]));
	m.passed[0] = m.picks[0].index;
	m.pos_passed[0] = 0;
	m.npassed++;
	memmove(m.picks, m.picks + 1, 3 * sizeof(m.picks[0]));
	pick_others(3, 0);
	refused(BUNDLE2_DRAW, "where the record has another one");
	/* one more is passed over, behind the last winner */
	once();
	m.passed[m.npassed] = m.picks[0].index;
	m.pos_passed[m.npassed++] = 4;
	refused(BUNDLE2_DRAW, "where the record has another one");
	/* the draw ended when there were more tickets to look at */
	once();
	m.npassed = 0;
	pick_others(1, 0);
	refused(BUNDLE2_DRAW, "the draw ended before all tickets had been looked at");
	/* more of them than tickets */
	once();
	while (m.npassed < 20) {
		m.passed[m.npassed] = 0;
		m.pos_passed[m.npassed++] = 0;
	}
	(void)check_with(NULL, NULL, NULL, NULL);
	assert_refused(BUNDLE2_DRAW, KE_RANGE, "more winners than tickets");
	/* too many to list them: the ticket log shows it, and the bundle does not */
	once();
	m.unlisted = true;
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_REPRODUCED);
	assert_true(res.unlisted);
	assert_non_null(strstr(res.lacking, "only the ticket log shows it"));
	/* a holder of several winners, where there is no such rule */
	make(20, 2, 5, 3);
	finish();
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
}

/* Winner, reserve: the record's text names others than the bundle has. */
static void test_picks(void **state)
{
	struct record_pick first;

	(void)state;
	drawn();
	first = m.picks[0];
	m.picks[0] = m.picks[1];
	m.picks[1] = first;
	refused(BUNDLE2_WINNERS, "winner 1 of the bundle is not the record's");
	drawn();
	first = m.picks[3];
	m.picks[3] = m.picks[4];
	m.picks[4] = first;
	refused(BUNDLE2_WINNERS, "reserve 1 of the bundle is not the record's");
}

/* --- a file of winners --- */

static void test_file(void **state)
{
	struct record2 *draw = &m.rec[MADE2_DRAW];

	(void)state;
	filed();
	assert_int_equal(check_with(NULL, NULL, NULL, NULL), KE_OK);
	assert_int_equal(res.levels, ALL);
	assert_true(res.winners == 801 && res.reserves == 9);
	/* a prize less, by a file that says so */
	draw->winners--;
	draw->reserves++;
	assert_int_equal(made2_file_of(draw), 0);
	again(MADE2_DRAW);
	refused(BUNDLE2_WINNERS, "has 800 winners and 10 reserves, 801 and 9 were announced");
}

/* --- words --- */

static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BUNDLE2_STEPS; i++)
		assert_string_not_equal(bundle2_step_words((enum bundle2_step)i), "unknown");
	assert_string_equal(bundle2_step_words(BUNDLE2_STEPS), "unknown");
	assert_string_equal(bundle2_level_words(BUNDLE2_STAMPED), "time-stamped");
	assert_string_equal(bundle2_level_words(BUNDLE2_REPRODUCED), "reproduced");
}

/* --- little memory --- */

static char *text;
static size_t text_len;

static int check_text(void)
{
	int r = bundle2_check(text, text_len, &trust, &res);

	assert_int_equal(r, res.err);
	if (r == KE_NOMEM)
		assert_string_equal(res.why, "out of memory");
	return r;
}

/* libcrypto does not tell why a certificate or a signature cannot be judged. */
static int check_crypto(void)
{
	int r = check_text();

	return r == KE_CRYPTO && res.step == BUNDLE2_BEACONS ? KE_NOMEM : r;
}

/* A chain that nobody has pinned: its curves would cost minutes here, and no allocation. */
static void pin_nothing(void)
{
	struct drand_chain own = drand_quicknet;

	own.genesis_s += 3;
	made2_chain(&m, &own);
	for (int w = 0; w < MADE2_RECORDS; w++) {
		struct record2_terms *t = &m.rec[w].terms;

		drand_chain_hash(t->beacons[0].chain_hash, &own);
		t->not_before.chain_hash[0] ^= 1;
	}
	finish();
}

static void test_memory(void **state)
{
	void (*const bases[])(void) = {once, amended, aborted_closed};

	(void)state;
	if (!fail_alloc_works())
		skip();
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		bases[i]();
		pin_nothing();
		text = made2_write(&m, &text_len);
		assert_non_null(text);
		fail_alloc_own = true;
		assert_true(fail_alloc_each(check_text, KE_NOMEM) > 10);
		fail_alloc_own = false;
		assert_true(fail_alloc_some(check_crypto, KE_NOMEM, 7) > 10);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_other_beacons),
	    cmocka_unit_test(test_previous_pulse),
	    cmocka_unit_test(test_amended_from),
	    cmocka_unit_test(test_forfeits),
	    cmocka_unit_test(test_holders),
	    cmocka_unit_test(test_picks),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("bundle2_cheats", tests, NULL, NULL);
}
