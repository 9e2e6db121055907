/*
 * klerod-hsm in the role tlskey as it runs: it signs TLS 1.3 server CertificateVerify inputs under
 * the certificate's key, and nothing else.
 */
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

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tls_sign),
	    cmocka_unit_test(test_tls_refusals),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
