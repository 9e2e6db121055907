/*
 * Verification of BLS signatures by two pairings. Pure; see bls.h.
 *
 * The optimal ate pairing: a Miller loop over |x| and the final exponentiation. The loop's
 * conjugation for a negative x is left out: a product of pairings is one with it and without.
 */
#include "policy/bls.h"

#include "policy/bls_curve.h"
#include "policy/bls_map.h"

/* One side of the product: p in G1, q in G2 on the twist, t runs through the multiples of q. */
struct side {
	struct bls_point p, q, t;
};

/*
 * f times the line through t and to (the tangent when they are the same), at p; t moves to their
 * sum. The twist takes (x, y) to (x/w², y/w³), so the line is
 * y_p·w³ − slope·x_p·w² + (slope·x_t − y_t), times w⁻³, which the final exponentiation takes to 1.
 */
static void line(struct fp12 *f, struct side *s, const struct bls_point *to)
{
	struct fp12 l = {0};
	struct fp2 slope;

	bls_slope(&slope, &s->t, to);
	fp2_mul(&l.c[0], &slope, &s->t.x);
	fp2_sub(&l.c[0], &l.c[0], &s->t.y);
	fp2_mul(&l.c[2], &slope, &s->p.x);
	fp2_neg(&l.c[2], &l.c[2]);
	l.c[3] = s->p.y;
	fp12_mul(f, f, &l);
	bls_add(&s->t, &s->t, to);
}

static void miller(struct fp12 *f, struct side s[2])
{
	fp12_one(f);
	for (size_t i = 0; i < 2; i++)
		s[i].t = s[i].q;
	for (int bit = 62; bit >= 0; bit--) {
		fp12_mul(f, f, f);
		for (size_t i = 0; i < 2; i++) {
			line(f, &s[i], &s[i].t);
			if (BLS_X >> bit & 1)
				line(f, &s[i], &s[i].q);
		}
	}
}

/* f^x for f with f⁻¹ = conj(f) */
static void pow_x(struct fp12 *r, const struct fp12 *f)
{
	struct fp12 base = *f, acc;

	fp12_one(&acc);
	for (int bit = 63; bit >= 0; bit--) {
		fp12_mul(&acc, &acc, &acc);
		if (BLS_X >> bit & 1)
			fp12_mul(&acc, &acc, &base);
	}
	fp12_conj(r, &acc);
}

/* f^(x − 1) */
static void pow_x_less_1(struct fp12 *r, const struct fp12 *f)
{
	struct fp12 t, inverse;

	pow_x(&t, f);
	fp12_conj(&inverse, f);
	fp12_mul(r, &t, &inverse);
}

/* f^((p⁶ − 1)(p² + 1)): from here on the inverse is the conjugate */
static void easy_part(struct fp12 *f)
{
	struct fp12 inverse, t;

	fp12_inv(&inverse, f);
	fp12_conj(&t, f);
	fp12_mul(f, &t, &inverse);
	fp12_frobenius(&t, f);
	fp12_frobenius(&t, &t);
	fp12_mul(f, f, &t);
}

/*
 * f^(3·(p⁴ − p² + 1)/r) = f^((x − 1)²(x + p)(x² + p² − 1) + 3) (Hayashida, Hayasaka and Teruya,
 * 2020). Three is prime to r, so that the cube is one exactly when its root is.
 */
static void hard_part(struct fp12 *f)
{
	struct fp12 a, b, t;

	pow_x_less_1(&a, f);
	pow_x_less_1(&a, &a);
	pow_x(&b, &a);
	fp12_frobenius(&t, &a);
	fp12_mul(&a, &b, &t);
	pow_x(&b, &a);
	pow_x(&b, &b);
	fp12_frobenius(&t, &a);
	fp12_frobenius(&t, &t);
	fp12_mul(&b, &b, &t);
	fp12_conj(&t, &a);
	fp12_mul(&b, &b, &t);
	fp12_mul(&t, f, f);
	fp12_mul(&t, &t, f);
	fp12_mul(f, &b, &t);
}

/* G2's generator: draft-irtf-cfrg-pairing-friendly-curves, section 4.2.1 */
static void g2_generator(struct bls_point *g)
{
	g->infinity = false;
	fp_hex(&g->x.re, "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326"
			 "a805bbefd48056c8c121bdb8");
	fp_hex(&g->x.im, "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf112"
			 "13945d57e5ac7d055d042b7e");
	fp_hex(&g->y.re, "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc"
			 "3baca289e193548608b82801");
	fp_hex(&g->y.im, "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d27"
			 "5cec1da1aaa9075ff05f79be");
}

/* e(sig, −g2) · e(H(msg), pub) = 1 */
int bls_verify(const uint8_t pub[BLS_PUB_LEN], const uint8_t *sig, size_t sig_len, const void *msg,
    size_t len, const char *dst)
{
	struct side s[2];
	struct fp12 f;

	if (bls_g2_get(&s[1].q, pub) != KE_OK || !bls_in_subgroup(&s[1].q))
		return KE_WRONG_KEY;
	if (sig_len != BLS_SIG_LEN || bls_g1_get(&s[0].p, sig) != KE_OK)
		return KE_FORMAT;
	/* a signature plus a point of the cofactor's order passes the pairings: DRAW.md section 7
	 */
	if (!bls_in_subgroup(&s[0].p))
		return KE_CRYPTO;
	g2_generator(&s[0].q);
	fp2_neg(&s[0].q.y, &s[0].q.y);
	bls_hash_point(&s[1].p, msg, len, dst);
	if (s[1].p.infinity)
		return KE_CRYPTO;
	miller(&f, s);
	easy_part(&f);
	hard_part(&f);
	return fp12_is_one(&f) ? KE_OK : KE_CRYPTO;
}
