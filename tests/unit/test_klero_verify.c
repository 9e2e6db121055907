/*
 * The program klero-verify as an auditor uses it: its options, its exit codes and its last line. It
 * is the one built beside this test (../bin).
 */
#include "tests/unit/vectors.h"

#include <libgen.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/bundle2_make.h"
#include "tests/unit/bundle_make.h"

static char program[4096], folder[] = "/tmp/klero-verify-test.XXXXXX", proof[64], key_file[64];
static char output[16384];
static struct made made;
static const char other_key[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

/* Runs it with these arguments, output in `output`; returns the exit code. */
static int run(const char *const *args)
{
	char *argv[16] = {program};
	int fds[2], status, n = 1;
	size_t len = 0;
	ssize_t got;
	pid_t pid;

	for (; *args != NULL; args++)
		argv[n++] = strdup(*args);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		execv(program, argv);
		_exit(127);
	}
	close(fds[1]);
	while ((got = read(fds[0], output + len, sizeof(output) - 1 - len)) > 0)
		len += (size_t)got;
	output[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (n > 1)
		free(argv[--n]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static const char *last_line(void)
{
	char *end = output + strlen(output);

	assert_true(end > output && end[-1] == '\n');
	end[-1] = '\0';
	end = strrchr(output, '\n');
	return end == NULL ? output : end + 1;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int setup(void **state)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	FILE *f;

	(void)state;
	if (n <= 0 || mkdtemp(folder) == NULL)
		return -1;
	self[n] = '\0';
	snprintf(program, sizeof(program), "%.4000s/../bin/klero-verify", dirname(self));
	if (access(program, X_OK) != 0)
		print_message("%s is not built\n", program);
	snprintf(proof, sizeof(proof), "%s/proof.json", folder);
	snprintf(key_file, sizeof(key_file), "%s/vkey", folder);
	f = fopen(proof, "w");
	if (f == NULL || made_init(&made, 20, 2, 1) != 0 || made_write(&made, f) != 0)
		return -1;
	f = freopen(key_file, "w", f);
	if (f == NULL || fprintf(f, "%s\n", made.vkey) < 0)
		return -1;
	return fclose(f);
}

static int teardown(void **state)
{
	(void)state;
	made_free(&made);
	unlink(proof);
	unlink(key_file);
	return rmdir(folder);
}

static void test_verified(void **state)
{
	char commit[65];

	(void)state;
	text_hex(commit, made.rec.seed_commit, 32);
	assert_int_equal(RUN(proof), 0);
	assert_non_null(
	    strstr(output, "v1 draw: reproduced; entropy chosen by the operator after close"));
	assert_non_null(strstr(output, "taken from the proof itself"));
	assert_non_null(strstr(output, "ok   signature "));
	assert_string_equal(last_line(), "VERIFIED");
	assert_int_equal(RUN("--vkey", made.vkey, "--commit", commit, proof), 0);
	assert_null(strstr(output, "note:"));
	assert_string_equal(last_line(), "VERIFIED");
	assert_int_equal(RUN("-k", key_file, "-c", commit, proof), 0);
	assert_int_equal(RUN("--vkey-file", key_file, "-q", proof), 0);
	assert_string_equal(output, "VERIFIED\n");
}

static void test_json(void **state)
{
	(void)state;
	assert_int_equal(RUN("--json", proof), 0);
	assert_non_null(strstr(output, "{\"verified\":true,"));
	assert_non_null(strstr(output, "\"signer_trusted\":false"));
	assert_int_equal(
	    RUN("--json", "-c", "0000000000000000000000000000000000000000000000000000000000000000",
		proof),
	    1);
	assert_non_null(strstr(output, "{\"verified\":false,"));
	assert_non_null(strstr(output, "{\"step\":\"commitment\",\"ok\":false}"));
	assert_non_null(strstr(output, "\"why\":\"the record's seed commitment"));
}

static void test_not_verified(void **state)
{
	(void)state;
	assert_int_equal(RUN("-k", other_key, proof), 1);
	assert_non_null(strstr(output, "FAIL signature "));
	assert_memory_equal(last_line(), "NOT VERIFIED: ", 14);
	assert_int_equal(RUN(key_file), 1);
	assert_memory_equal(last_line(), "NOT VERIFIED: not a JSON text", 29);
	assert_int_equal(RUN("-q", "/dev/null"), 1);
	assert_memory_equal(output, "NOT VERIFIED: the file ends", 27);
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(RUN("--vkey"), 2);
	assert_int_equal(RUN("-x", proof), 2);
	assert_int_equal(RUN("-q"), 2);
	assert_int_equal(RUN(proof, proof), 2);
	assert_int_equal(RUN("-c", "abc", proof), 2);
	assert_int_equal(RUN("-k", "no key", proof), 2);
	assert_int_equal(RUN("-k", proof, proof), 3);
	assert_int_equal(RUN("-k", made.vkey, "-k", made.vkey, proof), 2);
	assert_int_equal(RUN("--help"), 0);
	assert_non_null(strstr(output, "Usage: klero-verify"));
	assert_int_equal(RUN("--version"), 0);
	assert_memory_equal(output, "klero-verify ", 13);
}

static void test_unreadable(void **state)
{
	(void)state;
	assert_int_equal(RUN("/nonexistent/proof.json"), 3);
	assert_non_null(strstr(output, "/nonexistent/proof.json"));
	assert_int_equal(RUN(folder), 3);
	assert_int_equal(RUN("--vkey-file", "/nonexistent/vkey", proof), 3);
	write_file(key_file, "no key\n");
	assert_int_equal(RUN("--vkey-file", key_file, proof), 2);
}

static void write_bundle(const char *path, const struct made2 *m)
{
	size_t n = 0;
	char *text = made2_write(m, &n);

	assert_non_null(text);
	write_file(path, text);
	free(text);
}

/* A v2 bundle: its levels, and what each of its own options changes. */
/* What a relay says of a chain that is not supported. */
static void write_chained(const char *path)
{
	struct vectors v;

	vectors_open(&v, "drand.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "chained"))
			write_file(path, v.word[1]);
}

static void test_v2(void **state)
{
	static struct made2 m;
	char path[80], policy[80], chain[80];
	const char *cert = "tests/vectors/nist/cert-528943a5.pem";

	(void)state;
	snprintf(path, sizeof(path), "%s/v2.json", folder);
	snprintf(policy, sizeof(policy), "%s/policy", folder);
	snprintf(chain, sizeof(chain), "%s/chain", folder);
	assert_int_equal(made2_init(&m, 20, 20, 3, 2), 0);
	assert_int_equal(made2_finish(&m), 0);
	write_bundle(path, &m);
	assert_int_equal(RUN("--nist-certificate", cert, "-k", m.operator_vkey, path), 0);
	assert_non_null(
	    strstr(output, "reached: reproduced signed logged beacon-verified witnessed 1 of 1"));
	assert_string_equal(last_line(), "VERIFIED");
	assert_int_equal(RUN("--nist-certificate", cert, "--json", path), 0);
	assert_non_null(strstr(output, "\"verified\":true"));
	assert_non_null(strstr(output, "\"witnessed\""));
	/* whose the pulse's certificate is, nobody said */
	assert_int_equal(RUN("-q", path), 1);
	assert_non_null(strstr(output, "NOT VERIFIED: beacon not verified"));
	/* another operator, another witness, a longer delay */
	assert_int_equal(RUN("-k", other_key, path), 1);
	assert_non_null(strstr(output, "FAIL keys"));
	/* the same key under the name of v1's log */
	assert_int_equal(RUN("--nist-certificate", cert, "-k", made.vkey, path), 0);
	write_file(policy, "quorum none\n");
	assert_int_equal(RUN("--nist-certificate", cert, "--policy", policy, path), 0);
	assert_null(strstr(output, "witnessed"));
	assert_int_equal(RUN("--nist-certificate", cert, "--min-delay", "3601", path), 1);
	assert_non_null(strstr(output, "FAIL times"));
	write_file(chain, m.chain_info);
	assert_int_equal(RUN("--nist-certificate", cert, "--drand-chain", chain, path), 0);
	/* one winner moved */
	m.picks[0] = m.picks[1];
	assert_int_equal(made2_text(&m, MADE2_DRAW), 0);
	record2_leaf(m.log.leaf[4], m.text[MADE2_DRAW], m.text_len[MADE2_DRAW]);
	write_bundle(path, &m);
	assert_int_equal(RUN("--nist-certificate", cert, path), 1);
	assert_non_null(strstr(output, "FAIL draw"));
	/* options that cannot be read */
	assert_int_equal(RUN("--policy", chain, path), 2);
	assert_int_equal(RUN("--drand-chain", policy, path), 2);
	assert_non_null(strstr(output, "not what a drand relay's /info says"));
	write_chained(policy);
	assert_int_equal(RUN("--drand-chain", policy, path), 2);
	assert_non_null(strstr(output, "another scheme than bls-unchained-g1-rfc9380"));
	assert_int_equal(RUN("--nist-certificate", policy, path), 2);
	assert_int_equal(RUN("--min-delay", "0", path), 2);
	assert_int_equal(RUN("--policy", "/nonexistent", path), 3);
	unlink(path);
	unlink(policy);
	unlink(chain);
}

/* A v1 raffle that is called like the other format is a v1 raffle. */
static void test_named_like_v2(void **state)
{
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s/odd.json", folder);
	write_file(
	    path, "{\"format\": \"kleroterion-proof/1\", \"title\": \"kleroterion-proof/2\"}");
	assert_int_equal(RUN(path), 1);
	assert_null(strstr(output, "operator_vkey"));
	write_file(path, "{\"format\" :\n\"kleroterion-proof/2\"}");
	assert_int_equal(RUN(path), 1);
	assert_non_null(strstr(output, "operator_vkey"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_verified),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_not_verified),
	    cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_v2),
	    cmocka_unit_test(test_named_like_v2),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
