/*
 * The life of a v2 raffle: every act in every state, times and beacons at their edges, who stands
 * for the prizes after forfeits.
 */
#include "tests/unit/vectors.h"

#include "policy/life.h"

#define NOW   UINT64_C(1800000000)
#define CLOSE (NOW + 3600)

static struct life_site site;
static struct record2_terms terms;
static const char *why;

/* A chain of rounds each second, the first at 1. */
static const struct drand_chain second = {
    .pub = {1}, .group_hash = {2}, .period_s = 1, .genesis_s = 1, .id = "test"};

static int fresh(void **state)
{
	(void)state;
	life_site_init(&site, 0);
	assert_int_equal(life_site_add(&site, &drand_quicknet), KE_OK);
	assert_int_equal(life_site_add(&site, &second), KE_OK);
	terms = (struct record2_terms){.sales_close_s = CLOSE,
	    .deadline_s = CLOSE + 7200,
	    .beacons = {life_promise(&second, CLOSE, LIFE_DELAY_S)},
	    .nbeacons = 1};
	return 0;
}

static enum rules_no agree(void)
{
	why = NULL;
	return life_terms(&site, &terms, NOW, &why);
}

static void test_pins(void **state)
{
	struct drand_chain c = second;
	uint8_t hash[32];
	struct beacon b = {.kind = BEACON_NIST2, .at_ms = 60999};
	uint64_t at_s;

	(void)state;
	assert_int_equal(life_site_add(&site, &second), KE_EXISTS);
	assert_int_equal(life_site_add(&site, &drand_quicknet), KE_EXISTS);
	drand_chain_hash(hash, &drand_quicknet);
	assert_ptr_equal(life_chain(&site, hash), &site.chains[0]);
	hash[0] ^= 1;
	assert_null(life_chain(&site, hash));
	while (site.nchains < LIFE_CHAINS_MAX) {
		c.genesis_s++;
		assert_int_equal(life_site_add(&site, &c), KE_OK);
	}
	c.genesis_s++;
	assert_int_equal(life_site_add(&site, &c), KE_FULL);
	assert_int_equal(life_moment(&site, &b, &at_s), KE_NOTFOUND);
	site.nist = true;
	assert_int_equal(life_moment(&site, &b, &at_s), KE_OK);
	assert_true(at_s == 60);
}

static void test_promise(void **state)
{
	struct beacon b = life_promise(&drand_quicknet, CLOSE, LIFE_DELAY_S);
	uint64_t at_s;

	(void)state;
	assert_int_equal(life_moment(&site, &b, &at_s), KE_OK);
	assert_true(at_s >= CLOSE + LIFE_DELAY_S && at_s < CLOSE + LIFE_DELAY_S + 3);
	b.round--;
	assert_int_equal(life_moment(&site, &b, &at_s), KE_OK);
	assert_true(at_s < CLOSE + LIFE_DELAY_S);
}

