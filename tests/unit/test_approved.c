/*
 * klerod-keyadm and what officers approve: the real program in its sandbox, a real SoftHSM token,
 * officers in software. Each action does what it says and nothing else; everything that must not
 * count leaves the token as it was.
 */
#include "tests/unit/officers.h"

static void test_first_anchor(void **state)
{
	struct seen s;

	(void)state;
	look(FX_KEYS, &s);
	assert_int_equal(s.anchor.serial, 1);
	assert_memory_equal(s.anchor.appliance, FX_APPLIANCE, 16);
	assert_int_equal(s.anchor.officers.n, 0);
	assert_int_equal(s.anchor.keys, KEY_PURPOSES);
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		assert_int_equal(anchor_active(&s.anchor, i, 0)->version, 1);
}

static void test_enrolment(void **state)
{
	struct rconf_keyadm_done done;
	struct seen s;

	(void)state;
	/* nobody is there to decide */
	assert_int_equal(act(PROPOSE_ROTATE, KEY_TOKEN, 0, 3, &done), KE_STATE);
	assert_non_null(strstr(done.reason, "no officers"));
	assert_int_equal(enrol(2, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_int_equal(s.anchor.officers.n, OFFICERS);
	assert_int_equal(s.anchor.epoch, 1);
	assert_int_equal(enrol(1, &done), KE_EXISTS);
	assert_non_null(strstr(done.reason, "only they"));
}

static void test_rotate(void **state)
{
	static const enum key_purpose purposes[] = {
	    KEY_MASTER, KEY_SEED, KEY_MAC, KEY_TOKEN, KEY_LOG};
	struct rconf_keyadm_done done;
	struct seen s;

	(void)state;
	for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++) {
		assert_int_equal(
		    act(PROPOSE_ROTATE, purposes[i], 0, 1u << (i % 3) | 1u << ((i + 1) % 3), &done),
		    KE_OK);
		look(FX_KEYS, &s);
		assert_non_null(key_ring_get(&s.ring, purposes[i], 1));
		assert_non_null(key_ring_get(&s.ring, purposes[i], 2));
		assert_null(key_ring_get(&s.ring, purposes[i], 3));
		assert_non_null(anchor_key(&s.anchor, purposes[i], 2));
	}
	/* all serve at once but the token key, which is only published for a while */
	assert_int_equal(anchor_active(&s.anchor, KEY_SEED, (uint64_t)time(NULL))->version, 2);
	assert_int_equal(anchor_active(&s.anchor, KEY_TOKEN, (uint64_t)time(NULL))->version, 1);
	assert_int_equal(
	    anchor_active(&s.anchor, KEY_TOKEN, (uint64_t)time(NULL) + 61)->version, 2);
}

static void test_rotate_tls(void **state)
{
	struct proposal p = propose(PROPOSE_ROTATE, KEY_TLS, 0);
	struct rconf_keyadm c = approved(&p, 3);
	struct rconf_keyadm_done done;
	struct seen s;

	(void)state;
	memset(&c.tls, 0, sizeof(c.tls));
	assert_int_equal(run(&c, &done), KE_FORMAT);
	c.tls = fx_token(&ctx.f, FX_TLS);
	assert_int_equal(run(&c, &done), KE_OK);
	assert_int_equal(strncmp(done.cert_pem, "-----BEGIN CERTIFICATE-----", 27), 0);
	assert_string_not_equal(done.cert_pem, ctx.tls.cert_pem);
	look(FX_TLS, &s);
	assert_non_null(key_ring_get(&s.ring, KEY_TLS, 2));
	look(FX_KEYS, &s);
	assert_int_equal(anchor_active(&s.anchor, KEY_TLS, (uint64_t)time(NULL))->version, 2);
	look(FX_TLS, &s);
	assert_non_null(key_ring_get(&s.ring, KEY_TLS, 1));
	/* an emergency brings a new one, and its certificate */
	assert_int_equal(act(PROPOSE_COMPROMISE, KEY_TLS, 2, 3, &done), KE_OK);
	assert_int_equal(strncmp(done.cert_pem, "-----BEGIN CERTIFICATE-----", 27), 0);
	look(FX_TLS, &s);
	assert_non_null(key_ring_get(&s.ring, KEY_TLS, 3));
}

static bool is_for(const char *pem, const struct key *k)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char *pub = NULL;
	size_t n = EVP_PKEY_get1_encoded_public_key(X509_get0_pubkey(x), &pub);
	bool same = n == sizeof(k->pub) && memcmp(pub, k->pub, n) == 0;

	OPENSSL_free(pub);
	X509_free(x);
	BIO_free(bio);
	return same;
}

