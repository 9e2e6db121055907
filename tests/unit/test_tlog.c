/*
 * Checkpoints, cosignatures, proofs and policies: the specification's own texts hold, whatever is
 * altered in them does not, and policies are read as c2sp.org/tlog-policy has them.
 */
#include "tests/unit/vectors.h"

#include <sodium.h>

#include "policy/be.h"
#include "policy/record2.h"
#include "policy/tlog.h"

struct keys {
	char operator_vkey[256], tickets_vkey[256], witness_vkey[256];
	struct note_key operator_key, tickets_key;
	struct note_key witness;
};

static void read_keys(struct keys *k)
{
	struct vectors v;

	vectors_open(&v, "draw2/keys.txt");
	while (vectors_next(&v)) {
		char *to = vectors_is(&v, "operator")  ? k->operator_vkey
			   : vectors_is(&v, "tickets") ? k->tickets_vkey
						       : k->witness_vkey;

		snprintf(to, sizeof(k->operator_vkey), "%s", v.word[1]);
	}
	assert_int_equal(
	    note_vkey_parse(&k->operator_key, k->operator_vkey, strlen(k->operator_vkey)), KE_OK);
	assert_int_equal(
	    note_vkey_parse(&k->tickets_key, k->tickets_vkey, strlen(k->tickets_vkey)), KE_OK);
	assert_int_equal(
	    note_witness_parse(&k->witness, k->witness_vkey, strlen(k->witness_vkey)), KE_OK);
}

/* The leaf hash of a ticket, or the ticket root: a word of draw2.txt. */
static void ticket_leaf(const char *index, uint8_t hash[32])
{
	struct vectors v;

	vectors_open(&v, "draw2.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "ticket") && strcmp(v.word[1], index) == 0)
			vectors_hex32(v.word[9], hash);
}

static void test_checkpoints(void **state)
{
	char note[2048], text[CHECKPOINT_TEXT_MAX];
	struct checkpoint c;
	struct keys k;
	size_t n, len;

	(void)state;
	read_keys(&k);
	n = vectors_file("draw2/operator.checkpoint", note, sizeof(note));
	assert_int_equal(checkpoint_open(&c, note, n, &k.operator_key), KE_OK);
	assert_true(c.size == 3);
	assert_string_equal(c.origin, "draws.example.org/klero");
	assert_int_equal(checkpoint_text(&c, text, sizeof(text), &len), KE_OK);
	assert_memory_equal(note, text, len);
	assert_true(note[len] == '\n');
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(checkpoint_text(&c, text, cap, &len), KE_FULL);
	/* the tickets' key has another name; a name alone does not do either */
	assert_int_equal(checkpoint_open(&c, note, n, &k.tickets_key), KE_NOTFOUND);
	n = vectors_file("draw2/tickets.checkpoint", note, sizeof(note));
	assert_int_equal(checkpoint_open(&c, note, n, &k.tickets_key), KE_OK);
	assert_true(c.size == 10);
	for (size_t i = 0; i < n; i++) {
		char was = note[i];

		note[i] ^= 1;
		/* witness lines are another matter: test_cosignatures */
		if (checkpoint_open(&c, note, n, &k.tickets_key) == KE_OK)
			assert_true(strstr(note, "\xe2\x80\x94 witness") < note + i || i > n - 100);
		note[i] = was;
	}
}

static void test_checkpoint_refusals(void **state)
{
	static const char hash[] = "hmFDTePNo/EVc8z8t1Xl542ejydk38snuE6mvgWliJM=";
	static const char *const bad[] = {
	    "",
	    "o\n",
	    "o\n1\n",
	    "o\n1\n%s",
	    "\n1\n%s\n",
	    "o p\n1\n%s\n",
	    "o+p\n1\n%s\n",
	    "o\n01\n%s\n",
	    "o\n-1\n%s\n",
	    "o\n18446744073709551616\n%s\n",
	    "o\n\n%s\n",
	    "o\n1\n%s\nextension\n",
	    "o\n1\nAAAA\n",
	    "o\n1\n%sA\n",
	    "o\n1\n%s\n\n",
	    "\xc3\xa9\n1\n%s\n",
	};
	struct checkpoint c;
	char text[512];
	size_t len;

	(void)state;
	snprintf(text, sizeof(text), "o\n1\n%s\n", hash);
	assert_int_equal(checkpoint_parse(&c, text, strlen(text)), KE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* each has at most the one place for the hash */
		const char *at = strstr(bad[i], "%s");
		int n = at == NULL ? snprintf(text, sizeof(text), "%s", bad[i])
				   : snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - bad[i]),
					 bad[i], hash, at + 2);

		assert_int_equal(checkpoint_parse(&c, text, (size_t)n), KE_FORMAT);
	}
	memset(&c, 0, sizeof(c));
	assert_int_equal(checkpoint_text(&c, text, sizeof(text), &len), KE_RANGE);
}

