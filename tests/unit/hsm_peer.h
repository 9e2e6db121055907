/*
 * A provisioned pair of tokens, and roles of the real build that the test speaks to as parent and
 * as a peer: shared by the tests of klerod-hsm and klerod-keyadm.
 */
#ifndef TESTS_UNIT_HSM_PEER_H
#define TESTS_UNIT_HSM_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>

#include "daemon/msg/role.h"
#include "hsm/role/exit.h"
#include "tests/unit/hsm_fixture.h"

#define U        __attribute__((unused))
#define LOG_NAME FX_HOST "/klero/log"

struct ctx {
	struct fx f;
	struct rconf_keyadm_done keys, tls; /* what keyadm has made */
};

/* A running role and one peer's channel to it. */
struct peer {
	struct fx_child c;
	enum role self, role;
	int fd;
	uint64_t id;
	uint32_t life; /* of the peer */
	uint8_t buf[MSG_MAX];
	struct wire_in in; /* the last answer, after its result */
};

static struct ctx ctx;
U static struct {
	uint8_t m;
	const char *pem[RCONF_ESCROW];
} escrow; /* of the roles that are started from now on; so what follows */
U static bool draw_approval;
U static struct rconf_beacons pins;
U static uint32_t pin_delay_s;
U static char pin_nist[RCONF_CERTIFICATE];
U static char witness_log[RCONF_VKEY];
U static char witness_policy[RCONF_POLICY];

/* Both tokens, with everything in them. */
U static void provision(void)
{
	struct rconf_keyadm keys, tls;
	int code;

	fx_start(&ctx.f);
	fx_make_token(&ctx.f, FX_KEYS);
	fx_make_token(&ctx.f, FX_TLS);
	keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	tls = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	snprintf(tls.names[0], RCONF_PATH, "localhost");
	snprintf(tls.names[1], RCONF_PATH, "127.0.0.1");
	snprintf(tls.names[2], RCONF_PATH, "::1");
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &ctx.keys, &code), KE_OK);
	assert_int_equal(code, 0);
	assert_int_equal(fx_keyadm(&ctx.f, &tls, &ctx.tls, &code), KE_OK);
	assert_int_equal(code, 0);
}

/* cmocka's group functions of every test that needs both tokens. */
U static int peer_setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return 1;
	provision();
	return 0;
}

U static int peer_teardown(void **state)
{
	(void)state;
	fx_end(&ctx.f);
	return 0;
}

/* Chain 77 is for those who do not count. */
U static void set_limits(char limits[][RCONF_PATH])
{
	snprintf(limits[0], RCONF_PATH, "evm:1 1000000000000000000 2000000000000000000/31536000");
	snprintf(limits[1], RCONF_PATH, "evm:5 200000000000000000 200000000000000000/31536000");
	snprintf(limits[2], RCONF_PATH, "evm:77 1000000000000000000 1000000000000000000000/1");
	snprintf(limits[3], RCONF_PATH, "solana 1000000000 2000000000/31536000");
	/* from half an ether on officers must approve */
	snprintf(limits[4], RCONF_PATH,
	    "evm:6 1000000000000000000 1000000000000000000000/1 500000000000000000");
}

U static void configure(struct peer *p, const char *label, const char *pin)
{
	static uint8_t buf[MSG_MAX];
	struct rconf_hsm c = {.token = fx_token(&ctx.f, label), .objects = 100000};
	struct wire_out w;

	snprintf(c.token.pin, sizeof c.token.pin, "%s", pin);
	snprintf(c.host, sizeof c.host, FX_HOST);
	snprintf(c.folder, sizeof c.folder, "%s", ctx.f.tokens);
	set_limits(c.payout_limits);
	c.draw_approval = draw_approval;
	snprintf(c.witness_logs[0], RCONF_VKEY, "%s", witness_log);
	memcpy(c.policy, witness_policy, sizeof c.policy);
	c.escrow_m = escrow.m;
	for (size_t i = 0; i < RCONF_ESCROW && escrow.pem[i] != NULL; i++)
		snprintf(c.escrow[i], RCONF_PEM, "%s", escrow.pem[i]);
	c.beacons = pins;
	c.beacon_delay_s = pin_delay_s;
	memcpy(c.certificates[0], pin_nist, sizeof c.certificates[0]);
	wire_out_init(&w, buf, MSG_BODY_MAX);
	rconf_put_hsm(&w, &c);
	assert_int_equal(w.err, KE_OK);
	assert_int_equal(msg_send(p->c.ctl, p->self == ROLE_HSM ? MSG_HSM_CONF : MSG_TLSKEY_CONF, 0,
			     buf, w.len, p->self == ROLE_HSM ? ctx.f.journal : -1),
	    KE_OK);
}

