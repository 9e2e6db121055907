/*
 * The v2 proof bundle: a whole one reaches every level, each thing that an operator could want to
 * change fails at the step that is there for it, and no changed byte of the file goes unnoticed.
 */
#include "tests/unit/vectors.h"

#include <ctype.h>

#include "tests/unit/bundle2_test.h"

static void test_whole(void **state)
{
	const uint64_t sizes[][3] = {
	    {1, 1, 0}, {2, 1, 1}, {7, 3, 2}, {20, 3, 2}, {33, 33, 9}, {64, 5, 0}};
	struct bundle2_trust t;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make(sizes[i][0], sizes[i][0], sizes[i][1], sizes[i][2]);
		assert_int_equal(made2_finish(&m), 0);
		trust_all(&t);
		assert_int_equal(check_made(&t), KE_OK);
		assert_int_equal(res.levels, ALL);
		assert_int_equal(res.claimed, ALL);
		assert_string_equal(res.lacking, "");
		assert_true(res.tickets == sizes[i][0] && res.winners == m.rec[MADE2_DRAW].winners);
		assert_true(res.seen == 1 && res.witnesses == 1);
	}
}

/* One prize a person: those passed over are shown; too few holders end at the last ticket. */
static void test_dedupe(void **state)
{
	struct bundle2_trust t;

	(void)state;
	for (uint64_t holders = 1; holders <= 20; holders += 3) {
		make(20, holders, 3, 3);
		m.rec[MADE2_OPEN].dedupe = DEDUPE_HOLDER;
		assert_int_equal(made2_finish(&m), 0);
		trust_all(&t);
		assert_int_equal(check_made(&t), KE_OK);
		assert_true(res.winners + res.reserves == (holders < 6 ? holders : 6));
	}
	make(20, 4, 3, 0);
	m.rec[MADE2_OPEN].dedupe = DEDUPE_HOLDER;
	assert_int_equal(made2_finish(&m), 0);
	while (m.npassed == 0) {
		m.rec[MADE2_DRAW].server_seed[0]++;
		assert_int_equal(made2_finish(&m), 0);
	}
	assert_int_equal(check_made(&t), KE_OK);
	m.npassed--;
	assert_fails(&t, BUNDLE2_DRAW);
	m.npassed++;
	m.pos_passed[0]++;
	assert_fails(&t, BUNDLE2_DRAW);
	m.pos_passed[0]--;
	m.passed[0] = m.picks[0].index;
	assert_fails(&t, BUNDLE2_DRAW);
}

/* --- an operator who cheats, with all keys --- */

static void again(int w, size_t at)
{
	assert_int_equal(made2_text(&m, w), 0);
	record2_leaf(m.log.leaf[at], m.text[w], m.text_len[w]);
}

static void test_cheats(void **state)
{
	struct record2 *open = &m.rec[MADE2_OPEN], *close = &m.rec[MADE2_CLOSE],
		       *draw = &m.rec[MADE2_DRAW];
	struct bundle2_trust t;

	(void)state;
	fresh(&t);
	memset(draw->server_seed, 10, 32); /* another seed than was committed to */
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_COMMIT);
	fresh(&t);
	m.picks[0] = m.picks[1]; /* a winner moved */
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_DRAW);
	fresh(&t);
	m.picks[2].ticket[0] ^= 1;
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_WINNERS);
	fresh(&t);
	draw->winners = 2; /* fewer than announced */
	draw->reserves = 3;
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	draw->context[0] ^= 1;
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_DRAW);
	fresh(&t);
	draw->draw_key[0] ^= 1;
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_DRAW);
	fresh(&t);
	close->open_index = draw->open_index = 0; /* another record of the log */
	again(MADE2_CLOSE, 3);
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	draw->close_index = 2;
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	close->open_leaf[5] ^= 1;
	again(MADE2_CLOSE, 3);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	close->at_s = open->terms.sales_close_s - 1;
	again(MADE2_CLOSE, 3);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	close->raffle[0] ^= 1;
	again(MADE2_CLOSE, 3);
	assert_fails(&t, BUNDLE2_RECORDS);
	fresh(&t);
	memset(m.log.leaf[4], 1, 32); /* the record is not in the log */
	assert_fails(&t, BUNDLE2_LOGGED);
}

