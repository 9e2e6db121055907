/*
 * The values of klerod.conf's keywords: what is taken arrives in its field, at its longest too, and
 * what is not is refused with the keyword's own words; whom a later mistake is blamed on.
 */
#include "tests/unit/conf_lines.h"

#include "policy/note.h"

static void takes(const char *line)
{
	if (parse_line(line) != KE_OK)
		fail_msg("%s: %s", line, why);
}

/* So many of a character; of one buffer in turn. */
static const char *many(char c, size_t n)
{
	static char buf[4][1024];
	static unsigned next;
	char *s = buf[next++ % 4];

	memset(s, c, n);
	s[n] = '\0';
	return s;
}

static const char *line(const char *fmt, ...)
{
	static char buf[2048];
	va_list ap;

	va_start(ap, fmt);
	assert_true(vsnprintf(buf, sizeof buf, fmt, ap) < (int)sizeof buf);
	va_end(ap);
	return buf;
}

static void urls(void **state)
{
	static const char *const bad[] = {"", "http://a.example", "https://", "https://a.example/",
	    "https://a.example/p/", "https://a.example/p?q", "https://a.example:0",
	    "https://a.example:65536", "https://a.example:", "https://a.example:80:80",
	    "https://[::1]", "https://a_b", "https://:80", "https://a.example https://b.example"};

	(void)state;
	takes("drand-relay https://a.example\ndrand-relay https://b.example:8443/api/v2\n"
	      "nist-beacon https://c.example/beacon/~2.0");
	assert_string_equal(conf.drand_relays[0], "https://a.example");
	assert_string_equal(conf.drand_relays[1], "https://b.example:8443/api/v2");
	assert_string_equal(conf.nist_beacons[0], "https://c.example/beacon/~2.0");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refuses(line("drand-relay %s", bad[i]), "k.conf:9: drand-relay wants https://name");
	takes(line("drand-relay https://%s", many('a', RCONF_PATH - 9)));
	refuses(line("drand-relay https://%s", many('a', RCONF_PATH - 8)), "drand-relay wants");
	refuses(line("drand-relay https://%s", many('a', RCONF_PATH)), "drand-relay wants");
	refuses("nist-beacon https://a\nnist-beacon https://b\nnist-beacon https://c\n"
		"nist-beacon https://d\nnist-beacon https://e",
	    "k.conf:13: nist-beacon wants");
}

static void origins(void **state)
{
	(void)state;
	takes("cors-origin https://[::1]:8443");
	assert_string_equal(conf.origins[0], "https://[::1]:8443");
	refuses("cors-origin", "k.conf:9: cors-origin wants");
	refuses("cors-origin https://", "k.conf:9: cors-origin wants");
	refuses("cors-origin a.example", "k.conf:9: cors-origin wants");
}

static void files(void **state)
{
	(void)state;
	takes("drand-chain quicknet\ndrand-chain /etc/chain.json\nnist-certificate /c.pem");
	assert_string_equal(conf.drand_chains[0], CONF_QUICKNET);
	assert_string_equal(conf.drand_chains[1], "/etc/chain.json");
	assert_string_equal(conf.nist_certificates[0], "/c.pem");
	refuses("drand-chain", "k.conf:9: drand-chain wants quicknet or an absolute path");
	refuses("drand-chain fastnet", "k.conf:9: drand-chain wants");
	refuses("drand-chain quicknet /c", "k.conf:9: drand-chain wants");
	refuses("nist-certificate quicknet", "k.conf:9: nist-certificate wants");
	refuses("drand-chain /a\ndrand-chain /b\ndrand-chain /c\ndrand-chain /d\ndrand-chain /e",
	    "k.conf:13: drand-chain wants");
	takes(line("backup-folder /%s", many('b', RCONF_PATH - 2)));
	refuses(line("backup-folder /%s", many('b', RCONF_PATH - 1)), "backup-folder wants");
	refuses("backup-folder /a /b", "k.conf:9: backup-folder wants");
	refuses("backup-folder -", "k.conf:9: backup-folder wants");
}