/* How long before a value its raffle's end must have been seen. */
static void test_lead(void **state)
{
	static const struct {
		uint64_t delay_s, lead_s;
	} want[] = {{600, 60}, {601, 60}, {86400, 60}, {599, 60}, {590, 59}, {100, 10}, {11, 2},
	    {10, 1}, {1, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		assert_int_equal(life_lead_s(want[i].delay_s), want[i].lead_s);
	assert_int_equal(life_seen_until(1000, 600), 940);
	assert_int_equal(life_seen_until(60, 600), 0);
	assert_int_equal(life_seen_until(59, 600), 0);
}

/* A while behind the last value, whichever of them that is; never behind the deadline. */
static void test_late(void **state)
{
	uint64_t last_s = CLOSE + LIFE_DELAY_S;

	(void)state;
	assert_true(life_late_s(&site, &terms) == last_s + LIFE_LATE_S);
	site.nist = true;
	terms.beacons[terms.nbeacons++] =
	    (struct beacon){.kind = BEACON_NIST2, .at_ms = (last_s - 10) * 1000};
	assert_true(life_late_s(&site, &terms) == last_s - 10 + LIFE_LATE_S + LIFE_PULSE_S);
	terms.beacons[1].at_ms = (last_s - 200) * 1000;
	assert_true(life_late_s(&site, &terms) == last_s + LIFE_LATE_S);
	terms.deadline_s = last_s + 1;
	assert_true(life_late_s(&site, &terms) == terms.deadline_s);
	terms.deadline_s = UINT64_MAX;
	terms.beacons[0].round = UINT64_MAX; /* without a time */
	assert_true(life_late_s(&site, &terms) == terms.deadline_s);
	/* a value that comes behind the deadline, and terms without any */
	terms.beacons[0].round = last_s;
	terms.deadline_s = last_s - 1;
	assert_true(life_late_s(&site, &terms) == terms.deadline_s);
	terms.nbeacons = 0;
	assert_true(life_late_s(&site, &terms) == terms.deadline_s);
}

static void test_terms(void **state)
{
	(void)state;
	assert_int_equal(agree(), RULES_YES);
	terms.beacons[0].round--;
	assert_int_equal(agree(), RULES_TOO_EARLY);
	assert_non_null(why);
	site.delay_s--; /* a site's own lower limit */
	assert_int_equal(agree(), RULES_YES);
	terms.beacons[0].chain_hash[0] ^= 1;
	assert_int_equal(agree(), RULES_BEACON);
	terms.beacons[0].chain_hash[0] ^= 1;
	terms.beacons[0].round = UINT64_MAX;
	assert_int_equal(agree(), RULES_BEACON);
	terms.beacons[0].round = terms.deadline_s;
	assert_int_equal(agree(), RULES_TOO_FAR);
	terms.beacons[0].round = terms.deadline_s - 1;
	assert_int_equal(agree(), RULES_YES);
	terms.deadline_s = NOW + LIFE_SPAN_S;
	assert_int_equal(agree(), RULES_YES);
	terms.deadline_s++;
	assert_int_equal(agree(), RULES_TOO_FAR);
	terms.deadline_s = CLOSE;
	assert_int_equal(agree(), RULES_TOO_FAR);
	terms.deadline_s = UINT64_MAX;
	terms.sales_close_s = UINT64_MAX - 1;
	assert_int_equal(agree(), RULES_TOO_FAR);
	terms.nbeacons = 0;
	fresh(NULL);
	terms.nbeacons = 0;
	assert_int_equal(agree(), RULES_BEACON);
	fresh(NULL);
	terms.sales_close_s = NOW;
	assert_int_equal(agree(), RULES_TOO_LATE);
}

/* The first of several values counts. */
static void test_two_beacons(void **state)
{
	(void)state;
	terms.beacons[1] = (struct beacon){
	    .kind = BEACON_NIST2, .chain = 2, .at_ms = (CLOSE + LIFE_DELAY_S) * 1000 - 1};
	terms.nbeacons = 2;
	assert_int_equal(agree(), RULES_BEACON);
	site.nist = true;
	assert_int_equal(agree(), RULES_TOO_EARLY);
	terms.beacons[1].at_ms++;
	assert_int_equal(agree(), RULES_YES);
}

static enum rules_no amend(
    const struct record2_terms *from, const struct record2_terms *to, bool sold, uint64_t now_s)
{
	return life_amend(&site, from, to, sold, now_s, &why);
}

static void test_amend(void **state)
{
	struct record2_terms to = terms;

	(void)state;
	assert_int_equal(amend(&terms, &to, false, NOW), RULES_YES);
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
	to.sales_close_s++;
	to.beacons[0].round++;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_YES);
	assert_int_equal(amend(&terms, &to, true, CLOSE), RULES_TOO_LATE);
	assert_int_equal(amend(&terms, &to, false, CLOSE), RULES_TOO_LATE);
	/* a later end with the same round, where that is late enough */
	site.delay_s = 1;
	to.beacons[0].round--;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
	/* a later round alone */
	to.beacons[0].round++;
	to.sales_close_s--;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
	/* before the first sale also earlier ones */
	to.sales_close_s = NOW + 10;
	to.beacons[0] = life_promise(&second, NOW + 10, 1);
	assert_int_equal(amend(&terms, &to, false, NOW), RULES_YES);
	to.beacons[0].round = NOW + 5;
	assert_int_equal(amend(&terms, &to, false, NOW), RULES_TOO_EARLY);
	/* from terms whose chain is no longer pinned: what they would have led to is not known */
	to = terms;
	to.sales_close_s++;
	to.beacons[0].round++;
	terms.beacons[0].chain_hash[0] ^= 1;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_BEACON);
	assert_string_equal(why, "a beacon that is not pinned here");
}

