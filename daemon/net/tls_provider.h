/*
 * A provider for OpenSSL 3 that holds one P-256 public key and asks somebody else for
 * signatures. Lives in a private library context of net; part of the TLS files.
 * Sources: provider(7), provider-keymgmt(7), provider-signature(7).
 */
#ifndef DAEMON_NET_TLS_PROVIDER_H
#define DAEMON_NET_TLS_PROVIDER_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define TLS_POINT   65 /* uncompressed P-256 point */
#define TLS_DER_MAX 72 /* SEQUENCE of two INTEGERs of at most 33 bytes */

/* Signs tbs (n bytes) by ECDSA with SHA-256: r and s, 32 bytes each. */
typedef int tls_signer(void *arg, const uint8_t *tbs, size_t n, uint8_t sig[64]);

/* Puts the provider into a library context that has the default provider already. */
int tls_provider_add(OSSL_LIB_CTX *ctx) KE_CHECK;

/* A key pair whose private half is the signer. The signer's arg must outlive it. */
EVP_PKEY *tls_provider_key(
    OSSL_LIB_CTX *ctx, const uint8_t point[TLS_POINT], tls_signer *sign, void *arg);

/* The DER form of an ECDSA signature (RFC 3279 section 2.2.3); returns its length. */
size_t tls_der(uint8_t out[TLS_DER_MAX], const uint8_t sig[64]);

#endif