static void addresses(void **state)
{
	static const char *const bad[] = {"", "dns.example", "192.0.2.1:0", "192.0.2.1:x",
	    "192.0.2", "[::1]", "::1", "192.0.2.1 192.0.2.2"};

	(void)state;
	takes("out-resolver 192.0.2.1\nout-resolver 192.0.2.2:5353");
	assert_string_equal(conf.out_resolvers[0], "192.0.2.1");
	assert_string_equal(conf.out_resolvers[1], "192.0.2.2:5353");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refuses(line("out-resolver %s", bad[i]), "k.conf:9: out-resolver wants an IPv4");
	refuses(line("out-resolver %s", many('1', RCONF_PATH)), "k.conf:9: out-resolver wants");
	refuses("out-resolver 192.0.2.1\nout-resolver 192.0.2.2\nout-resolver 192.0.2.3\n"
		"out-resolver 192.0.2.4",
	    "k.conf:12: out-resolver wants");
}

static void choices(void **state)
{
	(void)state;
	takes("draw-approval yes\npkcs11-store database");
	assert_int_equal(conf.draw_approval, 1);
	assert_int_equal(conf.module_store, RCONF_STORE_DATABASE);
	takes("draw-approval no\npkcs11-store files");
	assert_int_equal(conf.draw_approval, 0);
	assert_int_equal(conf.module_store, RCONF_STORE_FILES);
	refuses("draw-approval", "k.conf:9: draw-approval wants yes or no");
	refuses("draw-approval yes no", "k.conf:9: draw-approval wants yes or no");
	refuses("draw-approval maybe", "k.conf:9: draw-approval wants yes or no");
	refuses("pkcs11-store disk", "k.conf:9: pkcs11-store wants files or database");
	refuses("pkcs11-store files database", "k.conf:9: pkcs11-store wants files or database");
}

static void payout_limits(void **state)
{
	const char *sum = many('9', 70);

	(void)state;
	takes("payout-limit evm:1 5 10/60 3\npayout-limit evm:11 5 10/60");
	assert_string_equal(conf.payout_limits[0], "evm:1 5 10/60 3");
	assert_string_equal(conf.payout_limits[1], "evm:11 5 10/60");
	refuses("payout-limit evm:1 5", "k.conf:9: payout-limit wants evm:<chain id> or solana");
	refuses("payout-limit evm:1 5 10/60 3 4", "k.conf:9: payout-limit wants");
	refuses("payout-limit evm:1 5 10/60 x", "k.conf:9: payout-limit wants");
	refuses(line("payout-limit evm:1 %s %s/60 %s%s", sum, sum, sum, sum),
	    "k.conf:9: payout-limit wants");
	refuses("payout-limit evm:1 5 9/60\npayout-limit evm:2 5 9/60\npayout-limit evm:3 5 9/60\n"
		"payout-limit evm:4 5 9/60\npayout-limit evm:5 5 9/60\npayout-limit evm:6 5 9/60\n"
		"payout-limit evm:7 5 9/60\npayout-limit evm:8 5 9/60\npayout-limit evm:9 5 9/60",
	    "k.conf:17: payout-limit wants");
}

static void escrows(void **state)
{
	(void)state;
	takes("escrow 2 /a /b /c");
	assert_int_equal(conf.escrow.m, 2);
	assert_string_equal(conf.escrow.files[2], "/c");
	takes("escrow 16 /1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11 /12 /13 /14 /15 /16");
	refuses("escrow 1 /1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11 /12 /13 /14 /15 /16 /17",
	    "k.conf:9: escrow wants how many officers open it");
	refuses("escrow", "k.conf:9: escrow wants");
	refuses("escrow 1", "k.conf:9: escrow wants");
	refuses("escrow 0 /a", "k.conf:9: escrow wants");
	refuses("escrow 3 /a /b", "k.conf:9: escrow wants");
	refuses("escrow /a /b", "k.conf:9: escrow wants");
	refuses("escrow 1 a", "k.conf:9: escrow wants");
	refuses(line("escrow 1 /%s", many('e', RCONF_PATH - 1)), "k.conf:9: escrow wants");
}

/* The verifier key of an appliance's operator log. */
static const char *vkey(unsigned number, enum note_type type)
{
	static char key[NOTE_VKEY_MAX];
	const uint8_t pub[32] = {9};
	char name[64];

	snprintf(name, sizeof name, "a%u.example/klero", number);
	assert_int_equal(note_vkey(name, type, pub, key, sizeof key), KE_OK);
	return key;
}