static void test_cosignatures(void **state)
{
	char note[2048], msg[COSIGN_TEXT_MAX], *witness;
	struct keys k;
	uint64_t when;
	size_t n, len;

	(void)state;
	read_keys(&k);
	n = vectors_file("draw2/operator.checkpoint", note, sizeof(note));
	assert_int_equal(cosign_verify(note, n, &k.witness, &when), KE_OK);
	assert_true(when > 1780000000 && when < 1800000000);
	witness = strstr(note, "\xe2\x80\x94 witness");
	assert_non_null(witness);
	/* a changed text or cosignature is wrong; another name or key id is another's */
	for (size_t i = 0; i < n; i++) {
		int r;

		note[i] ^= 1;
		r = cosign_verify(note, n, &k.witness, &when);
		/* the log's own signature is no part of what a witness signs */
		if (r == KE_OK)
			assert_true(note + i > strstr(note, "\n\n") && note + i < witness);
		if (r == KE_NOTFOUND)
			assert_true(note + i >= witness && note + i < witness + 4 + 23 + 8);
		note[i] ^= 1;
	}
	n = (size_t)(witness - note);
	assert_int_equal(cosign_verify(note, n, &k.witness, &when), KE_NOTFOUND);
	assert_int_equal(cosign_text((uint64_t)1 << 63, "x", 1, msg, sizeof(msg), &len), KE_RANGE);
	assert_int_equal(cosign_text(1, "x", 1, msg, 22, &len), KE_FULL);
	assert_int_equal(cosign_text(1679315147, "x\n", 2, msg, sizeof(msg), &len), KE_OK);
	assert_int_equal(len, strlen("cosignature/v1\ntime 1679315147\nx\n"));
	assert_memory_equal(msg, "cosignature/v1\ntime 1679315147\nx\n", len);
}

static void assert_proof(const char *name, const uint8_t leaf[32], const struct note_key *log,
    uint64_t index, uint64_t size)
{
	char text[4096], again[8192];
	struct tlog_proof p;
	struct checkpoint c;
	size_t n = vectors_file(name, text, sizeof(text)), len;
	uint8_t other[32];

	assert_int_equal(tlog_proof_parse(&p, text, n), KE_OK);
	assert_true(p.index == index && p.extra_len == 0);
	assert_int_equal(tlog_proof_verify(&p, leaf, log, &c), KE_OK);
	assert_true(c.size == size);
	memcpy(other, leaf, 32);
	other[31] ^= 1;
	assert_int_equal(tlog_proof_verify(&p, other, log, &c), KE_CRYPTO);
	assert_int_equal(tlog_proof_text(&p, again, sizeof(again), &len), KE_OK);
	assert_true(len == n && memcmp(again, text, n) == 0);
	for (size_t cap = 0; cap < n; cap += 13)
		assert_int_equal(tlog_proof_text(&p, again, cap, &len), KE_FULL);
	/* up to the note each bit counts */
	for (size_t i = 0; i < n - p.note_len; i++) {
		text[i] ^= 1;
		if (tlog_proof_parse(&p, text, n) == KE_OK)
			assert_int_not_equal(tlog_proof_verify(&p, leaf, log, &c), KE_OK);
		text[i] ^= 1;
	}
	assert_int_equal(tlog_proof_parse(&p, text, n), KE_OK);
	memcpy(p.extra, "salt", 4);
	p.extra_len = 4;
	assert_int_equal(tlog_proof_text(&p, again, sizeof(again), &len), KE_OK);
	assert_non_null(strstr(again, "@v1\nextra c2FsdA==\nindex "));
	p.extra_len = 0;
	assert_int_equal(tlog_proof_parse(&p, again, len), KE_OK);
	assert_int_equal(p.extra_len, 4);
	assert_int_equal(tlog_proof_verify(&p, leaf, log, &c), KE_OK);
}

