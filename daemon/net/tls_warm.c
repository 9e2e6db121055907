/*
 * The warm-up: see tls_warm.h. Runs in net, before any input.
 */
#include "daemon/net/tls_warm.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define ROUNDS 10 /* a handshake needs three turns of both sides */

static X509 *throw_away_cert(OSSL_LIB_CTX *ctx, const char *query, EVP_PKEY *key)
{
	X509 *cert = X509_new_ex(ctx, query);

	if (cert == NULL)
		return NULL;
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), 3600) == NULL ||
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"warm", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
	    X509_set_pubkey(cert, key) != 1 || X509_sign(cert, key, EVP_sha256()) == 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* Both sides in turn until the client has read what the server wrote. */
static int converse(SSL *server, SSL *client)
{
	char c = 0;

	for (int i = 0; i < ROUNDS; i++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
		if (SSL_is_init_finished(server) && SSL_write(server, "x", 1) == 1 &&
		    SSL_read(client, &c, 1) == 1)
			return c == 'x' ? KE_OK : KE_CRYPTO;
	}
	return KE_CRYPTO;
}

/* cert and key go into this one connection only; NULL: the context has its own. */
static int handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, X509 *cert, EVP_PKEY *key)
{
	SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
	BIO *a = NULL, *b = NULL;
	int r = KE_CRYPTO;

	if (server == NULL || client == NULL || BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		goto out;
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	if (cert == NULL ||
	    (SSL_use_certificate(server, cert) == 1 && SSL_use_PrivateKey(server, key) == 1))
		r = converse(server, client);
out:
	SSL_free(server);
	SSL_free(client);
	return r;
}

/* A client of ours that takes any certificate; NULL: no memory. */
static SSL_CTX *new_client(OSSL_LIB_CTX *ctx, const char *query)
{
	SSL_CTX *client = SSL_CTX_new_ex(ctx, query, TLS_client_method());

	if (client != NULL)
		SSL_CTX_set_verify(client, SSL_VERIFY_NONE, NULL);
	return client;
}

int tls_warm(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(ctx, query, "EC", "P-256");
	X509 *cert = key != NULL ? throw_away_cert(ctx, query, key) : NULL;
	SSL_CTX *client = new_client(ctx, query);
	int r = KE_CRYPTO;

	if (cert != NULL && client != NULL)
		r = handshake(server, client, cert, key);
	SSL_CTX_free(client);
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

void tls_rehearse(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server)
{
	SSL_CTX *client = new_client(ctx, query);

	if (client != NULL)
		(void)handshake(server, client, NULL, NULL);
	SSL_CTX_free(client);
}
