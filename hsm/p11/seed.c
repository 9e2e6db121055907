/*
 * Server seeds: 32-byte generic secrets that are made, wrapped, unwrapped and digested inside the
 * token (KEYS.md section 1): see op.h. Runs in hsm and keyadm.
 */
#include <sodium.h>

#include "hsm/p11/op.h"

static int made(struct p11 *p, const char *call, CK_RV rv)
{
	if (rv == CKR_OK)
		p->made++;
	return p11_check(p, call, rv);
}

int op_seed_make(struct p11 *p, CK_OBJECT_HANDLE *seed)
{
	CK_MECHANISM m = {CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = OP_SEED_LEN;
	CK_ATTRIBUTE t[] = {
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes},
	    {CKA_EXTRACTABLE, &yes, sizeof yes}, /* by wrapping under the seed key */
	    {CKA_SIGN, &yes, sizeof yes},
	    {CKA_VALUE_LEN, &len, sizeof len},
	};

	return made(p, "C_GenerateKey",
	    p->f->C_GenerateKey(p->session, &m, t, sizeof t / sizeof t[0], seed));
}

int op_seed_wrap(
    struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE seed, uint8_t blob[OP_SEED_BLOB])
{
	CK_MECHANISM m = {p->ways.wrap, NULL, 0};
	CK_ULONG len = OP_SEED_BLOB;
	int r = p11_check(p, "C_WrapKey", p->f->C_WrapKey(p->session, &m, key, seed, blob, &len));

	if (r == KE_OK && len != OP_SEED_BLOB)
		return p11_fail(p, KE_UNAVAIL, "C_WrapKey gave %lu bytes", len);
	return r;
}

int op_seed_unwrap(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t blob[OP_SEED_BLOB],
    bool reveal, CK_OBJECT_HANDLE *seed)
{
	CK_MECHANISM m = {p->ways.wrap, NULL, 0};
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE, sensitive = reveal ? CK_FALSE : CK_TRUE;
	CK_ATTRIBUTE t[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_KEY_TYPE, &type, sizeof type},
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &sensitive, sizeof sensitive},
	    {CKA_EXTRACTABLE, &yes, sizeof yes},
	    {CKA_SIGN, &yes, sizeof yes},
	};

	return made(p, "C_UnwrapKey",
	    p->f->C_UnwrapKey(
		p->session, &m, key, p11_in(blob), OP_SEED_BLOB, t, sizeof t / sizeof t[0], seed));
}

int op_seed_read(struct p11 *p, CK_OBJECT_HANDLE seed, uint8_t out[OP_SEED_LEN])
{
	CK_ATTRIBUTE a = {CKA_VALUE, out, OP_SEED_LEN};
	int r =
	    p11_check(p, "C_GetAttributeValue", p->f->C_GetAttributeValue(p->session, seed, &a, 1));

	/* an honest blob under our key that holds something else: the row's fault, not the HSM's */
	if (r == KE_OK && a.ulValueLen != OP_SEED_LEN)
		return p11_fail(p, KE_CRYPTO, "seed of %lu bytes", a.ulValueLen);
	return r;
}

int op_seed_digest(struct p11 *p, CK_OBJECT_HANDLE seed, uint8_t out[32])
{
	CK_MECHANISM m = {CKM_SHA256, NULL, 0};
	CK_ULONG len = 32;
	CK_RV rv;
	int r;

	if (!p->has_digest_key)
		return p11_fail(p, KE_NOTFOUND, "the module lacks C_DigestKey");
	r = p11_check(p, "C_DigestInit", p->f->C_DigestInit(p->session, &m));
	if (r != KE_OK)
		return r;
	rv = p->f->C_DigestKey(p->session, seed);
	if (!p->digests && (rv == CKR_FUNCTION_NOT_SUPPORTED || rv == CKR_KEY_INDIGESTIBLE)) {
		p->has_digest_key = false;
		(void)p->f->C_DigestFinal(p->session, out, &len); /* ends the operation */
		return p11_fail(p, KE_NOTFOUND, "the module lacks C_DigestKey");
	}
	r = p11_check(p, "C_DigestKey", rv);
	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_DigestFinal", p->f->C_DigestFinal(p->session, out, &len));
	if (r == KE_OK && len != 32)
		return p11_fail(p, KE_UNAVAIL, "C_DigestFinal gave %lu bytes", len);
	p->digests = p->digests || r == KE_OK;
	return r;
}

int op_destroy(struct p11 *p, CK_OBJECT_HANDLE h)
{
	return p11_check(p, "C_DestroyObject", p->f->C_DestroyObject(p->session, h));
}
