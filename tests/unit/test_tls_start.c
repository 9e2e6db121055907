/*
 * net's TLS at its start (daemon/net/tls.h) where memory lacks: whichever allocation fails, either
 * there is no context, and net ends, or a handshake comes to the key in tlskey. OpenSSL remembers
 * that an algorithm could not be fetched: a context that lacks one then would refuse everybody for
 * the whole life of its process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/msg/msg.h"
#include "daemon/net/tls.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/forked.h"

#define TURNS 20 /* of both sides; a handshake needs three */

enum end { GOOD = 80, BROKEN, REFUSED };

static char cert[4096];
static unsigned allocations; /* of a start in which none fails */

static void make_cert(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x = X509_new();
	BIO *pem = BIO_new(BIO_s_mem());

	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(pem, x), 1);
	assert_true(BIO_read(pem, cert, sizeof cert - 1) > 0);
	BIO_free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
}

/* A client without a failure. Is tlskey, which has gone, asked for the signature? */
static bool comes_to_the_key(struct tls *t, const struct tlskey *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(ctx);
	struct ssl_st *server;
	int sv[2], r = KE_AGAIN;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) != 0)
		_exit(99);
	server = tls_accept(t, sv[0]);
	if (server == NULL || SSL_set_fd(client, sv[1]) != 1)
		_exit(99);
	SSL_set_connect_state(client);
	for (int i = 0; i < TURNS && (r == KE_AGAIN || r == KE_FULL); i++) {
		(void)SSL_do_handshake(client);
		r = tls_handshake(server);
	}
	return key->gone;
}

static void start(void *at)
{
	static struct tlskey key;
	char why[256];
	struct tls *t;
	int sv[2];

	tlskey_init(&key);
	if (msg_pair(sv) != KE_OK)
		_exit(99);
	close(sv[1]);
	tlskey_set(&key, sv[0]);
	fail_alloc_at = *(unsigned *)at;
	t = tls_new(cert, &key, 0, why, sizeof why);
	fail_alloc_at = 0;
	if (t == NULL)
		_exit(REFUSED);
	_exit(comes_to_the_key(t, &key) ? GOOD : BROKEN);
}

static void count(void)
{
	static struct tlskey key;
	char why[256];
	struct tls *t;

	tlskey_init(&key);
	fail_alloc_at = UINT32_MAX;
	t = tls_new(cert, &key, 0, why, sizeof why);
	allocations = UINT32_MAX - fail_alloc_at;
	fail_alloc_at = 0;
	assert_non_null(t);
	tls_free(t);
}

static void test_starts_whole_or_not(void **state)
{
	unsigned refused = 0, good = 0, never;

	(void)state;
	if (!fail_alloc_works())
		skip();
	make_cert();
	count();
	never = allocations + 1000;
	assert_int_equal(forked_run(start, &never), GOOD);
	/* where one did harm with OpenSSL 3.0, a dozen in a row did */
	for (unsigned n = 1; n <= allocations; n += 7) {
		int status = forked_run(start, &n);

		if (status == BROKEN)
			fail_msg("without allocation %u of %u no handshake works", n, allocations);
		refused += status == REFUSED;
		good += status == GOOD;
	}
	assert_true(refused > 10 && good > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starts_whole_or_not),
	};

	return cmocka_run_group_tests_name("tls_start", tests, NULL, NULL);
}
