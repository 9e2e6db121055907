/*
 * Deposit keys of EVM chains in klerod-hsm, with a captured engine as the one who asks: what is
 * made, what is signed, and every refusal.
 */
#include "tests/unit/deposit_ask.h"

#include "hsm/p11/chainkey.h"
#include "hsm/p11/make.h"
#include "policy/keccak.h"
#include "policy/text.h"

/* Takes a signed transaction apart again: the fields' bytes and the signature. */
static void check_signed(const struct kept *k, const struct payout *p, const struct paid *paid)
{
	uint8_t message[256], digest[32], sig[64], again[256], hash[32];
	unsigned odd = 2;
	size_t n;

	/* r and s are behind the last two heads of 32 bytes; nearly every signature has both so
	 * long */
	assert_int_equal(paid->tx[paid->len - 33], 0xa0);
	memcpy(sig, paid->tx + paid->len - 65, 32);
	memcpy(sig + 32, paid->tx + paid->len - 32, 32);
	assert_int_equal(evm_unsigned(p, message, sizeof message, &n), KE_OK);
	keccak_256(digest, message, n);
	memcpy(again, sig, 64);
	assert_int_equal(secp256k1_finish(k->pub, digest, sig, &odd), KE_OK);
	assert_memory_equal(again, sig, 64); /* s was low already */
	assert_int_equal(evm_signed(p, sig, odd, again, sizeof again, &n), KE_OK);
	assert_int_equal(n, paid->len);
	assert_memory_equal(again, paid->tx, n);
	keccak_256(hash, paid->tx, paid->len);
	assert_int_equal(paid->name_len, 32);
	assert_memory_equal(hash, paid->name, 32);
}

/* A signature whose r or s is short, one in 128, is written shorter: then another payout. */
static void pay(const struct kept *k, struct payout *p, struct paid *paid)
{
	do {
		randombytes_buf(p->id, 16);
		assert_int_equal(sign_payout(k, p, paid), KE_OK);
	} while (paid->tx[paid->len - 33] != 0xa0 || paid->tx[paid->len - 66] != 0xa0);
}

static void test_make_and_sign(void **state)
{
	struct kept a, b;
	struct payout p = ether();
	struct paid paid;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	assert_int_equal(new_deposit(&b, PAYOUT_EVM), KE_OK);
	assert_int_equal(a.n, 65);
	assert_memory_not_equal(a.pub, b.pub, 65);
	assert_non_null(strstr(a.text, "klero:1:deposit:v000001:"));
	p.chain_id = 77;
	pay(&a, &p, &paid);
	check_signed(&a, &p, &paid);
	stop_role(&hsm);
}

static void test_once(void **state)
{
	struct payout p = ether(), q;
	struct kept a, b;
	struct paid paid;

	(void)state;
	p.chain_id = 77;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	assert_int_equal(new_deposit(&b, PAYOUT_EVM), KE_OK);
	for (int i = 0; i < 3; i++) /* the same again */
		assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	assert_int_equal(sign_payout(&b, &p, &paid), KE_DENIED); /* from another address */
	q = p;
	q.nonce++;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.to[19] ^= 1;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.value = u256_of(1);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.max_fee++;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.gas_limit++;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	stop_role(&hsm);
}

/* One ether a payout, two in all: fees count, what was signed twice does not. */
static void test_limits(void **state)
{
	struct payout p = ether();
	struct kept a;
	struct paid paid;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	p.chain_id = 137;
	assert_int_equal(sign_payout(&a, &p, &paid), KE_LIMIT);
	p.chain_id = 1;
	p.value = u256_of(1000000000000000000); /* the fees are too much */
	assert_int_equal(sign_payout(&a, &p, &paid), KE_LIMIT);
	memset(p.value.be, 0xff, 32);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_LIMIT);
	p.value = u256_of(1000000000000000000 - 630000000000000);
	p.max_fee++;
	assert_int_equal(sign_payout(&a, &p, &paid), KE_LIMIT);
	p.max_fee--;
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK); /* 1 */
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK); /* the same */
	randombytes_buf(p.id, 16);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK); /* 2 */
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	randombytes_buf(p.id, 16);
	p.value = u256_of(1);
	p.priority_fee = 0;
	p.max_fee = 0;
	assert_int_equal(sign_payout(&a, &p, &paid), KE_LIMIT);
	assert_true(fx_logged(&ctx.f, "above the payout-limit of klerod.conf"));
	assert_true(fx_logged(&ctx.f, "no payout-limit of klerod.conf allows its chain"));
	stop_role(&hsm);
}

