/*
 * klerod-hsm in the role tlskey as it runs: it signs TLS 1.3 server CertificateVerify inputs under
 * the certificate's key, and nothing else.
 */
#include <poll.h>
#include <sodium.h>

#include "policy/p256.h"
#include "policy/hash.h"
#include "tests/unit/officers.h"

#define NAME 32

static void cert_point(X509 *x, uint8_t pub[65])
{
	size_t n;

	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(X509_get0_pubkey(x), "encoded-pub-key", pub, 65, &n),
	    1);
	assert_int_equal(n, 65);
	X509_free(x);
}

/* The name of the certificate's key and the input of RFC 8446 section 4.4.3, with a transcript hash
 * of n bytes. */
static size_t tls_input(uint8_t out[256], size_t n)
{
	uint8_t pub[65];

	cert_point(certificate(), pub);
	hash_sha256(out, pub, sizeof pub);
	memset(out + NAME, ' ', 64);
	memcpy(out + NAME + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(out + NAME + 98, 0x5a, n);
	return NAME + 98 + n;
}

static void expect_signature(struct peer *p, const uint8_t *in, size_t n, const uint8_t pub[65])
{
	uint8_t sig[64], digest[32];

	assert_int_equal(ask(p, MSG_TLS_SIGN, in, n), KE_OK);
	wire_get_raw(&p->in, sig, 64);
	assert_int_equal(wire_end(&p->in), KE_OK);
	hash_sha256(digest, in + NAME, n - NAME);
	assert_int_equal(p256_verify(pub, digest, sig), KE_OK);
}

static void test_tls_sign(void **state)
{
	static struct peer p;
	uint8_t in[256], pub[65];
	const size_t lengths[] = {32, 48};

	(void)state;
	start_role(&p, ROLE_TLSKEY);
	cert_point(certificate(), pub);
	for (size_t i = 0; i < 2; i++) {
		size_t n = tls_input(in, lengths[i]);

		expect_signature(&p, in, n, pub);
	}
	stop_role(&p);
}

/* After a rotation each certificate is signed for by its own key, as long as the token holds it. */
static void test_versions(void **state)
{
	static struct peer p;
	struct rconf_keyadm_done done;
	uint8_t in[256], pub[65], fresh[65];
	size_t n = tls_input(in, 32);
	BIO *b;

	(void)state;
	assert_int_equal(enrol(2, &done), KE_OK);
	start_role(&p, ROLE_TLSKEY);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_TLS, 0, 3, &done), KE_OK);
	b = BIO_new_mem_buf(done.cert_pem, -1);
	cert_point(PEM_read_bio_X509(b, NULL, NULL, NULL), fresh);
	BIO_free(b);
	cert_point(certificate(), pub);
	assert_memory_not_equal(pub, fresh, 65);
	/* one that started before the rotation */
	expect_signature(&p, in, n, pub);
	hash_sha256(in, fresh, 65);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_NOTFOUND);
	stop_role(&p);
	/* and its successor */
	start_role(&p, ROLE_TLSKEY);
	expect_signature(&p, in, n, fresh);
	hash_sha256(in, pub, 65);
	expect_signature(&p, in, n, pub);
	for (size_t i = 0; i < NAME; i++) {
		in[i] ^= 1;
		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_NOTFOUND);
		in[i] ^= 1;
	}
	stop_role(&p);
}

static void test_tls_refusals(void **state)
{
	static struct peer p;
	uint8_t in[256];
	size_t n = tls_input(in, 32);

	(void)state;
	start_role(&p, ROLE_TLSKEY);
	/* each of the 98 fixed bytes matters */
	for (size_t i = 0; i < 98; i++) {
		in[NAME + i] ^= 1;
		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
		in[NAME + i] ^= 1;
	}
	memcpy(in + NAME + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
	n = tls_input(in, 33);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 0);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 64);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	expect_blame(&p, MSG_TLS_SIGN, in, NAME + 97);
	expect_blame(&p, MSG_HSM_NEW_SEED, in, 16); /* not tlskey's */
	n = tls_input(in, 32);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_OK);
	assert_true(fx_logged(&ctx.f, "net 0 asked for a signature on something else"));
	stop_role(&p);
}

/* A net that asks and takes no answer starves alone: the other one is served. */
static void test_unread_answers(void **state)
{
	static struct peer greedy, other;
	struct pollfd room = {.events = POLLOUT};
	uint8_t in[256];
	size_t n = tls_input(in, 32), asked = 0;

	(void)state;
	start_role(&greedy, ROLE_TLSKEY);
	other = greedy;
	other.fd = -1;
	connect_as(&other, ROLE_NET, 1);
	in[NAME] = 'x'; /* refused, which is quick */
	assert_int_equal(fcntl(greedy.fd, F_SETFL, O_NONBLOCK), 0);
	room.fd = greedy.fd;
	while (poll(&room, 1, 300) == 1)
		while (msg_send(greedy.fd, MSG_TLS_SIGN, 1, in, n, -1) == KE_OK)
			asked++;
	assert_int_equal(ask(&other, MSG_TLS_SIGN, in, n), KE_DENIED);
	/* and it is served too, once it reads */
	assert_int_equal(fcntl(greedy.fd, F_SETFL, 0), 0);
	for (; asked > 0; asked--) {
		struct msg m;

		assert_int_equal(
		    msg_recv(greedy.fd, ROLE_NET, ROLE_TLSKEY, RUN, greedy.buf, &m), KE_OK);
	}
	close(other.fd);
	stop_role(&greedy);
}

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tls_sign),
	    cmocka_unit_test(test_tls_refusals),
	    cmocka_unit_test(test_unread_answers),
	    cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