/* A fresh channel of that peer, handed over as parent does. */
U static void connect_as(struct peer *p, enum role role, uint8_t index)
{
	struct timeval deadline = {.tv_sec = FX_WAIT_S};
	int sv[2];

	if (p->fd >= 0)
		close(p->fd);
	assert_int_equal(msg_pair(sv), KE_OK);
	fx_introduce(&p->c, p->self == ROLE_HSM ? MSG_HSM_PEER : MSG_TLSKEY_PEER,
	    &(struct start_peer){role, index, ++p->life}, sv[1]);
	close(sv[1]);
	assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
	p->fd = sv[0];
	p->role = role;
}

U static void start_role(struct peer *p, enum role self)
{
	struct msg m;

	p->fd = -1;
	p->life = 0;
	p->self = self;
	p->id = 1;
	fx_spawn(&ctx.f, &p->c, "klerod-hsm", role_word(self));
	configure(p, self == ROLE_HSM ? FX_KEYS : FX_TLS, FX_PIN);
	assert_int_equal(msg_recv(p->c.ctl, ROLE_PARENT, self, RUN, p->buf, &m), KE_OK);
	assert_int_equal(m.type, self == ROLE_HSM ? MSG_HSM_READY : MSG_TLSKEY_READY);
	connect_as(p, self == ROLE_HSM ? ROLE_ENGINE : ROLE_NET, 0);
}

U static void stop_role(struct peer *p)
{
	assert_int_equal(msg_send(p->c.ctl, p->self == ROLE_HSM ? MSG_HSM_STOP : MSG_TLSKEY_STOP, 0,
			     NULL, 0, -1),
	    KE_OK);
	assert_int_equal(fx_wait(&p->c), HSM_EXIT_PLANNED);
	if (p->fd >= 0)
		close(p->fd);
}

/* One request and its answer; returns the result, leaves p->in behind it. */
U static int ask(struct peer *p, uint16_t type, const void *body, size_t n)
{
	struct msg m;
	int r;

	assert_int_equal(msg_send(p->fd, type, ++p->id, body, n, -1), KE_OK);
	r = msg_recv(p->fd, p->role, p->self, RUN, p->buf, &m);
	if (r != KE_OK)
		return r;
	assert_int_equal(m.type, type + 1);
	assert_true(m.id == p->id);
	wire_in_init(&p->in, m.body, m.len);
	r = wire_get_i32(&p->in);
	if (r != KE_OK && r != KE_STATE) /* which may say what the state is */
		assert_int_equal(wire_end(&p->in), KE_OK);
	return r;
}

/* The request breaks the protocol: no answer, the channel closed, the peer blamed. */
U static void expect_blame(struct peer *p, uint16_t type, const void *body, size_t n)
{
	enum role role = p->role;
	struct start_peer who;
	struct msg m;

	assert_int_equal(ask(p, type, body, n), KE_CLOSED);
	assert_int_equal(msg_recv(p->c.ctl, ROLE_PARENT, p->self, RUN, p->buf, &m), KE_OK);
	assert_int_equal(m.type, p->self == ROLE_HSM ? MSG_HSM_BLAME : MSG_TLSKEY_BLAME);
	wire_in_init(&p->in, m.body, m.len);
	assert_int_equal(start_get_peer(&p->in, &who), KE_OK);
	assert_true(who.role == role && who.index == 0 && who.life == p->life);
	connect_as(p, role, 0);
}

/* The certificate that keyadm has made. */
U static X509 *certificate(void)
{
	BIO *bio = BIO_new_mem_buf(ctx.tls.cert_pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

#endif
