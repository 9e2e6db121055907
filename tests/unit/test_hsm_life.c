/*
 * A v2 raffle's records and its seed in klerod-hsm as it runs, with a captured engine as the one
 * who tells the story. The beacons' secrets are known (chain_make.h), so that their values are
 * there when they are wanted; sales end after a second or two of real time.
 */
#include "tests/unit/life_ask.h"
#include "policy/escrow.h"
#include "policy/hash.h"

/* --- open --- */

static void test_open(void **state)
{
	static struct raffle r, other;
	struct record2 x;

	(void)state;
	begin();
	make(&r, now() + 600);
	make(&other, now() + 600);
	/* each thing that hsm looks at, before it has agreed to anything */
	x = r.open;
	x.seed_commit[5] ^= 1;
	assert_int_equal(agree_open(&r, &x), KE_CRYPTO);
	x = r.open;
	x.origin[0] = 'x';
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("its tickets' origin is not this appliance's"));
	x = r.open;
	x.terms.beacons[0].round--;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("a beacon value before the end of sales and the delay"));
	x = r.open;
	x.terms.beacons[0].chain_hash[0] ^= 1;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("a beacon that is not pinned here"));
	x = r.open;
	x.terms.beacons[0] =
	    (struct beacon){.kind = BEACON_NIST2, .chain = 7, .at_ms = (now() + 1000) * 1000};
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	x = r.open;
	x.terms.sales_close_s = now() - 1;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("sales would have ended already"));
	x = r.open;
	x.terms.not_before.round--;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("not-before is not signed by its chain"));
	x.terms.not_before.round -= LIFE_NOT_BEFORE_S;
	chain_sign(x.terms.not_before.round, x.terms.not_before.signature);
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("not-before is no recent value"));
	/* a seed of another raffle, or none that was made here */
	x = r.open;
	memcpy(x.raffle, other.id, 16);
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("with a seed that was not made for it"));
	r.commit1[0] ^= 1;
	assert_int_equal(agree(&r), KE_DENIED);
	r.commit1[0] ^= 1;
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(agree(&r), KE_OK); /* engine died before it could say so */
	x = r.open;
	x.winners++;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	assert_true(said("a second open record"));
	/* v1's way to a seed is shut, and nothing is revealed while it is open */
	assert_int_equal(reveal(&r), KE_FORMAT);
	stop_role(&hsm);
}

static int reveal_v1(const struct raffle *r)
{
	uint8_t body[1024], zero[32] = {0};
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, r->id, 16);
	wire_put_raw(&w, r->commit1, 32);
	wire_put_u64(&w, 5);
	wire_put_raw(&w, zero, 32);
	wire_put_raw(&w, zero, 32);
	wire_put_cstr(&w, "entropy");
	wire_put_cstr(&w, r->blob);
	return ask(&hsm, MSG_HSM_REVEAL_SEED, body, w.len);
}

/* Neither format opens the other's seeds. */
static void test_formats(void **state)
{
	static struct raffle r;

	(void)state;
	begin();
	make(&r, now() + 600);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(reveal_v1(&r), KE_DENIED);
	assert_true(said("a v1 reveal of a v2 raffle"));
	make(&r, now() + 600);
	assert_int_equal(reveal_v1(&r), KE_OK);
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("an open record after its seed was revealed"));
	stop_role(&hsm);
}

/* --- amend, abort --- */

static void amend_it(struct raffle *r, uint64_t sales_close_s)
{
	r->amend = (struct record2){.kind = RECORD2_AMEND};
	follow(r, &r->amend, RECORD2_AMEND);
	set_terms(&r->amend.terms, sales_close_s);
	write_text(r, &r->amend);
}

