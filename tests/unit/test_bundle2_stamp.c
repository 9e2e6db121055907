/*
 * Time stamps in a v2 bundle: tokens that the openssl command makes hold, and each way in which one
 * could be of something else, or of somebody else, is refused.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/chain_make.h"

#include "policy/jsonw.h"

#include <time.h>
#include <unistd.h>

#include "tests/unit/bundle2_test.h"
#include "tests/unit/json_edit.h"

/* --- time stamps, by the command line's authority --- */

static char token[8192], pem[4096];
static char tsa_dir[] = "/tmp/klero-tsa.XXXXXX";

static void tool(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && (%s) >>log 2>&1", tsa_dir, command);
	if (system(line) != 0) /* NOLINT: constants, in a folder of our own */
		fail_msg("%s", line);
}

static void put_file(const char *name, const void *p, size_t n)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", tsa_dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static size_t get_file(const char *name, char *out, size_t cap)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", tsa_dir, name);
	return made2_file(path, out, cap);
}

static const char tsa_conf[] =
    "[req]\nprompt = no\ndistinguished_name = dn\n[dn]\nCN = authority\n"
    "[tsa_ext]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n"
    "extendedKeyUsage = critical, timeStamping\n[tsa]\ndefault_tsa = t\n[t]\nserial = serial\n"
    "digests = sha256, sha384, sha512, sha1\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
    "ess_cert_id_alg = sha256\n";

static int make_authorities(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(tsa_dir));
	put_file("conf", tsa_conf, strlen(tsa_conf));
	put_file("serial", "01\n", 3);
	tool("for n in 1 2; do openssl req -x509 -newkey rsa:2048 -nodes -keyout key$n -out cert$n "
	     "-days 9 -config conf -extensions tsa_ext; done");
	return 0;
}

static int remove_authorities(void **state)
{
	(void)state;
	tool("rm -f *");
	return rmdir(tsa_dir);
}

/* Tokens of the first authority over the text of the close record's checkpoint. */
static void make_tokens(void)
{
	struct checkpoint c = {.size = m.log.n, .origin = MADE2_HOST};
	char text[512];
	size_t n;

	made2_root(&m.log, 0, m.log.n, c.root);
	assert_int_equal(checkpoint_text(&c, text, sizeof(text), &n), KE_OK);
	put_file("text", text, n);
	tool("for d in sha256 sha384 sha512 sha1; do openssl ts -query -data text -$d -cert -out "
	     "query && "
	     "openssl ts -reply -config conf -queryfile query -signer cert1 -inkey key1 -out $d "
	     "-token_out; done");
}

/* Now is long after the draw that the tokens are for: they hold, and come too late. */
static void test_stamps(void **state)
{
	static char other[4096];
	struct bundle2_trust t;
	size_t n;

	(void)state;
	fresh(&t);
	make_tokens();
	m.stamp = token;
	m.stamp_len = get_file("sha256", token, sizeof(token));
	assert_true(m.stamp_len > 500);
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.claimed, ALL | BUNDLE2_STAMPED);
	assert_int_equal(res.levels, ALL);
	assert_string_equal(res.lacking, "time stamp not checked: no authority is trusted");
	t.tsa_pem = pem;
	t.tsa_pem_len = get_file("cert1", pem, sizeof(pem));
	assert_int_equal(check_made(&t), KE_OK);
	assert_true(res.stamped_s > 1700000000 && res.levels == ALL);
	assert_non_null(strstr(res.lacking, "too late"));
	/* by somebody else, over something else, changed, of a digest with collisions, none */
	t.tsa_pem = other;
	t.tsa_pem_len = get_file("cert2", other, sizeof(other));
	assert_fails(&t, BUNDLE2_STAMPS);
	t.tsa_pem = pem;
	t.tsa_pem_len = strlen(pem);
	token[m.stamp_len - 1] ^= 1;
	assert_fails(&t, BUNDLE2_STAMPS);
	token[m.stamp_len - 1] ^= 1;
	m.log.leaf[5][0] ^= 1;
	assert_fails(&t, BUNDLE2_STAMPS);
	m.log.leaf[5][0] ^= 1;
	n = m.stamp_len;
	m.stamp_len = get_file("sha1", token, sizeof(token));
	assert_true(m.stamp_len > 500);
	assert_fails(&t, BUNDLE2_STAMPS);
	m.stamp_len = n - 1;
	assert_fails(&t, BUNDLE2_STAMPS);
	/* an abort has no value that must be unknown */
	m.aborted = true;
	assert_int_equal(made2_finish(&m), 0);
	make_tokens();
	m.stamp_len = get_file("sha256", token, sizeof(token));
	assert_int_equal(check_made(&t), KE_OK);
	assert_int_equal(res.levels, ENDED | BUNDLE2_STAMPED);
}

/* --- stamps in time --- */

static struct bundle2_trust trust;

