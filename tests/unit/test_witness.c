/*
 * The witness in the real klerod-hsm, with a captured engine as the one who asks: one growing tree
 * of each log is cosigned, by its own log key's word alone, over restarts and by two processes at
 * once; whatever would be a second view is refused. And the texts of c2sp.org/tlog-witness.
 */
#include "tests/unit/hsm_peer.h"

#include "hsm/once/once.h"
#include "policy/merkle.h"
#include "policy/origin.h"
#include "policy/tlog.h"

#define LEAVES 64
#define ORIGIN "peer.example/klero"

static struct peer hsm;
static struct note_key log_key, witness;
static uint8_t log_secret[64];

/* A tree of the same leaves up to its size, but for one that is altered. */
struct tree {
	uint8_t leaf[LEAVES][32];
};

static void plant(struct tree *t, unsigned altered)
{
	for (unsigned i = 0; i < LEAVES; i++) {
		char text[32];

		snprintf(text, sizeof text, "leaf %u%s", i, i == altered ? "!" : "");
		merkle_leaf_hash(t->leaf[i], text, strlen(text));
	}
}

/* RFC 6962 section 2.1, by recursion as it stands there. */
static void tree_hash(const struct tree *t, size_t from, size_t n, uint8_t out[32])
{
	uint8_t left[32], right[32];
	size_t k = 1;

	if (n == 1) {
		memcpy(out, t->leaf[from], 32);
		return;
	}
	while (2 * k < n)
		k *= 2;
	tree_hash(t, from, k, left);
	tree_hash(t, from + k, n - k, right);
	merkle_node_hash(out, left, right);
}

static void subproof(const struct tree *t, size_t m, size_t from, size_t n, bool whole,
    uint8_t (*path)[32], uint8_t *len)
{
	size_t k = 1;

	if (m == n) {
		if (!whole)
			tree_hash(t, from, n, path[(*len)++]);
		return;
	}
	while (2 * k < n)
		k *= 2;
	if (m <= k) {
		subproof(t, m, from, k, whole, path, len);
		tree_hash(t, from + k, n - k, path[(*len)++]);
	} else {
		subproof(t, m - k, from + k, n - k, false, path, len);
		tree_hash(t, from, k, path[(*len)++]);
	}
}

static struct checkpoint head_of(const struct tree *t, uint64_t size, const char *origin)
{
	struct checkpoint c = {.size = size};

	snprintf(c.origin, sizeof c.origin, "%s", origin);
	tree_hash(t, 0, size, c.root);
	return c;
}

/* The answer's cosignature must verify by software on the note that it belongs to. */
static void check_cosignature(const struct checkpoint *c)
{
	char note[1024], line[COSIGN_LINE_MAX];
	uint8_t id[4], sig[64];
	uint64_t when, now = (uint64_t)time(NULL), seen;
	size_t n, len;

	wire_get_raw(&hsm.in, id, 4);
	when = wire_get_u64(&hsm.in);
	wire_get_raw(&hsm.in, sig, 64);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	assert_memory_equal(id, witness.id, 4);
	assert_true(when <= now && when + 60 > now);
	assert_int_equal(checkpoint_text(c, note, sizeof note, &n), KE_OK);
	note[n++] = '\n';
	assert_int_equal(cosign_line(&witness, when, sig, line, &len), KE_OK);
	memcpy(note + n, line, len);
	assert_int_equal(cosign_verify(note, n + len, &witness, &seen), KE_OK);
	assert_true(seen == when);
}