static void test_amend(void **state)
{
	static struct raffle r, x;
	uint64_t close_s = now() + 600;

	(void)state;
	begin();
	make(&r, close_s);
	amend_it(&r, close_s + 60);
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("its open record is not the one that was agreed to"));
	r.n = 1;
	assert_int_equal(agree(&r), KE_OK);
	amend_it(&r, close_s + 60);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(agree(&r), KE_OK);
	/* closed at the end that was amended away */
	x = r;
	close_at(&x, 5, close_s);
	assert_int_equal(agree(&x), KE_DENIED);
	assert_true(said("closed before the end of its sales"));
	x.n = 1;
	/* another in its place; and one that follows the open record as if there had been none */
	amend_it(&x, close_s + 90);
	assert_int_equal(agree(&x), KE_DENIED);
	assert_true(said("an amend is withheld"));
	/* the close record must come behind it */
	x.n = 1;
	close_it(&x, 5);
	assert_int_equal(agree(&x), KE_DENIED);
	/* of another open record */
	x = r;
	x.amend.open_leaf[0] ^= 1;
	x.n = 1;
	write_text(&x, &x.amend);
	assert_int_equal(agree(&x), KE_FORMAT);
	/* no ticket is in the log: sooner is allowed too */
	amend_it(&r, now() + 60);
	assert_int_equal(agree(&r), KE_OK);
	/* closed: no more */
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	r.n--;
	amend_it(&r, close_s + 120);
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("an amend after the end"));
	stop_role(&hsm);
}

static void abort_it(struct raffle *r)
{
	struct record2 a = {.word = "organiser-withdrew", .at_s = now()};

	follow(r, &a, RECORD2_ABORT);
	write_text(r, &a);
}

static void test_abort(void **state)
{
	static struct raffle r;

	(void)state;
	begin();
	make(&r, now() + 4);
	abort_it(&r);
	assert_int_equal(agree(&r), KE_DENIED); /* never opened */
	r.n = 1;
	assert_int_equal(agree(&r), KE_OK);
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	r.n = 1;
	abort_it(&r);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(agree(&r), KE_OK);
	r.n = 1;
	write_text(&r, &r.close);
	sleep_until(last_s(&r.open.terms));
	assert_int_equal(reveal(&r), KE_DENIED);
	assert_true(said("it is aborted, or its seed was revealed for another draw"));
	stop_role(&hsm);
}

/* --- close and reveal --- */

static void test_reveal(void **state)
{
	static struct raffle r, x, late, empty;
	struct record2_terms t;

	(void)state;
	begin();
	make(&r, now() + 5);
	make(&late, now() + 5);
	make(&empty, now() + 5);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(agree(&late), KE_OK);
	assert_int_equal(agree(&empty), KE_OK);
	sleep_until(r.open.terms.sales_close_s);
	x = r;
	close_it(&x, 5);
	x.close.at_s = now() + HSM_CLOCK_SLACK_S + 10;
	x.n = 1;
	write_text(&x, &x.close);
	assert_int_equal(agree(&x), KE_DENIED);
	assert_true(said("closed in the future"));
	close_it(&empty, 0);
	assert_int_equal(agree(&empty), KE_OK);
	close_it(&r, 5);
	assert_int_equal(reveal(&r), KE_DENIED); /* told by nobody */
	assert_true(said("its close record is not the one that was agreed to"));
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(agree(&r), KE_OK);
	x = r;
	x.n = 1;
	close_it(&x, 6);
	assert_int_equal(agree(&x), KE_DENIED);
	assert_true(said("a second close record"));
	sleep_until(last_s(&r.open.terms));
	/* after a value could be known, nobody adds a ticket */
	close_it(&late, 5);
	assert_int_equal(agree(&late), KE_DENIED);
	assert_true(said("closed when its first beacon value could be known already"));
	assert_int_equal(reveal(&empty), KE_RANGE);
	/* another close record than the one that was told */
	assert_int_equal(reveal(&x), KE_DENIED);
	/* another round's value, a wrong one, none */
	t = r.open.terms;
	chain_sign(t.beacons[0].round + 1, t.beacons[0].signature);
	assert_int_equal(reveal_with(&r, &t), KE_DENIED);
	memset(t.beacons[0].signature, 0, BLS_SIG_LEN);
	assert_int_equal(reveal_with(&r, &t), KE_DENIED);
	assert_true(said("a value that is not the promised round's"));
	t.beacons[0].signature[0] = 0xc0; /* infinity */
	assert_int_equal(reveal_with(&r, &t), KE_DENIED);
	/* another seed's blob, another commitment */
	x = r;
	memcpy(x.blob, late.blob, sizeof x.blob);
	assert_int_equal(reveal(&x), KE_CRYPTO);
	x = r;
	memcpy(x.commit1, late.commit1, 32);
	assert_int_equal(reveal(&x), KE_DENIED);
	assert_int_equal(reveal(&r), KE_OK);
	assert_int_equal(reveal(&r), KE_OK);
	assert_int_equal(reveal_v1(&r), KE_DENIED);
	r.n = 1;
	abort_it(&r);
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("an abort after the seed was revealed"));
	stop_role(&hsm);
}

