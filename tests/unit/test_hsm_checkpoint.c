/*
 * Checkpoints at klerod-hsm as it runs: signed under the log's own name, never of a log that shrank
 * or became another, and after a restart from the note that hsm itself has signed.
 */
#include "policy/merkle.h"
#include "policy/origin.h"
#include "policy/tlog.h"
#include "tests/unit/hsm_peer.h"

#define TREE 40

static uint8_t leaves[TREE][32];
static uint8_t roots[TREE + 1][32];

struct say {
	struct log_name log;
	uint64_t size, from;
	const uint8_t *root; /* NULL: the tree's */
	uint8_t proof[MERKLE_LEVELS + 2][32];
	size_t n;
	const char *note;
	size_t note_len;
};

static int setup(void **state)
{
	struct merkle_range r;

	merkle_range_init(&r);
	merkle_range_root(&r, roots[0]);
	for (uint64_t i = 0; i < TREE; i++) {
		merkle_leaf_hash(leaves[i], &i, sizeof i);
		merkle_range_add(&r, leaves[i]);
		merkle_range_root(&r, roots[i + 1]);
	}
	return peer_setup(state);
}

/* By the plain definition: the root of the leaves from on, n of them. */
static void plain_root(uint8_t out[32], uint64_t from, uint64_t n)
{
	struct merkle_range r;

	merkle_range_init(&r);
	for (uint64_t i = 0; i < n; i++)
		merkle_range_add(&r, leaves[from + i]);
	merkle_range_root(&r, out);
}

static int sign(struct peer *p, const struct say *s)
{
	static uint8_t body[MSG_BODY_MAX];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, s->log.oplog);
	wire_put_raw(&w, s->log.raffle, 16);
	wire_put_u64(&w, s->size);
	wire_put_raw(&w, s->root != NULL ? s->root : roots[s->size], 32);
	wire_put_u64(&w, s->from);
	wire_put_u8(&w, (uint8_t)s->n);
	wire_put_raw(&w, s->proof, s->n * 32);
	wire_put_str(&w, s->note, s->note_len);
	assert_int_equal(w.err, KE_OK);
	return ask(p, MSG_HSM_SIGN_CHECKPOINT, body, w.len);
}

/* The whole note; what hsm has signed stands in p->in. It must open under the log's own key. */
static size_t note_of(struct peer *p, const struct say *s, char note[1024])
{
	struct checkpoint c = {.size = s->size}, back;
	struct note_key vkey, k;
	uint8_t id[4], sig[64], type;
	size_t n, line;

	assert_int_equal(wire_get_u64(&p->in), s->size);
	wire_get_raw(&p->in, id, 4);
	type = wire_get_u8(&p->in);
	wire_get_raw(&p->in, sig, 64);
	assert_int_equal(wire_end(&p->in), KE_OK);
	assert_int_equal(origin_of(&s->log, FX_HOST, c.origin), KE_OK);
	memcpy(c.root, roots[s->size], 32);
	assert_int_equal(checkpoint_text(&c, note, 512, &n), KE_OK);
	note[n++] = '\n';
	assert_int_equal(
	    note_sig_line(c.origin, (enum note_type)type, id, sig, note + n, 512, &line), KE_OK);
	assert_int_equal(
	    note_vkey_parse(&vkey, ctx.keys.log_vkey, strlen(ctx.keys.log_vkey)), KE_OK);
	assert_int_equal(origin_key(&s->log, FX_HOST, vkey.type, vkey.pub, &k), KE_OK);
	assert_int_equal(checkpoint_open(&back, note, n + line, &k), KE_OK);
	return n + line;
}

/* 8 → 12: the subtrees 8..11 */
static struct say grown(struct log_name log)
{
	struct say s = {.log = log, .size = 12, .from = 8, .n = 1};

	plain_root(s.proof[0], 8, 4);
	return s;
}