static int submit(const struct tree *t, uint64_t old, const struct checkpoint *c, int spoil)
{
	uint8_t body[4096], sig[64], path[TLOG_CONSISTENCY_MAX][32], n = 0;
	char text[CHECKPOINT_TEXT_MAX];
	struct wire_out w;
	size_t len;
	int r;

	assert_int_equal(checkpoint_text(c, text, sizeof text, &len), KE_OK);
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, len, log_secret);
	if (old > 0 && old < c->size)
		subproof(t, old, 0, c->size, true, path, &n);
	if (spoil == 1)
		sig[3] ^= 1;
	if (spoil == 2)
		path[0][3] ^= 1;
	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, c->origin);
	wire_put_u64(&w, c->size);
	wire_put_raw(&w, c->root, 32);
	wire_put_str(&w, sig, sizeof sig);
	wire_put_u64(&w, old);
	wire_put_u8(&w, n);
	wire_put_raw(&w, path, (size_t)n * 32);
	r = ask(&hsm, MSG_HSM_COSIGN, body, w.len);
	if (r == KE_OK)
		check_cosignature(c);
	return r;
}

static int grow(const struct tree *t, uint64_t old, uint64_t size)
{
	struct checkpoint c = head_of(t, size, ORIGIN);

	return submit(t, old, &c, 0);
}

static int setup(void **state)
{
	char vkey[NOTE_VKEY_MAX];
	struct note_key own;

	if (peer_setup(state) != 0)
		return 1;
	crypto_sign_keypair(log_key.pub, log_secret);
	assert_int_equal(note_vkey(ORIGIN, NOTE_ED25519, log_key.pub, vkey, sizeof vkey), KE_OK);
	assert_int_equal(note_vkey_parse(&log_key, vkey, strlen(vkey)), KE_OK);
	snprintf(witness_log, sizeof witness_log, "%s", vkey);
	/* the witness's key is the log key under another name and type */
	assert_int_equal(
	    note_vkey_parse(&own, ctx.keys.log_vkey, strcspn(ctx.keys.log_vkey, "\n")), KE_OK);
	assert_int_equal(origin_witness(FX_HOST, witness.name), KE_OK);
	witness.type = NOTE_COSIGN;
	memcpy(witness.pub, own.pub, 32);
	note_key_id(witness.id, witness.name, NOTE_COSIGN, witness.pub);
	return 0;
}

static void expect_state(const struct tree *t, uint64_t old, uint64_t size, uint64_t last)
{
	assert_int_equal(grow(t, old, size), KE_STATE);
	assert_true(wire_get_u64(&hsm.in) == last);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

static void test_one_growing_tree(void **state)
{
	struct tree t, other;
	struct checkpoint c;

	(void)state;
	plant(&t, LEAVES);
	plant(&other, 2);
	start_role(&hsm, ROLE_HSM);
	expect_state(&t, 3, 5, 0);
	assert_int_equal(grow(&t, 0, 5), KE_OK);
	assert_int_equal(grow(&t, 5, 5), KE_OK); /* again, at another time */
	expect_state(&t, 0, 7, 5);
	for (uint64_t size = 5; size < 40; size += 5)
		assert_int_equal(grow(&t, size, size + 5), KE_OK);
	expect_state(&t, 33, 33, 40);
	/* a split view, and what is not shown to follow */
	assert_int_equal(grow(&other, 40, 40), KE_EXISTS);
	assert_true(fx_logged(&ctx.f, "a split view"));
	assert_int_equal(grow(&other, 40, 50), KE_CRYPTO);
	assert_true(fx_logged(&ctx.f, "not shown to hold what was cosigned"));
	c = head_of(&t, 50, ORIGIN);
	assert_int_equal(submit(&t, 40, &c, 1), KE_AUTH);
	assert_int_equal(submit(&t, 40, &c, 2), KE_CRYPTO);
	assert_int_equal(submit(&t, 40, &c, 0), KE_OK);
	stop_role(&hsm);
	/* a fresh one remembers */
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(grow(&other, 50, 50), KE_EXISTS);
	expect_state(&t, 0, 5, 50);
	assert_int_equal(grow(&t, 50, 51), KE_OK);
	stop_role(&hsm);
}

static void test_other_logs(void **state)
{
	static const char *const strange[] = {"peer.example/kler", "peer.example/klero/x",
	    "peer.example/klero/r/", "peer.example/klero/r/0123456789abcdef0123456789abcdeg",
	    "peer.example/klero/r/0123456789ABCDEF0123456789abcdef",
	    "peer.example/klero/r/0123456789abcdef0123456789abcdef0", FX_HOST "/klero",
	    "cosignature/v1"};
	struct checkpoint c;
	struct tree t;

	(void)state;
	plant(&t, LEAVES);
	start_role(&hsm, ROLE_HSM);
	for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
		c = head_of(&t, 5, strange[i]);
		assert_int_equal(submit(&t, 0, &c, 0), KE_NOTFOUND);
	}
	/* a ticket log of that appliance, which is another tree */
	c = head_of(&t, 9, ORIGIN "/r/0123456789abcdef0123456789abcdef");
	assert_int_equal(submit(&t, 0, &c, 0), KE_OK);
	/* an empty one has one root */
	c = (struct checkpoint){.origin = ORIGIN "/r/00000000000000000000000000000000"};
	assert_int_equal(submit(&t, 0, &c, 0), KE_EXISTS);
	crypto_hash_sha256(c.root, NULL, 0);
	assert_int_equal(submit(&t, 0, &c, 0), KE_OK);
	stop_role(&hsm);
}