static int sign_checkpoint(const struct raffle *r, uint64_t size, const uint8_t root[32])
{
	uint8_t body[256];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, 0);
	wire_put_raw(&w, r->id, 16);
	wire_put_u64(&w, size);
	wire_put_raw(&w, root, 32);
	wire_put_u64(&w, 0);
	wire_put_u8(&w, 0);
	wire_put_str(&w, NULL, 0);
	return ask(&hsm, MSG_HSM_SIGN_CHECKPOINT, body, w.len);
}

/* A ticket log ends with what its close record says; tickets in it make an amend a later one. */
static void test_checkpoint(void **state)
{
	static struct raffle r, other;
	uint8_t root[32] = {7};
	uint64_t close_s = now() + 600;

	(void)state;
	begin();
	make(&r, now() + 60);
	assert_int_equal(agree(&r), KE_OK);
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(sign_checkpoint(&r, 6, root), KE_DENIED);
	assert_int_equal(sign_checkpoint(&r, 5, root), KE_DENIED);
	assert_int_equal(sign_checkpoint(&r, 4, r.close.root), KE_DENIED);
	assert_true(said("its tickets are closed with another checkpoint"));
	assert_int_equal(sign_checkpoint(&r, 5, r.close.root), KE_OK);
	make(&other, close_s);
	assert_int_equal(agree(&other), KE_OK);
	assert_int_equal(sign_checkpoint(&other, 5, root), KE_OK);
	amend_it(&other, close_s);
	assert_int_equal(agree(&other), KE_DENIED);
	assert_true(said("tickets are sold: only a later end of sales with later beacon values"));
	other.n = 1;
	amend_it(&other, close_s + 1);
	assert_int_equal(agree(&other), KE_OK);
	stop_role(&hsm);
}

/* The clock of this process decides, whatever values there are. */
static void test_too_early(void **state)
{
	static struct raffle r;

	(void)state;
	begin();
	make(&r, now() + 60);
	assert_int_equal(agree(&r), KE_OK);
	close_at(&r, 5, now()); /* an admin's, who would end the sales when it suits */
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("closed before the end of its sales"));
	r.n = 1;
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(reveal(&r), KE_DENIED);
	assert_true(said("it is too early by the clock of this process"));
	stop_role(&hsm);
}

/* A fresh hsm knows what the one before it has agreed to. */
static void test_restart(void **state)
{
	static struct raffle r, x;

	(void)state;
	begin();
	make(&r, now() + 5);
	assert_int_equal(agree(&r), KE_OK);
	amend_it(&r, r.open.terms.sales_close_s + 1);
	assert_int_equal(agree(&r), KE_OK);
	assert_int_equal(kill(hsm.c.pid, SIGKILL), 0);
	assert_int_equal(fx_wait(&hsm.c), 1000 + SIGKILL);
	close(hsm.fd);
	begin();
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	stop_role(&hsm);
	begin();
	sleep_until(last_s(&r.amend.terms));
	x = r;
	x.n = 1;
	x.amend.kind = RECORD2_OPEN;
	write_text(&x, &r.close);
	assert_int_equal(reveal(&x), KE_DENIED); /* the amend left out */
	assert_int_equal(reveal(&r), KE_OK);
	stop_role(&hsm);
}

