/*
 * Signing, MACs, sealing, randomness: see op.h. Runs in hsm, tlskey and keyadm.
 */
#include "hsm/p11/op.h"

#include <sodium.h>
#include <string.h>

#include "policy/hash.h"

int op_random(struct p11 *p, void *out, size_t n)
{
	uint8_t own[64], *byte = out;
	int r =
	    p11_check(p, "C_GenerateRandom", p->f->C_GenerateRandom(p->session, out, (CK_ULONG)n));

	if (r == KE_OK && n > sizeof own)
		return p11_fail(p, KE_LONG, "%zu random bytes at once", n);
	if (r != KE_OK)
		return r;
	randombytes_buf(own, n);
	for (size_t i = 0; i < n; i++)
		byte[i] ^= own[i];
	sodium_memzero(own, n);
	return KE_OK;
}

/* Every signature and MAC of ours has one known length. */
static int sign(struct p11 *p, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, const void *in,
    size_t n, uint8_t *out, CK_ULONG len)
{
	CK_MECHANISM m = {type, NULL, 0};
	CK_ULONG got = len;
	int r = p11_check(p, "C_SignInit", p->f->C_SignInit(p->session, &m, key));

	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_Sign", p->f->C_Sign(p->session, p11_in(in), (CK_ULONG)n, out, &got));
	if (r == KE_OK && got != len)
		return p11_fail(p, KE_UNAVAIL, "C_Sign gave %lu bytes, not %lu", got, len);
	return r;
}

int op_sign_ecdsa(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t digest[32], uint8_t sig[64])
{
	return sign(p, CKM_ECDSA, key, digest, 32, sig, 64);
}

int op_sign_ed25519(struct p11 *p, CK_OBJECT_HANDLE key, const void *msg, size_t n, uint8_t sig[64])
{
	return sign(p, CKM_EDDSA, key, msg, n, sig, 64);
}

int op_hmac(struct p11 *p, CK_OBJECT_HANDLE key, const void *in, size_t n, uint8_t out[32])
{
	return sign(p, CKM_SHA256_HMAC, key, in, n, out, 32);
}

int op_kdf(struct p11 *p, CK_OBJECT_HANDLE key, const char *label, const void *ctx, size_t n,
    uint8_t out[32])
{
	uint8_t in[HASH_KDF_INPUT_MAX];
	size_t len = hash_kdf_input(in, label, ctx, n);
	int r = len == 0 ? KE_LONG : op_hmac(p, key, in, len, out);

	sodium_memzero(in, sizeof in);
	return r;
}

/* The layout of PKCS#11 2.20, which some modules have kept. */
struct gcm_brief {
	CK_BYTE_PTR iv;
	CK_ULONG iv_len;
	CK_BYTE_PTR aad;
	CK_ULONG aad_len, tag_bits;
};

struct gcm {
	CK_GCM_PARAMS full;
	struct gcm_brief brief;
};

/*
 * GCM's parameters in one place: nothing about them is a caller's choice. In the structure's order
 * (IV, its length, its bits, AAD, its length, tag bits), for the names differ between p11-kit's
 * releases.
 */
static CK_MECHANISM gcm(
    const struct p11 *p, struct gcm *g, const uint8_t iv[OP_IV_LEN], const void *aad, size_t aadlen)
{
	g->full = (CK_GCM_PARAMS){
	    p11_in(iv), OP_IV_LEN, OP_IV_LEN * 8, p11_in(aad), (CK_ULONG)aadlen, OP_TAG_LEN * 8};
	g->brief = (struct gcm_brief){
	    p11_in(iv), OP_IV_LEN, p11_in(aad), (CK_ULONG)aadlen, OP_TAG_LEN * 8};
	if (p->ways.gcm_brief)
		return (CK_MECHANISM){CKM_AES_GCM, &g->brief, sizeof g->brief};
	return (CK_MECHANISM){CKM_AES_GCM, &g->full, sizeof g->full};
}

int op_seal(struct p11 *p, CK_OBJECT_HANDLE key, const void *aad, size_t aadlen, const void *plain,
    size_t n, uint8_t *out)
{
	struct gcm g;
	CK_MECHANISM m = gcm(p, &g, out, aad, aadlen);
	CK_ULONG got = (CK_ULONG)n + OP_TAG_LEN;
	int r;

	if (aadlen == 0)
		return p11_fail(p, KE_RANGE, "sealing without associated data");
	r = op_random(p, out, OP_IV_LEN);
	if (r == KE_OK)
		r = p11_check(p, "C_EncryptInit", p->f->C_EncryptInit(p->session, &m, key));
	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_Encrypt",
	    p->f->C_Encrypt(p->session, p11_in(plain), (CK_ULONG)n, out + OP_IV_LEN, &got));
	if (r == KE_OK && got != n + OP_TAG_LEN)
		return p11_fail(p, KE_UNAVAIL, "C_Encrypt gave %lu bytes", got);
	return r;
}

int op_open(struct p11 *p, CK_OBJECT_HANDLE key, const void *aad, size_t aadlen,
    const uint8_t *sealed, size_t n, uint8_t *out, size_t *len)
{
	struct gcm g;
	CK_MECHANISM m = gcm(p, &g, sealed, aad, aadlen);
	CK_ULONG got = (CK_ULONG)n;
	int r;

	if (aadlen == 0 || n < OP_SEAL_EXTRA)
		return p11_fail(p, KE_CRYPTO, "sealed value of %zu bytes", n);
	r = p11_check(p, "C_DecryptInit", p->f->C_DecryptInit(p->session, &m, key));
	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_Decrypt",
	    p->f->C_Decrypt(
		p->session, p11_in(sealed + OP_IV_LEN), (CK_ULONG)(n - OP_IV_LEN), out, &got));
	if (r == KE_OK && got != n - OP_SEAL_EXTRA)
		return p11_fail(p, KE_UNAVAIL, "C_Decrypt gave %lu bytes", got);
	*len = (size_t)got;
	return r;
}
