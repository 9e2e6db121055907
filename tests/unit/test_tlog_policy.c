/*
 * Policies of witnesses: they are read, written and judged as c2sp.org/tlog-policy has them, and
 * each thing that is wrong or too much in one is refused.
 */
#include "tests/unit/vectors.h"

#include <sodium.h>

#include "policy/tlog.h"
#include "tests/unit/tlog_keys.h"

static int parse_policy(struct tlog_policy *p, size_t *line, const char *form)
{
	struct keys k;
	char text[8192];
	const char *at = form;
	size_t n = 0;

	/* $O, $T, $W: the keys above; $1 to $3: witnesses made from the third by their names */
	read_keys(&k);
	for (; *at != '\0'; at++) {
		const char *s = NULL;
		char made[512], id[9], b64[64];
		struct note_key w;

		if (*at == '$' && at[1] == 'O')
			s = k.operator_vkey;
		if (*at == '$' && at[1] == 'T')
			s = k.tickets_vkey;
		if (*at == '$' && at[1] == 'W')
			s = k.witness_vkey;
		if (*at == '$' && s == NULL) {
			uint8_t key[33] = {4};

			snprintf(w.name, sizeof(w.name), "made%c.example", at[1]);
			memset(key + 1, at[1], 32);
			note_key_id(w.id, w.name, NOTE_COSIGN, key + 1);
			text_hex(id, w.id, 4);
			text_b64(b64, key, 33);
			snprintf(made, sizeof(made), "%s+%s+%s", w.name, id, b64);
			s = made;
		}
		if (s == NULL) {
			text[n++] = *at;
			continue;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", s);
		at++;
	}
	return tlog_policy_parse(p, text, n, line);
}

static void test_policy(void **state)
{
	static struct tlog_policy p;
	char note[2048];
	struct keys k;
	uint64_t seen, when;
	size_t n, line;

	(void)state;
	read_keys(&k);
	n = vectors_file("draw2/operator.checkpoint", note, sizeof(note));
	assert_int_equal(cosign_verify(note, n, &k.witness, &when), KE_OK);
	assert_int_equal(parse_policy(&p, &line, "quorum none\n"), KE_OK);
	assert_true(tlog_policy_met(&p, 0));
	assert_null(tlog_policy_log(&p, "draws.example.org/klero"));
	assert_int_equal(
	    parse_policy(&p, &line,
		"# two keys, one witness\n\nlog $O https://draws.example.org\n log\t$T \n"
		"witness one $W https://w.example\nquorum one\n"),
	    KE_OK);
	assert_int_equal(line, 6);
	assert_non_null(tlog_policy_log(&p, "draws.example.org/klero"));
	assert_int_equal(tlog_policy_seen(&p, note, n, UINT64_MAX, &seen), KE_OK);
	assert_true(seen == 1 && tlog_policy_met(&p, seen) && !tlog_policy_met(&p, 0));
	assert_int_equal(tlog_policy_seen(&p, note, n, when, &seen), KE_OK);
	assert_true(seen == 1);
	assert_int_equal(tlog_policy_seen(&p, note, n, when - 1, &seen), KE_OK);
	assert_true(seen == 0);
	note[n - 10] ^= 1;
	assert_int_not_equal(tlog_policy_seen(&p, note, n, UINT64_MAX, &seen), KE_OK);
}

/* Two of X, one of Y: every subset of the witnesses against the rule in C. */
static void test_groups(void **state)
{
	static struct tlog_policy p;

	(void)state;
	assert_int_equal(parse_policy(&p, NULL,
			     "witness X1 $1\nwitness X2 $2\nwitness X3 $3\ngroup X 2 X1 X2 X3\n"
			     "witness Y1 $4\nwitness Y2 $5\nwitness Y3 $6\ngroup Y any Y1 Y2 Y3\n"
			     "group both all X Y\nquorum both\n"),
	    KE_OK);
	for (uint64_t seen = 0; seen < 64; seen++) {
		bool x = __builtin_popcountll(seen & 7) >= 2, y = (seen & 56) != 0;

		assert_true(tlog_policy_met(&p, seen) == (x && y));
	}
}

/* Written again it means the same, under other logs and without URLs. */
static void test_policy_text(void **state)
{
	static const char *const forms[] = {"quorum none\n", "witness w $1\nquorum none\n",
	    "# x\nlog $T https://t.example\nwitness a $1 https://a.example\nwitness b $2\nquorum "
	    "b\n",
	    "witness X1 $1\nwitness X2 $2\ngroup X 1 X2 X1\nwitness Y $3\ngroup both all X Y\n"
	    "quorum both\n"};
	static struct tlog_policy p, back;
	const char *logs[2];
	char text[4096];
	struct keys k;
	size_t n, line;

	(void)state;
	read_keys(&k);
	logs[0] = k.operator_vkey;
	logs[1] = k.tickets_vkey;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		assert_int_equal(parse_policy(&p, NULL, forms[i]), KE_OK);
		assert_int_equal(tlog_policy_text(&p, logs, 2, text, sizeof text, &n), KE_OK);
		assert_int_equal(tlog_policy_parse(&back, text, n, &line), KE_OK);
		assert_true(back.nlogs == 2 && strncmp(text, "log ", 4) == 0);
		assert_null(strstr(text, "https"));
		assert_int_equal(back.nwitnesses, p.nwitnesses);
		for (size_t w = 0; w < p.nwitnesses; w++)
			assert_true(note_key_same(&back.witnesses[w], &p.witnesses[w]));
		for (uint64_t seen = 0; seen < 8; seen++)
			assert_true(tlog_policy_met(&back, seen) == tlog_policy_met(&p, seen));
		for (size_t cap = 0; cap <= n; cap++)
			assert_int_equal(tlog_policy_text(&p, logs, 2, text, cap, &line), KE_FULL);
	}
}

