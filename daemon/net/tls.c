/*
 * TLS 1.3 for net: see tls.h. Strangers' records are parsed here, by OpenSSL; the private key is
 * in tlskey, behind tls_provider.c. Runs in net.
 */
#include "daemon/net/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "daemon/net/tls_provider.h"
#include "daemon/net/tls_ticket.h"
#include "daemon/net/tls_warm.h"

/* The default provider does everything but what only ours can: the key. */
#define QUERY "?provider=default"

struct tls {
	OSSL_LIB_CTX *lib;
	SSL_CTX *ctx;
	struct tlskey *key;
	EVP_PKEY *public; /* the certificate's key */
	struct tls_ticket ticket;
};

static bool fits_certificate(struct tls *t, const uint8_t *tbs, size_t n, const uint8_t sig[64])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t der[TLS_DER_MAX];
	size_t der_len = tls_der(der, sig);
	bool ok =
	    md != NULL &&
	    EVP_DigestVerifyInit_ex(md, NULL, "SHA256", t->lib, QUERY, t->public, NULL) == 1 &&
	    EVP_DigestVerify(md, der, der_len, tbs, n) == 1;

	EVP_MD_CTX_free(md);
	return ok;
}

/* What the provider calls. The first signature of each tlskey is checked: a wrong token would
 * otherwise look like a broken client. */
static int sign(void *arg, const uint8_t *tbs, size_t n, uint8_t sig[64])
{
	struct tls *t = arg;
	int r = tlskey_sign(t->key, tbs, n, sig);

	if (r == KE_OK && t->key->signatures == 1 && !fits_certificate(t, tbs, n, sig)) {
		if (!t->key->told)
			log_error("the key in tlskey is not the certificate's: check tls-token "
				  "and tls-certificate");
		t->key->told = true;
		t->key->signatures = 0; /* check again */
		return KE_CRYPTO;
	}
	return r;
}

/* ALPN: http/1.1 or nothing at all. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, outlen, ours, sizeof ours - 1, in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(OSSL_LIB_CTX *lib)
{
	char groups[] = "X25519:P-256", algorithms[] = "ecdsa_secp256r1_sha256";
	SSL_CTX *c = SSL_CTX_new_ex(lib, QUERY, TLS_server_method());

	if (c == NULL)
		return NULL;
	SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION |
				   SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(c, 1); /* one read a record, not two */
	SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
	if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(c, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(c, algorithms) != 1 ||
	    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
					"TLS_AES_256_GCM_SHA384") != 1) {
		SSL_CTX_free(c);
		return NULL;
	}
	return c;
}

static X509 *read_cert(struct tls *t, BIO *pem)
{
	X509 *cert = X509_new_ex(t->lib, QUERY);

	if (cert != NULL && PEM_read_bio_X509(pem, &cert, NULL, NULL) != NULL)
		return cert;
	X509_free(cert);
	return NULL;
}

/* The first certificate is ours, the others lead to its root. Returns words for the trouble. */
static const char *use_chain(struct tls *t, const char *cert_pem)
{
	BIO *pem = BIO_new_mem_buf(cert_pem, -1);
	X509 *cert = pem != NULL ? read_cert(t, pem) : NULL;
	const char *why = "tls-certificate: not a PEM certificate";

	if (cert == NULL)
		goto out;
	why = "tls-certificate: not usable for TLS";
	if (SSL_CTX_use_certificate(t->ctx, cert) != 1)
		goto out;
	t->public = X509_get_pubkey(cert);
	for (;;) {
		X509 *next = read_cert(t, pem);

		if (next == NULL)
			break;
		if (SSL_CTX_add0_chain_cert(t->ctx, next) != 1) {
			X509_free(next);
			goto out;
		}
	}
	ERR_clear_error(); /* the end of the PEM text is an error for the reader */
	why = NULL;
out:
	X509_free(cert);
	BIO_free(pem);
	return why;
}

