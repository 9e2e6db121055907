/*
 * Fuzz target: points and signatures of BLS12-381. The first byte chooses: bytes as a round's
 * signature, which only the real one may be; or a point of G1 or G2, which decodes to a point of
 * its curve and has one encoding.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bls_curve.h"
#include "policy/drand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* quicknet's round 1 */
static const uint8_t real[BLS_SIG_LEN] = {0xb5, 0x5e, 0x7c, 0xb2, 0xd5, 0xc6, 0x13, 0xee, 0x0b,
    0x2e, 0x28, 0xd6, 0x75, 0x0a, 0xab, 0xbb, 0x78, 0xc3, 0x9d, 0xcc, 0x96, 0xbd, 0x9d, 0x38, 0xc2,
    0xc2, 0xe1, 0x21, 0x98, 0xdf, 0x95, 0x57, 0x1d, 0xe8, 0xe8, 0xe4, 0x02, 0xa0, 0xcc, 0x48, 0x87,
    0x1c, 0x70, 0x89, 0xa2, 0xb3, 0xaf, 0x4b};

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_point(
    const struct bls_point *p, const struct fp2 *b, const uint8_t *data, size_t n)
{
	struct fp2 left, right;
	uint8_t out[96];
	bool high = fp_is_high(fp_is_zero(&p->y.im) ? &p->y.re : &p->y.im);

	fp2_mul(&left, &p->y, &p->y);
	fp2_mul(&right, &p->x, &p->x);
	fp2_mul(&right, &right, &p->x);
	fp2_add(&right, &right, b);
	must(fp2_equal(&left, &right));
	fp_put(out, n == 96 ? &p->x.im : &p->x.re);
	fp_put(out + 48, &p->x.re);
	out[0] |= (uint8_t)(0x80 | (high ? 0x20 : 0));
	must(memcmp(out, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fp2 b1 = {{{4}}, {{0}}}, b2 = {{{4}}, {{4}}};
	struct bls_point p;

	if (size == 0)
		return 0;
	if (data[0] % 2 == 0) {
		if (drand_verify(&drand_quicknet, 1, data + 1, size - 1) == KE_OK)
			must(size == 1 + BLS_SIG_LEN && memcmp(data + 1, real, BLS_SIG_LEN) == 0);
		return 0;
	}
	if (size > 48 && bls_g1_get(&p, data + 1) == KE_OK)
		check_point(&p, &b1, data + 1, 48);
	if (size > 96 && bls_g2_get(&p, data + 1) == KE_OK)
		check_point(&p, &b2, data + 1, 96);
	return 0;
}
