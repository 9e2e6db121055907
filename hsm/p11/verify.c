/*
 * P-256 in software: see verify.h. Runs in hsm, tlskey and keyadm.
 */
#include "hsm/p11/verify.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

#include "hsm/p11/p11.h"

EVP_PKEY *verify_p256_key(const uint8_t pub[65])
{
	char group[] = "P-256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, p11_in(pub), 65),
	    OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

int verify_p256_der(const uint8_t sig[64], uint8_t out[80], size_t *n)
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
	if (len <= 0 || len > 80)
		goto out;
	len = i2d_ECDSA_SIG(s, &out);
	*n = (size_t)len;
	r = KE_OK;
out:
	ECDSA_SIG_free(s);
	return r;
}

int verify_p256(const uint8_t pub[65], const uint8_t digest[32], const uint8_t sig[64])
{
	EVP_PKEY *key = verify_p256_key(pub);
	EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	uint8_t der[80];
	size_t n = 0;
	int r = KE_CRYPTO;

	if (ctx != NULL && verify_p256_der(sig, der, &n) == KE_OK &&
	    EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, der, n, digest, 32) == 1)
		r = KE_OK;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}
