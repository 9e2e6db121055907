/*
 * hash_to_curve for BLS12-381's G1 (RFC 9380, section numbers below). Pure; see bls_map.h.
 */
#include "policy/bls_map.h"

#include <sodium.h>
#include <string.h>

#include "policy/bls.h"

#define WIDE (BLS_UNIFORM / 2) /* L of section 8.8.1: bytes of one field element, not reduced */

#define ISO(name, ...) static const char *const name[] = {__VA_ARGS__};
#include "policy/bls_iso.def"
#undef ISO

/* Z of section 8.8.1 */
static const struct fp iso_z = {{11}};

void bls_expand(uint8_t out[BLS_UNIFORM], const void *msg, size_t len, const char *dst)
{
	static const uint8_t zeros[64], head[3] = {0, BLS_UNIFORM, 0};
	uint8_t b0[32], block[32] = {0}, dst_len;
	crypto_hash_sha256_state h;
	size_t n = strnlen(dst, BLS_DST_MAX);

	dst_len = (uint8_t)n;
	crypto_hash_sha256_init(&h);
	crypto_hash_sha256_update(&h, zeros, sizeof(zeros));
	crypto_hash_sha256_update(&h, msg, len);
	crypto_hash_sha256_update(&h, head, sizeof(head));
	crypto_hash_sha256_update(&h, (const uint8_t *)dst, n);
	crypto_hash_sha256_update(&h, &dst_len, 1);
	crypto_hash_sha256_final(&h, b0);
	for (uint8_t i = 1; i <= BLS_UNIFORM / 32; i++) {
		for (size_t k = 0; k < 32; k++)
			block[k] ^= b0[k];
		crypto_hash_sha256_init(&h);
		crypto_hash_sha256_update(&h, block, 32);
		crypto_hash_sha256_update(&h, &i, 1);
		crypto_hash_sha256_update(&h, (const uint8_t *)dst, n);
		crypto_hash_sha256_update(&h, &dst_len, 1);
		crypto_hash_sha256_final(&h, block);
		memcpy(out + 32 * (i - 1), block, 32);
	}
}

/* x³ + A'x + B' */
static void iso_curve(struct fp *r, const struct fp *x)
{
	struct fp a, b, t;

	fp_hex(&a, iso_a[0]);
	fp_hex(&b, iso_b[0]);
	fp_mul(&t, x, x);
	fp_add(&t, &t, &a);
	fp_mul(&t, &t, x);
	fp_add(r, &t, &b);
}

/* the first x of section 6.6.2, from t = Z·u² */
static void sswu_x(struct fp *x, const struct fp *t)
{
	struct fp a, b, inv;

	fp_hex(&a, iso_a[0]);
	fp_hex(&b, iso_b[0]);
	fp_mul(&inv, t, t);
	fp_add(&inv, &inv, t);
	fp_inv(&inv, &inv);
	if (fp_is_zero(&inv)) {
		fp_mul(&a, &a, &iso_z);
	} else {
		fp_add(&inv, &inv, &fp_one);
		fp_mul(&b, &b, &inv);
		fp_neg(&b, &b);
	}
	fp_inv(&a, &a);
	fp_mul(x, &b, &a);
}

/* the simplified Shallue–van de Woestijne–Ulas map, section 6.6.2 */
static void sswu(struct fp *x, struct fp *y, const struct fp *u)
{
	struct fp t, gx;

	fp_mul(&t, u, u);
	fp_mul(&t, &t, &iso_z);
	sswu_x(x, &t);
	iso_curve(&gx, x);
	if (fp_sqrt(y, &gx) != KE_OK) {
		fp_mul(x, x, &t);
		iso_curve(&gx, x);
		/* one of the two is a square, by the choice of Z */
		if (fp_sqrt(y, &gx) != KE_OK)
			*y = gx;
	}
	if (fp_is_odd(u) != fp_is_odd(y))
		fp_neg(y, y);
}

static void poly(struct fp *r, const char *const *coefficients, size_t n, const struct fp *x)
{
	struct fp acc = {{0}}, c;

	while (n-- > 0) {
		fp_hex(&c, coefficients[n]);
		fp_mul(&acc, &acc, x);
		fp_add(&acc, &acc, &c);
	}
	*r = acc;
}
#define POLY(r, name, x) poly(r, name, sizeof(name) / sizeof((name)[0]), x)

static void map_to_curve(struct bls_point *r, const struct fp *u)
{
	struct fp x, y, num, den;

	memset(r, 0, sizeof(*r));
	sswu(&x, &y, u);
	POLY(&num, x_num, &x);
	POLY(&den, x_den, &x);
	r->infinity = fp_is_zero(&den);
	fp_inv(&den, &den);
	fp_mul(&r->x.re, &num, &den);
	POLY(&num, y_num, &x);
	POLY(&den, y_den, &x);
	r->infinity = r->infinity || fp_is_zero(&den);
	fp_inv(&den, &den);
	fp_mul(&num, &num, &den);
	fp_mul(&r->y.re, &num, &y);
}

void bls_hash_point(struct bls_point *r, const void *msg, size_t len, const char *dst)
{
	uint8_t uniform[BLS_UNIFORM];
	struct bls_point q0, q1;
	struct fp u;

	bls_expand(uniform, msg, len, dst);
	fp_reduce64(&u, uniform);
	map_to_curve(&q0, &u);
	fp_reduce64(&u, uniform + WIDE);
	map_to_curve(&q1, &u);
	bls_add(&q0, &q0, &q1);
	/* clear the cofactor by h_eff = 1 − x: section 8.8.1 */
	bls_mul64(r, &q0, BLS_X + 1);
}

void bls_hash_to_g1(uint8_t xy[96], const void *msg, size_t len, const char *dst)
{
	struct bls_point p;

	bls_hash_point(&p, msg, len, dst);
	fp_put(xy, &p.x.re);
	fp_put(xy + FP_LEN, &p.y.re);
}
