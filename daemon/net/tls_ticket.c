/*
 * Session tickets: see tls_ticket.h. OpenSSL makes and parses them; which key seals and opens them,
 * and how long a chain may be, is said here. Runs in net; the tickets that come in are strangers'.
 */
#include "daemon/net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <sodium.h>
#include <string.h>

static void fresh(struct tls_ticket *t, int64_t now_ms)
{
	randombytes_buf(&t->now, sizeof t->now);
	t->changed_ms = now_ms;
}

void tls_ticket_tick(struct tls_ticket *t, int64_t now_ms)
{
	int64_t age = now_ms - t->changed_ms;

	t->now_s = now_ms / 1000;
	if (age < TICKET_PERIOD_MS)
		return;
	/* after a sleep of the machine the former key may be too old even to open */
	t->has_before = age < 2 * TICKET_PERIOD_MS;
	if (t->has_before)
		t->before = t->now;
	else
		sodium_memzero(&t->before, sizeof t->before);
	fresh(t, now_ms);
}

static struct tls_ticket *ours(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Gives libssl cipher and MAC under a key. */
static int use(const struct tls_ticket *t, const struct ticket_key *k, uint8_t iv[16],
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	struct ticket_key copy = *k; /* parameters are not const */
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, copy.mac, sizeof copy.mac),
	    OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
	    OSSL_PARAM_END,
	};
	int ok = EVP_MAC_CTX_set_params(mac, params) == 1 &&
		 EVP_CipherInit_ex2(cipher, t->aes, copy.cipher, iv, seal, NULL) == 1;

	sodium_memzero(&copy, sizeof copy);
	return ok;
}

/* What libssl asks before it seals or opens a ticket: 1 go on, 0 the ticket is not ours, -1 fail.
 */
static int on_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seal)
{
	const struct tls_ticket *t = ours(ssl);
	const struct ticket_key *k = &t->now;

	if (seal) {
		memcpy(name, k->name, sizeof k->name);
		randombytes_buf(iv, 16);
		return use(t, k, iv, cipher, mac, 1) ? 1 : -1;
	}
	if (memcmp(name, k->name, sizeof k->name) != 0)
		k = &t->before;
	if (k == &t->before && (!t->has_before || memcmp(name, k->name, sizeof k->name) != 0))
		return 0;
	return use(t, k, iv, cipher, mac, 0) ? 1 : -1;
}

/* A ticket carries the second of the full handshake that its chain began with. */
static int on_seal(SSL *ssl, void *arg)
{
	SSL_SESSION *s = SSL_get_session(ssl);
	const struct tls_ticket *t = arg;
	void *began;
	size_t n;

	if (SSL_SESSION_get0_ticket_appdata(s, &began, &n) == 1 && n == sizeof t->now_s)
		return 1;
	return SSL_SESSION_set1_ticket_appdata(s, &t->now_s, sizeof t->now_s);
}

static SSL_TICKET_RETURN on_open(SSL *ssl, SSL_SESSION *s, const unsigned char *name, size_t len,
    SSL_TICKET_STATUS status, void *arg)
{
	const struct tls_ticket *t = arg;
	int64_t began;
	void *data;
	size_t n;

	(void)ssl;
	(void)name;
	(void)len;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_ticket_appdata(s, &data, &n) != 1 || n != sizeof began)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	memcpy(&began, data, sizeof began);
	return t->now_s - began < TICKET_CHAIN_S ? SSL_TICKET_RETURN_USE_RENEW
						 : SSL_TICKET_RETURN_IGNORE_RENEW;
}

int tls_ticket_init(struct tls_ticket *t, OSSL_LIB_CTX *lib, SSL_CTX *ctx, int64_t now_ms)
{
	static const unsigned char scope[] = "klero";

	memset(t, 0, sizeof *t);
	t->aes = EVP_CIPHER_fetch(lib, "AES-256-CBC", "provider=default");
	if (t->aes == NULL)
		return KE_CRYPTO;
	fresh(t, now_ms);
	t->now_s = now_ms / 1000;
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_timeout(ctx, TICKET_PERIOD_MS / 1000);
	if (SSL_CTX_set_num_tickets(ctx, 1) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, scope, sizeof scope - 1) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key) != 1 ||
	    SSL_CTX_set_session_ticket_cb(ctx, on_seal, on_open, t) != 1)
		return KE_CRYPTO;
	return KE_OK;
}

void tls_ticket_free(struct tls_ticket *t)
{
	EVP_CIPHER_free(t->aes);
	sodium_memzero(t, sizeof *t);
}
