/*
 * Verifies P-256 signatures in software (OpenSSL), to test the token's. Runs in hsm, tlskey and
 * keyadm, before they meet input.
 */
#ifndef HSM_P11_VERIFY_H
#define HSM_P11_VERIFY_H

#include <stdint.h>

#include <openssl/evp.h>

#include "policy/ke.h"

/* The public key 04 ‖ X ‖ Y as OpenSSL has it; NULL when it is no point of the curve. */
EVP_PKEY *verify_p256_key(const uint8_t pub[65]);

/* sig r ‖ s as a DER ECDSA-Sig-Value (RFC 3279); *n its length. out holds 80 bytes. */
int verify_p256_der(const uint8_t sig[64], uint8_t out[80], size_t *n) KE_CHECK;

/* sig is r ‖ s over a SHA-256 digest: KE_OK, KE_CRYPTO. */
int verify_p256(const uint8_t pub[65], const uint8_t digest[32], const uint8_t sig[64]) KE_CHECK;

#endif
