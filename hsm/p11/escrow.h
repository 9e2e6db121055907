/*
 * The innermost layer of an escrow (policy/escrow.h): a seed closed to an officer's RSA key inside
 * the token, by C_WrapKey with CKM_RSA_PKCS_OAEP. Runs in hsm and kleroctl hsm check.
 * Errors as in op.h.
 */
#ifndef HSM_P11_ESCROW_H
#define HSM_P11_ESCROW_H

#include "hsm/p11/p11.h"
#include "policy/escrow.h"

/*
 * Which OAEP the module has: with SHA-256, or with SHA-1, which does without a hash's collision
 * resistance (RFC 8017 section 7.1) and is all that SoftHSM 2.6 and others have. Sets p->ways.oaep
 * after a wrapped key of known value was opened by software. KE_NOTFOUND when it has neither.
 */
int learn_escrow(struct p11 *p) KE_CHECK;

/* The officer's key as a session object that wraps and does nothing else. */
int op_escrow_key(struct p11 *p, const struct escrow_key *k, CK_OBJECT_HANDLE *h) KE_CHECK;

/* n: the key's modulus, in bytes; out has room for as many. */
int op_escrow_wrap(
    struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE seed, uint8_t *out, size_t n) KE_CHECK;

#endif
