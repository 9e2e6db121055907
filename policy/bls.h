/*
 * BLS signatures on BLS12-381 with signatures in G1 and keys in G2 (draft-irtf-cfrg-bls-signature,
 * minimal signature size; RFC 9380 for the hash; the compressed encodings of Zcash): what drand's
 * quicknet signs its rounds with. Verification only, of public input. Pure, on libgmp, which ends
 * the process when memory runs out: in the appliance this runs in a throw-away process.
 */
#ifndef POLICY_BLS_H
#define POLICY_BLS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define BLS_SIG_LEN 48
#define BLS_PUB_LEN 96
#define BLS_DST_MAX 255

/*
 * KE_OK when sig is the signature of msg under pub for the domain dst. KE_FORMAT: sig is not 48
 * bytes or not the one encoding of a point of the curve, infinity included; KE_CRYPTO: a point
 * outside the subgroup of order r, or the signature of something else; KE_WRONG_KEY: pub is no
 * point of G2's subgroup.
 */
int bls_verify(const uint8_t pub[BLS_PUB_LEN], const uint8_t *sig, size_t sig_len, const void *msg,
    size_t len, const char *dst) KE_CHECK;

/*
 * RFC 9380 hash_to_curve for BLS12381G1_XMD:SHA-256_SSWU_RO_, as x and y, 48 bytes each. For the
 * RFC's vectors.
 */
void bls_hash_to_g1(uint8_t xy[96], const void *msg, size_t len, const char *dst);

#endif