static void test_tickets(void **state)
{
	struct bundle2_trust t;

	(void)state;
	fresh(&t);
	m.tickets_size--; /* a truncated ticket log */
	assert_fails(&t, BUNDLE2_TICKETS);
	fresh(&t);
	m.tickets_root[0] ^= 1;
	assert_fails(&t, BUNDLE2_TICKETS);
	fresh(&t);
	m.leaf[m.picks[0].index][100] ^= 1;
	assert_fails(&t, BUNDLE2_WINNERS);
	fresh(&t);
	m.tickets.leaf[0][0] ^= 1; /* proofs of another tree */
	assert_fails(&t, BUNDLE2_WINNERS);
	fresh(&t);
	m.npassed = 1; /* passed over without a rule */
	m.passed[0] = m.picks[0].index;
	assert_fails(&t, BUNDLE2_WINNERS);
	fresh(&t);
	snprintf(m.rec[MADE2_OPEN].origin, 100, MADE2_HOST "/r/other");
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_RECORDS);
}

/* --- other fates than a plain draw --- */

static void test_aborted(void **state)
{
	struct bundle2_trust t;

	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		make(20, 20, 3, 2);
		m.aborted = true;
		assert_int_equal(made2_finish(&m), 0);
		m.tickets_size = closed ? 20 : 0;
		trust_all(&t);
		assert_int_equal(check_made(&t), KE_OK);
		assert_true(res.aborted && res.levels == ENDED && res.claimed == ENDED);
		assert_string_equal(res.reason, "organiser-withdrew");
		assert_true(res.winners == 0 && res.tickets == (closed ? 20 : 0));
		/* seen too late for a draw, and nothing is drawn */
		m.seen_s += 86400;
		assert_int_equal(check_made(&t), KE_OK);
		assert_int_equal(res.levels, ENDED);
	}
	m.rec[MADE2_ABORT].open_leaf[0] ^= 1;
	again(MADE2_ABORT, 4);
	assert_fails(&t, BUNDLE2_RECORDS);
	m.rec[MADE2_ABORT].open_leaf[0] ^= 1;
	m.rec[MADE2_ABORT].open_index++;
	again(MADE2_ABORT, 4);
	assert_fails(&t, BUNDLE2_RECORDS);
	m.rec[MADE2_ABORT].open_index--;
	again(MADE2_ABORT, 4);
	assert_int_equal(check_made(&t), KE_OK);
	memset(m.log.leaf[4], 1, 32);
	assert_fails(&t, BUNDLE2_LOGGED);
}

/* Who stands for a prize in the end: the next reserve that has not moved up, or nobody. */
static void test_forfeits(void **state)
{
	struct bundle2_trust t;

	(void)state;
	make(20, 20, 3, 2);
	m.nforfeits = 3;
	m.forfeits[0] = 2;
	m.forfeits[1] = 1;
	m.forfeits[2] = 2;
	assert_int_equal(made2_finish(&m), 0);
	trust_all(&t);
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL);
	assert_true(res.forfeits == 3 && res.forfeit[0].pos == 2 && res.forfeit[0].reserve == 0);
	assert_true(res.forfeit[1].pos == 1 && res.forfeit[1].reserve == 2);
	assert_string_equal(res.forfeit[2].rule, "not-claimed");
	/* of a prize that nobody held, and of none */
	m.forfeits[1] = 2;
	assert_int_equal(made2_finish(&m), 0);
	m.forfeits[0] = 4;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_DRAW);
	/* of another draw, and of none in the log */
	fresh(&t);
	m.nforfeits = 1;
	m.forfeits[0] = 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_int_equal(check_made(&t), KE_OK);
	memset(m.log.leaf[5], 1, 32);
	assert_fails(&t, BUNDLE2_LOGGED);
	*strstr(m.forfeit_text[0], "draw 4") = 'D';
	assert_fails(&t, BUNDLE2_RECORDS);
}

/* The last terms count; nobody may have known what the former ones would have led to. */
static void test_amends(void **state)
{
	struct record2_terms *was = &m.rec[MADE2_OPEN].terms, *terms = &m.rec[MADE2_AMEND].terms;
	struct bundle2_trust t;
	uint64_t was_s;

	(void)state;
	make(20, 20, 3, 2);
	m.amended = true;
	was->beacons[0].round = 999000;
	was->beacons[1].at_ms = terms->beacons[1].at_ms;
	was->sales_close_s = terms->sales_close_s - 4000;
	assert_int_equal(made2_finish(&m), 0);
	trust_all(&t);
	assert_int_equal(drand_round_time(&drand_quicknet, 999000, &was_s), KE_OK);
	m.seen_s = was_s - 60;
	assert_int_equal(check_made(&t), KE_OK);
	assert_true(res.levels == ALL && res.amends == 1);
	m.seen_s++;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
	/* the draw by the terms that no longer count */
	m.seen_s--;
	m.amended = false;
	assert_fails(&t, BUNDLE2_TIMES);
	/* closed before the end that counts */
	m.amended = true;
	m.rec[MADE2_CLOSE].at_s = terms->sales_close_s - 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_RECORDS);
	/* of a moment that nobody signed */
	m.rec[MADE2_CLOSE].at_s = terms->sales_close_s;
	terms->not_before.signature[47] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_BEACONS);
	terms->not_before.signature[47] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	memset(m.log.leaf[2], 1, 32);
	assert_fails(&t, BUNDLE2_LOGGED);
}

