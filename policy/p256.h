/*
 * ECDSA over P-256 with SHA-256 (FIPS 186-5), verification only, by OpenSSL. Pure; hsm, tlskey and
 * keyadm test their token's signatures with it, engine verifies access tokens, and officers'
 * approvals are verified with it. Keys and signatures may come from strangers.
 */
#ifndef POLICY_P256_H
#define POLICY_P256_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "policy/ke.h"

#define P256_POINT   65 /* uncompressed: 04 ‖ X ‖ Y */
#define P256_SIG     64 /* r ‖ s, 32 bytes each (RFC 7518 section 3.4) */
#define P256_DER_MAX 80

/* The caller's key, to be freed with EVP_PKEY_free; NULL when pub is no point of the curve. */
EVP_PKEY *p256_key(const uint8_t pub[P256_POINT]);

/* sig as a DER ECDSA-Sig-Value (RFC 3279 section 2.2.3), *n its length: KE_OK, KE_NOMEM. */
int p256_der(const uint8_t sig[P256_SIG], uint8_t out[P256_DER_MAX], size_t *n) KE_CHECK;

/* KE_OK when a DER signature of n bytes, with nothing behind it, is pub's over a SHA-256 digest. */
int p256_verify_der(
    const uint8_t pub[P256_POINT], const uint8_t digest[32], const uint8_t *der, size_t n) KE_CHECK;

/* KE_OK when sig is pub's over a SHA-256 digest, KE_CRYPTO for anything else. */
int p256_verify(
    const uint8_t pub[P256_POINT], const uint8_t digest[32], const uint8_t sig[P256_SIG]) KE_CHECK;

#endif