/* --- NIST --- */

static size_t put_pulse(uint8_t *body, const struct pulse *p)
{
	struct wire_out w;
	uint8_t packed[PULSE_PACKED_MAX];

	wire_out_init(&w, body, PULSE_PACKED_MAX + 2);
	wire_put_str(&w, packed, p != NULL ? pulse_pack(p, packed) : 0);
	return w.len;
}

static int reveal_pulse(const struct raffle *r, const struct pulse *p, const struct pulse *before)
{
	uint8_t body[PULSE_LEN];
	size_t n = put_pulse(body, p);

	n += put_pulse(body + n, before);
	return reveal_as(r, NULL, &r->open.terms, body, n);
}

static void test_nist(void **state)
{
	static struct raffle r;
	struct pulse before, p, after, x;
	uint64_t at_ms;

	(void)state;
	memcpy(pin_nist, nist.pem, sizeof pin_nist);
	begin();
	make(&r, now() + 4);
	r.n = 0;
	at_ms = (r.open.terms.sales_close_s + DELAY_S) * 1000 + 500;
	r.open.terms.beacons[0] = (struct beacon){.kind = BEACON_NIST2, .chain = 7, .at_ms = at_ms};
	write_text(&r, &r.open);
	assert_int_equal(agree(&r), KE_OK);
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	sleep_until(at_ms / 1000 + 1);
	nist_pulse(&nist, (int64_t)at_ms - 300, 4, NULL, &before);
	nist_pulse(&nist, (int64_t)at_ms + 100, 5, &before, &p);
	nist_pulse(&nist, (int64_t)at_ms + 200, 6, &p, &after);
	assert_int_equal(reveal_pulse(&r, &p, NULL), KE_DENIED);
	assert_int_equal(reveal_pulse(&r, &after, &before), KE_DENIED);
	assert_int_equal(reveal_pulse(&r, &after, &p), KE_DENIED);
	assert_int_equal(reveal_pulse(&r, &before, NULL), KE_DENIED);
	assert_true(said("a pulse that is not the first one from the promised moment on"));
	x = p;
	x.status ^= 1;
	assert_int_equal(reveal_pulse(&r, &x, &before), KE_DENIED);
	x = before;
	x.signature[3] ^= 1;
	assert_int_equal(reveal_pulse(&r, &p, &x), KE_DENIED);
	assert_true(said("a pulse that is not its beacon's"));
	assert_int_equal(reveal_pulse(&r, NULL, NULL), KE_DENIED);
	assert_int_equal(reveal_pulse(&r, &p, &before), KE_OK);
	/* there is one draw: the pulse of the very moment would be another */
	nist_pulse(&nist, (int64_t)at_ms, 5, NULL, &x);
	assert_int_equal(reveal_pulse(&r, &x, NULL), KE_DENIED);
	pin_nist[0] = '\0';
	stop_role(&hsm);
}

/* --- officers --- */

static void test_approval(void **state)
{
	static struct raffle r;
	struct rconf_keyadm_done done;
	struct rconf_keyadm c;
	struct record2_terms t;
	struct proposal p;

	(void)state;
	draw_approval = true;
	assert_int_equal(enrol(2, &done), KE_OK);
	begin();
	make(&r, now() + 4);
	assert_int_equal(agree(&r), KE_OK);
	close_it(&r, 5);
	assert_int_equal(agree(&r), KE_OK);
	t = r.open.terms;
	chain_sign(t.beacons[0].round, t.beacons[0].signature);
	sleep_until(last_s(&t));
	assert_int_equal(reveal(&r), KE_AUTH);
	p = propose(PROPOSE_DRAW, KEY_MASTER, 0);
	c = approved(&p, 3);
	assert_int_equal(reveal_as(&r, &c, &t, NULL, 0), KE_AUTH); /* another raffle's */
	memcpy(p.raffle, r.id, 16);
	c = approved(&p, 1);
	assert_int_equal(reveal_as(&r, &c, &t, NULL, 0), KE_AUTH); /* one officer */
	c = approved(&p, 3);
	assert_int_equal(reveal_as(&r, &c, &t, NULL, 0), KE_OK);
	assert_int_equal(reveal(&r), KE_OK); /* the same again needs nobody */
	draw_approval = false;
	stop_role(&hsm);
}

