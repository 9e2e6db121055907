/*
 * Time stamps in a v2 bundle: tokens that the openssl command makes hold, and each way in which one
 * could be of something else, or of somebody else, is refused.
 */
#include "tests/unit/vectors.h"

#include <unistd.h>

#include "tests/unit/bundle2_test.h"

/* --- time stamps, by the command line's authority --- */

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
    "digests = sha256, sha1\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
    "ess_cert_id_alg = sha256\n";

static void make_authorities(void)
{
	assert_non_null(mkdtemp(tsa_dir));
	put_file("conf", tsa_conf, strlen(tsa_conf));
	put_file("serial", "01\n", 3);
	tool("for n in 1 2; do openssl req -x509 -newkey rsa:2048 -nodes -keyout key$n -out cert$n "
	     "-days 9 -config conf -extensions tsa_ext; done");
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
	tool("for d in sha256 sha1; do openssl ts -query -data text -$d -cert -out query && "
	     "openssl ts -reply -config conf -queryfile query -signer cert1 -inkey key1 -out $d "
	     "-token_out; done");
}

/* Now is long after the draw that the tokens are for: they hold, and come too late. */
static void test_stamps(void **state)
{
	static char token[8192], pem[4096], other[4096];
	struct bundle2_trust t;
	size_t n;

	(void)state;
	fresh(&t);
	make_authorities();
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
	tool("rm -f *");
	assert_int_equal(rmdir(tsa_dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
