/*
 * Checkpoints, cosignatures and proofs: the specification's own texts hold, whatever is altered in
 * them does not.
 */
#include "tests/unit/vectors.h"

#include <sodium.h>

#include "policy/be.h"
#include "policy/record2.h"
#include "policy/tlog.h"
#include "tests/unit/tlog_keys.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
