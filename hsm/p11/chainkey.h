/*
 * Keys of deposit addresses on EVM chains: secp256k1 pairs that are made in the token as session
 * objects, leave it only wrapped under the deposit key (KEYS.md sections 1 and 2) and are back
 * inside for one signature. Runs in hsm and keyadm. Errors as in op.h.
 */
#ifndef HSM_P11_CHAINKEY_H
#define HSM_P11_CHAINKEY_H

#include "hsm/p11/key.h"
#include "hsm/p11/op.h"
#include "policy/secp256k1.h"

#define CHAINKEY_BLOB_MAX 256 /* SoftHSM: 72 bytes, a PKCS #8 key without its public half */

/*
 * What becomes of an unwrapped key: used for signatures, or wrapped again under another version,
 * for which PKCS#11 wants it extractable. In either case it cannot be read.
 */
enum chainkey_use { CHAINKEY_SIGN, CHAINKEY_WRAP };

/* A fresh pair; *secret is the caller's to destroy. */
int chainkey_make(struct p11 *p, CK_OBJECT_HANDLE *secret, uint8_t pub[SECP_POINT]) KE_CHECK;
/* A key from elsewhere (big-endian): for the import from another platform only. KE_RANGE for what
 * is no key. */
int chainkey_import(struct p11 *p, const uint8_t value[32], CK_OBJECT_HANDLE *secret,
    uint8_t pub[SECP_POINT]) KE_CHECK;

/* AES-KEY-WRAP-PAD (RFC 5649) under a deposit key; *len bytes. */
int chainkey_wrap(struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE secret,
    uint8_t blob[CHAINKEY_BLOB_MAX], size_t *len) KE_CHECK;
/* A tampered blob gives KE_CRYPTO or KE_AGAIN. The module's template forbids a readable key. */
int chainkey_unwrap(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *blob, size_t n,
    enum chainkey_use use, CK_OBJECT_HANDLE *secret) KE_CHECK;
/* What must fail: the same with a key that could be read. KE_OK when the module lets it happen. */
int chainkey_reveal(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t *blob, size_t n) KE_CHECK;

/* A digest and its signature: s is low, odd as secp256k1_finish() says. */
struct chainkey_sig {
	uint8_t digest[32], rs[64];
	unsigned odd;
};

/*
 * Signs sig->digest with a secret that is said to be pub's, and proves it: KE_CRYPTO when the
 * signature does not verify under pub.
 */
int chainkey_sign(struct p11 *p, CK_OBJECT_HANDLE secret, const uint8_t pub[SECP_POINT],
    struct chainkey_sig *sig) KE_CHECK;

#endif