static void test_grows(void **state)
{
	static struct peer p;
	struct log_name op = {.oplog = true}, raffle = {.raffle = {1, 2, 3}};
	struct say s = {.log = op}, t = grown(raffle);
	char note[1024];

	(void)state;
	start_role(&p, ROLE_HSM);
	assert_int_equal(sign(&p, &s), KE_OK);
	note_of(&p, &s, note);
	s.size = 5;
	assert_int_equal(sign(&p, &s), KE_OK);
	note_of(&p, &s, note);
	s = (struct say){.log = raffle, .size = 8};
	assert_int_equal(sign(&p, &s), KE_OK);
	note_of(&p, &s, note);
	assert_true(strstr(note, FX_HOST "/klero/r/01020300000000000000000000000000\n8\n") == note);
	/* the same again, then more */
	s.from = 8;
	assert_int_equal(sign(&p, &s), KE_OK);
	assert_int_equal(sign(&p, &t), KE_OK);
	note_of(&p, &t, note);
	stop_role(&p);
}

static void test_refused(void **state)
{
	static struct peer p;
	struct log_name raffle = {.raffle = {1, 2, 4}};
	struct say s = {.log = raffle, .size = 8}, t = grown(raffle);

	(void)state;
	start_role(&p, ROLE_HSM);
	s.root = roots[7];
	s.size = 0;
	assert_int_equal(sign(&p, &s), KE_DENIED); /* nothing has one root only */
	s.root = NULL;
	s.size = 8;
	assert_int_equal(sign(&p, &s), KE_OK);
	/* from where hsm does not know it: it says where */
	t.from = 4;
	assert_int_equal(sign(&p, &t), KE_STATE);
	assert_int_equal(wire_get_u64(&p.in), 8);
	assert_int_equal(wire_end(&p.in), KE_OK);
	t.from = 8;
	t.n = 0;
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.n = 2;
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.n = 1;
	t.proof[0][31] ^= 1;
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.proof[0][31] ^= 1;
	t.root = roots[13];
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.root = NULL;
	s.from = 8;
	s.root = roots[9];
	assert_int_equal(sign(&p, &s), KE_DENIED); /* the same size, another tree */
	assert_int_equal(sign(&p, &t), KE_OK);
	s.root = NULL;
	assert_int_equal(sign(&p, &s), KE_DENIED); /* smaller than what is signed now */
	stop_role(&p);
}

/* A name that is no log's, a proof that no tree needs. */
static void test_blamed(void **state)
{
	static struct peer p;
	uint8_t body[128] = {0};

	(void)state;
	start_role(&p, ROLE_HSM);
	expect_blame(&p, MSG_HSM_SIGN_CHECKPOINT, body, 68); /* a raffle without an id */
	body[0] = 1;
	body[1] = 1;
	expect_blame(&p, MSG_HSM_SIGN_CHECKPOINT, body, 68);
	body[0] = 2;
	expect_blame(&p, MSG_HSM_SIGN_CHECKPOINT, body, 68);
	body[0] = 0;
	body[65] = 66;
	expect_blame(&p, MSG_HSM_SIGN_CHECKPOINT, body, 128);
	expect_blame(&p, MSG_HSM_SIGN_CHECKPOINT, body, 69);
	stop_role(&p);
}

/* A fresh hsm believes its own signature only, and goes on from there. */
static void test_restart(void **state)
{
	static struct peer p;
	struct log_name raffle = {.raffle = {1, 2, 5}};
	struct say s = {.log = raffle, .size = 8}, t = grown(raffle);
	char note[1024];
	size_t n;

	(void)state;
	start_role(&p, ROLE_HSM);
	assert_int_equal(sign(&p, &s), KE_OK);
	n = note_of(&p, &s, note);
	stop_role(&p);
	start_role(&p, ROLE_HSM);
	t.note = note;
	t.note_len = n;
	for (size_t i = 0; i < n; i += 3) {
		note[i] ^= 1;
		assert_int_equal(sign(&p, &t), KE_DENIED);
		note[i] ^= 1;
	}
	/* of another log */
	t.log.raffle[0] ^= 1;
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.log.raffle[0] ^= 1;
	t.n = 0;
	assert_int_equal(sign(&p, &t), KE_DENIED);
	t.n = 1;
	t.from = 0;
	assert_int_equal(sign(&p, &t), KE_STATE);
	t.from = 8;
	assert_int_equal(sign(&p, &t), KE_OK);
	note_of(&p, &t, note);
	stop_role(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grows),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_blamed),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, setup, peer_teardown);
}
