/*
 * Security officers in software, and klerod-keyadm carrying out what they approve: the real program
 * in its sandbox, a real SoftHSM token. Shared by the tests of approvals and of rotation.
 */
#ifndef TESTS_OFFICERS_H
#define TESTS_OFFICERS_H

#include "tests/unit/ssh_sign.h"

#include "tests/unit/hsm_peer.h"

#include <time.h>

#include "hsm/p11/data.h"
#include "hsm/p11/key.h"
#include "policy/proposal.h"

#define OFFICERS 3

static struct signer signer[OFFICERS + 1]; /* the last is nobody */

/* What stands in a token now. */
struct seen {
	struct anchor anchor;
	struct key_ring ring;
};

U static void look(const char *label, struct seen *s)
{
	struct rconf_token t = fx_token(&ctx.f, label);
	char *env[] = {t.env[0]};
	struct p11 p = {.f = NULL};

	assert_int_equal(p11_load(&p, t.module, env, 1), KE_OK);
	assert_int_equal(p11_open(&p, t.label, false), KE_OK);
	assert_int_equal(p11_login(&p, t.pin), KE_OK);
	assert_int_equal(key_ring_find(&p, &s->ring), KE_OK);
	if (strcmp(label, FX_KEYS) == 0)
		assert_int_equal(data_load(&p, &s->anchor), KE_OK);
	p11_close(&p);
}

U static void set_officers(struct officers *o, size_t n, uint64_t threshold)
{
	*o = (struct officers){.threshold = threshold, .n = n};
	for (size_t i = 0; i < n; i++) {
		snprintf(o->officer[i].name, sizeof(o->officer[i].name), "officer-%zu", i);
		o->officer[i].key = signer[i].key;
	}
}

U static int enrol(uint64_t threshold, struct rconf_keyadm_done *done)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_ENROL);
	struct officers o;
	size_t n;
	int code;

	set_officers(&o, OFFICERS, threshold);
	assert_int_equal(officers_text(&o, c.text, sizeof(c.text) - 1, &n), KE_OK);
	c.text[n] = '\0';
	return fx_keyadm(&ctx.f, &c, done, &code);
}

U static struct proposal propose(enum proposal_action action, enum key_purpose purpose, uint64_t v)
{
	struct proposal p = {.action = action,
	    .purpose = purpose,
	    .version = v,
	    .expires_s = (uint64_t)time(NULL) + 600};
	struct seen s;

	look(FX_KEYS, &s);
	p.epoch = s.anchor.epoch;
	memcpy(p.appliance, FX_APPLIANCE, 16);
	randombytes_buf(p.nonce, sizeof(p.nonce));
	return p;
}

/* The proposal approved by the signers whose bits are set. */
U static struct rconf_keyadm approved(const struct proposal *p, unsigned who)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_APPROVED);
	size_t n, at = 0;

	assert_int_equal(proposal_text(p, c.text, sizeof(c.text) - 1, &n), KE_OK);
	c.text[n] = '\0';
	for (size_t i = 0; i <= OFFICERS; i++)
		if ((who & (1u << i)) != 0)
			at += signer_sign(
			    &signer[i], PROPOSAL_NAMESPACE, c.text, n, c.approvals + at);
	if (p->purpose == KEY_TLS)
		c.tls = fx_token(&ctx.f, FX_TLS);
	snprintf(c.names[0], RCONF_PATH, "localhost");
	c.token_wait_s = 60;
	return c;
}

U static int run(const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	int code, r = fx_keyadm(&ctx.f, c, done, &code);

	assert_int_equal(code == 0, r == KE_OK);
	return r;
}

U static int act(enum proposal_action action, enum key_purpose purpose, uint64_t v, unsigned who,
    struct rconf_keyadm_done *done)
{
	struct proposal p = propose(action, purpose, v);
	struct rconf_keyadm c = approved(&p, who);

	return run(&c, done);
}

U static int officers_setup(void **state)
{
	if (peer_setup(state) != 0)
		return 1;
	for (size_t i = 0; i <= OFFICERS; i++)
		signer_make(&signer[i]);
	return 0;
}

#endif
