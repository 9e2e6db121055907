/*
 * secp256k1: see secp256k1.h. The arithmetic is libcrypto's; the formulas are those of SEC 1
 * section 4.1.4, done by hand because libcrypto verifies without telling where R lies.
 */
#include "policy/secp256k1.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

/* What every calculation needs; freed by leave(). */
struct math {
	EC_GROUP *group;
	BN_CTX *ctx;
	EC_POINT *q, *r;
	BIGNUM *rx, *s, *e, *u1, *u2, *x, *y;
	const BIGNUM *n;
};

static int enter(struct math *m)
{
	*m = (struct math){
	    .group = EC_GROUP_new_by_curve_name(NID_secp256k1), .ctx = BN_CTX_secure_new()};
	if (m->group == NULL || m->ctx == NULL)
		return KE_NOMEM;
	BN_CTX_start(m->ctx);
	m->n = EC_GROUP_get0_order(m->group);
	m->q = EC_POINT_new(m->group);
	m->r = EC_POINT_new(m->group);
	m->rx = BN_CTX_get(m->ctx);
	m->s = BN_CTX_get(m->ctx);
	m->e = BN_CTX_get(m->ctx);
	m->u1 = BN_CTX_get(m->ctx);
	m->u2 = BN_CTX_get(m->ctx);
	m->x = BN_CTX_get(m->ctx);
	m->y = BN_CTX_get(m->ctx); /* NULL when any before it was */
	return m->n != NULL && m->q != NULL && m->r != NULL && m->y != NULL ? KE_OK : KE_NOMEM;
}

static void leave(struct math *m)
{
	EC_POINT_clear_free(m->q);
	EC_POINT_clear_free(m->r);
	if (m->ctx != NULL && m->group != NULL)
		BN_CTX_end(m->ctx);
	BN_CTX_free(m->ctx);
	EC_GROUP_free(m->group);
}

static int in_order(const struct math *m, const BIGNUM *v)
{
	return !BN_is_zero(v) && !BN_is_negative(v) && BN_cmp(v, m->n) < 0;
}

/* Takes the signature apart, with s made low and written back. */
static int take(struct math *m, const uint8_t digest[32], uint8_t sig[64])
{
	if (BN_bin2bn(sig, 32, m->rx) == NULL || BN_bin2bn(sig + 32, 32, m->s) == NULL ||
	    BN_bin2bn(digest, 32, m->e) == NULL)
		return KE_NOMEM;
	if (!in_order(m, m->rx) || !in_order(m, m->s))
		return KE_CRYPTO;
	if (BN_rshift1(m->x, m->n) != 1)
		return KE_NOMEM;
	if (BN_cmp(m->s, m->x) <= 0)
		return KE_OK;
	return BN_sub(m->s, m->n, m->s) == 1 && BN_bn2binpad(m->s, sig + 32, 32) == 32 ? KE_OK
										       : KE_NOMEM;
}

/* R = e/s G + r/s Q; its x must be r. An x between the order and the prime is nobody's signature.
 */
static int verify(struct math *m, const uint8_t pub[SECP_POINT], unsigned *odd)
{
	if (EC_POINT_oct2point(m->group, m->q, pub, SECP_POINT, m->ctx) != 1)
		return KE_CRYPTO;
	if (BN_mod_inverse(m->x, m->s, m->n, m->ctx) == NULL ||
	    BN_mod_mul(m->u1, m->e, m->x, m->n, m->ctx) != 1 ||
	    BN_mod_mul(m->u2, m->rx, m->x, m->n, m->ctx) != 1 ||
	    EC_POINT_mul(m->group, m->r, m->u1, m->q, m->u2, m->ctx) != 1)
		return KE_NOMEM;
	if (EC_POINT_get_affine_coordinates(m->group, m->r, m->x, m->y, m->ctx) != 1)
		return KE_CRYPTO; /* the point at infinity has none */
	if (BN_cmp(m->x, m->rx) != 0)
		return KE_CRYPTO;
	*odd = (unsigned)BN_is_odd(m->y);
	return KE_OK;
}

int secp256k1_finish(
    const uint8_t pub[SECP_POINT], const uint8_t digest[32], uint8_t sig[64], unsigned *odd)
{
	struct math m;
	int r = enter(&m);

	if (r == KE_OK)
		r = take(&m, digest, sig);
	if (r == KE_OK)
		r = verify(&m, pub, odd);
	leave(&m);
	return r;
}

int secp256k1_public(uint8_t pub[SECP_POINT], const uint8_t secret[32])
{
	struct math m;
	int r = enter(&m);

	if (r == KE_OK && BN_bin2bn(secret, 32, m.s) == NULL)
		r = KE_NOMEM;
	if (r == KE_OK && !in_order(&m, m.s))
		r = KE_RANGE;
	if (r == KE_OK) {
		BN_set_flags(m.s, BN_FLG_CONSTTIME);
		if (EC_POINT_mul(m.group, m.q, m.s, NULL, NULL, m.ctx) != 1 ||
		    EC_POINT_point2oct(m.group, m.q, POINT_CONVERSION_UNCOMPRESSED, pub, SECP_POINT,
			m.ctx) != SECP_POINT)
			r = KE_NOMEM;
	}
	if (m.s != NULL)
		BN_clear(m.s);
	leave(&m);
	return r;
}
