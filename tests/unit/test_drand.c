/*
 * What drand's relays answer: a chain's information and rounds, each member left out or of another
 * kind; when rounds come, of chains that have no such time too.
 */
#include "tests/unit/vectors.h"

#include "policy/drand.h"
#include "policy/text.h"
#include "tests/unit/json_edit.h"

static char *info_of(const struct drand_chain *c, size_t *n)
{
	char pub[2 * BLS_PUB_LEN + 1], group[65], hex[65], *out = malloc(2048);
	uint8_t hash[32];

	assert_non_null(out);
	drand_chain_hash(hash, c);
	text_hex(pub, c->pub, BLS_PUB_LEN);
	text_hex(group, c->group_hash, 32);
	text_hex(hex, hash, 32);
	*n = (size_t)snprintf(out, 2048,
	    "{\"public_key\":\"%s\",\"period\":%u,\"genesis_time\":%llu,\"hash\":\"%s\","
	    "\"groupHash\":\"%s\",\"schemeID\":\"" DRAND_SCHEME
	    "\",\"metadata\":{\"beaconID\":\"%s\"}}",
	    pub, c->period_s, (unsigned long long)c->genesis_s, hex, group, c->id);
	return out;
}

static int parse_with(const char *path, const char *value)
{
	struct drand_chain c;
	size_t n;
	char *text = info_of(&drand_quicknet, &n);
	int r;

	if (path != NULL)
		text = json_edit(text, &n, path, value);
	r = drand_chain_parse(&c, text, n);
	free(text);
	return r;
}

static void test_info(void **state)
{
	static const struct {
		const char *path, *value;
		int err;
	} rows[] = {
	    {NULL, NULL, KE_OK},
	    {"public_key", "\"00\"", KE_FORMAT},
	    {"public_key", "7", KE_FORMAT},
	    {"groupHash", "\"00\"", KE_FORMAT},
	    {"groupHash", "@hash", KE_CRYPTO},
	    {"hash", "null", KE_FORMAT},
	    {"hash", "@groupHash", KE_CRYPTO},
	    {"period", "0", KE_FORMAT},
	    {"period", "4294967296", KE_FORMAT},
	    {"period", "\"3\"", KE_FORMAT},
	    {"period", "4", KE_CRYPTO},
	    {"genesis_time", "0", KE_FORMAT},
	    {"genesis_time", "1.5", KE_FORMAT},
	    {"schemeID", "\"pedersen-bls-chained\"", KE_VERSION},
	    {"schemeID", "null", KE_FORMAT},
	    {"metadata", "{}", KE_FORMAT},
	    {"metadata", "\"\"", KE_FORMAT},
	    {"metadata/beaconID", "7", KE_FORMAT},
	    {"metadata/beaconID", "\"fastnet\"", KE_CRYPTO},
	};
	static char text[8192];
	struct drand_chain c;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (parse_with(rows[i].path, rows[i].value) != rows[i].err)
			fail_msg("%s: %s", rows[i].path, rows[i].value);
	memset(text, ' ', sizeof(text));
	assert_int_equal(drand_chain_parse(&c, text, sizeof(text)), KE_FORMAT);
	assert_int_equal(drand_chain_parse(&c, "[", 1), KE_FORMAT);
	assert_int_equal(drand_chain_parse(&c, "[]", 2), KE_FORMAT);
}

/* The id "default" is left out of the hash: such chains were named before there were ids. */
static void test_default(void **state)
{
	struct drand_chain c = drand_quicknet, none = drand_quicknet;
	uint8_t hash[32], other[32];

	(void)state;
	snprintf(c.id, sizeof(c.id), "default");
	none.id[0] = '\0';
	drand_chain_hash(hash, &c);
	drand_chain_hash(other, &none);
	assert_memory_equal(hash, other, 32);
	drand_chain_hash(other, &drand_quicknet);
	assert_memory_not_equal(hash, other, 32);
}

static void test_rounds(void **state)
{
	static char text[8192];
	uint8_t sig[BLS_SIG_LEN];
	char good[256];
	uint64_t round;
	int n = snprintf(good, sizeof(good), "{\"round\":7,\"signature\":\"%096d\"}", 0);

	(void)state;
	assert_int_equal(drand_round_parse(&round, sig, good, (size_t)n), KE_OK);
	assert_true(round == 7);
	memset(text, ' ', sizeof(text));
	assert_int_equal(drand_round_parse(&round, sig, text, sizeof(text)), KE_FORMAT);
	assert_int_equal(drand_round_parse(&round, sig, good, (size_t)n - 1), KE_FORMAT);
	assert_true(round == 0);
	assert_int_equal(drand_round_parse(&round, sig, "{\"round\":0}", 11), KE_FORMAT);
	assert_int_equal(drand_round_parse(&round, sig, "{\"round\":1}", 11), KE_FORMAT);
	assert_int_equal(
	    drand_round_parse(&round, sig, "{\"round\":1,\"signature\":1}", 25), KE_FORMAT);
}

static void test_times(void **state)
{
	struct drand_chain stands = drand_quicknet;
	uint64_t at_s;

	(void)state;
	stands.period_s = 0;
	assert_int_equal(drand_round_time(&drand_quicknet, 0, &at_s), KE_RANGE);
	assert_int_equal(drand_round_time(&stands, 1, &at_s), KE_RANGE);
	assert_int_equal(drand_round_time(&drand_quicknet, UINT64_MAX, &at_s), KE_RANGE);
	assert_int_equal(drand_round_time(&drand_quicknet, 2, &at_s), KE_OK);
	assert_true(at_s == drand_quicknet.genesis_s + drand_quicknet.period_s);
	assert_true(drand_round_from(&stands, UINT64_MAX) == 1);
	assert_true(drand_round_from(&drand_quicknet, 0) == 1);
	assert_true(drand_round_from(&drand_quicknet, at_s) == 2);
	assert_true(drand_round_from(&drand_quicknet, at_s + 1) == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_info),
	    cmocka_unit_test(test_default),
	    cmocka_unit_test(test_rounds),
	    cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests_name("drand", tests, NULL, NULL);
}