/* What the certificate's file holds decides whether a version of the TLS key can go. */
static int give_up_tls(uint64_t version, const char *pem, struct rconf_keyadm_done *done)
{
	struct proposal p = propose(PROPOSE_DESTROY, KEY_TLS, version);
	struct rconf_keyadm c = approved(&p, 3);

	snprintf(c.cert_pem, sizeof(c.cert_pem), "%s", pem);
	return run(&c, done);
}

static void test_old_tls(void **state)
{
	struct rconf_keyadm_done done, back;
	struct seen s;

	(void)state;
	/* 1 and 2 are old, 3 is in use; the file holds the first one's */
	assert_int_equal(give_up_tls(1, ctx.tls.cert_pem, &done), KE_STATE);
	assert_non_null(strstr(done.reason, "holds one for version 1"));
	assert_int_equal(give_up_tls(2, "", &done), KE_STATE);
	assert_non_null(strstr(done.reason, "for no version"));
	assert_int_equal(give_up_tls(2, "-----BEGIN CERTIFICATE-----\nAAAA\n", &done), KE_STATE);
	assert_int_equal(give_up_tls(3, ctx.tls.cert_pem, &done), KE_STATE);
	assert_non_null(strstr(done.reason, "state of the key"));
	look(FX_TLS, &s);
	assert_int_equal(s.ring.n, 3);
	assert_int_equal(give_up_tls(2, ctx.tls.cert_pem, &done), KE_OK);
	assert_string_equal(done.cert_pem, "");
	look(FX_TLS, &s);
	assert_int_equal(s.ring.n, 2);
	assert_null(key_ring_get(&s.ring, KEY_TLS, 2));
	/* back to the first, with a certificate of its own */
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_TLS, 1, 3, &back), KE_OK);
	assert_true(is_for(back.cert_pem, key_ring_get(&s.ring, KEY_TLS, 1)));
	assert_string_not_equal(back.cert_pem, ctx.tls.cert_pem);
	look(FX_KEYS, &s);
	assert_int_equal(anchor_active(&s.anchor, KEY_TLS, (uint64_t)time(NULL))->version, 1);
	/* the third can go now, if nothing serves with it */
	assert_int_equal(give_up_tls(3, back.cert_pem, &done), KE_OK);
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_TLS, 3, 3, &done), KE_STATE);
	look(FX_TLS, &s);
	assert_int_equal(s.ring.n, 1);
}

