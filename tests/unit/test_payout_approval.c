/*
 * Payouts that officers must approve, in the real klerod-hsm with a captured engine as the one who
 * asks: it may send whatever it likes, and only the officers' signatures over this very payout
 * count.
 */
#include "tests/unit/deposit_ask.h"
#include "tests/unit/officers.h"

#define BODY_MAX 32768

static struct kept kept;

/* 0.6 ether: more than admins may pay alone. */
static struct payout much(void)
{
	struct payout p = ether();

	p.chain_id = 6;
	p.value = u256_of(600000000000000000);
	randombytes_buf(p.id, 16);
	return p;
}

static struct proposal about(const struct payout *pay)
{
	struct proposal p = propose(PROPOSE_PAYOUT, KEY_MASTER, 0);

	p.payout = *pay;
	memcpy(p.nonce, pay->id, 16);
	memcpy(p.pool, kept.pool, 16);
	return p;
}

static size_t put_consent(
    uint8_t body[BODY_MAX], const struct rconf_keyadm *c, const struct payout *pay)
{
	uint8_t key[1024], fields[PAYOUT_WIRE_MAX];
	struct wire_out w;
	size_t n;

	wire_out_init(&w, body, BODY_MAX);
	wire_put_cstr(&w, c->text);
	wire_put_cstr(&w, c->approvals);
	wire_put_raw(&w, key, put_kept(key, &kept));
	assert_int_equal(payout_put(pay, fields, sizeof fields, &n), KE_OK);
	wire_put_raw(&w, fields, n);
	assert_int_equal(w.err, KE_OK);
	return w.len;
}

static int sign_with(const struct rconf_keyadm *c, const struct payout *pay)
{
	static uint8_t body[BODY_MAX];

	return ask(&hsm, MSG_HSM_SIGN_APPROVED, body, put_consent(body, c, pay));
}

/* Signed with what these officers say of what p says? */
static int sign_as(const struct proposal *p, unsigned who, const struct payout *pay)
{
	struct rconf_keyadm c = approved(p, who);

	return sign_with(&c, pay);
}

static void test_none(void **state)
{
	struct payout p = much();
	struct proposal asked;
	struct paid paid;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&kept, PAYOUT_EVM), KE_OK);
	assert_int_equal(sign_payout(&kept, &p, &paid), KE_AUTH);
	asked = about(&p); /* those who would be officers are none */
	assert_int_equal(sign_as(&asked, 3, &p), KE_DENIED);
	assert_true(fx_logged(&ctx.f, "no officers are enrolled"));
	p.value = u256_of(100000000000000000);
	assert_int_equal(sign_payout(&kept, &p, &paid), KE_OK);
	stop_role(&hsm);
}

static void test_approved(void **state)
{
	struct rconf_keyadm_done done;
	struct payout p = much(), other;
	struct proposal asked;
	struct paid paid;

	(void)state;
	assert_int_equal(enrol(2, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&kept, PAYOUT_EVM), KE_OK);
	assert_int_equal(sign_payout(&kept, &p, &paid), KE_AUTH);
	asked = about(&p);
	assert_int_equal(sign_as(&asked, 3, &p), KE_OK);
	assert_int_equal(sign_as(&asked, 3, &p), KE_OK);
	assert_int_equal(sign_payout(&kept, &p, &paid), KE_OK); /* the very same */
	/* the approval is used up for every other one */
	other = p;
	other.nonce++;
	assert_int_equal(sign_as(&asked, 3, &other), KE_DENIED);
	randombytes_buf(other.id, 16);
	assert_int_equal(sign_as(&asked, 3, &other), KE_DENIED);
	assert_int_equal(sign_payout(&kept, &other, &paid), KE_AUTH);
	stop_role(&hsm);
	/* a fresh hsm knows what the one before it has signed, and nothing else */
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(sign_payout(&kept, &p, &paid), KE_OK);
	assert_int_equal(sign_payout(&kept, &other, &paid), KE_AUTH);
	stop_role(&hsm);
}