/* When the quorum was there: the moment of the last of those that it takes. */
static void test_met_at(void **state)
{
	static const char form[] =
	    "witness a %s\nwitness b %s\nwitness c %s\ngroup g 2 a b c\nquorum g\n";
	static struct tlog_policy p;
	char vkey[3][NOTE_VKEY_MAX], note[4096], text[4096];
	uint64_t at_s;
	uint8_t secret[3][64];
	struct note_key w[3];
	size_t n, len, line;

	(void)state;
	for (int i = 0; i < 3; i++) {
		w[i] = (struct note_key){.type = NOTE_COSIGN};
		snprintf(w[i].name, sizeof w[i].name, "w%d.example", i);
		crypto_sign_keypair(w[i].pub, secret[i]);
		note_key_id(w[i].id, w[i].name, NOTE_COSIGN, w[i].pub);
		assert_int_equal(
		    note_vkey(w[i].name, NOTE_COSIGN, w[i].pub, vkey[i], NOTE_VKEY_MAX), KE_OK);
	}
	snprintf(text, sizeof text, form, vkey[0], vkey[1], vkey[2]);
	assert_int_equal(tlog_policy_parse(&p, text, strlen(text), &line), KE_OK);
	n = vectors_file("draw2/operator.checkpoint", note, sizeof(note));
	assert_int_equal(tlog_policy_met_at(&p, note, n, &at_s), KE_NOTFOUND);
	for (int i = 0; i < 3; i++) {
		static const uint64_t when[] = {500, 300, 400};
		const char *end = memmem(note, n, "\n\n", 2);
		uint8_t sig[64];
		char msg[COSIGN_TEXT_MAX];

		assert_int_equal(
		    cosign_text(when[i], note, (size_t)(end - note) + 1, msg, sizeof msg, &len),
		    KE_OK);
		crypto_sign_detached(sig, NULL, (const uint8_t *)msg, len, secret[i]);
		assert_int_equal(cosign_line(&w[i], when[i], sig, note + n, &len), KE_OK);
		n += len;
		assert_int_equal(
		    tlog_policy_met_at(&p, note, n, &at_s), i == 0 ? KE_NOTFOUND : KE_OK);
		if (i > 0)
			assert_int_equal(at_s, i == 1 ? 500 : 400);
	}
	assert_int_equal(tlog_policy_parse(&p, "quorum none\n", 12, &line), KE_OK);
	assert_int_equal(tlog_policy_met_at(&p, note, n, &at_s), KE_OK);
	assert_int_equal(at_s, 0);
	assert_int_equal(tlog_policy_parse(&p, text, strlen(text), &line), KE_OK);
	note[n - 20] = note[n - 20] == 'A' ? 'B' : 'A';
	assert_int_equal(tlog_policy_met_at(&p, note, n, &at_s), KE_CRYPTO);
}

static void test_policy_refusals(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
	    {"", KE_FORMAT},
	    {"quorum none", KE_FORMAT},
	    {"quorum none\nquorum none\n", KE_EXISTS},
	    {"quorum one\n", KE_FORMAT},
	    {"quorum one\nwitness one $W\n", KE_FORMAT},
	    {"witness none $W\nquorum none\n", KE_EXISTS},
	    {"witness one $W\nwitness two $W\nquorum one\n", KE_EXISTS},
	    {"witness one $W\nwitness one $1\nquorum one\n", KE_EXISTS},
	    {"witness one $O\nquorum one\n", KE_FORMAT},
	    {"log $W\nquorum none\n", KE_FORMAT},
	    {"log $O\nlog $O\nquorum none\n", KE_EXISTS},
	    {"witness one $1\ngroup g 0 one\nquorum g\n", KE_FORMAT},
	    {"witness one $1\ngroup g 2 one\nquorum g\n", KE_FORMAT},
	    {"witness one $1\ngroup g any\nquorum g\n", KE_FORMAT},
	    {"witness one $1\ngroup g any none\nquorum g\n", KE_FORMAT},
	    {"witness one $1\ngroup g any one one\nquorum g\n", KE_EXISTS},
	    {"witness one $1\ngroup g any one\ngroup h any one\nquorum g\n", KE_EXISTS},
	    {"group g any g\nquorum g\n", KE_FORMAT},
	    {"witness a $1 b c\nquorum none\n", KE_FORMAT},
	    {"policy\nquorum none\n", KE_FORMAT},
	    {"quorum none\r\n", KE_FORMAT},
	    {"quorum none\x7f\n", KE_FORMAT},
	    {"quorum\n", KE_FORMAT},
	    {"quorum a b\n", KE_FORMAT},
	    {"log\nquorum none\n", KE_FORMAT},
	    {"log $O a b\nquorum none\n", KE_FORMAT},
	    {"witness one\nquorum none\n", KE_FORMAT},
	    {"witness one $1\ngroup g x one\nquorum g\n", KE_FORMAT},
	};
	static struct tlog_policy p;
	size_t line;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_policy(&p, &line, bad[i].text), bad[i].err);
	assert_int_equal(parse_policy(&p, &line, "\n# x\nlog $W\nquorum none\n"), KE_FORMAT);
	assert_int_equal(line, 3);
}