static void test_states(void **state)
{
	struct rconf_keyadm_done done;
	struct seen s;

	(void)state;
	assert_int_equal(act(PROPOSE_DESTROY, KEY_SEED, 2, 3, &done), KE_STATE); /* in use */
	assert_int_equal(act(PROPOSE_DESTROY, KEY_SEED, 7, 3, &done), KE_NOTFOUND);
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_SEED, 1, 3, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_int_equal(anchor_active(&s.anchor, KEY_SEED, (uint64_t)time(NULL))->version, 1);
	assert_int_equal(act(PROPOSE_DESTROY, KEY_SEED, 2, 3, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_null(key_ring_get(&s.ring, KEY_SEED, 2));
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_SEED, 2, 3, &done), KE_STATE);
	/* in use and compromised: the next version serves at once */
	assert_int_equal(act(PROPOSE_COMPROMISE, KEY_SEED, 1, 3, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_int_equal(anchor_active(&s.anchor, KEY_SEED, (uint64_t)time(NULL))->version, 3);
	assert_int_equal(anchor_key(&s.anchor, KEY_SEED, 1)->compromised, 1);
	assert_non_null(key_ring_get(&s.ring, KEY_SEED, 1));
	assert_int_equal(act(PROPOSE_COMPROMISE, KEY_SEED, 1, 3, &done), KE_STATE);
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_SEED, 1, 3, &done), KE_STATE);
	/* a compromised token key does not wait for caches */
	assert_int_equal(act(PROPOSE_COMPROMISE, KEY_MAC, 2, 3, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_int_equal(anchor_active(&s.anchor, KEY_MAC, (uint64_t)time(NULL))->version, 3);
}

/* Whatever is refused leaves the anchor at its serial and the token with its keys. */
static void refused(const struct rconf_keyadm *c, int why)
{
	struct rconf_keyadm_done done;
	static struct seen before, after;

	look(FX_KEYS, &before);
	assert_int_equal(run(c, &done), why);
	look(FX_KEYS, &after);
	assert_int_equal(before.anchor.serial, after.anchor.serial);
	assert_int_equal(before.ring.n, after.ring.n);
	assert_string_not_equal(done.reason, "");
}

/* The officers' proposal with another threshold, signed as it stands then. */
static struct rconf_keyadm threshold_of(const struct proposal *p, char digit)
{
	struct rconf_keyadm c = approved(p, 0);
	size_t n = strlen(c.text), at = 0;

	*(strstr(c.text, "\nthreshold ") + 11) = digit;
	for (size_t i = 0; i < OFFICERS; i++)
		at += signer_sign(&signer[i], PROPOSAL_NAMESPACE, c.text, n, c.approvals + at);
	return c;
}

static void test_refusals(void **state)
{
	struct proposal p = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	struct rconf_keyadm c = approved(&p, 1);
	struct rconf_keyadm_done done;
	char *digit;
	size_t n;

	(void)state;
	refused(&c, KE_AGAIN);
	c = approved(&p, 1 | 8); /* a stranger */
	refused(&c, KE_DENIED);
	c = approved(&p, 1);
	n = strlen(c.approvals); /* twice the same officer */
	memcpy(c.approvals + n, c.approvals, n);
	refused(&c, KE_EXISTS);
	c = approved(&p, 3);
	digit = strstr(c.text, "expires ") + 8;
	*digit = *digit == '9' ? '8' : '9'; /* altered after the signing */
	refused(&c, KE_TIMEOUT);
	c = approved(&p, 3);
	strcat(c.text, "\n");
	refused(&c, KE_FORMAT);
	c = approved(&p, 3);
	c.approvals[strlen(c.approvals) - 2] = 'x';
	refused(&c, KE_FORMAT);
	p.expires_s = (uint64_t)time(NULL) - 1;
	c = approved(&p, 3);
	refused(&c, KE_TIMEOUT);
	p = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	p.appliance[0] ^= 1;
	c = approved(&p, 3);
	refused(&c, KE_DENIED);
	p = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	p.epoch--;
	c = approved(&p, 3);
	refused(&c, KE_STATE);
	/* more than there are must agree: such a list is no proposal, however many sign it */
	p = propose(PROPOSE_OFFICERS, KEY_MASTER, 0);
	set_officers(&p.officers, OFFICERS, 2);
	c = threshold_of(&p, '9');
	refused(&c, KE_FORMAT);
	c = threshold_of(&p, '0');
	refused(&c, KE_FORMAT);
	/* his own */
	p = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	snprintf(p.proposer, sizeof(p.proposer), "%s", "officer-0");
	c = approved(&p, 3);
	refused(&c, KE_DENIED);
	/* once good, never again */
	p = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	c = approved(&p, 3);
	assert_int_equal(run(&c, &done), KE_OK);
	refused(&c, KE_EXISTS);
}

static void test_change_officers(void **state)
{
	struct proposal p = propose(PROPOSE_OFFICERS, KEY_MASTER, 0), open;
	struct rconf_keyadm c;
	struct rconf_keyadm_done done;
	struct seen s;

	(void)state;
	open = propose(PROPOSE_ROTATE, KEY_LOG, 0);
	set_officers(&p.officers, 2, 1);
	c = approved(&p, 2);
	refused(&c, KE_AGAIN);
	c = approved(&p, 6);
	assert_int_equal(run(&c, &done), KE_OK);
	look(FX_KEYS, &s);
	assert_int_equal(s.anchor.officers.n, 2);
	assert_int_equal(s.anchor.epoch, 2);
	/* what stood open is void, also with the approval of those who stayed */
	c = approved(&open, 3);
	refused(&c, KE_STATE);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_LOG, 0, 4, &done), KE_DENIED);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_LOG, 0, 2, &done), KE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_anchor),
	    cmocka_unit_test(test_enrolment),
	    cmocka_unit_test(test_rotate),
	    cmocka_unit_test(test_rotate_tls),
	    cmocka_unit_test(test_old_tls),
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_change_officers),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
