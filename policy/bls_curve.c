/*
 * Points of BLS12-381: encodings, addition, the subgroup. Pure; see bls_curve.h.
 */
#include "policy/bls_curve.h"

#include <string.h>

enum { FLAG_COMPRESSED = 0x80, FLAG_INFINITY = 0x40, FLAG_HIGH = 0x20, FLAGS = 0xe0 };

/* r, most significant limb first */
static const uint64_t order[4] = {
    0x73eda753299d7d48, 0x3339d80809a1d805, 0x53bda402fffe5bfe, 0xffffffff00000001};

/* x is there: y, of the two the one that the flag says */
static int solve(struct bls_point *r, const struct fp2 *b, bool high)
{
	struct fp2 t;
	bool is_high;

	r->infinity = false;
	fp2_mul(&t, &r->x, &r->x);
	fp2_mul(&t, &t, &r->x);
	fp2_add(&t, &t, b);
	if (fp2_sqrt(&r->y, &t) != KE_OK)
		return KE_FORMAT;
	is_high = fp_is_high(fp_is_zero(&r->y.im) ? &r->y.re : &r->y.im);
	if (is_high != high)
		fp2_neg(&r->y, &r->y);
	return KE_OK;
}

/* The first bytes, without the flags. Infinity is no signature and no key of anybody. */
static int get_flags(uint8_t first[FP_LEN], const uint8_t *in)
{
	if ((in[0] & (FLAG_COMPRESSED | FLAG_INFINITY)) != FLAG_COMPRESSED)
		return KE_FORMAT;
	memcpy(first, in, FP_LEN);
	first[0] &= (uint8_t)~FLAGS;
	return KE_OK;
}

int bls_g1_get(struct bls_point *r, const uint8_t in[48])
{
	const struct fp2 b = {{{4}}, {{0}}};
	uint8_t first[FP_LEN];

	memset(r, 0, sizeof(*r));
	if (get_flags(first, in) != KE_OK || fp_get(&r->x.re, first) != KE_OK)
		return KE_FORMAT;
	if (solve(r, &b, in[0] & FLAG_HIGH) != KE_OK)
		return KE_FORMAT;
	/* a square root of what is no square in Fp lies outside Fp */
	return fp_is_zero(&r->y.im) ? KE_OK : KE_FORMAT;
}

int bls_g2_get(struct bls_point *r, const uint8_t in[96])
{
	const struct fp2 b = {{{4}}, {{4}}};
	uint8_t first[FP_LEN];

	memset(r, 0, sizeof(*r));
	if (get_flags(first, in) != KE_OK || fp_get(&r->x.im, first) != KE_OK ||
	    fp_get(&r->x.re, in + FP_LEN) != KE_OK)
		return KE_FORMAT;
	return solve(r, &b, in[0] & FLAG_HIGH);
}

static bool same_x(const struct bls_point *a, const struct bls_point *b)
{
	return fp2_equal(&a->x, &b->x);
}

void bls_slope(struct fp2 *r, const struct bls_point *a, const struct bls_point *b)
{
	struct fp2 rise, run;

	if (same_x(a, b)) {
		fp2_mul(&run, &a->x, &a->x);
		fp2_add(&rise, &run, &run);
		fp2_add(&rise, &rise, &run);
		fp2_add(&run, &a->y, &a->y);
	} else {
		fp2_sub(&rise, &b->y, &a->y);
		fp2_sub(&run, &b->x, &a->x);
	}
	fp2_inv(&run, &run);
	fp2_mul(r, &rise, &run);
}

/* r may be a or b */
void bls_add(struct bls_point *r, const struct bls_point *a, const struct bls_point *b)
{
	struct fp2 slope, x, t;

	if (a->infinity || b->infinity) {
		*r = a->infinity ? *b : *a;
		return;
	}
	if (same_x(a, b) && (!fp2_equal(&a->y, &b->y) || fp2_is_zero(&a->y))) {
		memset(r, 0, sizeof(*r));
		r->infinity = true;
		return;
	}
	bls_slope(&slope, a, b);
	fp2_mul(&x, &slope, &slope);
	fp2_sub(&x, &x, &a->x);
	fp2_sub(&x, &x, &b->x);
	fp2_sub(&t, &a->x, &x);
	fp2_mul(&t, &t, &slope);
	fp2_sub(&r->y, &t, &a->y);
	r->x = x;
	r->infinity = false;
}

/* acc = 2⁶⁴·acc + k·a */
static void mul_step(struct bls_point *acc, const struct bls_point *a, uint64_t k)
{
	for (int bit = 63; bit >= 0; bit--) {
		bls_add(acc, acc, acc);
		if (k >> bit & 1)
			bls_add(acc, acc, a);
	}
}

void bls_mul64(struct bls_point *r, const struct bls_point *a, uint64_t k)
{
	struct bls_point acc = {.infinity = true};

	mul_step(&acc, a, k);
	*r = acc;
}

bool bls_in_subgroup(const struct bls_point *a)
{
	struct bls_point acc = {.infinity = true};

	for (size_t i = 0; i < 4; i++)
		mul_step(&acc, a, order[i]);
	return acc.infinity;
}
