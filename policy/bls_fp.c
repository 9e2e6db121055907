/*
 * Arithmetic under BLS12-381. Pure; see bls_fp.h. Plain algorithms that follow their formulas: a
 * beacon is verified once a draw, and GMP multiplies fast enough.
 */
#include "policy/bls_fp.h"

#include <string.h>

_Static_assert(GMP_NUMB_BITS == 64, "the constants below are written for 64-bit limbs");

/* p and (p − 1) / 2, least significant limb first */
static const mp_limb_t p_limbs[FP_LIMBS] = {0xb9feffffffffaaab, 0x1eabfffeb153ffff,
    0x6730d2a0f6b0f624, 0x64774b84f38512bf, 0x4b1ba7b6434bacd7, 0x1a0111ea397fe69a};
static const mp_limb_t half_limbs[FP_LIMBS] = {0xdcff7fffffffd555, 0x0f55ffff58a9ffff,
    0xb39869507b587b12, 0xb23ba5c279c2895f, 0x258dd3db21a5d66b, 0x0d0088f51cbff34d};

const struct fp fp_one = {{1}};
const struct fp2 fp2_zero = {{{0}}, {{0}}};
const struct fp2 fp2_one = {{{1}}, {{0}}};

/* --- Fp --- */

static void limbs_get(mp_limb_t *l, size_t limbs, const uint8_t *in)
{
	for (size_t i = 0; i < limbs; i++) {
		const uint8_t *p = in + 8 * (limbs - 1 - i);

		l[i] = 0;
		for (size_t k = 0; k < 8; k++)
			l[i] = l[i] << 8 | p[k];
	}
}

int fp_get(struct fp *r, const uint8_t in[FP_LEN])
{
	limbs_get(r->l, FP_LIMBS, in);
	return mpn_cmp(r->l, p_limbs, FP_LIMBS) < 0 ? KE_OK : KE_RANGE;
}

void fp_put(uint8_t out[FP_LEN], const struct fp *a)
{
	for (size_t i = 0; i < FP_LEN; i++)
		out[i] = (uint8_t)(a->l[(FP_LEN - 1 - i) / 8] >> (8 * ((FP_LEN - 1 - i) % 8)));
}

void fp_reduce64(struct fp *r, const uint8_t in[64])
{
	mp_limb_t wide[8], q[3];

	limbs_get(wide, 8, in);
	mpn_tdiv_qr(q, r->l, 0, wide, 8, p_limbs, FP_LIMBS);
}

void fp_hex(struct fp *r, const char *hex)
{
	memset(r, 0, sizeof(*r));
	for (; *hex != 0; hex++) {
		mpn_lshift(r->l, r->l, FP_LIMBS, 4);
		r->l[0] |= (mp_limb_t)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
	}
}

bool fp_is_zero(const struct fp *a)
{
	return mpn_zero_p(a->l, FP_LIMBS);
}

bool fp_equal(const struct fp *a, const struct fp *b)
{
	return mpn_cmp(a->l, b->l, FP_LIMBS) == 0;
}

bool fp_is_odd(const struct fp *a)
{
	return a->l[0] & 1;
}

bool fp_is_high(const struct fp *a)
{
	return mpn_cmp(a->l, half_limbs, FP_LIMBS) > 0;
}

/* no carry: p has 381 of 384 bits */
void fp_add(struct fp *r, const struct fp *a, const struct fp *b)
{
	mpn_add_n(r->l, a->l, b->l, FP_LIMBS);
	if (mpn_cmp(r->l, p_limbs, FP_LIMBS) >= 0)
		mpn_sub_n(r->l, r->l, p_limbs, FP_LIMBS);
}

void fp_sub(struct fp *r, const struct fp *a, const struct fp *b)
{
	if (mpn_sub_n(r->l, a->l, b->l, FP_LIMBS) != 0)
		mpn_add_n(r->l, r->l, p_limbs, FP_LIMBS);
}

void fp_neg(struct fp *r, const struct fp *a)
{
	const struct fp zero = {{0}};

	fp_sub(r, &zero, a);
}

void fp_mul(struct fp *r, const struct fp *a, const struct fp *b)
{
	mp_limb_t wide[2 * FP_LIMBS], q[FP_LIMBS + 1];

	mpn_mul_n(wide, a->l, b->l, FP_LIMBS);
	mpn_tdiv_qr(q, r->l, 0, wide, 2 * FP_LIMBS, p_limbs, FP_LIMBS);
}

