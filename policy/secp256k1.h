/*
 * secp256k1 (SEC 2 section 2.4.1) in software: what a chain wants of a signature that the HSM has
 * made, and the public key of a private one that comes from elsewhere. Runs in hsm and keyadm,
 * and in tests.
 */
#ifndef POLICY_SECP256K1_H
#define POLICY_SECP256K1_H

#include <stdint.h>

#include "policy/ke.h"

#define SECP_POINT 65 /* 04 ‖ X ‖ Y */

/*
 * Verifies sig (r ‖ s, 32 bytes each) over the digest under the point; makes s the lower of its two
 * forms (EIP-2), in place; *odd is the parity of R.y for that form, by which the public key is
 * recovered from the signature. KE_CRYPTO when it does not verify, or the point is none.
 */
int secp256k1_finish(const uint8_t pub[SECP_POINT], const uint8_t digest[32], uint8_t sig[64],
    unsigned *odd) KE_CHECK;

/* The public point of a secret: KE_RANGE for 0 and from the group's order on, KE_NOMEM. */
int secp256k1_public(uint8_t pub[SECP_POINT], const uint8_t secret[32]) KE_CHECK;

#endif
