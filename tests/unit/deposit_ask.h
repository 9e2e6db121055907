/*
 * The questions about deposit keys as a captured engine would put them: shared by the tests of
 * klerod-hsm. The peer is `hsm`.
 */
#ifndef TESTS_DEPOSIT_ASK_H
#define TESTS_DEPOSIT_ASK_H

#include "tests/unit/officers.h"

#include "hsm/p11/blob.h"
#include "policy/evm.h"
#include "policy/payout.h"

static struct peer hsm;

/* A deposit key as the store would hold it. */
struct kept {
	uint8_t pool[16], pub[PAYOUT_PUB_MAX];
	size_t n;
	char text[BLOB_TEXT_MAX];
};

U static void get_kept(struct kept *k)
{
	k->n = wire_get_u8(&hsm.in);
	assert_in_range(k->n, 32, PAYOUT_PUB_MAX);
	wire_get_raw(&hsm.in, k->pub, k->n);
	wire_get_cstr(&hsm.in, k->text, sizeof k->text);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

U static int new_deposit(struct kept *k, enum payout_kind kind)
{
	uint8_t body[17];
	int r;

	randombytes_buf(k->pool, 16);
	memcpy(body, k->pool, 16);
	body[16] = (uint8_t)kind;
	r = ask(&hsm, MSG_HSM_NEW_DEPOSIT, body, sizeof body);
	if (r == KE_OK)
		get_kept(k);
	return r;
}

U static size_t put_kept(uint8_t body[1024], const struct kept *k)
{
	struct wire_out w;

	wire_out_init(&w, body, 1024);
	wire_put_raw(&w, k->pool, 16);
	wire_put_u8(&w, (uint8_t)k->n);
	wire_put_raw(&w, k->pub, k->n);
	wire_put_cstr(&w, k->text);
	assert_int_equal(w.err, KE_OK);
	return w.len;
}

U static int rewrap_deposit(struct kept *k)
{
	uint8_t body[1024];
	size_t n = put_kept(body, k);
	int r = ask(&hsm, MSG_HSM_REWRAP_DEPOSIT, body, n);

	if (r == KE_OK)
		wire_get_cstr(&hsm.in, k->text, sizeof k->text);
	return r;
}

struct paid {
	uint8_t name[PAYOUT_HASH_MAX], tx[PAYOUT_TX_MAX];
	size_t name_len, len;
};

U static int sign_payout(const struct kept *k, const struct payout *p, struct paid *paid)
{
	uint8_t body[1024];
	size_t n = put_kept(body, k), len;
	const uint8_t *tx;
	int r;

	assert_int_equal(payout_put(p, body + n, sizeof body - n, &len), KE_OK);
	r = ask(&hsm, MSG_HSM_SIGN_PAYOUT, body, n + len);
	if (r != KE_OK)
		return r;
	paid->name_len = wire_get_u8(&hsm.in);
	assert_in_range(paid->name_len, 32, 64);
	wire_get_raw(&hsm.in, paid->name, paid->name_len);
	tx = wire_get_str(&hsm.in, PAYOUT_TX_MAX, &paid->len);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	memcpy(paid->tx, tx, paid->len);
	return KE_OK;
}

/* 0.1 ether, with fees of 0.00063 at most; the limits are those of hsm_peer.h. */
U static struct payout ether(void)
{
	struct payout p = {.kind = PAYOUT_EVM,
	    .chain_id = 1,
	    .nonce = 3,
	    .priority_fee = 1000000000,
	    .max_fee = 30000000000,
	    .gas_limit = 21000,
	    .value = u256_of(100000000000000000)};

	randombytes_buf(p.id, 16);
	memset(p.to, 0x11, 20);
	return p;
}

#endif
