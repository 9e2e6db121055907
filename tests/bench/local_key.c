/*
 * klerod-net with its TLS key in its own process: for the benchmark alone, to tell what a signature
 * by tlskey costs. Linked in place of daemon/net's tls_new(), tls_provider_key() and tls_rehearse()
 * (the Makefile's --wrap); everything else is the product's. No setting of the product leads here.
 *
 * The certificate is made at the start, by the key that signs: the same curve, the same length.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "daemon/msg/log.h"
#include "daemon/net/tls.h"
#include "daemon/net/tls_provider.h"
#include "daemon/net/tls_warm.h"

#define DAY_S 86400

struct tls *__real_tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen);
struct tls *__wrap_tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen);
EVP_PKEY *__wrap_tls_provider_key(
    OSSL_LIB_CTX *ctx, const uint8_t point[TLS_POINT], tls_signer *sign, void *arg);
void __wrap_tls_rehearse(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server);

static tls_signer *product_sign; /* net's own way to tlskey, and what it wants to be given */
static void *product_arg;
static char key_pem[1024], cert_pem_own[4096];

static void to_text(BIO *b, char *out, size_t cap)
{
	int n = BIO_read(b, out, (int)cap - 1);

	if (n <= 0)
		fatal("no key of our own");
	out[n] = '\0';
	BIO_free(b);
}

struct tls *__wrap_tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen)
{
	EVP_PKEY *own = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());

	(void)cert_pem;
	if (own == NULL || x == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -60) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), DAY_S) == NULL ||
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
		(const unsigned char *)"localhost", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 ||
	    X509_set_pubkey(x, own) != 1 || X509_sign(x, own, EVP_sha256()) == 0 ||
	    PEM_write_bio_PrivateKey(k, own, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_bio_X509(c, x) != 1)
		fatal("no key of our own");
	to_text(k, key_pem, sizeof key_pem);
	to_text(c, cert_pem_own, sizeof cert_pem_own);
	X509_free(x);
	EVP_PKEY_free(own);
	return __real_tls_new(cert_pem_own, key, now_ms, why, whylen);
}

/* The whole key, of the default provider, in the library context that asks. */
EVP_PKEY *__wrap_tls_provider_key(
    OSSL_LIB_CTX *ctx, const uint8_t point[TLS_POINT], tls_signer *sign, void *arg)
{
	BIO *b = BIO_new_mem_buf(key_pem, -1);
	EVP_PKEY *own = PEM_read_bio_PrivateKey_ex(b, NULL, NULL, NULL, ctx, "?provider=default");

	(void)point;
	product_sign = sign;
	product_arg = arg;
	BIO_free(b);
	return own;
}

/* net looks whether a handshake comes to its key: here it would, and find another one there. */
void __wrap_tls_rehearse(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server)
{
	uint8_t sig[64] = {0};

	(void)ctx;
	(void)query;
	(void)server;
	(void)product_sign(product_arg, sig, 0, sig);
}
