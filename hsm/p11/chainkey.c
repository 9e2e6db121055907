/*
 * Keys of deposit addresses: see chainkey.h. Runs in hsm and keyadm.
 */
#include "hsm/p11/chainkey.h"

#include <string.h>

/* CKA_EC_PARAMS: secp256k1 by its object identifier, 1.3.132.0.10 */
static const uint8_t curve[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

#define FLAG(type, value)                                                                          \
	{                                                                                          \
		type, p11_in(&(value)), sizeof(CK_BBOOL)                                           \
	}
#define COUNT(t) (sizeof(t) / sizeof(t)[0])

static int read_point(struct p11 *p, CK_OBJECT_HANDLE h, uint8_t pub[SECP_POINT])
{
	uint8_t der[SECP_POINT + 16];
	size_t n;
	int r = p11_attribute(p, h, CKA_EC_POINT, der, sizeof der, &n);

	if (r == KE_OK && key_point(der, n, pub, SECP_POINT) != KE_OK)
		return p11_fail(p, KE_UNAVAIL, "a deposit key's public half is malformed");
	return r;
}

int chainkey_make(struct p11 *p, CK_OBJECT_HANDLE *secret, uint8_t pub[SECP_POINT])
{
	CK_MECHANISM m = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_ATTRIBUTE half[] = {
	    FLAG(CKA_TOKEN, no),
	    FLAG(CKA_VERIFY, yes),
	    {CKA_EC_PARAMS, p11_in(curve), sizeof curve},
	};
	CK_ATTRIBUTE whole[] = {
	    FLAG(CKA_TOKEN, no),
	    FLAG(CKA_PRIVATE, yes),
	    FLAG(CKA_SENSITIVE, yes),
	    FLAG(CKA_EXTRACTABLE, yes), /* by wrapping under the deposit key */
	    FLAG(CKA_SIGN, yes),
	};
	CK_OBJECT_HANDLE public;
	CK_RV rv = p->f->C_GenerateKeyPair(
	    p->session, &m, half, COUNT(half), whole, COUNT(whole), &public, secret);
	int r = p11_check(p, "C_GenerateKeyPair", rv), d;

	if (r != KE_OK)
		return r;
	p->made += 2;
	r = read_point(p, public, pub);
	d = op_destroy(p, public);
	if (r == KE_OK)
		r = d;
	if (r != KE_OK)
		(void)!op_destroy(p, *secret);
	return r;
}

int chainkey_import(
    struct p11 *p, const uint8_t value[32], CK_OBJECT_HANDLE *secret, uint8_t pub[SECP_POINT])
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = CKK_EC;
	CK_ATTRIBUTE t[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_KEY_TYPE, &type, sizeof type},
	    FLAG(CKA_TOKEN, no),
	    FLAG(CKA_PRIVATE, yes),
	    FLAG(CKA_SENSITIVE, yes),
	    FLAG(CKA_EXTRACTABLE, yes),
	    FLAG(CKA_SIGN, yes),
	    {CKA_EC_PARAMS, p11_in(curve), sizeof curve},
	    {CKA_VALUE, p11_in(value), 32},
	};
	int r = secp256k1_public(pub, value);

	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_CreateObject", p->f->C_CreateObject(p->session, t, COUNT(t), secret));
	if (r == KE_OK)
		p->made++;
	return r;
}

int chainkey_wrap(struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE secret,
    uint8_t blob[CHAINKEY_BLOB_MAX], size_t *len)
{
	CK_MECHANISM m = {p->ways.wrap, NULL, 0};
	CK_ULONG n = CHAINKEY_BLOB_MAX;
	int r = p11_check(p, "C_WrapKey", p->f->C_WrapKey(p->session, &m, key, secret, blob, &n));

	*len = (size_t)n;
	if (r == KE_OK && (n < 40 || n > CHAINKEY_BLOB_MAX))
		return p11_fail(p, KE_UNAVAIL, "C_WrapKey gave %lu bytes", n);
	return r;
}

static int unwrap(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *blob, size_t n,
    bool sensitive, bool extractable, CK_OBJECT_HANDLE *secret)
{
	CK_MECHANISM m = {p->ways.wrap, NULL, 0};
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = CKK_EC;
	CK_ATTRIBUTE t[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_KEY_TYPE, &type, sizeof type},
	    FLAG(CKA_TOKEN, no),
	    FLAG(CKA_PRIVATE, yes),
	    FLAG(CKA_SENSITIVE, *(sensitive ? &yes : &no)),
	    FLAG(CKA_EXTRACTABLE, *(extractable ? &yes : &no)),
	    FLAG(CKA_SIGN, yes),
	};
	int r = p11_check(p, "C_UnwrapKey",
	    p->f->C_UnwrapKey(p->session, &m, key, p11_in(blob), (CK_ULONG)n, t, COUNT(t), secret));

	if (r == KE_OK)
		p->made++;
	return r;
}

int chainkey_unwrap(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *blob, size_t n,
    enum chainkey_use use, CK_OBJECT_HANDLE *secret)
{
	return unwrap(p, key, blob, n, true, use == CHAINKEY_WRAP, secret);
}

int chainkey_reveal(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *blob, size_t n)
{
	CK_OBJECT_HANDLE h;
	int r = unwrap(p, key, blob, n, false, true, &h);

	return r == KE_OK ? op_destroy(p, h) : r;
}

int chainkey_sign(
    struct p11 *p, CK_OBJECT_HANDLE secret, const uint8_t pub[SECP_POINT], struct chainkey_sig *sig)
{
	int r = op_sign_ecdsa(p, secret, sig->digest, sig->rs);

	return r == KE_OK ? secp256k1_finish(pub, sig->digest, sig->rs, &sig->odd) : r;
}