/* --- escrow --- */

static size_t ask_escrow(const struct raffle *r, char text[ESCROW_TEXT_MAX])
{
	uint8_t body[1024];
	const uint8_t *p;
	struct wire_out w;
	size_t n;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, r->id, 16);
	wire_put_cstr(&w, r->blob);
	assert_int_equal(ask(&hsm, MSG_HSM_ESCROW, body, w.len), KE_OK);
	p = wire_get_str(&hsm.in, ESCROW_TEXT_MAX, &n);
	memcpy(text, p, n);
	return n;
}

/* No open record without the escrow of the configuration, by a bundle that hsm has made for it. */
static void test_escrow(void **state)
{
	static char text[ESCROW_TEXT_MAX], pem[RCONF_PEM];
	static struct raffle r, other;
	EVP_PKEY *key = EVP_RSA_gen(ESCROW_BITS_MIN);
	BIO *bio = BIO_new(BIO_s_mem());
	struct record2 x;

	(void)state;
	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	assert_true(BIO_read(bio, pem, sizeof pem - 1) > 0);
	BIO_free(bio);
	EVP_PKEY_free(key);
	escrow.m = 1;
	escrow.pem[0] = pem;
	begin();
	make(&r, now() + 600);
	make(&other, now() + 600);
	assert_int_equal(agree(&r), KE_DENIED);
	assert_true(said("its escrow is not the one of this appliance"));
	x = r.open;
	x.escrow_m = x.escrow_n = 1;
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	hash_sha256(x.escrow, text, ask_escrow(&other, text));
	assert_int_equal(agree_open(&r, &x), KE_DENIED);
	hash_sha256(x.escrow, text, ask_escrow(&r, text));
	assert_int_equal(agree_open(&r, &x), KE_OK);
	escrow.m = 0;
	escrow.pem[0] = NULL;
	stop_role(&hsm);
}

/* --- what does not decode --- */

static void test_malformed(void **state)
{
	static struct raffle r;
	static uint8_t body[4096];
	struct wire_out w;

	(void)state;
	begin();
	make(&r, now() + 600);
	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, r.commit1, 32);
	wire_put_cstr(&w, r.blob);
	put_papers(&w, &r);
	expect_blame(&hsm, MSG_HSM_AGREE, body, w.len - 1);
	expect_blame(&hsm, MSG_HSM_AGREE, body, w.len + 1);
	r.text[0][3] ^= 1;
	assert_int_equal(agree(&r), KE_FORMAT);
	r.text[0][3] ^= 1;
	r.n = 0;
	assert_int_equal(agree(&r), KE_FORMAT);
	r.n = 1;
	write_text(&r, &r.open); /* twice */
	assert_int_equal(agree(&r), KE_FORMAT);
	r.n = 1;
	assert_int_equal(agree(&r), KE_OK);
	stop_role(&hsm);
}

static int setup(void **state)
{
	chain = chain_made();
	return nist_make(&nist) == 0 ? officers_setup(state) : 1;
}

static int teardown(void **state)
{
	EVP_PKEY_free(nist.key);
	return peer_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_formats),
	    cmocka_unit_test(test_amend),
	    cmocka_unit_test(test_abort),
	    cmocka_unit_test(test_reveal),
	    cmocka_unit_test(test_checkpoint),
	    cmocka_unit_test(test_too_early),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_nist),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_escrow),
	    cmocka_unit_test(test_approval),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
