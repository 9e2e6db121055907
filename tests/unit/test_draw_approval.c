/*
 * Draws that officers must approve, in the real klerod-hsm with a captured engine as the one who
 * asks for seeds.
 */
#include "tests/unit/officers.h"

static struct peer hsm;

struct seed {
	uint8_t raffle[16], commit[32];
	char text[512];
};

static void new_seed(struct seed *s)
{
	randombytes_buf(s->raffle, 16);
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, s->raffle, 16), KE_OK);
	wire_get_raw(&hsm.in, s->commit, 32);
	(void)wire_get_view(&hsm.in, 32);
	wire_get_cstr(&hsm.in, s->text, sizeof s->text);
}

/* c NULL: as it asks where nobody must approve. */
static int reveal(const struct seed *s, const struct rconf_keyadm *c, uint64_t tickets)
{
	static uint8_t body[32768];
	uint8_t zero[32] = {0}, seed[32], digest[32];
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof body);
	if (c != NULL) {
		wire_put_cstr(&w, c->text);
		wire_put_cstr(&w, c->approvals);
	}
	wire_put_raw(&w, s->raffle, 16);
	wire_put_raw(&w, s->commit, 32);
	wire_put_u64(&w, tickets);
	wire_put_raw(&w, zero, 32);
	wire_put_raw(&w, zero, 32);
	wire_put_cstr(&w, "entropy");
	wire_put_cstr(&w, s->text);
	r = ask(&hsm, c == NULL ? MSG_HSM_REVEAL_SEED : MSG_HSM_REVEAL_APPROVED, body, w.len);
	if (r == KE_OK) {
		wire_get_raw(&hsm.in, seed, 32);
		crypto_hash_sha256(digest, seed, 32);
		assert_memory_equal(digest, s->commit, 32);
	}
	return r;
}

static struct proposal about(const struct seed *s)
{
	struct proposal p = propose(PROPOSE_DRAW, KEY_MASTER, 0);

	memcpy(p.raffle, s->raffle, 16);
	return p;
}

static int reveal_as(const struct seed *s, const struct proposal *p, unsigned who)
{
	struct rconf_keyadm c = approved(p, who);

	return reveal(s, &c, 5);
}

static void test_not_asked_for(void **state)
{
	struct seed s;

	(void)state;
	draw_approval = false;
	start_role(&hsm, ROLE_HSM);
	new_seed(&s);
	assert_int_equal(reveal(&s, NULL, 5), KE_OK);
	stop_role(&hsm);
	draw_approval = true; /* and without officers nothing is drawn */
	start_role(&hsm, ROLE_HSM);
	new_seed(&s);
	assert_int_equal(reveal(&s, NULL, 5), KE_AUTH);
	stop_role(&hsm);
}

static void test_approved(void **state)
{
	struct rconf_keyadm_done done;
	struct proposal p, q;
	struct rconf_keyadm c;
	struct seed s, other;

	(void)state;
	assert_int_equal(enrol(2, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	new_seed(&s);
	new_seed(&other);
	assert_int_equal(reveal(&s, NULL, 5), KE_AUTH);
	p = about(&s);
	assert_int_equal(reveal_as(&other, &p, 3), KE_AUTH);
	assert_int_equal(reveal_as(&s, &p, 0), KE_AUTH);
	assert_int_equal(reveal_as(&s, &p, 2), KE_AUTH);
	assert_int_equal(reveal_as(&s, &p, 8 | 1), KE_AUTH); /* engine's own key */
	q = p;
	q.expires_s = (uint64_t)time(NULL) - 1;
	assert_int_equal(reveal_as(&s, &q, 3), KE_AUTH);
	q = p;
	q.epoch++;
	assert_int_equal(reveal_as(&s, &q, 3), KE_AUTH);
	q = p;
	q.appliance[0] ^= 1;
	assert_int_equal(reveal_as(&s, &q, 3), KE_AUTH);
	q = propose(PROPOSE_ROTATE, KEY_LOG, 0); /* of these officers, but for something else */
	memcpy(q.raffle, s.raffle, 16);
	assert_int_equal(reveal_as(&s, &q, 3), KE_AUTH);
	c = approved(&p, 3);
	assert_int_equal(reveal(&s, &c, 5), KE_OK);
	assert_int_equal(reveal(&s, &c, 6), KE_DENIED); /* one draw, whatever is approved */
	assert_int_equal(reveal(&other, NULL, 5), KE_AUTH);
	c.text[0] = '\0';
	assert_int_equal(reveal(&other, &c, 5), KE_CLOSED);
	stop_role(&hsm);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(reveal(&s, NULL, 5), KE_OK); /* the very same draw again */
	assert_int_equal(reveal(&s, NULL, 6), KE_DENIED);
	assert_int_equal(reveal(&other, NULL, 5), KE_AUTH);
	stop_role(&hsm);
	c = approved(&p, 3);
	assert_int_equal(run(&c, &done), KE_DENIED); /* it is not keyadm's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_not_asked_for),
	    cmocka_unit_test(test_approved),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
