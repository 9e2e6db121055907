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
#include "policy/hash.h"

/* The default provider does everything but what only ours can: the key. */
#define QUERY "?provider=default"

/*
 * A certificate in use. Its context owns it, and is kept by the connections that were accepted
 * under it: it goes when the last of them does.
 */
struct side {
	struct tls *tls;
	SSL_CTX *ctx;
	EVP_PKEY *public;          /* the certificate's key */
	uint8_t name[TLSKEY_NAME]; /* by which tlskey knows it */
	struct tls_ticket ticket;
	bool rehearsal, asked; /* a handshake with ourselves; did it come to the key? */
};

struct tls {
	OSSL_LIB_CTX *lib;
	struct tlskey *key;
	struct side *now; /* for who is accepted now */
};

static int side_index = -1; /* where a context keeps its side */

static void on_context_end(
    void *ctx, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct side *s = ptr;

	(void)ctx;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	if (s == NULL)
		return;
	EVP_PKEY_free(s->public);
	tls_ticket_free(&s->ticket);
	free(s);
}

static bool fits_certificate(
    const struct side *s, const uint8_t *tbs, size_t n, const uint8_t sig[64])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t der[TLS_DER_MAX];
	size_t der_len = tls_der(der, sig);
	bool ok =
	    md != NULL &&
	    EVP_DigestVerifyInit_ex(md, NULL, "SHA256", s->tls->lib, QUERY, s->public, NULL) == 1 &&
	    EVP_DigestVerify(md, der, der_len, tbs, n) == 1;

	EVP_MD_CTX_free(md);
	return ok;
}

/* What the provider calls. The first signature of each tlskey is checked: a wrong one would
 * otherwise look like a broken client. */