static void test_escrow(void **state)
{
	struct record2 *open = &m.rec[MADE2_OPEN];
	struct bundle2_trust t;

	(void)state;
	fresh(&t);
	open->escrow_m = 2;
	open->escrow_n = 3;
	memset(open->escrow, 5, 32);
	assert_int_equal(made2_finish(&m), 0);
	assert_int_equal(check_made(&t), KE_OK);
	open->escrow[0] ^= 1; /* the bundle's alone */
	assert_fails(&t, BUNDLE2_COMMIT);
	open->escrow_n = 0;
	assert_fails(&t, BUNDLE2_COMMIT);
}

/* The beacon: another value, an earlier one, one that came too soon, one that nobody signed. */
static void test_beacons(void **state)
{
	struct record2_terms *promised = &m.rec[MADE2_OPEN].terms;
	struct bundle2_trust t;
	uint64_t first_s;

	(void)state;
	fresh(&t);
	promised->beacons[0].round = 999999;
	assert_int_equal(made2_finish(&m), 0);
	made2_round(&m.rec[MADE2_DRAW].terms.beacons[0], "1000000");
	assert_int_equal(made2_draw(&m), 0);
	again(MADE2_DRAW, 4);
	assert_fails(&t, BUNDLE2_TIMES);
	fresh(&t);
	assert_int_equal(drand_round_time(&drand_quicknet, 1000000, &first_s), KE_OK);
	promised->sales_close_s = first_s - 599;
	m.rec[MADE2_CLOSE].at_s = first_s - 100;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_TIMES);
	t.delay_s = 599; /* a site's own limit */
	assert_int_equal(check_made(&t), KE_OK);
	fresh(&t);
	promised->beacons[0].signature[47] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_BEACONS);
	fresh(&t);
	promised->not_before.signature[47] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_BEACONS);
	fresh(&t);
	promised->beacons[1].at_ms -= 60000; /* the one before it was promised */
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_TIMES);
	fresh(&t);
	promised->beacons[1].output[0] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_TIMES);
	fresh(&t);
	promised->beacons[0].chain_hash[0] ^= 1;
	assert_int_equal(made2_finish(&m), 0);
	assert_fails(&t, BUNDLE2_TIMES);
	/* a certificate that nobody pinned: said, not passed over, and no failure */
	fresh(&t);
	t.ncertificates = 0;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_BEACON);
	assert_non_null(strstr(res.lacking, "beacon not verified"));
}

/* A chain of the site's own counts only for who pins it. */
static void test_other_chain(void **state)
{
	struct bundle2_trust t;
	struct drand_chain own = drand_quicknet;

	(void)state;
	make(20, 20, 3, 2);
	own.genesis_s += 3;
	drand_chain_hash(m.rec[MADE2_OPEN].terms.beacons[0].chain_hash, &own);
	made2_chain(&m, &own);
	assert_int_equal(made2_finish(&m), 0);
	trust_all(&t);
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_BEACON);
	/* the same key signs the same rounds */
	t.chain = &own;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL);
	/* another scheme's */
	*strstr(m.chain_info, DRAND_SCHEME) = 'p';
	assert_int_equal(check_made(&t), KE_FORMAT);
	assert_non_null(strstr(res.why, "of another scheme than " DRAND_SCHEME));
}

static void test_witnesses(void **state)
{
	struct bundle2_trust t;
	static struct tlog_policy policy;
	uint64_t first_s;

	(void)state;
	fresh(&t);
	assert_int_equal(drand_round_time(&drand_quicknet, 1000000, &first_s), KE_OK);
	m.seen_s = first_s - 60;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL);
	m.seen_s++; /* too late to show anything */
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
	assert_true(res.seen == 0);
	/* a site's own limit: a tenth of it, at most a minute */
	m.seen_s = first_s - 10;
	t.delay_s = 101;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
	t.delay_s = 100;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL);
	t.delay_s = 6000;
	m.seen_s = first_s - 60;
	m.rec[MADE2_OPEN].terms.sales_close_s = first_s - 6000;
	m.rec[MADE2_CLOSE].at_s = first_s - 6000;
	assert_int_equal(made2_finish(&m), 0);
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL);
	fresh(&t);
	m.witness_secret[0] ^= 1; /* forged */
	assert_fails(&t, BUNDLE2_WITNESSES);
	/* the auditor's own policy outweighs the bundle's */
	fresh(&t);
	snprintf(m.policy, sizeof(m.policy), "quorum none\n");
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.claimed, ALL & ~BUNDLE2_WITNESSED);
	assert_int_equal(tlog_policy_parse(&policy, "quorum none\n", 12, NULL), KE_OK);
	fresh(&t);
	t.policy = &policy;
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ALL & ~BUNDLE2_WITNESSED);
}

