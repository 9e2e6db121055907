/*
 * The fields under BLS12-381: Fp, Fp2 = Fp[u]/(u² + 1), Fp12 = Fp2[w]/(w⁶ − (1 + u)), on GMP's
 * limbs. Pure. For verification only: every value is public, so nothing here runs in constant
 * time, and nothing secret may ever enter. Values are always reduced; nothing can fail but where
 * a result says so.
 */
#ifndef POLICY_BLS_FP_H
#define POLICY_BLS_FP_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define FP_LEN   48 /* bytes */
#define FP_LIMBS 6

struct fp {
	mp_limb_t l[FP_LIMBS];
};
struct fp2 {
	struct fp re, im;
};
struct fp12 {
	struct fp2 c[6]; /* of w⁰ to w⁵ */
};

extern const struct fp fp_one;
extern const struct fp2 fp2_zero, fp2_one;

/* 48 bytes, big-endian; KE_RANGE when they are not below p. */
int fp_get(struct fp *r, const uint8_t in[FP_LEN]) KE_CHECK;
void fp_put(uint8_t out[FP_LEN], const struct fp *a);
/* 64 bytes, big-endian, reduced (RFC 9380 section 5.2). */
void fp_reduce64(struct fp *r, const uint8_t in[64]);
/* Hexadecimal without a prefix, at most 96 digits: for constants. */
void fp_hex(struct fp *r, const char *hex);

bool fp_is_zero(const struct fp *a);
bool fp_equal(const struct fp *a, const struct fp *b);
/* RFC 9380 section 4.1, sgn0 for m = 1: the lowest bit */
bool fp_is_odd(const struct fp *a);
/* Is it above (p − 1) / 2, so that of a and −a it is the one with the sign flag? */
bool fp_is_high(const struct fp *a);

void fp_add(struct fp *r, const struct fp *a, const struct fp *b);
void fp_sub(struct fp *r, const struct fp *a, const struct fp *b);
void fp_neg(struct fp *r, const struct fp *a);
void fp_mul(struct fp *r, const struct fp *a, const struct fp *b);
/* 0 for 0 */
void fp_inv(struct fp *r, const struct fp *a);
/* A root of a; KE_NOTFOUND when it is no square. */
int fp_sqrt(struct fp *r, const struct fp *a) KE_CHECK;

bool fp2_is_zero(const struct fp2 *a);
bool fp2_equal(const struct fp2 *a, const struct fp2 *b);
void fp2_add(struct fp2 *r, const struct fp2 *a, const struct fp2 *b);
void fp2_sub(struct fp2 *r, const struct fp2 *a, const struct fp2 *b);
void fp2_neg(struct fp2 *r, const struct fp2 *a);
void fp2_conj(struct fp2 *r, const struct fp2 *a);
void fp2_mul(struct fp2 *r, const struct fp2 *a, const struct fp2 *b);
/* 0 for 0 */
void fp2_inv(struct fp2 *r, const struct fp2 *a);
int fp2_sqrt(struct fp2 *r, const struct fp2 *a) KE_CHECK;

void fp12_one(struct fp12 *r);
bool fp12_is_one(const struct fp12 *a);
void fp12_mul(struct fp12 *r, const struct fp12 *a, const struct fp12 *b);
void fp12_inv(struct fp12 *r, const struct fp12 *a);
/* a^(p⁶): the inverse of what has gone through the easy part of the final exponentiation */
void fp12_conj(struct fp12 *r, const struct fp12 *a);
/* a^p */
void fp12_frobenius(struct fp12 *r, const struct fp12 *a);

#endif
