/*
 * klerod-keyadm as it runs: the real program in its sandbox, a real SoftHSM token, the test as
 * parent. What it makes is verified by OpenSSL.
 */
#include <sodium.h>

#include "tests/unit/hsm_peer.h"

static void test_provision(void **state)
{
	(void)state;
	assert_int_equal(strncmp(ctx.keys.sealed_dbkey, "klero:1:db:v000001:", 19), 0);
	assert_string_equal(ctx.keys.cert_pem, "");
	assert_string_equal(ctx.tls.sealed_dbkey, "");
	assert_int_equal(strncmp(ctx.tls.cert_pem, "-----BEGIN CERTIFICATE-----", 27), 0);
}

static void test_provision_twice(void **state)
{
	struct rconf_keyadm keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &done, &code), KE_EXISTS);
	assert_int_not_equal(code, 0);
	assert_non_null(strstr(done.reason, FX_KEYS));
	assert_non_null(strstr(done.reason, "nothing was changed"));
	assert_string_equal(done.sealed_dbkey, "");
}

static void test_provision_refusals(void **state)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	snprintf(c.token.label, sizeof c.token.label, "elsewhere");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_NOTFOUND);
	assert_non_null(strstr(done.reason, "no token labelled elsewhere"));
	c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	snprintf(c.token.pin, sizeof c.token.pin, "not the pin");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_AUTH);
	assert_non_null(strstr(done.reason, "refuses the PIN"));
	c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	snprintf(c.token.module, sizeof c.token.module, "/nowhere/module.so");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_NOTFOUND);
	assert_non_null(strstr(done.reason, "/nowhere/module.so"));
}

/* A failed action leaves no key behind: the same token serves the next one. */
static void test_provision_undone(void **state)
{
	struct rconf_keyadm tls = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	struct rconf_keyadm keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	fx_make_token(&ctx.f, "undone");
	snprintf(tls.token.label, sizeof tls.token.label, "undone");
	snprintf(keys.token.label, sizeof keys.token.label, "undone");
	snprintf(tls.names[0], RCONF_PATH, "bad name,DNS:evil");
	assert_int_equal(fx_keyadm(&ctx.f, &tls, &done, &code), KE_FORMAT);
	assert_non_null(strstr(done.reason, "bad name"));
	/* "<host>/klero/log" is longer than a log's name may be */
	memset(keys.host, 'h', RCONF_PATH - 1);
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &done, &code), KE_LONG);
	assert_non_null(strstr(done.reason, "too long for a log name"));
	assert_string_equal(done.sealed_dbkey, "");
	snprintf(keys.host, sizeof keys.host, FX_HOST);
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &done, &code), KE_OK);
}

static void test_certificate(void **state)
{
	X509 *x = certificate();
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *verify = X509_STORE_CTX_new();

	(void)state;
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	assert_int_equal(X509_check_host(x, FX_HOST, 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ca(x), 0);
	assert_non_null(X509_get0_subject_key_id(x));
	assert_int_equal(
	    ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x), X509_get0_subject_key_id(x)), 0);
	assert_int_equal(X509_STORE_add_cert(store, x), 1);
	assert_int_equal(X509_STORE_CTX_init(verify, store, x, NULL), 1);
	X509_STORE_CTX_set_purpose(verify, X509_PURPOSE_SSL_SERVER);
	X509_STORE_CTX_set_flags(verify, X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_verify_cert(verify), 1);
	X509_STORE_CTX_free(verify);
	X509_STORE_free(store);
	X509_free(x);
}

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_provision),
	    cmocka_unit_test(test_provision_twice),
	    cmocka_unit_test(test_provision_refusals),
	    cmocka_unit_test(test_provision_undone),
	    cmocka_unit_test(test_certificate),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