/* A raffle whose values come an hour from now, of sources that nobody has pinned. */
static void make_ahead(void)
{
	uint64_t now_s = (uint64_t)time(NULL), value_s = now_s + 3600;
	struct record2_terms *terms = &m.rec[MADE2_OPEN].terms;
	struct drand_chain chain = chain_made();
	struct nist_made nist;
	struct pulse pulse;
	struct jsonw w;

	make(20, 20, 3, 2);
	assert_int_equal(nist_make(&nist), 0);
	nist_pulse(&nist, (int64_t)value_s * 1000, 42, NULL, &pulse);
	EVP_PKEY_free(nist.key);
	jsonw_init(&w, m.pulse, sizeof(m.pulse) - 1);
	pulse_write(&pulse, &w);
	m.pulse[w.len] = '\0';
	memcpy(m.cert, nist.pem, sizeof(m.cert));
	terms->beacons[1] =
	    (struct beacon){.kind = BEACON_NIST2, .chain = 7, .pulse = 42, .at_ms = value_s * 1000};
	memcpy(terms->beacons[1].output, pulse.output, 64);
	made2_chain(&m, &chain);
	drand_chain_hash(terms->beacons[0].chain_hash, &chain);
	terms->beacons[0].round = value_s; /* of a round each second since 1970 */
	terms->not_before.chain_hash[0] ^= 1;
	terms->sales_close_s = m.rec[MADE2_CLOSE].at_s = now_s;
	terms->deadline_s = now_s + 86400;
	assert_int_equal(made2_finish(&m), 0);
	memset(&trust, 0, sizeof(trust));
	trust.tsa_pem = pem;
	trust.tsa_pem_len = get_file("cert1", pem, sizeof(pem));
	make_tokens();
	m.stamp = token;
	m.stamp_len = get_file("sha256", token, sizeof(token));
}

static void test_in_time(void **state)
{
	static const char *const digests[] = {"sha384", "sha512"};

	(void)state;
	make_ahead();
	assert_int_equal(check_made(&trust), KE_OK);
	assert_int_equal(res.levels, (ALL & ~BUNDLE2_BEACON) | BUNDLE2_STAMPED);
	assert_true(llabs(res.stamped_s - time(NULL)) < 60);
	for (size_t i = 0; i < 2; i++) {
		m.stamp_len = get_file(digests[i], token, sizeof(token));
		assert_int_equal(check_made(&trust), KE_OK);
		assert_true((res.levels & BUNDLE2_STAMPED) != 0);
	}
}

/* Of several stamps the earliest counts, wherever it stands. */
static void test_earliest(void **state)
{
	char *stamp[2], *text, list[32768];
	int64_t first_s = 0;
	size_t n = 0;

	(void)state;
	make_ahead();
	for (int i = 0; i < 2; i++) {
		struct json_place at;

		text = made2_write(&m, &n);
		assert_non_null(text);
		at = json_place(text, n, "timestamps/0");
		stamp[i] = strndup(text + at.from, at.to - at.from);
		assert_int_equal(bundle2_check(text, n, &trust, &res), KE_OK);
		free(text);
		first_s = i == 0 ? res.stamped_s : first_s;
		sleep(1);
		make_tokens();
		m.stamp_len = get_file("sha256", token, sizeof(token));
	}
	for (int i = 0; i < 2; i++) {
		snprintf(list, sizeof(list), "[%s,%s]", stamp[i], stamp[1 - i]);
		text = made2_write(&m, &n);
		text = json_edit(text, &n, "timestamps", list);
		assert_int_equal(bundle2_check(text, n, &trust, &res), KE_OK);
		assert_int_equal(res.stamped_s, first_s);
		free(text);
	}
	free(stamp[0]);
	free(stamp[1]);
}

/* More certificates than there is room for: the stamp's own, and those that are trusted. */
static void test_long_certificates(void **state)
{
	static char json[70000] = "\"", many[70000];
	size_t n = 0;
	char *text;

	(void)state;
	make_ahead();
	memset(json + 1, 'x', sizeof(json) - 3);
	json[sizeof(json) - 2] = '"';
	text = made2_write(&m, &n);
	text = json_edit(text, &n, "timestamps/0/certificates_pem", json);
	assert_int_equal(bundle2_check(text, n, &trust, &res), KE_FORMAT);
	assert_int_equal(res.step, BUNDLE2_STAMPS);
	free(text);
	memcpy(many, pem, strlen(pem));
	trust.tsa_pem = many;
	trust.tsa_pem_len = sizeof(many);
	assert_int_equal(check_made(&trust), KE_CRYPTO);
	assert_int_equal(res.step, BUNDLE2_STAMPS);
}

/* --- little memory --- */

static char *whole;
static size_t whole_len;

static int check_whole(void)
{
	int r = bundle2_check(whole, whole_len, &trust, &res);

	if (r == KE_OK)
		assert_true((res.levels & BUNDLE2_STAMPED) != 0);
	return r;
}

/* libcrypto does not tell why it could not judge a token or a pulse. */
static int check_crypto(void)
{
	int r = check_whole();

	if (r != KE_OK && r != KE_NOMEM)
		assert_true(res.step >= BUNDLE2_BEACONS);
	return r == KE_OK ? r : KE_NOMEM;
}

static void test_memory(void **state)
{
	char *json;
	struct jsonw w;

	(void)state;
	if (!fail_alloc_works())
		skip();
	make_ahead();
	whole = made2_write(&m, &whole_len);
	assert_non_null(whole);
	json = malloc(2 * sizeof(pem));
	assert_non_null(json);
	jsonw_init(&w, json, 2 * sizeof(pem) - 1);
	jsonw_str(&w, pem, strlen(pem));
	json[w.len] = '\0';
	whole = json_edit(whole, &whole_len, "timestamps/0/certificates_pem", json);
	free(json);
	fail_alloc_own = true;
	assert_true(fail_alloc_each(check_whole, KE_NOMEM) > 20);
	fail_alloc_own = false;
	/* of thousands of calls */
	assert_true(fail_alloc_some(check_crypto, KE_NOMEM, 13) > 1000);
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stamps),
	    cmocka_unit_test(test_in_time),
	    cmocka_unit_test(test_earliest),
	    cmocka_unit_test(test_long_certificates),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, make_authorities, remove_authorities);
}