static void test_proofs(void **state)
{
	char text[8192];
	uint8_t leaf[32];
	struct keys k;

	(void)state;
	read_keys(&k);
	ticket_leaf("7", leaf);
	assert_proof("draw2/ticket-7.tlog-proof", leaf, &k.tickets_key, 7, 10);
	record2_leaf(leaf, text, vectors_file("draw2/draw.record", text, sizeof(text)));
	assert_proof("draw2/draw.tlog-proof", leaf, &k.operator_key, 2, 3);
}

static void test_proof_refusals(void **state)
{
	static const char *const bad[] = {
	    "",
	    "c2sp.org/tlog-proof@v1",
	    "c2sp.org/tlog-proof@v2\nindex 0\n\n",
	    "c2sp.org/tlog-proof@v1\n\n",
	    "c2sp.org/tlog-proof@v1\nindex 00\n\n",
	    "c2sp.org/tlog-proof@v1\nextra\nindex 0\n\n",
	    "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n",
	    "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n",
	    "c2sp.org/tlog-proof@v1\nindex 0\n",
	    "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\n",
	};
	char text[8192] = "c2sp.org/tlog-proof@v1\nindex 0\n";
	struct tlog_proof p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(tlog_proof_parse(&p, bad[i], strlen(bad[i])), KE_OK);
	for (int i = 0; i < TLOG_PATH_MAX + 1; i++)
		strcat(text, "hmFDTePNo/EVc8z8t1Xl542ejydk38snuE6mvgWliJM=\n");
	strcat(text, "\n");
	assert_int_equal(tlog_proof_parse(&p, text, strlen(text)), KE_LIMIT);
}

/* What is longer than a reader takes is not written. */
static void test_unwritable(void **state)
{
	static struct tlog_submission s = {.note = "", .path_len = TLOG_CONSISTENCY_MAX + 1};
	static struct tlog_proof p = {.note = "", .extra_len = TLOG_EXTRA_MAX + 1};
	char text[8192];
	size_t n;

	(void)state;
	assert_int_equal(tlog_submission_text(&s, text, sizeof(text), &n), KE_RANGE);
	assert_int_equal(tlog_proof_text(&p, text, sizeof(text), &n), KE_RANGE);
	p.extra_len = 0;
	p.path_len = TLOG_PATH_MAX + 1;
	assert_int_equal(tlog_proof_text(&p, text, sizeof(text), &n), KE_RANGE);
}

/* --- notes of two keys that everybody knows --- */

static struct note_key own_key, own_witness;
static uint8_t own_secret[64], witness_secret[64];

static void make_keys(void)
{
	const uint8_t one[32] = {1}, two[32] = {2};

	own_key = (struct note_key){.name = "a.example/klero", .type = NOTE_ED25519};
	own_witness = (struct note_key){.name = "w.example", .type = NOTE_COSIGN};
	crypto_sign_seed_keypair(own_key.pub, own_secret, one);
	crypto_sign_seed_keypair(own_witness.pub, witness_secret, two);
	note_key_id(own_key.id, own_key.name, own_key.type, own_key.pub);
	note_key_id(own_witness.id, own_witness.name, own_witness.type, own_witness.pub);
}