static int sign(void *arg, const uint8_t *tbs, size_t n, uint8_t sig[64])
{
	struct side *s = arg;
	struct tlskey *key = s->tls->key;
	int r;

	if (s->rehearsal) {
		s->asked = true;
		return KE_UNAVAIL;
	}
	r = tlskey_sign(key, s->name, tbs, n, sig);
	if (r == KE_OK && key->signatures == 1 && !fits_certificate(s, tbs, n, sig)) {
		key->signatures = 0; /* check again */
		r = KE_NOTFOUND;
	}
	if (r == KE_NOTFOUND && !key->told) {
		log_error("the key in tlskey is not the certificate's: check tls-token "
			  "and tls-certificate");
		key->told = true;
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

static X509 *read_cert(const struct side *s, BIO *pem)
{
	X509 *cert = X509_new_ex(s->tls->lib, QUERY);

	if (cert != NULL && PEM_read_bio_X509(pem, &cert, NULL, NULL) != NULL)
		return cert;
	X509_free(cert);
	return NULL;
}

/* The first certificate is ours, the others lead to its root. Returns words for the trouble. */
static const char *use_chain(struct side *s, const char *cert_pem)
{
	BIO *pem = BIO_new_mem_buf(cert_pem, -1);
	X509 *cert = pem != NULL ? read_cert(s, pem) : NULL;
	const char *why = "tls-certificate: not a PEM certificate";

	if (cert == NULL)
		goto out;
	why = "tls-certificate: not usable for TLS";
	if (SSL_CTX_use_certificate(s->ctx, cert) != 1)
		goto out;
	s->public = X509_get_pubkey(cert);
	for (;;) {
		X509 *next = read_cert(s, pem);

		if (next == NULL)
			break;
		if (SSL_CTX_add0_chain_cert(s->ctx, next) != 1) {
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

static const char *use_key(struct side *s)
{
	uint8_t point[TLS_POINT];
	char group[32];
	size_t n = 0;
	EVP_PKEY *key;
	int ok;

	if (s->public == NULL || EVP_PKEY_get_group_name(s->public, group, sizeof group, &n) != 1 ||
	    strcmp(group, SN_X9_62_prime256v1) != 0)
		return "tls-certificate: its key is not P-256";
	if (EVP_PKEY_get_octet_string_param(
		s->public, "encoded-pub-key", point, sizeof point, &n) != 1 ||
	    n != sizeof point)
		return "tls-certificate: its key is not an uncompressed point";
	hash_sha256(s->name, point, sizeof point);
	key = tls_provider_key(s->tls->lib, point, sign, s);
	ok = key != NULL && SSL_CTX_use_PrivateKey(s->ctx, key) == 1 &&
	     SSL_CTX_check_private_key(s->ctx) == 1;
	EVP_PKEY_free(key);
	return ok ? NULL : "the provider of the TLS key does not work";
}

/*
 * OpenSSL remembers what it could not fetch, and does not tell: a context that lacks something for
 * our own key shows it in a handshake only.
 */
static const char *rehearse(struct side *s)
{
	s->rehearsal = true;
	tls_rehearse(s->tls->lib, QUERY, s->ctx);
	s->rehearsal = false;
	ERR_clear_error(); /* it ends where the signature would be */
	return s->asked ? NULL : "a TLS handshake with ourselves does not come to the key";
}

/* Makes a side without a certificate one that can be used. Returns words for the trouble. */
static const char *furnish(struct side *s, const char *cert_pem)
{
	const char *why = use_chain(s, cert_pem);

	if (why == NULL)
		why = use_key(s);
	return why != NULL ? why : rehearse(s);
}

/* A context without a certificate. NULL: OpenSSL cannot, or there is no memory. */
static struct side *new_side(struct tls *t, int64_t now_ms)
{
	struct side *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->tls = t;
	s->ctx = new_context(t->lib);
	if (s->ctx == NULL || SSL_CTX_set_ex_data(s->ctx, side_index, s) != 1) {
		SSL_CTX_free(s->ctx);
		free(s);
		return NULL;
	}
	if (tls_ticket_init(&s->ticket, t->lib, s->ctx, now_ms) != KE_OK) {
		SSL_CTX_free(s->ctx);
		return NULL;
	}
	return s;
}

static const char *build(struct tls *t, const char *cert_pem, int64_t now_ms)
{
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return "OpenSSL does not start";
	if (side_index < 0)
		side_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_end);
	t->lib = OSSL_LIB_CTX_new();
	if (t->lib == NULL || OSSL_PROVIDER_load(t->lib, "default") == NULL ||
	    tls_provider_add(t->lib) != KE_OK)
		return "OpenSSL's providers do not load";
	t->now = side_index >= 0 ? new_side(t, now_ms) : NULL;
	if (t->now == NULL)
		return "OpenSSL knows no TLS 1.3 as we need it";
	if (tls_warm(t->lib, QUERY, t->now->ctx) != KE_OK)
		return "a TLS handshake with ourselves fails";
	return furnish(t->now, cert_pem);
}

static void explain(char *why, size_t whylen, const char *trouble)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(why, whylen, "%s%s%s", trouble, reason != NULL ? ": " : "",
	    reason != NULL ? reason : "");
}

struct tls *tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen)
{
	struct tls *t = calloc(1, sizeof *t);
	const char *trouble = "out of memory";

	if (t != NULL) {
		t->key = key;
		trouble = build(t, cert_pem, now_ms);
	}
	if (trouble == NULL)
		return t;
	explain(why, whylen, trouble);
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	if (t->now != NULL)
		SSL_CTX_free(t->now->ctx);
	OSSL_LIB_CTX_free(t->lib);
	free(t);
}

/*
 * Would a handshake find its key? A tlskey that is away says nothing against it: the next one
 * reads the same token. The transcript hash is nobody's.
 */
static const char *try_key(struct side *s)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	uint8_t tbs[64 + sizeof context + 32] = {0}, sig[64];
	int r;

	memset(tbs, ' ', 64);
	memcpy(tbs + 64, context, sizeof context);
	r = sign(s, tbs, sizeof tbs, sig);
	if (r == KE_NOTFOUND || (r == KE_OK && !fits_certificate(s, tbs, sizeof tbs, sig)))
		return "tls-certificate: tlskey does not hold its key";
	return NULL;
}

int tls_renew(struct tls *t, const char *cert_pem, int64_t now_ms, char *why, size_t whylen)
{
	struct side *s = new_side(t, now_ms);
	const char *trouble = "out of memory";

	if (s != NULL) {
		trouble = furnish(s, cert_pem);
		if (trouble == NULL)
			trouble = try_key(s);
	}
	if (trouble == NULL) {
		SSL_CTX_free(t->now->ctx);
		t->now = s;
		return KE_OK;
	}
	explain(why, whylen, trouble);
	ERR_clear_error();
	if (s != NULL)
		SSL_CTX_free(s->ctx);
	return KE_CRYPTO;
}

void tls_tick(struct tls *t, int64_t now_ms)
{
	tls_ticket_tick(&t->now->ticket, now_ms);
}

struct ssl_st *tls_accept(struct tls *t, int fd)
{
	SSL *s = SSL_new(t->now->ctx);

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
