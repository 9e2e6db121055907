/*
 * klerod-hsm in the role tlskey as it runs: it signs TLS 1.3 server CertificateVerify inputs under
 * the certificate's key, and nothing else.
 */
#include <poll.h>
#include <sodium.h>

#include "policy/p256.h"
#include "policy/hash.h"
#include "tests/unit/hsm_peer.h"

/* The input of RFC 8446 section 4.4.3, with a transcript hash of n bytes. */
static size_t tls_input(uint8_t out[256], size_t n)
{
	memset(out, ' ', 64);
	memcpy(out + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(out + 98, 0x5a, n);
	return 98 + n;
}

static void cert_point(uint8_t pub[65])
{
	X509 *x = certificate();
	size_t n;

	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(X509_get0_pubkey(x), "encoded-pub-key", pub, 65, &n),
	    1);
	assert_int_equal(n, 65);
	X509_free(x);
}

static void test_tls_sign(void **state)
{
	static struct peer p;
	uint8_t in[256], sig[64], digest[32], pub[65];
	const size_t lengths[] = {32, 48};

	(void)state;
	start_role(&p, ROLE_TLSKEY);
	cert_point(pub);
	for (size_t i = 0; i < 2; i++) {
		size_t n = tls_input(in, lengths[i]);

		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_OK);
		wire_get_raw(&p.in, sig, 64);
		assert_int_equal(wire_end(&p.in), KE_OK);
		hash_sha256(digest, in, n);
		assert_int_equal(p256_verify(pub, digest, sig), KE_OK);
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
		in[i] ^= 1;
		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
		in[i] ^= 1;
	}
	memcpy(in + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
	n = tls_input(in, 33);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 0);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 64);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	expect_blame(&p, MSG_TLS_SIGN, in, 97);
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
	in[0] = 'x'; /* refused, which is quick */
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
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