/* (a + p)·s ≡ gcd = 1: p is added because mpn_gcdext wants its first operand to be no smaller */
void fp_inv(struct fp *r, const struct fp *a)
{
	mp_limb_t u[FP_LIMBS + 1], v[FP_LIMBS + 1], g[FP_LIMBS + 1], s[FP_LIMBS + 1] = {0};
	mp_size_t n;
	struct fp t = {{0}};

	if (fp_is_zero(a)) {
		*r = *a;
		return;
	}
	mpn_add_n(u, a->l, p_limbs, FP_LIMBS);
	mpn_copyi(v, p_limbs, FP_LIMBS);
	mpn_gcdext(g, s, &n, u, FP_LIMBS, v, FP_LIMBS);
	mpn_copyi(t.l, s, n < 0 ? -n : n);
	if (n < 0)
		fp_neg(r, &t);
	else
		*r = t;
}

static void fp_pow(struct fp *r, const struct fp *a, const mp_limb_t e[FP_LIMBS])
{
	struct fp base = *a, acc = fp_one;

	for (size_t bit = 64 * FP_LIMBS; bit-- > 0;) {
		fp_mul(&acc, &acc, &acc);
		if (e[bit / 64] >> (bit % 64) & 1)
			fp_mul(&acc, &acc, &base);
	}
	*r = acc;
}

/* p ≡ 3 (mod 4): a root is a^((p + 1) / 4), where there is one */
int fp_sqrt(struct fp *r, const struct fp *a)
{
	mp_limb_t e[FP_LIMBS];
	struct fp root, square;

	mpn_add_1(e, p_limbs, FP_LIMBS, 1);
	mpn_rshift(e, e, FP_LIMBS, 2);
	fp_pow(&root, a, e);
	fp_mul(&square, &root, &root);
	if (!fp_equal(&square, a))
		return KE_NOTFOUND;
	*r = root;
	return KE_OK;
}

/* --- Fp2 --- */

bool fp2_is_zero(const struct fp2 *a)
{
	return fp_is_zero(&a->re) && fp_is_zero(&a->im);
}

bool fp2_equal(const struct fp2 *a, const struct fp2 *b)
{
	return fp_equal(&a->re, &b->re) && fp_equal(&a->im, &b->im);
}

void fp2_add(struct fp2 *r, const struct fp2 *a, const struct fp2 *b)
{
	fp_add(&r->re, &a->re, &b->re);
	fp_add(&r->im, &a->im, &b->im);
}

void fp2_sub(struct fp2 *r, const struct fp2 *a, const struct fp2 *b)
{
	fp_sub(&r->re, &a->re, &b->re);
	fp_sub(&r->im, &a->im, &b->im);
}

void fp2_neg(struct fp2 *r, const struct fp2 *a)
{
	fp_neg(&r->re, &a->re);
	fp_neg(&r->im, &a->im);
}

void fp2_conj(struct fp2 *r, const struct fp2 *a)
{
	r->re = a->re;
	fp_neg(&r->im, &a->im);
}

/* Karatsuba: three multiplications for four */
void fp2_mul(struct fp2 *r, const struct fp2 *a, const struct fp2 *b)
{
	struct fp re, im, sums_a, sums_b, cross;

	fp_mul(&re, &a->re, &b->re);
	fp_mul(&im, &a->im, &b->im);
	fp_add(&sums_a, &a->re, &a->im);
	fp_add(&sums_b, &b->re, &b->im);
	fp_mul(&cross, &sums_a, &sums_b);
	fp_sub(&cross, &cross, &re);
	fp_sub(&r->im, &cross, &im);
	fp_sub(&r->re, &re, &im);
}

void fp2_inv(struct fp2 *r, const struct fp2 *a)
{
	struct fp norm, t;

	fp_mul(&norm, &a->re, &a->re);
	fp_mul(&t, &a->im, &a->im);
	fp_add(&norm, &norm, &t);
	fp_inv(&norm, &norm);
	fp_mul(&r->re, &a->re, &norm);
	fp_mul(&t, &a->im, &norm);
	fp_neg(&r->im, &t);
}

static void fp2_pow(struct fp2 *r, const struct fp2 *a, const mp_limb_t e[FP_LIMBS])
{
	struct fp2 base = *a, acc = fp2_one;

	for (size_t bit = 64 * FP_LIMBS; bit-- > 0;) {
		fp2_mul(&acc, &acc, &acc);
		if (e[bit / 64] >> (bit % 64) & 1)
			fp2_mul(&acc, &acc, &base);
	}
	*r = acc;
}

/*
 * Algorithm 9 of Adj and Rodríguez-Henríquez, "Square root computation over even extension
 * fields", for p ≡ 3 (mod 4). That the square is a again decides.
 */