static const char *use_key(struct tls *t)
{
	uint8_t point[TLS_POINT];
	char group[32];
	size_t n = 0;
	EVP_PKEY *key;
	int ok;

	if (t->public == NULL || EVP_PKEY_get_group_name(t->public, group, sizeof group, &n) != 1 ||
	    strcmp(group, SN_X9_62_prime256v1) != 0)
		return "tls-certificate: its key is not P-256";
	if (EVP_PKEY_get_octet_string_param(
		t->public, "encoded-pub-key", point, sizeof point, &n) != 1 ||
	    n != sizeof point)
		return "tls-certificate: its key is not an uncompressed point";
	key = tls_provider_key(t->lib, point, sign, t);
	ok = key != NULL && SSL_CTX_use_PrivateKey(t->ctx, key) == 1 &&
	     SSL_CTX_check_private_key(t->ctx) == 1;
	EVP_PKEY_free(key);
	return ok ? NULL : "the provider of the TLS key does not work";
}

static const char *build(struct tls *t, const char *cert_pem, int64_t now_ms)
{
	const char *why;

	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return "OpenSSL does not start";
	t->lib = OSSL_LIB_CTX_new();
	if (t->lib == NULL || OSSL_PROVIDER_load(t->lib, "default") == NULL ||
	    tls_provider_add(t->lib) != KE_OK)
		return "OpenSSL's providers do not load";
	t->ctx = new_context(t->lib);
	if (t->ctx == NULL || tls_ticket_init(&t->ticket, t->lib, t->ctx, now_ms) != KE_OK)
		return "OpenSSL knows no TLS 1.3 as we need it";
	if (tls_warm(t->lib, QUERY, t->ctx) != KE_OK)
		return "a TLS handshake with ourselves fails";
	why = use_chain(t, cert_pem);
	return why != NULL ? why : use_key(t);
}

struct tls *tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen)
{
	struct tls *t = calloc(1, sizeof *t);
	const char *trouble = "out of memory", *reason;

	if (t != NULL) {
		t->key = key;
		trouble = build(t, cert_pem, now_ms);
	}
	if (trouble == NULL)
		return t;
	reason = ERR_reason_error_string(ERR_peek_last_error());
	snprintf(why, whylen, "%s%s%s", trouble, reason != NULL ? ": " : "",
	    reason != NULL ? reason : "");
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	EVP_PKEY_free(t->public);
	tls_ticket_free(&t->ticket);
	OSSL_LIB_CTX_free(t->lib);
	free(t);
}

void tls_tick(struct tls *t, int64_t now_ms)
{
	tls_ticket_tick(&t->ticket, now_ms);
}

struct ssl_st *tls_accept(struct tls *t, int fd)
{
	SSL *s = SSL_new(t->ctx);

	if (s == NULL || SSL_set_fd(s, fd) != 1) {
		SSL_free(s);
		return NULL;
	}
	SSL_set_accept_state(s);
	return s;
}

void tls_close(struct ssl_st *s, bool notify)
{
	ERR_clear_error();
	if (notify && SSL_is_init_finished(s))
		(void)SSL_shutdown(s);
	SSL_free(s);
	ERR_clear_error();
}

/* What a result that is not success asks for. */
static int verdict(SSL *s, int result)
{
	switch (SSL_get_error(s, result)) {
	case SSL_ERROR_WANT_READ:
		return KE_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		return KE_FULL;
	case SSL_ERROR_ZERO_RETURN:
		return KE_CLOSED;
	default:
		return KE_CRYPTO;
	}
}

int tls_handshake(struct ssl_st *s)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(s);
	return r == 1 ? KE_OK : verdict(s, r);
}

int tls_read(struct ssl_st *s, void *buf, size_t cap, size_t *n)
{
	int r;

	ERR_clear_error();
	*n = 0;
	r = SSL_read_ex(s, buf, cap, n);
	return r == 1 ? KE_OK : verdict(s, r);
}

int tls_write(struct ssl_st *s, const void *buf, size_t len, size_t *n)
{
	int r;

	ERR_clear_error();
	*n = 0;
	r = SSL_write_ex(s, buf, len, n);
	return r == 1 ? KE_OK : verdict(s, r);
}

bool tls_pending(const struct ssl_st *s)
{
	return SSL_has_pending(s) == 1;
}