/* Pulses have no chain to compare: a later one may take the place of an earlier one. */
static void test_amend_pulses(void **state)
{
	struct record2_terms to;

	(void)state;
	site.nist = true;
	terms.beacons[1] = (struct beacon){
	    .kind = BEACON_NIST2, .chain = 2, .at_ms = (CLOSE + LIFE_DELAY_S) * 1000};
	terms.nbeacons = 2;
	to = terms;
	to.sales_close_s++;
	to.beacons[0].round++;
	to.beacons[1].at_ms += 1000;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_YES);
	to.beacons[1].at_ms = terms.beacons[1].at_ms + 999;
	to.sales_close_s = terms.sales_close_s + 1;
	site.delay_s = 1;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
}

/* Another source with a later value does not excuse an earlier one of a source that stays. */
static void test_amend_each(void **state)
{
	struct record2_terms to;

	(void)state;
	terms.beacons[1] = life_promise(&drand_quicknet, CLOSE + 600, LIFE_DELAY_S);
	terms.nbeacons = 2;
	to = terms;
	to.sales_close_s++;
	to.beacons[0].round++;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
	to.beacons[1].round++;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_YES);
	to.beacons[1].kind = BEACON_NIST2;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_BEACON);
	/* one source less */
	to.nbeacons = 1;
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_YES);
	/* another one, whose value comes before the first that was promised */
	site.delay_s = 1;
	to.beacons[0] = life_promise(&drand_quicknet, CLOSE + 1, 1);
	assert_int_equal(amend(&terms, &to, true, NOW), RULES_NOT_LATER);
}

static void test_not_before(void **state)
{
	struct beacon b = {.kind = BEACON_DRAND, .round = NOW};

	(void)state;
	drand_chain_hash(b.chain_hash, &second);
	assert_int_equal(life_not_before(&site, &b, NOW, &why), RULES_YES);
	assert_int_equal(life_not_before(&site, &b, NOW + LIFE_NOT_BEFORE_S, &why), RULES_YES);
	assert_int_equal(
	    life_not_before(&site, &b, NOW + LIFE_NOT_BEFORE_S + 1, &why), RULES_NOT_BEFORE);
	assert_int_equal(
	    life_not_before(&site, &b, NOW - LIFE_NOT_BEFORE_S - 1, &why), RULES_NOT_BEFORE);
	b.chain_hash[3] ^= 1;
	assert_int_equal(life_not_before(&site, &b, NOW, &why), RULES_NOT_BEFORE);
	b.kind = BEACON_NIST2;
	assert_int_equal(life_not_before(&site, &b, NOW, &why), RULES_NOT_BEFORE);
}

/* state × act with sales going on, tickets sold and values there */
static void test_states(void **state)
{
	static const enum rules_no want[RAFFLE_STATES][RAFFLE_ACTS] = {
	    /* open, buy, close, entropy, draw, prove, amend, abort, forfeit */
	    {RULES_YES, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_FORMAT, RULES_NOT_CLOSED,
		RULES_NOT_DRAWN, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_NOT_DRAWN},
	    {RULES_NOT_DRAFT, RULES_YES, RULES_GOES_ON, RULES_FORMAT, RULES_NOT_CLOSED,
		RULES_NOT_DRAWN, RULES_YES, RULES_YES, RULES_NOT_DRAWN},
	    {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_FORMAT, RULES_YES,
		RULES_NOT_DRAWN, RULES_NOT_OPEN, RULES_YES, RULES_NOT_DRAWN},
	    {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_FORMAT, RULES_DRAWN, RULES_YES,
		RULES_DRAWN, RULES_DRAWN, RULES_YES},
	    {RULES_ABORTED, RULES_NOT_OPEN, RULES_ABORTED, RULES_FORMAT, RULES_ABORTED,
		RULES_ABORTED, RULES_ABORTED, RULES_ABORTED, RULES_ABORTED},
	};
	static const enum raffle_state leads[RAFFLE_ACTS] = {
	    [RAFFLE_ACT_OPEN] = RAFFLE_OPEN,
	    [RAFFLE_ACT_CLOSE] = RAFFLE_CLOSED,
	    [RAFFLE_ACT_DRAW] = RAFFLE_DRAWN,
	    [RAFFLE_ACT_ABORT] = RAFFLE_ABORTED,
	};
	struct life l = {.sold = 1, .sales_close_s = CLOSE, .now_s = NOW, .values = true};

	(void)state;
	for (int s = 0; s < RAFFLE_STATES; s++)
		for (int a = 0; a < RAFFLE_ACTS; a++) {
			bool moves = want[s][a] == RULES_YES && leads[a] != RAFFLE_DRAFT;

			l.state = (enum raffle_state)s;
			assert_int_equal(life_act(&l, (enum raffle_act)a), want[s][a]);
			assert_int_equal(
			    life_next(&l, (enum raffle_act)a), moves ? leads[a] : l.state);
		}
}

