/*
 * The provider behind the TLS key: see tls_provider.h. Runs in net; what it signs comes from
 * libssl, what it is given back comes from tlskey.
 *
 * A key is its public point and, for ours, the signer. The one trap: libcrypto first tries to
 * export the whole key to the default provider, whose signature it prefers, and would sign there
 * with nothing; so an export that asks for the private half fails, and libcrypto comes back to
 * the signature of this provider. The public half may go.
 */
#include "daemon/net/tls_provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#define NAME     "klero"
#define PROPERTY "provider=klero"
#define QUERY    "provider=klero"
#define GROUP    "prime256v1"
#define PARAM    "klero-signer" /* a pointer to struct signer, within this process only */

/* What is passed through libcrypto as an opaque value. */
struct signer {
	tls_signer *sign;
	void *arg;
};

struct key {
	uint8_t point[TLS_POINT];
	int has_point;
	struct signer signer; /* sign NULL: a public key */
};

/* Dispatch tables hold functions of all types as void (*)(void). */
typedef void (*any_fn)(void);

/* --- key management --- */

static void *key_new(void *provctx)
{
	(void)provctx;
	return calloc(1, sizeof(struct key));
}

static void key_free(void *keydata)
{
	free(keydata);
}

static int key_has(const void *keydata, int selection)
{
	const struct key *k = keydata;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && k->signer.sign == NULL)
		return 0;
	return k->has_point;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct key *x = a, *y = b;

	(void)selection;
	return x->has_point && y->has_point && memcmp(x->point, y->point, TLS_POINT) == 0;
}

static int is_p256(const OSSL_PARAM *p)
{
	const char *name;

	return p != NULL && OSSL_PARAM_get_utf8_string_ptr(p, &name) == 1 &&
	       (strcmp(name, GROUP) == 0 || strcmp(name, SN_X9_62_prime256v1) == 0 ||
		   strcmp(name, "P-256") == 0);
}

static int key_import(void *keydata, int selection, const OSSL_PARAM params[])
{
	struct key *k = keydata;
	const OSSL_PARAM *p;
	const void *ptr;
	size_t n;

	(void)selection;
	if (!is_p256(OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME)))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	if (p == NULL || OSSL_PARAM_get_octet_string_ptr(p, &ptr, &n) != 1 || n != TLS_POINT)
		return 0;
	memcpy(k->point, ptr, TLS_POINT);
	k->has_point = 1;
	p = OSSL_PARAM_locate_const(params, PARAM);
	if (p != NULL) {
		if (OSSL_PARAM_get_octet_ptr(p, &ptr, &n) != 1 || n != sizeof k->signer)
			return 0;
		memcpy(&k->signer, ptr, sizeof k->signer);
	}
	return 1;
}

static int key_export(void *keydata, int selection, OSSL_CALLBACK *cb, void *arg)
{
	struct key *k = keydata;
	char group[] = GROUP;
	OSSL_PARAM params[3];

	if (!k->has_point || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, k->point, TLS_POINT);
	params[2] = OSSL_PARAM_construct_end();
	return cb(params, arg);
}

static const OSSL_PARAM *key_types(int selection)
{
	static const OSSL_PARAM types[] = {
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	(void)selection;
	return types;
}

static const OSSL_PARAM *key_gettable(void *provctx)
{
	static const OSSL_PARAM gettable[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0), OSSL_PARAM_END};

	(void)provctx;
	return gettable;
}

static int set_int(OSSL_PARAM params[], const char *name, int v)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_int(p, v);
}

static int key_get_params(void *keydata, OSSL_PARAM params[])
{
	const struct key *k = keydata;
	OSSL_PARAM *p;

	if (!set_int(params, OSSL_PKEY_PARAM_BITS, 256) ||
	    !set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, 128) ||
	    !set_int(params, OSSL_PKEY_PARAM_MAX_SIZE, TLS_DER_MAX))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME);
	if (p != NULL && !OSSL_PARAM_set_utf8_string(p, GROUP))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
	return p == NULL || OSSL_PARAM_set_octet_string(p, k->point, TLS_POINT);
}

static const char *key_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const OSSL_DISPATCH keymgmt_functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (any_fn)key_new},
    {OSSL_FUNC_KEYMGMT_FREE, (any_fn)key_free},
    {OSSL_FUNC_KEYMGMT_HAS, (any_fn)key_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (any_fn)key_match},
    {OSSL_FUNC_KEYMGMT_IMPORT, (any_fn)key_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (any_fn)key_types},
    {OSSL_FUNC_KEYMGMT_EXPORT, (any_fn)key_export},
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (any_fn)key_types},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (any_fn)key_get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (any_fn)key_gettable},
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (any_fn)key_operation},
    {0, NULL},
};

