/*
 * A v2 raffle in klerod-hsm with a policy that names a witness: its seed is revealed only when the
 * close record is shown under a checkpoint of hsm's own that this witness had cosigned in time. A
 * captured engine is the one who shows it.
 */
#include "tests/unit/life_ask.h"

#include "policy/merkle.h"
#include "policy/tlog.h"

static struct note_key witness;
static uint8_t witness_secret[64];

static void make_witness(void)
{
	char vkey[NOTE_VKEY_MAX];

	witness = (struct note_key){.name = "w.example", .type = NOTE_COSIGN};
	crypto_sign_keypair(witness.pub, witness_secret);
	note_key_id(witness.id, witness.name, witness.type, witness.pub);
	assert_int_equal(
	    note_vkey(witness.name, witness.type, witness.pub, vkey, sizeof vkey), KE_OK);
	snprintf(witness_policy, sizeof witness_policy, "witness w %s\nquorum w\n", vkey);
}

/* hsm's note on an operator log of two leaves. */
static size_t two_leaves(const uint8_t leaf[2][32], char note[4096])
{
	struct checkpoint c = {.size = 2};
	uint8_t body[256], id[4], sig[64], type;
	struct wire_out w;
	size_t n, len;

	assert_int_equal(origin_of(&(struct log_name){.oplog = true}, FX_HOST, c.origin), KE_OK);
	merkle_node_hash(c.root, leaf[0], leaf[1]);
	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, 1);
	wire_put_raw(&w, (uint8_t[16]){0}, 16);
	wire_put_u64(&w, 2);
	wire_put_raw(&w, c.root, 32);
	wire_put_u64(&w, 0);
	wire_put_u8(&w, 0);
	wire_put_str(&w, NULL, 0);
	assert_int_equal(ask(&hsm, MSG_HSM_SIGN_CHECKPOINT, body, w.len), KE_OK);
	assert_int_equal(wire_get_u64(&hsm.in), 2);
	wire_get_raw(&hsm.in, id, 4);
	type = wire_get_u8(&hsm.in);
	wire_get_raw(&hsm.in, sig, 64);
	assert_int_equal(checkpoint_text(&c, note, 4096, &n), KE_OK);
	note[n++] = '\n';
	assert_int_equal(
	    note_sig_line(c.origin, (enum note_type)type, id, sig, note + n, 1024, &len), KE_OK);
	return n + len;
}

/* The close record at index 1, under the note with a cosignature of that moment; 0: without. */
static void show_seen(const uint8_t leaf[2][32], const char *note, size_t n, uint64_t when_s)
{
	struct tlog_proof p = {.index = 1, .path_len = 1};
	char with[8192], msg[COSIGN_TEXT_MAX];
	const char *end = memmem(note, n, "\n\n", 2);
	uint8_t sig[64];
	size_t len;

	memcpy(p.path[0], leaf[0], 32);
	memcpy(with, note, n);
	if (when_s > 0) {
		assert_int_equal(
		    cosign_text(when_s, note, (size_t)(end - note) + 1, msg, sizeof msg, &len),
		    KE_OK);
		crypto_sign_detached(sig, NULL, (const uint8_t *)msg, len, witness_secret);
		assert_int_equal(cosign_line(&witness, when_s, sig, with + n, &len), KE_OK);
		n += len;
	}
	p.note = with;
	p.note_len = n;
	assert_int_equal(tlog_proof_text(&p, seen, sizeof seen, &seen_len), KE_OK);
}

static void expect_unseen(const struct raffle *r, const char *words)
{
	assert_int_equal(reveal(r), KE_DENIED);
	assert_true(said(words));
}

/* Where a policy names witnesses, no seed is revealed for a close that they have not seen in time.
 */
static void test_witnesses(void **state)
{
	static const char unshown[] = "its close record is not shown to be in the operator log",
			  unseen[] = "too few witnesses saw its close record in time";
	static struct raffle r;
	uint8_t leaf[2][32], other[2][32] = {{1}, {2}};
	char note[4096];
	uint64_t until_s;
	size_t n;

	(void)state;
	make_witness();
	begin();
	make(&r, now() + 4);
	assert_int_equal(agree(&r), KE_OK);
	sleep_until(r.open.terms.sales_close_s);
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	record2_leaf(leaf[0], r.text[0], r.len[0]);
	record2_leaf(leaf[1], r.text[1], r.len[1]);
	n = two_leaves(leaf, note);
	until_s = last_s(&r.open.terms) - 1; /* of a delay of four seconds */
	sleep_until(until_s + 1);
	expect_unseen(&r, unshown);
	show_seen(leaf, note, n, 0);
	expect_unseen(&r, unseen);
	show_seen(leaf, note, n, until_s + 1);
	expect_unseen(&r, unseen);
	witness_secret[0] ^= 1;
	show_seen(leaf, note, n, until_s);
	expect_unseen(&r, unseen);
	witness_secret[0] ^= 1;
	show_seen(other, note, n, until_s);
	expect_unseen(&r, unshown);
	note[n - 20] ^= 1; /* the log's own signature */
	show_seen(leaf, note, n, until_s);
	expect_unseen(&r, unshown);
	note[n - 20] ^= 1;
	show_seen(leaf, note, n, until_s);
	assert_int_equal(reveal(&r), KE_OK);
	assert_int_equal(reveal(&r), KE_OK);
	stop_role(&hsm);
	seen_len = 0;
	witness_policy[0] = '\0';
}

static int setup(void **state)
{
	chain = chain_made();
	return peer_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_witnesses)};

	return cmocka_run_group_tests(tests, setup, peer_teardown);
}