static void test_garbage(void **state)
{
	static const uint8_t zeros[64];
	uint8_t body[4096] = {0};
	struct wire_out w;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	expect_blame(&hsm, MSG_HSM_COSIGN, body, 50);
	expect_blame(&hsm, MSG_HSM_COSIGN, body, 200);
	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, ORIGIN);
	wire_put_u64(&w, 1);
	wire_put_raw(&w, zeros, 32);
	wire_put_str(&w, zeros, 64);
	wire_put_u64(&w, 0);
	wire_put_u8(&w, 64);
	memset(body + w.len, 0, 64 * 32);
	expect_blame(&hsm, MSG_HSM_COSIGN, body, w.len + 64 * 32);
	stop_role(&hsm);
}

/* Two processes that know the same cosign two successors: only one of them counts, for both. */
static void test_at_once(void **state)
{
	static struct once a, b;
	struct once_log last;
	uint8_t one[32] = {1}, two[32] = {2}, three[32] = {3};

	(void)state;
	assert_int_equal(ftruncate(ctx.f.journal, 0), 0);
	assert_int_equal(once_init(&a, ctx.f.journal, (const uint8_t *)FX_APPLIANCE), KE_OK);
	assert_int_equal(once_init(&b, ctx.f.journal, (const uint8_t *)FX_APPLIANCE), KE_OK);
	assert_int_equal(once_cosigned(&a, ORIGIN, &last), KE_NOTFOUND);
	assert_int_equal(once_cosign(&a, ORIGIN, 0, 5, one), KE_OK);
	assert_int_equal(once_cosign(&b, ORIGIN, 0, 6, two), KE_CONFLICT);
	assert_int_equal(once_cosign(&b, ORIGIN, 5, 7, three), KE_OK);
	assert_int_equal(once_cosign(&a, ORIGIN, 5, 7, two), KE_CONFLICT);
	assert_int_equal(once_cosign(&a, ORIGIN, 7, 7, three), KE_CONFLICT);
	assert_int_equal(once_cosigned(&a, ORIGIN, &last), KE_OK);
	assert_true(last.size == 7);
	assert_memory_equal(last.root, three, 32);
	assert_int_equal(once_load(&b, ctx.f.journal), KE_OK);
	assert_int_equal(once_cosigned(&b, ORIGIN, &last), KE_OK);
	assert_true(last.size == 7 && b.damaged == 0);
	assert_int_equal(once_cosigned(&b, ORIGIN "/r/x", &last), KE_NOTFOUND);
}