/* A fresh hsm knows what the one before it has signed, and what that cost. */
static void test_outlives(void **state)
{
	struct payout p = ether(), q;
	struct kept a;
	struct paid paid;

	(void)state;
	p.chain_id = q.chain_id = 5;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	stop_role(&hsm);
	start_role(&hsm, ROLE_HSM);
	q = p;
	q.nonce++;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	/* 0.10063 of 0.2 is spent */
	randombytes_buf(q.id, 16);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_LIMIT);
	q.value = u256_of(98000000000000000);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_OK);
	stop_role(&hsm);
	start_role(&hsm, ROLE_HSM);
	randombytes_buf(q.id, 16);
	q.value = u256_of(1000000000000000);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_LIMIT);
	stop_role(&hsm);
}

static void refuse(const struct kept *k, int why)
{
	struct payout p = ether();
	struct kept copy = *k;
	struct paid paid;

	p.chain_id = 77;
	assert_int_equal(sign_payout(k, &p, &paid), why);
	assert_int_equal(rewrap_deposit(&copy), why);
}

/* What a captured engine could hand in for a deposit key. */
static void test_other_blobs(void **state)
{
	struct kept a, b, x;
	uint8_t commits[64];
	char *data;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	assert_int_equal(new_deposit(&b, PAYOUT_EVM), KE_OK);
	x = a;
	memcpy(x.text, b.text, sizeof x.text); /* another row's */
	refuse(&x, KE_CRYPTO);
	x = a;
	memcpy(x.pub, b.pub, 65); /* another address */
	refuse(&x, KE_CRYPTO);
	x = a;
	x.pub[64] ^= 1; /* no address at all */
	refuse(&x, KE_CRYPTO);
	x = a;
	data = strrchr(x.text, ':') + 1;
	data[7] = data[7] == 'A' ? 'B' : 'A'; /* flipped */
	refuse(&x, KE_CRYPTO);
	for (size_t cut = 1; cut < 90; cut++) {
		struct payout p = ether();
		struct paid paid;
		int r;

		p.chain_id = 77;
		x = a;
		x.text[strlen(x.text) - cut] = '\0';
		r = sign_payout(&x, &p, &paid);
		assert_true(r == KE_CRYPTO || r == KE_FORMAT);
	}
	x = a;
	memcpy(strstr(x.text, ":v"), ":v000002", 8); /* a version that there is not */
	refuse(&x, KE_VERSION);
	memcpy(strstr(x.text, ":v"), ":v000000", 8);
	refuse(&x, KE_FORMAT);
	x = a;
	x.text[6] = '2'; /* a format that there is not */
	refuse(&x, KE_VERSION);
	x = a;
	x.text[0] = 'K';
	refuse(&x, KE_FORMAT);
	x = a;
	x.text[0] = '\0';
	refuse(&x, KE_FORMAT);
	/* a seed's wrapping, under its own name and under ours */
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, a.pool, 16), KE_OK);
	wire_get_raw(&hsm.in, commits, 64);
	x = a;
	wire_get_cstr(&hsm.in, x.text, sizeof x.text);
	refuse(&x, KE_FORMAT);
	data = strrchr(x.text, ':') + 1;
	memcpy(b.text, data, strlen(data) + 1);
	snprintf(x.text, sizeof x.text, "klero:1:deposit:v000001:%.400s", b.text);
	refuse(&x, KE_CRYPTO);
	refuse(&a, KE_OK);
	stop_role(&hsm);
}