static void test_trust(void **state)
{
	struct bundle2_trust t;
	struct note_key k;
	uint8_t commit[32];

	(void)state;
	fresh(&t);
	assert_int_equal(note_vkey_parse(&k, m.operator_vkey, strlen(m.operator_vkey)), KE_OK);
	t.operator_key = &k;
	memcpy(commit, m.rec[MADE2_OPEN].seed_commit, 32);
	t.commit = commit;
	assert_int_equal(check_made(&t), KE_OK);
	commit[0] ^= 1;
	assert_fails(&t, BUNDLE2_COMMIT);
	k.pub[0] ^= 1;
	assert_fails(&t, BUNDLE2_KEYS);
	assert_int_equal(res.err, KE_WRONG_KEY);
}

/* --- the file --- */

struct range {
	size_t from, to;
};

/* Where `what` stands, or its value behind it up to `end`. */
static struct range find(const char *text, const char *what, const char *end)
{
	const char *from = strstr(text, what), *to;

	assert_non_null(from);
	to = strstr(from + strlen(what), end);
	assert_non_null(to);
	return (struct range){(size_t)(from - text), (size_t)(to - text)};
}

/* a check takes up to 60 ms, with sanitizers 400, and the file has 16,000 bytes */
#ifdef KLERO_SANITIZE
#define STRIDE 97
#else
#define STRIDE 17
#endif

/* What stands where nothing is said: blanks, the case of hex digits, members that are for people.
 */
static bool says_nothing(const char *text, size_t at, char was)
{
	const struct range people[] = {find(text, "\"software\":", "}}"),
	    find(text, "\"intermediate_pem\":", ",\"timestamps\""),
	    find(text, "\"listValues\"", "\"precommitmentValue\"")};
	struct range pulse = find(text, "\"pulse\":", "\"previous_pulse\"");

	for (size_t i = 0; i < 2; i++)
		if (at >= people[i].from && at < people[i].to)
			return true;
	if (at < pulse.from || at >= pulse.to)
		return false;
	if (tolower(text[at]) == tolower(was))
		return true;
	/* the addresses of the earlier pulses, which nobody signs */
	return at >= people[2].from && at < people[2].to && text[at] != was &&
	       strstr(text + at, "\"type\"") != NULL;
}

/* A bit of a byte in turn over the file: what reaches every level still, was no change. */
static void test_bytes(void **state)
{
	struct bundle2_trust t;
	char *text;
	size_t n;

	(void)state;
	make(5, 5, 1, 0);
	assert_int_equal(made2_finish(&m), 0);
	trust_all(&t);
	text = made2_write(&m, &n);
	assert_non_null(text);
	for (size_t i = 0; i < n; i += STRIDE) {
		char was = text[i];

		if (was == ' ' || was == '\n')
			continue;
		text[i] = (char)(was ^ (1 << (i % 7)));
		if (bundle2_check(text, n, &t, &res) == KE_OK && res.levels == ALL &&
		    !says_nothing(text, i, was))
			fail_msg("byte %zu: %.40s", i, text + (i > 20 ? i - 20 : 0));
		text[i] = was;
	}
	for (size_t i = 0; i < n; i += 101) {
		assert_int_not_equal(bundle2_check(text, i, &t, &res), KE_OK);
		assert_int_equal(res.step, BUNDLE2_READ);
	}
	free(text);
}

static void test_format(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
	    {"", KE_FORMAT},
	    {"[]", KE_FORMAT},
	    {"{}", KE_FORMAT},
	    {"{\"format\":\"kleroterion-proof/1\"}", KE_VERSION},
	    {"{\"format\":\"kleroterion-proof/2\"}", KE_FORMAT},
	    {"{\"format\":\"kleroterion-proof/2\",\"escrow_bundle_sha256\":null}", KE_FORMAT},
	};
	struct bundle2_trust t = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    bundle2_check(bad[i].text, strlen(bad[i].text), &t, &res), bad[i].err);
		assert_int_equal(res.step, BUNDLE2_READ);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_dedupe),
	    cmocka_unit_test(test_cheats),
	    cmocka_unit_test(test_tickets),
	    cmocka_unit_test(test_aborted),
	    cmocka_unit_test(test_forfeits),
	    cmocka_unit_test(test_amends),
	    cmocka_unit_test(test_escrow),
	    cmocka_unit_test(test_beacons),
	    cmocka_unit_test(test_other_chain),
	    cmocka_unit_test(test_witnesses),
	    cmocka_unit_test(test_trust),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
