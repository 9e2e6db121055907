/*
 * Seeds wrapped to officers' RSA keys: see escrow.h. Runs in hsm and kleroctl hsm check.
 */
#include "hsm/p11/escrow.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <string.h>

#include "hsm/p11/learn.h"
#include "hsm/p11/op.h"

#define TRY_BITS 2048 /* of a key that is made to try the module, and forgotten */
#define E_MAX    8

struct numbers {
	uint8_t modulus[ESCROW_MODULUS_MAX], e[E_MAX];
	CK_ULONG modulus_len, e_len;
};

static int get_number(EVP_PKEY *key, const char *name, uint8_t *out, size_t cap, CK_ULONG *len)
{
	BIGNUM *n = NULL;
	int r = KE_FORMAT;

	if (EVP_PKEY_get_bn_param(key, name, &n) == 1 && (size_t)BN_num_bytes(n) <= cap) {
		*len = (CK_ULONG)BN_bn2bin(n, out);
		r = KE_OK;
	}
	BN_free(n);
	return r;
}

static int get_numbers(EVP_PKEY *key, struct numbers *n)
{
	int r =
	    get_number(key, OSSL_PKEY_PARAM_RSA_N, n->modulus, sizeof n->modulus, &n->modulus_len);

	return r == KE_OK ? get_number(key, OSSL_PKEY_PARAM_RSA_E, n->e, sizeof n->e, &n->e_len)
			  : r;
}

static int create(struct p11 *p, struct numbers *n, CK_OBJECT_HANDLE *h)
{
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_KEY_TYPE type = CKK_RSA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE t[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_KEY_TYPE, &type, sizeof type},
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &no, sizeof no},
	    {CKA_WRAP, &yes, sizeof yes},
	    {CKA_ENCRYPT, &no, sizeof no},
	    {CKA_VERIFY, &no, sizeof no},
	    {CKA_MODULUS, n->modulus, n->modulus_len},
	    {CKA_PUBLIC_EXPONENT, n->e, n->e_len},
	};
	CK_RV rv = p->f->C_CreateObject(p->session, t, sizeof t / sizeof t[0], h);

	if (rv == CKR_OK)
		p->made++;
	return p11_check(p, "C_CreateObject", rv);
}

int op_escrow_key(struct p11 *p, const struct escrow_key *k, CK_OBJECT_HANDLE *h)
{
	const uint8_t *at = k->der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)k->len);
	struct numbers n;
	int r = key != NULL ? get_numbers(key, &n) : KE_FORMAT;

	EVP_PKEY_free(key);
	return r == KE_OK ? create(p, &n, h) : p11_fail(p, r, "an escrow key cannot be read");
}

int op_escrow_wrap(
    struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE seed, uint8_t *out, size_t n)
{
	CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
	CK_MECHANISM m = {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep};
	CK_ULONG len = (CK_ULONG)n;
	int r;

	if (p->ways.oaep == CKM_SHA_1) {
		oaep.hashAlg = CKM_SHA_1;
		oaep.mgf = CKG_MGF1_SHA1;
	}
	r = p11_check(p, "C_WrapKey", p->f->C_WrapKey(p->session, &m, key, seed, out, &len));
	if (r == KE_OK && len != n)
		return p11_fail(p, KE_UNAVAIL, "C_WrapKey gave %lu bytes", len);
	return r;
}

/* --- trying --- */

/* Is it the OAEP that software opens to this value? */
static bool opens(
    EVP_PKEY *key, const EVP_MD *md, const uint8_t *in, size_t n, const uint8_t value[OP_SEED_LEN])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t plain[TRY_BITS / 8];
	size_t len = sizeof plain;
	bool ok = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
		  EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
		  EVP_PKEY_decrypt(ctx, plain, &len, in, n) == 1 && len == OP_SEED_LEN &&
		  memcmp(plain, value, len) == 0;

	sodium_memzero(plain, sizeof plain);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int try_wraps(struct p11 *p, EVP_PKEY *key, CK_OBJECT_HANDLE h, CK_OBJECT_HANDLE seed,
    const uint8_t value[OP_SEED_LEN])
{
	static const CK_MECHANISM_TYPE ways[] = {CKM_SHA256, CKM_SHA_1};
	int r = KE_NOTFOUND;

	for (size_t i = 0; r == KE_NOTFOUND && i < sizeof ways / sizeof ways[0]; i++) {
		uint8_t out[TRY_BITS / 8];
		const EVP_MD *md = ways[i] == CKM_SHA_1 ? EVP_sha1() : EVP_sha256();

		p->ways.oaep = ways[i];
		r = op_escrow_wrap(p, h, seed, out, sizeof out);
		r = learn_tried(p, r, r == KE_OK && opens(key, md, out, sizeof out, value));
	}
	return r;
}

static int try_key(struct p11 *p, EVP_PKEY *key)
{
	uint8_t value[OP_SEED_LEN];
	CK_OBJECT_HANDLE h, seed;
	struct numbers n;
	int r = get_numbers(key, &n), d = KE_OK;

	if (r == KE_OK)
		r = create(p, &n, &h);
	if (r != KE_OK)
		return learn_tried(p, r, false);
	r = learn_open_key(p, CKM_GENERIC_SECRET_KEY_GEN, &seed, value);
	if (r == KE_OK) {
		r = try_wraps(p, key, h, seed, value);
		d = op_destroy(p, seed);
	}
	sodium_memzero(value, sizeof value);
	if (op_destroy(p, h) != KE_OK)
		d = KE_UNAVAIL;
	return r == KE_OK ? d : r;
}

int learn_escrow(struct p11 *p)
{
	EVP_PKEY *key = EVP_RSA_gen(TRY_BITS);
	int r = key != NULL ? try_key(p, key) : p11_fail(p, KE_NOMEM, "no RSA key can be made");

	EVP_PKEY_free(key);
	if (r == KE_NOTFOUND)
		return p11_fail(p, r,
		    "token %s: C_WrapKey knows no RSA-OAEP (CKM_RSA_PKCS_OAEP): server seeds "
		    "cannot be kept in escrow",
		    p->label);
	return r;
}