/* A field of the payout that is asked for is not what was approved: none is free. */
static void test_other_payout(void **state)
{
	struct payout p = much(), other[8];
	struct proposal asked = about(&p), pool = asked;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		other[i] = p;
	other[0].id[15] ^= 1;
	other[1].nonce++;
	other[2].max_fee++;
	other[3].priority_fee--;
	other[4].gas_limit++;
	other[5].to[19] ^= 1;
	other[6].value = u256_of(600000000000000001);
	other[7].value = u256_of(599999999999999999);
	start_role(&hsm, ROLE_HSM);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(sign_as(&asked, 3, &other[i]), KE_DENIED);
	pool.pool[0] ^= 1;
	assert_int_equal(sign_as(&pool, 3, &p), KE_DENIED);
	assert_true(fx_logged(&ctx.f, "what is approved is another one"));
	assert_int_equal(sign_as(&asked, 7, &p), KE_OK);
	stop_role(&hsm);
}

static void test_refusals(void **state)
{
	struct payout p = much();
	struct proposal good = about(&p), bad;
	struct rconf_keyadm c = approved(&good, 3), d = approved(&good, 4);

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(sign_as(&good, 0, &p), KE_DENIED);
	assert_int_equal(sign_as(&good, 1, &p), KE_DENIED);
	assert_int_equal(sign_as(&good, 8, &p), KE_DENIED); /* engine's own key */
	assert_int_equal(sign_as(&good, 9, &p), KE_DENIED);
	bad = good;
	bad.expires_s = (uint64_t)time(NULL) - 1;
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	bad.expires_s = (uint64_t)time(NULL) + PROPOSAL_LIFE_MAX + 600;
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	bad = good;
	bad.epoch++;
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	bad = good;
	bad.appliance[0] ^= 1;
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	bad = good;
	snprintf(bad.proposer, sizeof bad.proposer, "officer-0");
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	bad = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	memcpy(bad.nonce, p.id, 16);
	assert_int_equal(sign_as(&bad, 3, &p), KE_DENIED);
	c.approvals[strlen(c.approvals)] = 'x';
	assert_int_equal(sign_with(&c, &p), KE_DENIED);
	memcpy(c.approvals, d.approvals, strlen(d.approvals) + 1);
	memcpy(c.approvals + strlen(d.approvals), d.approvals, strlen(d.approvals) + 1);
	assert_int_equal(sign_with(&c, &p), KE_DENIED); /* one officer twice */
	c = approved(&good, 3);
	c.text[strlen(c.text) - 1] = '\0';
	assert_int_equal(sign_with(&c, &p), KE_DENIED);
	assert_int_equal(sign_as(&good, 6, &p), KE_OK);
	stop_role(&hsm);
}

/* Officers do not raise the limit that parent has set. */
static void test_above_limit(void **state)
{
	struct payout p = much();
	struct proposal asked;

	(void)state;
	p.value = u256_of(1000000000000000000);
	asked = about(&p);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(sign_as(&asked, 7, &p), KE_LIMIT);
	p.chain_id = 137;
	asked = about(&p);
	assert_int_equal(sign_as(&asked, 7, &p), KE_LIMIT);
	stop_role(&hsm);
}

static void test_malformed(void **state)
{
	static uint8_t body[BODY_MAX];
	struct payout p = much();
	struct proposal asked = about(&p);
	struct rconf_keyadm c = approved(&asked, 3);
	size_t n;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	n = put_consent(body, &c, &p);
	expect_blame(&hsm, MSG_HSM_SIGN_APPROVED, body, n - 1);
	expect_blame(&hsm, MSG_HSM_SIGN_APPROVED, body, n + 1);
	c.text[0] = '\0';
	n = put_consent(body, &c, &p);
	expect_blame(&hsm, MSG_HSM_SIGN_APPROVED, body, n);
	stop_role(&hsm);
}

/* It is not keyadm's; and other officers make it void, though it was approved. */
static void test_other_officers(void **state)
{
	struct rconf_keyadm_done done;
	struct payout p = much();
	struct proposal asked = about(&p), change = propose(PROPOSE_OFFICERS, KEY_MASTER, 0);
	struct rconf_keyadm c = approved(&asked, 3);

	(void)state;
	assert_int_equal(run(&c, &done), KE_DENIED);
	set_officers(&change.officers, 3, 2);
	c = approved(&change, 3);
	assert_int_equal(run(&c, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(sign_as(&asked, 3, &p), KE_DENIED);
	assert_true(fx_logged(&ctx.f, "the officers have changed since it was proposed"));
	asked = about(&p);
	assert_int_equal(sign_as(&asked, 3, &p), KE_OK);
	stop_role(&hsm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_approved),
	    cmocka_unit_test(test_other_payout),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_above_limit),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_other_officers),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