/* A checkpoint of that origin, signed by own_key. */
static size_t own_note(const char *origin, char *note, size_t cap)
{
	struct checkpoint c = {.size = 1};
	uint8_t sig[64];
	size_t n, line;

	snprintf(c.origin, sizeof(c.origin), "%s", origin);
	assert_int_equal(checkpoint_text(&c, note, cap, &n), KE_OK);
	crypto_sign_detached(sig, NULL, (const uint8_t *)note, n, own_secret);
	note[n++] = '\n';
	assert_int_equal(
	    note_sig_line(own_key.name, own_key.type, own_key.id, sig, note + n, cap - n, &line),
	    KE_OK);
	return n + line;
}

/* Its first signature is one line; the text is before the empty one. */
static size_t cosign(char *note, size_t n, size_t cap, uint64_t time_s, size_t extra)
{
	size_t text_len = (size_t)(strstr(note, "\n\n") - note) + 1, len;
	char msg[COSIGN_TEXT_MAX], b64[TEXT_B64_LEN(4 + COSIGN_LEN + 8) + 1];
	uint8_t sig[4 + COSIGN_LEN + 8] = {0};

	assert_int_equal(cosign_text(time_s, note, text_len, msg, sizeof(msg), &len), KE_OK);
	memcpy(sig, own_witness.id, 4);
	be_put64(sig + 4, time_s);
	crypto_sign_detached(sig + 12, NULL, (const uint8_t *)msg, len, witness_secret);
	text_b64(b64, sig, 4 + COSIGN_LEN + extra);
	return n + (size_t)snprintf(note + n, cap - n, "\xe2\x80\x94 w.example %s\n", b64);
}

/* The log's own name is the first line of its checkpoints. */
static void test_other_origin(void **state)
{
	char note[2048];
	struct checkpoint c;
	size_t n;

	(void)state;
	make_keys();
	n = own_note(own_key.name, note, sizeof(note));
	assert_int_equal(checkpoint_open(&c, note, n, &own_key), KE_OK);
	n = own_note("b.example/klero", note, sizeof(note));
	assert_int_equal(checkpoint_open(&c, note, n, &own_key), KE_FORMAT);
}

/* Several cosignatures of one witness: the earliest time counts, and one wrong one spoils all. */
static void test_several_cosignatures(void **state)
{
	char note[4096];
	uint64_t when;
	size_t n, good;

	(void)state;
	make_keys();
	n = own_note(own_key.name, note, sizeof(note));
	n = cosign(note, n, sizeof(note), 1700000005, 0);
	n = cosign(note, n, sizeof(note), 1700000003, 0);
	n = cosign(note, n, sizeof(note), 1700000004, 0);
	assert_int_equal(cosign_verify(note, n, &own_witness, &when), KE_OK);
	assert_true(when == 1700000003);
	good = n;
	n = cosign(note, n, sizeof(note), 1700000006, 8);
	assert_int_equal(cosign_verify(note, n, &own_witness, &when), KE_CRYPTO);
	n = good;
	note[n - 10] = note[n - 10] == 'A' ? 'B' : 'A';
	n = cosign(note, n, sizeof(note), 1700000007, 0);
	assert_int_equal(cosign_verify(note, n, &own_witness, &when), KE_CRYPTO);
}

/* --- policies --- */

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
	    cmocka_unit_test(test_checkpoints),
	    cmocka_unit_test(test_checkpoint_refusals),
	    cmocka_unit_test(test_cosignatures),
	    cmocka_unit_test(test_proofs),
	    cmocka_unit_test(test_proof_refusals),
	    cmocka_unit_test(test_unwritable),
	    cmocka_unit_test(test_other_origin),
	    cmocka_unit_test(test_several_cosignatures),
	    cmocka_unit_test(test_policy),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_policy_text),
	    cmocka_unit_test(test_met_at),
	    cmocka_unit_test(test_policy_refusals),
	    cmocka_unit_test(test_policy_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