/* So many lines that each define one thing, then the quorum. */
static int parse_many(unsigned n, void (*put)(char *line, size_t cap, unsigned i))
{
	static struct tlog_policy p;
	static char text[65536];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		put(text + len, sizeof(text) - len, i);
		len += strlen(text + len);
	}
	len += (size_t)snprintf(text + len, sizeof(text) - len, "quorum none\n");
	return tlog_policy_parse(&p, text, len, NULL);
}

static void vkey_of(unsigned i, enum note_type type, char vkey[NOTE_VKEY_MAX])
{
	uint8_t pub[32] = {1, (uint8_t)i};

	assert_int_equal(note_vkey("a.example", type, pub, vkey, NOTE_VKEY_MAX), KE_OK);
}

static void put_log(char *line, size_t cap, unsigned i)
{
	char vkey[NOTE_VKEY_MAX];

	vkey_of(i, NOTE_ED25519, vkey);
	snprintf(line, cap, "log %s\n", vkey);
}

static void put_witness(char *line, size_t cap, unsigned i)
{
	char vkey[NOTE_VKEY_MAX];

	vkey_of(i, NOTE_COSIGN, vkey);
	snprintf(line, cap, "witness w%u %s\n", i, vkey);
}

/* A group of the one before it, and first a witness. */
static void put_group(char *line, size_t cap, unsigned i)
{
	if (i == 0)
		put_witness(line, cap, 0);
	else
		snprintf(line, cap, "group w%u any w%u\n", i, i - 1);
}

static void put_words(char *line, size_t cap, unsigned i)
{
	size_t n = (size_t)snprintf(line, cap, "group g any");

	(void)i;
	for (unsigned k = 0; k < 2 * TLOG_POLICY_MAX + 8; k++)
		n += (size_t)snprintf(line + n, cap - n, " w%u", k);
	snprintf(line + n, cap - n, "\n");
}

static void put_long_name(char *line, size_t cap, unsigned i)
{
	char vkey[NOTE_VKEY_MAX], name[NOTE_NAME_MAX + 2];

	vkey_of(i, NOTE_COSIGN, vkey);
	memset(name, 'w', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(line, cap, "witness %s %s\n", name, vkey);
}

static void put_comment(char *line, size_t cap, unsigned i)
{
	(void)cap, (void)i;
	memset(line, '#', 999);
	memcpy(line + 999, "\n", 2);
}

static void test_policy_limits(void **state)
{
	static struct tlog_policy p;
	static char text[TLOG_POLICY_TEXT_MAX + 1];

	(void)state;
	assert_int_equal(parse_many(TLOG_POLICY_MAX, put_log), KE_OK);
	assert_int_equal(parse_many(TLOG_POLICY_MAX + 1, put_log), KE_LIMIT);
	assert_int_equal(parse_many(TLOG_POLICY_MAX, put_witness), KE_OK);
	assert_int_equal(parse_many(TLOG_POLICY_MAX + 1, put_witness), KE_LIMIT);
	assert_int_equal(parse_many(1 + TLOG_POLICY_MAX, put_group), KE_OK);
	assert_int_equal(parse_many(1 + TLOG_POLICY_MAX + 1, put_group), KE_LIMIT);
	assert_int_equal(parse_many(1, put_words), KE_LIMIT);
	assert_int_equal(parse_many(1, put_long_name), KE_LIMIT);
	assert_int_equal(parse_many(60, put_comment), KE_OK);
	memset(text, '\n', sizeof(text));
	assert_int_equal(tlog_policy_parse(&p, text, sizeof(text), NULL), KE_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_policy),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_policy_text),
	    cmocka_unit_test(test_met_at),
	    cmocka_unit_test(test_policy_refusals),
	    cmocka_unit_test(test_policy_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
