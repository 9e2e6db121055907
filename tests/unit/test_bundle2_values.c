/*
 * What is refused of a v2 bundle's file: a whole one with one value replaced, the step that must
 * find it, and its words.
 */
#include "tests/unit/vectors.h"

#include "tests/unit/bundle2_refused.h"

#define ZEROS_MAX 100001
static char zeros[2 * ZEROS_MAX + 2];

/* [0,0, … ] */
static const char *list_of(size_t n)
{
	for (size_t i = 0; i < n; i++)
		memcpy(zeros + 2 * i, i == 0 ? "[0" : ",0", 2);
	memcpy(zeros + 2 * n, "]", 2);
	return zeros;
}

static void test_read(void **state)
{
	static const struct {
		void (*base)(void);
		const char *path, *value, *path2, *value2, *words;
	} rows[] = {
	    {drawn, "draw_proof", "null", NULL, NULL,
		"of \"draw\" and \"draw_proof\" one is null, and not the other"},
	    {drawn, "abort", "@draw", "abort_proof", "@draw_proof",
		"the raffle was both drawn and aborted"},
	    {drawn, "draw", "null", "draw_proof", "null",
		"the raffle was neither drawn nor aborted"},
	    {drawn, "close", "null", "close_proof", "null", "the raffle was drawn and not closed"},
	    {drawn, "tickets_checkpoint", "null", NULL, NULL,
		"of \"close\" and \"tickets_checkpoint\" one is null, and not the other"},
	    {aborted, "tickets_checkpoint", "\"\"", NULL, NULL,
		"of \"close\" and \"tickets_checkpoint\" one is null, and not the other"},
	    {aborted, "winners", "[0]", NULL, NULL, "a raffle that was aborted has no winners"},
	    {aborted, "passed", "[0]", NULL, NULL, "a raffle that was aborted has no winners"},
	    {aborted, "forfeits", "[0]", NULL, NULL, "a raffle that was aborted has no winners"},
	    {aborted, "beacons", "[0]", NULL, NULL, "a raffle that was aborted has no winners"},
	    {aborted, "passed", "null", NULL, NULL, "a raffle that was aborted has no winners"},
	    {aborted, "timestamps", "[0]", NULL, NULL, "time stamps of a close that was not"},
	    {drawn, "winners", "{}", NULL, NULL, "\"winners\" of the bundle is of the wrong type"},
	    {drawn, "passed", "{}", NULL, NULL, "\"passed\" of the bundle is of the wrong type"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rows[i].base();
		(void)check_with(rows[i].path, rows[i].value, rows[i].path2, rows[i].value2);
		assert_refused(BUNDLE2_READ, KE_FORMAT, rows[i].words);
	}
	drawn();
	(void)check_with("winners", list_of(DRAW_MAX + 1), NULL, NULL);
	assert_refused(BUNDLE2_READ, KE_FORMAT, "more than 100000 winners");
}

static void test_values(void **state)
{
	static const struct {
		void (*base)(void);
		const char *path, *value;
		enum bundle2_step step;
		int err;
		const char *words;
	} rows[] = {
	    {drawn, "operator_vkey", "\"\\u007f\"", BUNDLE2_KEYS, KE_FORMAT,
		"the bundle's operator_vkey is not a verifier key"},
	    {drawn, "policy", "\"quorum w1\\n\"", BUNDLE2_KEYS, KE_FORMAT,
		"the bundle's policy cannot be read, line 1"},
	    {drawn, "close", "@open", BUNDLE2_RECORDS, KE_FORMAT,
		"\"close\" is not a v2 close record"},
	    {drawn, "close_proof", "@close", BUNDLE2_RECORDS, KE_FORMAT,
		"\"close_proof\" is not a tlog-proof"},
	    {drawn, "tickets_vkey", "@operator_vkey", BUNDLE2_RECORDS, KE_CRYPTO,
		"the bundle's key is of " MADE2_HOST},
	    {amended, "forfeits", "[0,0]", BUNDLE2_RECORDS, KE_FORMAT, "forfeit is not an object"},
	    {amended, "forfeits/1/record", "7", BUNDLE2_RECORDS, KE_FORMAT,
		"\"record\" of forfeit is of the wrong type"},
	    {amended, "amends/0/record", "@forfeits/0/record", BUNDLE2_RECORDS, KE_FORMAT,
		"\"amend\" is not a v2 amend record"},
	    {drawn, "escrow_bundle_sha256", "\"abc\"", BUNDLE2_COMMIT, KE_FORMAT,
		"escrow_bundle_sha256 is not 32 bytes in hex"},
	    {drawn, "escrow_bundle_sha256",
		"\"0000000000000000000000000000000000000000000000000000000000000000\"",
		BUNDLE2_COMMIT, KE_CRYPTO, "the escrow is not the open record's"},
	    {drawn, "winners/0/leaf_hex", "\"00\"", BUNDLE2_WINNERS, KE_FORMAT,
		"leaf_hex is not 116 bytes in hex"},
	    {drawn, "winners/0/leaf_hex", "@winners/1/leaf_hex", BUNDLE2_WINNERS, KE_CRYPTO,
		"is of another one"},
	    {drawn, "winners/0/ticket_id", "@winners/1/ticket_id", BUNDLE2_WINNERS, KE_CRYPTO,
		"is of another one"},
	    {drawn, "winners/0/tlog_proof", "@winners/1/tlog_proof", BUNDLE2_WINNERS, KE_CRYPTO,
		"is not shown to be in the ticket log"},
	    {drawn, "winners/0/tlog_proof", "@open_proof", BUNDLE2_WINNERS, KE_CRYPTO,
		"is not shown to be in the ticket log"},
	    {drawn, "winners/0/index", "1.5", BUNDLE2_WINNERS, KE_FORMAT,
		"index is not a number from 0"},
	    {drawn, "winners/0/pos", "-1", BUNDLE2_WINNERS, KE_FORMAT,
		"pos is not a number from 0"},
	    {drawn, "winners/1/pos", "1", BUNDLE2_WINNERS, KE_CRYPTO,
		"winner 2 of the bundle is not the record's"},
	    {drawn, "winners/4/pos", "5", BUNDLE2_WINNERS, KE_CRYPTO,
		"reserve 2 of the bundle is not the record's"},
	    {drawn, "winners/4", "@winners/3", BUNDLE2_WINNERS, KE_CRYPTO,
		"reserve 2 of the bundle is not the record's"},
	    {drawn, "winners", "[]", BUNDLE2_WINNERS, KE_CRYPTO,
		"the record has 5 winners and reserves, the bundle 0"},
	    {drawn, "passed", "null", BUNDLE2_WINNERS, KE_CRYPTO,
		"tickets were passed over without a rule for it"},
	    {once, "passed/1", "@passed/0", BUNDLE2_DRAW, KE_CRYPTO,
		"where the record has another one"},
	    {filed, "winners", "[]", BUNDLE2_WINNERS, KE_CRYPTO,
		"the record has 810 winners and reserves, the bundle 0"},
	    {filed, "winners/0", "@winners/1", BUNDLE2_WINNERS, KE_CRYPTO,
		"are not those of the file that the record names"},
	    {filed, "winners/0/pos", "2", BUNDLE2_WINNERS, KE_CRYPTO,
		"are not those of the file that the record names"},
	    {drawn, "beacons", "[]", BUNDLE2_TIMES, KE_CRYPTO,
		"the draw, its bundle and the promise differ in beacons"},
	    {drawn, "beacons/0/type", "\"nist2\"", BUNDLE2_TIMES, KE_CRYPTO,
		"a beacon is of another type than in the draw record"},
	    {drawn, "beacons/1/type", "\"drand\"", BUNDLE2_TIMES, KE_CRYPTO,
		"a beacon is of another type than in the draw record"},
	    {drawn, "beacons/0/round", "1000001", BUNDLE2_TIMES, KE_CRYPTO,
		"the bundle's round is not the draw record's"},
	    {drawn, "beacons/0/chain_info/period", "0", BUNDLE2_TIMES, KE_FORMAT,
		"chain_info is of no chain that can be used"},
	    {drawn, "beacons/1/pulse", "{}", BUNDLE2_TIMES, KE_FORMAT,
		"a pulse that cannot be read"},
	    {drawn, "beacons/1/previous_pulse", "{}", BUNDLE2_TIMES, KE_FORMAT,
		"a pulse that cannot be read"},
	    {drawn, "beacons/1/pulse/pulse/pulseIndex", "1", BUNDLE2_TIMES, KE_CRYPTO,
		"the bundle's pulse is not the draw record's"},
	    {drawn, "beacons/1/pulse/pulse/chainIndex", "1", BUNDLE2_TIMES, KE_CRYPTO,
		"the bundle's pulse is not the draw record's"},
	    {drawn, "beacons/1/certificate_pem", "\"\"", BUNDLE2_BEACONS, KE_CRYPTO,
		"the pulse is not signed by its certificate"},
	    {drawn, "timestamps", "[0]", BUNDLE2_STAMPS, KE_FORMAT,
		"a time stamp is not an object"},
	    {drawn, "timestamps", "[{\"token\":\"\",\"certificates_pem\":\"\"}]", BUNDLE2_STAMPS,
		KE_FORMAT, "a time stamp that is no RFC 3161 token"},
	    {drawn, "timestamps", "[{\"token\":\"=\",\"certificates_pem\":\"\"}]", BUNDLE2_STAMPS,
		KE_FORMAT, "a time stamp that is no RFC 3161 token"},
	    {drawn, "timestamps", "[{\"token\":\"AAAA\",\"certificates_pem\":\"\"}]",
		BUNDLE2_STAMPS, KE_FORMAT, "a time stamp that is no RFC 3161 token"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rows[i].base();
		(void)check_with(rows[i].path, rows[i].value, NULL, NULL);
		assert_refused(rows[i].step, rows[i].err, rows[i].words);
	}
}

static void test_too_many(void **state)
{
	(void)state;
	amended();
	(void)check_with("forfeits", list_of(BUNDLE2_LIST_MAX + 1), NULL, NULL);
	assert_refused(BUNDLE2_RECORDS, KE_FORMAT, "more than 1000 forfeit records");
	drawn();
	(void)check_with("passed", list_of(DRAW_MAX + 1), NULL, NULL);
	assert_refused(BUNDLE2_WINNERS, KE_FORMAT, "more than 100000 passed");
	(void)check_with("timestamps", list_of(BUNDLE2_LIST_MAX + 1), NULL, NULL);
	assert_refused(BUNDLE2_STAMPS, KE_FORMAT, "more than 1000 time stamps");
}

/* A leaf of another raffle, and one that is none, with all else as it must be. */
static void test_leaves(void **state)
{
	char hex[2 * LEAF_LEN + 3] = "\"";
	uint8_t *leaf;

	(void)state;
	drawn();
	leaf = m.leaf[m.picks[0].index];
	leaf[4] ^= 1; /* behind the tag, the raffle */
	refused(BUNDLE2_WINNERS, "is of another one");
	leaf[4] ^= 1;
	leaf[0] ^= 1;
	text_hex(hex + 1, leaf, LEAF_LEN);
	leaf[0] ^= 1;
	strcat(hex, "\""); /* NOLINT: it has the room */
	(void)check_with("winners/0/leaf_hex", hex, NULL, NULL);
	assert_refused(BUNDLE2_WINNERS, KE_CRYPTO, "is of another one");
}

/* A ticket's proof under an older checkpoint of its log. */
static void test_older_checkpoint(void **state)
{
	char proof[8192], path[32];
	size_t i = 0;

	(void)state;
	drawn();
	while (m.picks[i].index >= 9)
		assert_true(++i < 5);
	snprintf(path, sizeof(path), "winners/%zu/tlog_proof", i);
	m.tickets.n = 9;
	assert_int_equal(
	    made2_proof(&m, &m.tickets, MADE2_TICKETS, m.picks[i].index, proof, sizeof(proof)), 0);
	m.tickets.n = 20;
	(void)check_with(path, quoted(proof), NULL, NULL);
	assert_refused(BUNDLE2_WINNERS, KE_CRYPTO, "is not shown to be in the ticket log");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_leaves),
	    cmocka_unit_test(test_older_checkpoint),
	};

	return cmocka_run_group_tests_name("bundle2_values", tests, NULL, NULL);
}