static void test_questions(void **state)
{
	struct life l = {.state = RAFFLE_CLOSED, .sold = 1, .sales_close_s = CLOSE, .now_s = CLOSE};

	(void)state;
	assert_int_equal(life_act(&l, RAFFLE_ACT_DRAW), RULES_BEACON_MISSING);
	assert_int_equal(life_next(&l, RAFFLE_ACT_DRAW), RAFFLE_CLOSED);
	l.sold = 0;
	l.values = true;
	assert_int_equal(life_act(&l, RAFFLE_ACT_DRAW), RULES_EMPTY);
	l.state = RAFFLE_OPEN;
	assert_int_equal(life_act(&l, RAFFLE_ACT_BUY), RULES_NOT_OPEN);
	assert_int_equal(life_act(&l, RAFFLE_ACT_AMEND), RULES_TOO_LATE);
	assert_int_equal(life_act(&l, RAFFLE_ACT_CLOSE), RULES_YES);
	l.now_s = CLOSE - 1;
	assert_int_equal(life_act(&l, RAFFLE_ACT_BUY), RULES_YES);
	assert_int_equal(life_act(&l, RAFFLE_ACT_CLOSE), RULES_GOES_ON);
	l.state = RAFFLE_DRAFT;
	assert_int_equal(life_act(&l, RAFFLE_ACT_OPEN), RULES_YES);
	l.now_s = CLOSE;
	assert_int_equal(life_act(&l, RAFFLE_ACT_OPEN), RULES_TOO_LATE);
	assert_string_equal(rules_raffle_word(RAFFLE_ABORTED), "aborted");
}

static void test_forfeits(void **state)
{
	const uint64_t all[] = {2, 2, 1, 2};
	size_t who[3];

	(void)state;
	assert_int_equal(life_standing(3, 2, NULL, 0, who), KE_OK);
	assert_true(who[0] == 0 && who[1] == 1 && who[2] == 2);
	assert_int_equal(life_standing(3, 2, all, 1, who), KE_OK);
	assert_true(who[0] == 0 && who[1] == 3 && who[2] == 2);
	/* the reserve that moved up forfeits too */
	assert_int_equal(life_standing(3, 2, all, 2, who), KE_OK);
	assert_true(who[1] == 4);
	/* nobody is left */
	assert_int_equal(life_standing(3, 2, all, 3, who), KE_OK);
	assert_true(who[0] == LIFE_NOBODY && who[1] == 4 && who[2] == 2);
	assert_int_equal(life_standing(3, 2, all, 4, who), KE_OK);
	assert_true(who[1] == LIFE_NOBODY);
	/* what nobody holds nobody loses */
	assert_int_equal(life_standing(1, 0, (const uint64_t[]){1, 1}, 2, who), KE_RANGE);
	assert_int_equal(life_standing(3, 2, (const uint64_t[]){0}, 1, who), KE_RANGE);
	assert_int_equal(life_standing(3, 2, (const uint64_t[]){4}, 1, who), KE_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_pins, fresh),
	    cmocka_unit_test_setup(test_promise, fresh),
	    cmocka_unit_test_setup(test_lead, fresh),
	    cmocka_unit_test_setup(test_terms, fresh),
	    cmocka_unit_test_setup(test_late, fresh),
	    cmocka_unit_test_setup(test_two_beacons, fresh),
	    cmocka_unit_test_setup(test_amend, fresh),
	    cmocka_unit_test_setup(test_amend_each, fresh),
	    cmocka_unit_test_setup(test_amend_pulses, fresh),
	    cmocka_unit_test_setup(test_not_before, fresh),
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_questions),
	    cmocka_unit_test(test_forfeits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