int fp2_sqrt(struct fp2 *r, const struct fp2 *a)
{
	const struct fp2 u = {{{0}}, {{1}}};
	struct fp2 a1, alpha, x, b, minus_one;
	mp_limb_t e[FP_LIMBS];

	mpn_rshift(e, p_limbs, FP_LIMBS, 2); /* (p − 3) / 4 */
	fp2_pow(&a1, a, e);
	fp2_mul(&x, &a1, a);
	fp2_mul(&alpha, &a1, &x);
	fp2_neg(&minus_one, &fp2_one);
	if (fp2_equal(&alpha, &minus_one)) {
		fp2_mul(&x, &x, &u);
	} else {
		fp2_add(&b, &fp2_one, &alpha);
		fp2_pow(&b, &b, half_limbs);
		fp2_mul(&x, &x, &b);
	}
	fp2_mul(&b, &x, &x);
	if (!fp2_equal(&b, a))
		return KE_NOTFOUND;
	*r = x;
	return KE_OK;
}

/* times 1 + u, which is w⁶ */
static void fp2_mul_xi(struct fp2 *r, const struct fp2 *a)
{
	struct fp2 t;

	fp_sub(&t.re, &a->re, &a->im);
	fp_add(&t.im, &a->re, &a->im);
	*r = t;
}

/* --- Fp12 --- */

void fp12_one(struct fp12 *r)
{
	memset(r, 0, sizeof(*r));
	r->c[0] = fp2_one;
}

bool fp12_is_one(const struct fp12 *a)
{
	bool one = fp2_equal(&a->c[0], &fp2_one);

	for (size_t i = 1; i < 6; i++)
		one = one && fp2_is_zero(&a->c[i]);
	return one;
}

/* Coefficients that are zero cost nothing: the lines of the Miller loop have three of them. */
void fp12_mul(struct fp12 *r, const struct fp12 *a, const struct fp12 *b)
{
	struct fp2 sum[11] = {0}, t;

	for (size_t k = 0; k < 6; k++) {
		if (fp2_is_zero(&b->c[k]))
			continue;
		for (size_t i = 0; i < 6; i++) {
			fp2_mul(&t, &a->c[i], &b->c[k]);
			fp2_add(&sum[i + k], &sum[i + k], &t);
		}
	}
	for (size_t i = 0; i < 5; i++) {
		fp2_mul_xi(&t, &sum[i + 6]);
		fp2_add(&r->c[i], &sum[i], &t);
	}
	r->c[5] = sum[5];
}

void fp12_conj(struct fp12 *r, const struct fp12 *a)
{
	for (size_t i = 0; i < 6; i++)
		if (i % 2 == 1)
			fp2_neg(&r->c[i], &a->c[i]);
		else
			r->c[i] = a->c[i];
}

/* (1 + u)^((p − 1) / 6), which nine maps of one verification need: w^p = w times this */
static const struct fp2 frobenius = {
    {{0x8d0775ed92235fb8, 0xf67ea53d63e7813d, 0x7b2443d784bab9c4, 0x0fd603fd3cbd5f4f,
	0xc231beb4202c0d1f, 0x1904d3bf02bb0667}},
    {{0x2cf78a126ddc4af3, 0x282d5ac14d6c7ec2, 0xec0c8ec971f63c5f, 0x54a14787b6c7b36f,
	0x88e9e902231f9fb8, 0x00fc3e2b36c4e032}}};

void fp12_frobenius(struct fp12 *r, const struct fp12 *a)
{
	struct fp2 power = fp2_one;

	for (size_t i = 0; i < 6; i++) {
		fp2_conj(&r->c[i], &a->c[i]);
		fp2_mul(&r->c[i], &r->c[i], &power);
		fp2_mul(&power, &power, &frobenius);
	}
}

/*
 * The product of the other eleven conjugates over the norm. Three Frobenius maps take it to Fp2:
 * n = a·a^(p⁶) lies in Fp6, and n·n^(p²)·n^(p⁴) in Fp2.
 */
void fp12_inv(struct fp12 *r, const struct fp12 *a)
{
	struct fp12 conj, n, n2, n4, t;
	struct fp2 inv;

	fp12_conj(&conj, a);
	fp12_mul(&n, a, &conj);
	fp12_frobenius(&t, &n);
	fp12_frobenius(&n2, &t);
	fp12_frobenius(&t, &n2);
	fp12_frobenius(&n4, &t);
	fp12_mul(&t, &n2, &n4);
	fp12_mul(&n, &n, &t);
	fp2_inv(&inv, &n.c[0]);
	fp12_mul(&t, &t, &conj);
	for (size_t i = 0; i < 6; i++)
		fp2_mul(&r->c[i], &t.c[i], &inv);
}
