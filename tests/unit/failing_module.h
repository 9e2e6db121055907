/*
 * The real PKCS#11 module with calls taken away: the Nth of them fails, before or after its effect,
 * or lies. For tests in whose process the key holder runs.
 */
#ifndef TESTS_UNIT_FAILING_MODULE_H
#define TESTS_UNIT_FAILING_MODULE_H

#include <stdbool.h>

#include "hsm/p11/p11.h"

enum how {
	BEFORE, /* nothing happens but the error */
	AFTER,  /* it happens, and the error all the same */
	LIE     /* no error, and a bit of what comes out is wrong */
};

static CK_FUNCTION_LIST real, failing;
static unsigned countdown; /* 0: no call fails */
static CK_RV failure;
static enum how how;
static bool lied; /* there was something to lie about */

static bool fails(void)
{
	return countdown > 0 && --countdown == 0;
}

static CK_RV finish(bool due, CK_RV rv, uint8_t *out, size_t n)
{
	if (!due)
		return rv;
	if (how != LIE)
		return failure;
	if (out != NULL && n > 0) {
		out[n / 2] ^= 1;
		lied = true;
	}
	return rv;
}

#define SHIM(name, params, args, out, len)                                                         \
	static CK_RV shim_##name params                                                            \
	{                                                                                          \
		bool due = fails();                                                                \
		return due && how == BEFORE ? failure : finish(due, real.name args, out, len);     \
	}

SHIM(C_GenerateRandom, (CK_SESSION_HANDLE s, CK_BYTE_PTR p, CK_ULONG n), (s, p, n), p, n)
SHIM(C_SignInit, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k), (s, m, k), NULL, 0)
SHIM(C_Sign, (CK_SESSION_HANDLE s, CK_BYTE_PTR p, CK_ULONG n, CK_BYTE_PTR o, CK_ULONG_PTR l),
    (s, p, n, o, l), o, *l)
SHIM(C_EncryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k), (s, m, k), NULL,
    0)
SHIM(C_Encrypt, (CK_SESSION_HANDLE s, CK_BYTE_PTR p, CK_ULONG n, CK_BYTE_PTR o, CK_ULONG_PTR l),
    (s, p, n, o, l), o, *l)
SHIM(C_DecryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k), (s, m, k), NULL,
    0)
SHIM(C_Decrypt, (CK_SESSION_HANDLE s, CK_BYTE_PTR p, CK_ULONG n, CK_BYTE_PTR o, CK_ULONG_PTR l),
    (s, p, n, o, l), o, *l)
SHIM(C_GenerateKey,
    (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR t, CK_ULONG n,
	CK_OBJECT_HANDLE_PTR o),
    (s, m, t, n, o), NULL, 0)
SHIM(C_GenerateKeyPair,
    (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR a, CK_ULONG n, CK_ATTRIBUTE_PTR b,
	CK_ULONG k, CK_OBJECT_HANDLE_PTR o, CK_OBJECT_HANDLE_PTR q),
    (s, m, a, n, b, k, o, q), NULL, 0)
SHIM(C_DigestInit, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m), (s, m), NULL, 0)
SHIM(C_DigestKey, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE k), (s, k), NULL, 0)
SHIM(C_DigestFinal, (CK_SESSION_HANDLE s, CK_BYTE_PTR o, CK_ULONG_PTR l), (s, o, l), o, *l)
SHIM(C_WrapKey,
    (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE w, CK_OBJECT_HANDLE k, CK_BYTE_PTR o,
	CK_ULONG_PTR l),
    (s, m, w, k, o, l), o, *l)
SHIM(C_UnwrapKey,
    (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE w, CK_BYTE_PTR p, CK_ULONG n,
	CK_ATTRIBUTE_PTR t, CK_ULONG c, CK_OBJECT_HANDLE_PTR o),
    (s, m, w, p, n, t, c, o), NULL, 0)
SHIM(C_GetAttributeValue, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_PTR t, CK_ULONG n),
    (s, h, t, n), t[0].pValue, t[0].ulValueLen)
SHIM(C_DestroyObject, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h), (s, h), NULL, 0)

static void put_shims(struct p11 *p)
{
	real = *p->f;
	failing = real;
	failing.C_GenerateRandom = shim_C_GenerateRandom;
	failing.C_SignInit = shim_C_SignInit;
	failing.C_Sign = shim_C_Sign;
	failing.C_EncryptInit = shim_C_EncryptInit;
	failing.C_Encrypt = shim_C_Encrypt;
	failing.C_DecryptInit = shim_C_DecryptInit;
	failing.C_Decrypt = shim_C_Decrypt;
	failing.C_GenerateKey = shim_C_GenerateKey;
	failing.C_GenerateKeyPair = shim_C_GenerateKeyPair;
	failing.C_DigestInit = shim_C_DigestInit;
	failing.C_DigestKey = shim_C_DigestKey;
	failing.C_DigestFinal = shim_C_DigestFinal;
	failing.C_WrapKey = shim_C_WrapKey;
	failing.C_UnwrapKey = shim_C_UnwrapKey;
	failing.C_GetAttributeValue = shim_C_GetAttributeValue;
	failing.C_DestroyObject = shim_C_DestroyObject;
	p->f = &failing;
}

#endif