static void witness_logs(void **state)
{
	char text[8192] = "";
	size_t n = 0;

	(void)state;
	takes(line("witness-log %s", vkey(1, NOTE_ED25519)));
	assert_string_equal(conf.witness_logs[0], vkey(1, NOTE_ED25519));
	refuses("witness-log", "k.conf:9: witness-log wants the verifier key");
	refuses("witness-log a b", "k.conf:9: witness-log wants");
	refuses("witness-log a.example+0+0", "k.conf:9: witness-log wants");
	refuses(line("witness-log %s", vkey(1, NOTE_COSIGN)), "k.conf:9: witness-log wants");
	refuses(line("witness-log %s", many('w', RCONF_VKEY)), "k.conf:9: witness-log wants");
	/* a log has one key, and there are only so many logs */
	refuses(
	    line("witness-log %s\nwitness-log %s", vkey(1, NOTE_ED25519), vkey(1, NOTE_ED25519)),
	    "k.conf:10: witness-log wants");
	for (unsigned i = 0; i <= RCONF_LOGS; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%switness-log %s",
		    i > 0 ? "\n" : "", vkey(i, NOTE_ED25519));
	refuses(text, "k.conf:25: witness-log wants");
}

static void texts(void **state)
{
	char text[1024];

	(void)state;
	snprintf(text, sizeof text, "tls-parameters %s %s", many('a', 255), many('b', 255));
	takes(text);
	assert_int_equal(strlen(conf.tls.params), RCONF_PARAMS - 1);
	snprintf(text, sizeof text, "tls-parameters %s %s", many('a', 255), many('b', 256));
	refuses(text, "k.conf:9: tls-parameters wants a text of less than 512 characters");
	refuses(line("tls-parameters %s", many('a', 512)), "k.conf:9: tls-parameters wants");
	refuses(line("user-net %s", many('u', sizeof conf.users[0])), "k.conf:9: user-net wants");
	refuses("user-net", "k.conf:9: user-net wants");
	refuses("keys-token", "k.conf:9: keys-token wants");
	refuses("currencies", "k.conf:9: currencies wants");
	refuses("tls-names", "k.conf:9: tls-names wants");
}

/* As many as a line has words for. */
static void many_currencies(void **state)
{
	char text[128] = "currencies";
	size_t n = strlen(text);

	(void)state;
	for (int i = 0; i < 19; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " AA%c", 'A' + i);
	takes(text);
	assert_int_equal(strlen(conf.currencies), 19 * 4 - 1);
	refuses(line("%s EUR", text), "k.conf:9: too many words");
}

/* --- blame --- */

static void blames(void **state)
{
	char words[128];

	(void)state;
	assert_int_equal(parse_line("store-x y"), KE_FORMAT);
	takes("keys-token mine");
	snprintf(words, sizeof words, "is full");
	conf_blame(&conf, conf.keys.label, words, sizeof words);
	assert_string_equal(words, "k.conf:9: keys-token: is full");
	/* by its default: no line */
	snprintf(words, sizeof words, "is full");
	conf_blame(&conf, conf.tls.label, words, sizeof words);
	assert_string_equal(words, "k.conf: tls-token: is full");
	/* about no field of the file */
	snprintf(words, sizeof words, "is full");
	conf_blame(&conf, NULL, words, sizeof words);
	assert_string_equal(words, "is full");
	conf_blame(&conf, conf.file, words, sizeof words);
	assert_string_equal(words, "is full");
}

static void abouts(void **state)
{
	(void)state;
	takes("keys-token mine");
	assert_ptr_equal(
	    conf_about(&conf, &conf.keys, "wrong PIN for token mine"), conf.keys.pin_file);
	assert_ptr_equal(
	    conf_about(&conf, &conf.keys, line("%s: no such file", conf.module)), conf.module);
	assert_ptr_equal(conf_about(&conf, &conf.keys, "no token mine"), conf.keys.label);
	assert_null(conf_about(&conf, &conf.keys, "nothing that is known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls),
	    cmocka_unit_test(origins),
	    cmocka_unit_test(files),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(choices),
	    cmocka_unit_test(payout_limits),
	    cmocka_unit_test(escrows),
	    cmocka_unit_test(witness_logs),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(many_currencies),
	    cmocka_unit_test(blames),
	    cmocka_unit_test(abouts),
	};

	return cmocka_run_group_tests_name("conf_values", tests, NULL, NULL);
}
