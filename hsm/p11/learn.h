/*
 * What modules do differently, found out by trying, not by their names or versions: which of two
 * mechanism numbers is RFC 5649, which layout of GCM's parameters is read, which attributes are
 * kept. Session objects only, destroyed again. Runs in hsm, tlskey and keyadm, after the login.
 */
#ifndef HSM_P11_LEARN_H
#define HSM_P11_LEARN_H

#include "hsm/p11/p11.h"

/*
 * Sets p->ways; symmetric is false for a token that holds key pairs only. What the module seals
 * and wraps with a key that is known outside is opened by software (a known answer), so that a
 * mechanism of the right number and another meaning is not taken. KE_NOTFOUND when none of the
 * ways that we know is the module's, KE_UNAVAIL.
 */
int learn_ways(struct p11 *p, bool symmetric) KE_CHECK;

/*
 * A 32-byte session key (CKM_AES_KEY_GEN or CKM_GENERIC_SECRET_KEY_GEN) whose value is known
 * outside: for known answers, it protects nothing. The caller destroys it.
 */
int learn_open_key(
    struct p11 *p, CK_MECHANISM_TYPE make, CK_OBJECT_HANDLE *h, uint8_t value[32]) KE_CHECK;

/*
 * After one way was tried and came to r: KE_OK when the answer was right, KE_NOTFOUND to try
 * another. A way that is not the module's fails in any manner it likes; only a lost device counts.
 */
int learn_tried(struct p11 *p, int r, bool right) KE_CHECK;

/* The two halves of it that seal and wrap, each with a key of its own: for hsm check. */
int learn_gcm(struct p11 *p) KE_CHECK;
int learn_wrap(struct p11 *p) KE_CHECK;

#endif
