/*
 * P-256 in software: see p256.h.
 */
#include "policy/p256.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <string.h>

EVP_PKEY *p256_key(const uint8_t pub[P256_POINT])
{
	uint8_t copy[P256_POINT];
	char group[] = "P-256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof(copy)),
	    OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	memcpy(copy, pub, sizeof(copy));
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

int p256_der(const uint8_t sig[P256_SIG], uint8_t out[P256_DER_MAX], size_t *n)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *a = BN_bin2bn(sig, 32, NULL), *b = BN_bin2bn(sig + 32, 32, NULL);
	int len, r = KE_NOMEM;

	if (s == NULL || a == NULL || b == NULL || ECDSA_SIG_set0(s, a, b) != 1) {
		BN_free(a);
		BN_free(b);
		goto out;
	}
	len = i2d_ECDSA_SIG(s, NULL);
	if (len <= 0 || len > P256_DER_MAX)
		goto out;
	len = i2d_ECDSA_SIG(s, &out);
	*n = (size_t)len;
	r = KE_OK;
out:
	ECDSA_SIG_free(s);
	return r;
}

/* OpenSSL decodes a signature, encodes it again and compares: only DER passes. */
int p256_verify_der(
    const uint8_t pub[P256_POINT], const uint8_t digest[32], const uint8_t *der, size_t n)
{
	EVP_PKEY *key = p256_key(pub);
	EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	int r = KE_CRYPTO;

	if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_verify(ctx, der, n, digest, 32) == 1)
		r = KE_OK;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

int p256_verify(
    const uint8_t pub[P256_POINT], const uint8_t digest[32], const uint8_t sig[P256_SIG])
{
	uint8_t der[P256_DER_MAX];
	size_t n = 0;

	if (p256_der(sig, der, &n) != KE_OK)
		return KE_CRYPTO;
	return p256_verify_der(pub, digest, der, n);
}
