/*
 * The curves of BLS12-381, both with coordinates in Fp2: G1 is y² = x³ + 4, its coordinates with no
 * imaginary part; G2 is y² = x³ + 4(1 + u). One arithmetic, affine, serves both. Pure; public
 * values only: see bls_fp.h.
 */
#ifndef POLICY_BLS_CURVE_H
#define POLICY_BLS_CURVE_H

#include "policy/bls_fp.h"

/* −x of the curve's parameter x, by which all else of the family is defined */
#define BLS_X 0xd201000000010000u

struct bls_point {
	bool infinity;
	struct fp2 x, y;
};

/* The compressed encodings: KE_FORMAT when it is not a point's, infinity included. No subgroup. */
int bls_g1_get(struct bls_point *r, const uint8_t in[48]) KE_CHECK;
int bls_g2_get(struct bls_point *r, const uint8_t in[96]) KE_CHECK;

/* The slope at a, of the tangent (b the same point) or the line through a and b. */
void bls_slope(struct fp2 *r, const struct bls_point *a, const struct bls_point *b);
void bls_add(struct bls_point *r, const struct bls_point *a, const struct bls_point *b);
void bls_mul64(struct bls_point *r, const struct bls_point *a, uint64_t k);
/* Is r·a, for the prime order r of the subgroups, infinity? */
bool bls_in_subgroup(const struct bls_point *a);

#endif