/* A deposit key's wrapping does not pass for a seed. */
static void test_not_a_seed(void **state)
{
	uint8_t body[1024], commit[32] = {1};
	struct wire_out w;
	struct kept a;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	for (int as_seed = 0; as_seed < 2; as_seed++) {
		char text[BLOB_TEXT_MAX];

		snprintf(text, sizeof text, "klero:1:%s:v000001:%.400s",
		    as_seed ? "seed" : "deposit", strrchr(a.text, ':') + 1);
		wire_out_init(&w, body, sizeof body);
		wire_put_raw(&w, a.pool, 16);
		wire_put_raw(&w, commit, 32);
		wire_put_cstr(&w, text);
		assert_int_equal(ask(&hsm, MSG_HSM_REWRAP_SEED, body, w.len), KE_FORMAT);
	}
	stop_role(&hsm);
}

/* What cannot be read costs the channel. */
static void test_malformed(void **state)
{
	uint8_t body[1024], good[1024];
	struct payout p = ether();
	struct kept a;
	size_t n, len;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	memset(body, 0, sizeof body);
	expect_blame(&hsm, MSG_HSM_NEW_DEPOSIT, body, 17); /* kind 0 */
	body[16] = 3;
	expect_blame(&hsm, MSG_HSM_NEW_DEPOSIT, body, 17);
	n = put_kept(good, &a);
	assert_int_equal(payout_put(&p, good + n, sizeof good - n, &len), KE_OK);
	good[n + len] = 0;
	expect_blame(&hsm, MSG_HSM_SIGN_PAYOUT, good, n + len + 1);
	expect_blame(&hsm, MSG_HSM_SIGN_PAYOUT, good, n + len - 1);
	memcpy(body, good, sizeof body);
	body[16] = 64; /* a public key of another length */
	expect_blame(&hsm, MSG_HSM_SIGN_PAYOUT, body, n + len);
	memcpy(body, good, sizeof body);
	body[n + 16] = PAYOUT_SOLANA;
	expect_blame(&hsm, MSG_HSM_SIGN_PAYOUT, body, n + len);
	expect_blame(&hsm, MSG_HSM_REWRAP_DEPOSIT, good, n + 1);
	stop_role(&hsm);
}

/* Rotation: the address stays, what is wrapped under the old version opens until it is gone. */
static void test_rotate(void **state)
{
	struct rconf_keyadm_done done;
	struct kept a, old;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	old = a;
	stop_role(&hsm);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DEPOSIT, 0, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(rewrap_deposit(&a), KE_OK);
	assert_non_null(strstr(a.text, "klero:1:deposit:v000002:"));
	refuse(&old, KE_OK);
	refuse(&a, KE_OK);
	stop_role(&hsm);
	/* hsm has counted the keys of the other tests, which stand under version 1 */
	assert_int_equal(act(PROPOSE_DESTROY, KEY_DEPOSIT, 1, 3, &done), KE_STATE);
	assert_int_equal(act(PROPOSE_ABANDON, KEY_DEPOSIT, 1, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	refuse(&old, KE_VERSION);
	refuse(&a, KE_OK);
	stop_role(&hsm);
}

/* As provisioned by a klerod that knew no deposit keys. */
static void forget_deposit(void)
{
	struct rconf_token t = fx_token(&ctx.f, FX_KEYS);
	char *env[] = {t.env[0]};
	struct p11 p = {.f = NULL};
	struct seen s;
	size_t i = 0;

	assert_int_equal(p11_load(&p, t.module, env, 1), KE_OK);
	assert_int_equal(p11_open(&p, t.label, true), KE_OK);
	assert_int_equal(p11_login(&p, t.pin), KE_OK);
	assert_int_equal(key_ring_find(&p, &s.ring), KE_OK);
	assert_int_equal(data_load(&p, &s.anchor), KE_OK);
	assert_int_equal(make_destroy(&p, key_ring_get(&s.ring, KEY_DEPOSIT, 1)), KE_OK);
	while (s.anchor.key[i].purpose != KEY_DEPOSIT)
		i++;
	s.anchor.key[i] = s.anchor.key[--s.anchor.keys];
	anchor_written(&s.anchor, (uint64_t)time(NULL));
	assert_int_equal(data_store(&p, &s.anchor), KE_OK);
	p11_close(&p);
}

/*
 * A token without a deposit key: everything else works, and what gives it one is either keyadm by
 * itself, as for a token of an older program, or the officers.
 */
static void test_old_token(void **state)
{
	struct rconf_keyadm complete = fx_action(&ctx.f, KEYADM_COMPLETE);
	struct rconf_keyadm_done done;
	struct payout p = ether();
	struct paid paid;
	struct seen s;
	struct kept a = {.n = 65, .text = "klero:1:deposit:v000001:AAAA"};
	uint8_t raffle[16] = {1};

	(void)state;
	p.chain_id = 77;
	forget_deposit();
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_STATE);
	assert_int_equal(sign_payout(&a, &p, &paid), KE_STATE);
	assert_int_equal(rewrap_deposit(&a), KE_STATE);
	assert_true(fx_logged(&ctx.f, "officers make one with kleroctl key rotate deposit"));
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, raffle, 16), KE_OK);
	stop_role(&hsm);
	assert_int_equal(run(&complete, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_non_null(anchor_key(&s.anchor, KEY_DEPOSIT, 1));
	forget_deposit();
	assert_int_equal(enrol(2, &done), KE_OK);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DEPOSIT, 0, 3, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_non_null(anchor_key(&s.anchor, KEY_DEPOSIT, 1));
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_EVM), KE_OK);
	stop_role(&hsm);
}