/* The example of the specification, both ways. */
static void test_submission(void **state)
{
	static const char text[] = "old 20852014\n"
				   "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
				   "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
				   "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
				   "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
				   "\n"
				   "example.com/behind-the-sofa\n";
	char again[TLOG_SUBMISSION_MAX], many[TLOG_SUBMISSION_MAX] = "old 1\n";
	struct tlog_submission s;
	size_t n;

	(void)state;
	assert_int_equal(tlog_submission_parse(&s, text, sizeof text - 1), KE_OK);
	assert_true(s.old == 20852014 && s.path_len == 4 && s.note_len == 28);
	assert_int_equal(tlog_submission_text(&s, again, sizeof again, &n), KE_OK);
	assert_int_equal(n, sizeof text - 1);
	assert_memory_equal(again, text, n);
	for (size_t cut = 0; cut < n - s.note_len; cut++)
		assert_int_equal(tlog_submission_parse(&s, text, cut), KE_FORMAT);
	assert_int_equal(tlog_submission_parse(&s, "old 01\n\n", 8), KE_FORMAT);
	assert_int_equal(tlog_submission_parse(&s, "old 0\n\n", 7), KE_OK);
	n = 6;
	for (unsigned i = 0; i < 64; i++, n += 45)
		memcpy(many + n, "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n", 45);
	many[n++] = '\n';
	assert_int_equal(tlog_submission_parse(&s, many, n), KE_LIMIT);
}

/* Of an answer only the line that verifies by the known key is taken. */
static void test_answers(void **state)
{
	char note[1024], answer[2048], good[COSIGN_LINE_MAX], msg[COSIGN_TEXT_MAX];
	uint8_t secret[64], sig[64];
	struct note_key w = {.type = NOTE_COSIGN, .name = "w.example"};
	struct checkpoint c = {.origin = ORIGIN, .size = 1};
	size_t n, len, got;
	const char *line;
	uint64_t when;

	(void)state;
	crypto_sign_keypair(w.pub, secret);
	note_key_id(w.id, w.name, w.type, w.pub);
	assert_int_equal(checkpoint_text(&c, note, sizeof note, &n), KE_OK);
	assert_int_equal(cosign_text(77, note, n, msg, sizeof msg, &len), KE_OK);
	crypto_sign_detached(sig, NULL, (const uint8_t *)msg, len, secret);
	assert_int_equal(cosign_line(&w, 77, sig, good, &len), KE_OK);
	snprintf(note + n, sizeof note - n, "\n" NOTE_DASH "other AAAAAAAA\n");
	n = strlen(note);
	snprintf(answer, sizeof answer, NOTE_DASH "other AAAAAAAA\n%s", good);
	assert_int_equal(
	    cosign_take(note, n, answer, strlen(answer), &w, &line, &got, &when), KE_OK);
	assert_true(when == 77 && got == len && memcmp(line, good, len) == 0);
	answer[strlen(answer) - 10] = (char)(answer[strlen(answer) - 10] == 'A' ? 'B' : 'A');
	assert_int_equal(
	    cosign_take(note, n, answer, strlen(answer), &w, &line, &got, &when), KE_CRYPTO);
	assert_int_equal(cosign_take(note, n, "", 0, &w, &line, &got, &when), KE_NOTFOUND);
	assert_int_equal(cosign_take(note, n, "x\n", 2, &w, &line, &got, &when), KE_FORMAT);
	assert_int_equal(cosign_take(note, n, good, len - 1, &w, &line, &got, &when), KE_FORMAT);
	/* on another checkpoint it is wrong */
	c.size = 2;
	assert_int_equal(checkpoint_text(&c, note, sizeof note, &n), KE_OK);
	snprintf(note + n, sizeof note - n, "\n" NOTE_DASH "other AAAAAAAA\n");
	assert_int_equal(
	    cosign_take(note, strlen(note), good, len, &w, &line, &got, &when), KE_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_submission),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_one_growing_tree),
	    cmocka_unit_test(test_other_logs),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_at_once),
	};

	return cmocka_run_group_tests(tests, setup, peer_teardown);
}