/* --- signature --- */

struct sigctx {
	const struct key *key;
};

static void *sig_new(void *provctx, const char *properties)
{
	(void)provctx;
	(void)properties;
	return calloc(1, sizeof(struct sigctx));
}

static void sig_free(void *ctx)
{
	free(ctx);
}

static int sig_digest_init(void *ctx, const char *digest, void *keydata, const OSSL_PARAM params[])
{
	struct sigctx *s = ctx;
	const struct key *k = keydata;

	(void)params;
	if (k == NULL || k->signer.sign == NULL || digest == NULL)
		return 0;
	if (OPENSSL_strcasecmp(digest, "SHA256") != 0 &&
	    OPENSSL_strcasecmp(digest, "SHA2-256") != 0)
		return 0;
	s->key = k;
	return 1;
}

/* A DER INTEGER from 32 big-endian bytes; returns its length. */
static size_t der_integer(uint8_t *out, const uint8_t v[32])
{
	size_t skip = 0, pad;

	while (skip < 31 && v[skip] == 0)
		skip++;
	pad = v[skip] >> 7; /* a leading one bit would make it negative */
	out[0] = 0x02;
	out[1] = (uint8_t)(32 - skip + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, v + skip, 32 - skip);
	return 2 + pad + 32 - skip;
}

size_t tls_der(uint8_t out[TLS_DER_MAX], const uint8_t sig[64])
{
	size_t n = 2;

	n += der_integer(out + n, sig);
	n += der_integer(out + n, sig + 32);
	out[0] = 0x30;
	out[1] = (uint8_t)(n - 2);
	return n;
}

static int sig_digest_sign(
    void *ctx, uint8_t *out, size_t *out_len, size_t cap, const uint8_t *tbs, size_t n)
{
	const struct sigctx *s = ctx;
	uint8_t sig[64], der[TLS_DER_MAX];

	if (out == NULL) {
		*out_len = TLS_DER_MAX;
		return 1;
	}
	if (s->key == NULL || cap < TLS_DER_MAX)
		return 0;
	if (s->key->signer.sign(s->key->signer.arg, tbs, n, sig) != KE_OK)
		return 0;
	*out_len = tls_der(der, sig);
	memcpy(out, der, *out_len);
	return 1;
}

static const OSSL_DISPATCH signature_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (any_fn)sig_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (any_fn)sig_free},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (any_fn)sig_digest_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (any_fn)sig_digest_sign},
    {0, NULL},
};

/* --- the provider --- */

static const OSSL_ALGORITHM keymgmts[] = {
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTY, keymgmt_functions, "P-256 key of tlskey"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM signatures[] = {
    {"ECDSA", PROPERTY, signature_functions, "signatures by tlskey"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keymgmts;
	return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH functions[] = {
	    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (any_fn)query}, {0, NULL}};

	(void)core;
	(void)in;
	*out = functions;
	*provctx = NULL;
	return 1;
}

int tls_provider_add(OSSL_LIB_CTX *ctx)
{
	if (OSSL_PROVIDER_add_builtin(ctx, NAME, provider_init) != 1)
		return KE_CRYPTO;
	return OSSL_PROVIDER_load(ctx, NAME) != NULL ? KE_OK : KE_CRYPTO;
}

EVP_PKEY *tls_provider_key(
    OSSL_LIB_CTX *ctx, const uint8_t point[TLS_POINT], tls_signer *sign, void *arg)
{
	EVP_PKEY_CTX *pctx = EVP_PKEY_CTX_new_from_name(ctx, "EC", QUERY);
	EVP_PKEY *key = NULL;
	struct signer signer = {sign, arg};
	void *signer_ptr = &signer;
	char group[] = GROUP;
	uint8_t copy[TLS_POINT];
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof copy),
	    OSSL_PARAM_construct_octet_ptr(PARAM, &signer_ptr, sizeof signer),
	    OSSL_PARAM_construct_end()};

	memcpy(copy, point, sizeof copy);
	if (pctx == NULL || EVP_PKEY_fromdata_init(pctx) != 1 ||
	    EVP_PKEY_fromdata(pctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(pctx);
	return key;
}