/* The token itself, with all that hsm holds: nothing brings a deposit key's value out of it. */
static void test_no_reveal(void **state)
{
	struct rconf_token t = fx_token(&ctx.f, FX_KEYS);
	uint8_t blob[CHAINKEY_BLOB_MAX], pub[65], value[CHAINKEY_BLOB_MAX];
	char *env[] = {t.env[0]};
	struct p11 p = {.f = NULL};
	CK_OBJECT_HANDLE secret;
	struct key_ring ring;
	const struct key *k;
	bool copied;
	size_t n;

	(void)state;
	assert_int_equal(p11_load(&p, t.module, env, 1), KE_OK);
	assert_int_equal(p11_open(&p, t.label, false), KE_OK);
	assert_int_equal(p11_login(&p, t.pin), KE_OK);
	assert_int_equal(key_ring_find(&p, &ring), KE_OK);
	for (int copy = 0; copy < 2; copy++) {
		k = key_ring_get(&ring, KEY_DEPOSIT, 0);
		assert_int_equal(chainkey_make(&p, &secret, pub), KE_OK);
		assert_int_equal(
		    p11_attribute(&p, secret, CKA_VALUE, value, sizeof value, &n), KE_UNAVAIL);
		assert_true(p.rv == CKR_ATTRIBUTE_SENSITIVE);
		assert_int_equal(chainkey_wrap(&p, k->handle, secret, blob, &n), KE_OK);
		assert_int_not_equal(chainkey_reveal(&p, k->handle, blob, n), KE_OK);
		assert_true(p.rv == CKR_TEMPLATE_INCONSISTENT);
		for (int use = CHAINKEY_SIGN; use <= CHAINKEY_WRAP; use++) {
			size_t len;

			assert_int_equal(chainkey_unwrap(&p, k->handle, blob, n,
					     (enum chainkey_use)use, &secret),
			    KE_OK);
			assert_int_equal(
			    p11_attribute(&p, secret, CKA_VALUE, value, sizeof value, &len),
			    KE_UNAVAIL);
			assert_true(p.rv == CKR_ATTRIBUTE_SENSITIVE);
			/* what is there for a signature cannot be wrapped under anything */
			if (use == CHAINKEY_SIGN)
				assert_int_not_equal(
				    chainkey_wrap(&p, k->handle, secret, value, &len), KE_OK);
		}
		assert_int_equal(key_ring_copy(&p, &ring, &copied), KE_OK);
	}
	p11_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_make_and_sign),
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_outlives),
	    cmocka_unit_test(test_other_blobs),
	    cmocka_unit_test(test_not_a_seed),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_no_reveal),
	    cmocka_unit_test(test_old_token),
	    cmocka_unit_test(test_rotate),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
