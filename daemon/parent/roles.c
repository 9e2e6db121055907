/*
 * The roles as parent sees them: see roles.h. PINs pass through here on their way from file to
 * role, in locked memory, and are wiped at once.
 */
#include "daemon/parent/roles.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/msg/rconf.h"
#include "daemon/msg/wire.h"
#include "daemon/parent/tokens.h"
#include "policy/text.h"

/* Argon2id: 64 MiB, 3 passes (API.md) */
#define KDF_MEMORY_KIB 65536
#define KDF_PASSES     3

static const struct edge {
	enum role a, b;
} edges[] = {
    {ROLE_NET, ROLE_TLSKEY},
    {ROLE_NET, ROLE_ENGINE},
    {ROLE_ENGINE, ROLE_HSM},
    {ROLE_ENGINE, ROLE_KDF},
    {ROLE_ENGINE, ROLE_OUT},
    {ROLE_ENGINE, ROLE_BEACON},
};

int roles_stage(enum role role)
{
	if (role == ROLE_NET)
		return 2;
	return role == ROLE_ENGINE ? 1 : 0;
}

bool roles_hold_keys(enum role role)
{
	return role == ROLE_HSM || role == ROLE_TLSKEY;
}

bool roles_edge(enum role a, enum role b)
{
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
		if ((edges[i].a == a && edges[i].b == b) || (edges[i].a == b && edges[i].b == a))
			return true;
	return false;
}

/* What one configuration is made in, all of it locked memory. */
struct scratch {
	union {
		struct rconf_net net;
		struct rconf_engine engine;
		struct rconf_hsm hsm;
		struct rconf_kdf kdf;
		struct rconf_out out;
		struct rconf_beacon beacon;
		struct rconf_keyadm keyadm;
	} conf;
	uint8_t body[MSG_BODY_MAX];
	char *why;
	size_t whylen;
};

/* NUL-terminated; the role that gets it is the first to understand it. */
static int get_certificate(const struct conf *c, char *pem, size_t cap, struct scratch *s)
{
	size_t n = 0;
	int r = conf_file(c->tls_certificate, false, pem, cap - 1, &n, s->why, s->whylen);

	pem[r == KE_OK ? n : 0] = '\0';
	return r;
}

static int make_net(
    const struct conf *c, const struct child *child, struct scratch *s, struct wire_out *w)
{
	struct rconf_net *net = &s->conf.net;
	int r = get_certificate(c, net->cert_pem, sizeof net->cert_pem, s);

	if (r != KE_OK)
		return r;
	net->index = child->index;
	memcpy(net->host, c->host, sizeof net->host);
	memcpy(net->origins, c->origins, sizeof net->origins);
	net->max_connections = c->max_connections;
	net->header_timeout_ms = c->header_timeout * 1000;
	net->body_timeout_ms = c->body_timeout * 1000;
	net->idle_timeout_ms = c->idle_timeout * 1000;
	net->anonymous = c->anonymous;
	net->auth = c->auth;
	net->approval = c->approval;
	net->logs = c->logs;
	rconf_put_net(w, net);
	return KE_OK;
}

static int make_engine(
    const struct conf *c, const struct child *child, struct scratch *s, struct wire_out *w)
{
	struct rconf_engine *engine = &s->conf.engine;
	int r = conf_beacons(c, &engine->beacons, s->why, s->whylen);

	if (r == KE_OK)
		r = conf_witnesses(c, &engine->witnesses, s->why, s->whylen);

	(void)child;
	if (r != KE_OK)
		return r;
	engine->beacon_delay_s = c->beacon_delay;
	engine->id.root[0] = '\0'; /* its own is the store's folder, which it must find first */
	memcpy(engine->store, c->store, sizeof engine->store);
	memcpy(engine->host, c->host, sizeof engine->host);
	memcpy(engine->currencies, c->currencies, sizeof engine->currencies);
	engine->nets = (uint8_t)c->nets;
	engine->kdfs = (uint8_t)c->kdfs;
	engine->kdf_queue = c->kdf_queue;
	engine->user = c->user;
	memcpy(engine->witness_logs, c->witness_logs, sizeof engine->witness_logs);
	r = conf_certificates(c, engine->certificates, s->why, s->whylen);
	rconf_put_engine(w, engine);
	return r;
}

static const struct conf_token *token_of(const struct parent *p, enum role role)
{
	return role == ROLE_HSM ? &p->conf.keys : &p->conf.tls;
}

/* role: whose token it is; keyadm uses both */
static int get_token(struct parent *p, enum role role, struct rconf_token *to, struct scratch *s)
{
	const struct conf_token *from = token_of(p, role);
	int r = conf_token(&p->conf, from, to, s->why, s->whylen);

	if (r == KE_OK)
		r = conf_pin(from->pin_file, to->pin, s->why, s->whylen);
	return r == KE_OK ? tokens_pin(p, role, to->pin, s->why, s->whylen) : r;
}

/* As they are in the files; hsm is the first to understand them. */
static int get_escrow(const struct conf *c, struct rconf_hsm *hsm, struct scratch *s)
{
	hsm->escrow_m = (uint8_t)c->escrow.m;
	for (size_t i = 0; i < RCONF_ESCROW && c->escrow.files[i][0] != '\0'; i++) {
		size_t n = 0;
		int r = conf_file(c->escrow.files[i], false, hsm->escrow[i], RCONF_PEM - 1, &n,
		    s->why, s->whylen);

		if (r != KE_OK)
			return r;
		hsm->escrow[i][n] = '\0';
	}
	return KE_OK;
}

/* What a draw may rest on, by hsm's own knowledge; it asks no relay. */
static int get_pins(const struct conf *c, struct rconf_hsm *hsm, struct scratch *s)
{
	struct rconf_witnesses witnesses;
	int r = conf_beacons(c, &hsm->beacons, s->why, s->whylen);

	if (r == KE_OK)
		r = conf_witnesses(c, &witnesses, s->why, s->whylen);
	if (r != KE_OK)
		return r;
	memset(hsm->beacons.relays, 0, sizeof hsm->beacons.relays);
	memset(hsm->beacons.nists, 0, sizeof hsm->beacons.nists);
	hsm->beacon_delay_s = c->beacon_delay;
	memcpy(hsm->policy, witnesses.policy, sizeof hsm->policy);
	return conf_certificates(c, hsm->certificates, s->why, s->whylen);
}

/* hsm and tlskey differ in token and PIN only. */
static int make_hsm(
    struct parent *p, const struct child *child, struct scratch *s, struct wire_out *w)
{
	const struct conf_token *token = token_of(p, child->role);
	const struct conf *c = &p->conf;
	struct rconf_hsm *hsm = &s->conf.hsm;
	int r = get_token(p, child->role, &hsm->token, s);

	if (r != KE_OK)
		return r;
	tokens_expect(p, child->role, hsm);
	if (token->params[0] != '\0')
		memcpy(hsm->token.params, token->params, sizeof hsm->token.params);
	memcpy(hsm->folder, c->module_folder, sizeof hsm->folder);
	memcpy(hsm->host, c->host, sizeof hsm->host);
	hsm->objects = c->hsm_objects;
	hsm->draw_approval = c->draw_approval;
	if (child->role == ROLE_HSM) {
		memcpy(hsm->payout_limits, c->payout_limits, sizeof hsm->payout_limits);
		memcpy(hsm->witness_logs, c->witness_logs, sizeof hsm->witness_logs);
		r = get_escrow(c, hsm, s);
		if (r == KE_OK)
			r = get_pins(c, hsm, s);
	}
	if (r != KE_OK)
		return r;
	rconf_put_hsm(w, hsm);
	return KE_OK;
}

static int make_kdf(
    const struct conf *c, const struct child *child, struct scratch *s, struct wire_out *w)
{
	(void)c;
	(void)child;
	s->conf.kdf.memory_kib = KDF_MEMORY_KIB;
	s->conf.kdf.passes = KDF_PASSES;
	rconf_put_kdf(w, &s->conf.kdf);
	return KE_OK;
}

static int make_out(const struct conf *c, struct scratch *s, struct wire_out *w)
{
	struct rconf_out *out = &s->conf.out;
	struct rconf_witnesses witnesses;
	int r = conf_beacons(c, &out->beacons, s->why, s->whylen);

	if (r == KE_OK)
		r = conf_witnesses(c, &witnesses, s->why, s->whylen);

	if (r != KE_OK)
		return r;
	memcpy(out->witnesses, witnesses.urls, sizeof out->witnesses);
	memcpy(out->authorities, c->out_authorities, sizeof out->authorities);
	memcpy(out->resolvers, c->out_resolvers, sizeof out->resolvers);
	rconf_put_out(w, out);
	return KE_OK;
}

static int make_beacon(const struct conf *c, struct scratch *s, struct wire_out *w)
{
	struct rconf_beacon *beacon = &s->conf.beacon;
	struct rconf_beacons all;
	int r = conf_beacons(c, &all, s->why, s->whylen);

	if (r == KE_OK)
		r = conf_certificates(c, beacon->certificates, s->why, s->whylen);
	if (r != KE_OK)
		return r;
	beacon->nchains = all.nchains;
	memcpy(beacon->chains, all.chains, sizeof beacon->chains);
	rconf_put_beacon(w, beacon);
	return KE_OK;
}

/* For a token without an anchor: the line that setup has written beside the store. */
static int get_appliance(const struct conf *c, uint8_t id[16], struct scratch *s)
{
	char path[RCONF_PATH + 16], text[10 + 32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "%s/klero.keys", c->store);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		close(fd);
	}
	if (n == sizeof text && memcmp(text, "appliance ", 10) == 0 &&
	    text_unhex(id, 16, text + 10, 32) == KE_OK)
		return KE_OK;
	snprintf(s->why, s->whylen, "%s: no appliance id", path);
	return KE_FORMAT;
}

static int make_keyadm(struct parent *p, struct scratch *s, struct wire_out *w)
{
	const struct conf *c = &p->conf;
	struct rconf_keyadm *k = &s->conf.keyadm;
	int r = get_token(p, ROLE_HSM, &k->token, s);

	if (r == KE_OK && p->act.tls)
		r = get_token(p, ROLE_TLSKEY, &k->tls, s);
	if (r == KE_OK && p->act.completing)
		r = get_appliance(c, k->appliance_id, s);
	if (r == KE_OK && p->act.tls)
		r = get_certificate(c, k->cert_pem, sizeof k->cert_pem, s);
	if (r != KE_OK)
		return r;
	k->id.root[0] = '\0'; /* it keeps the token folder, by Landlock */
	k->action = p->act.completing ? KEYADM_COMPLETE : KEYADM_APPROVED;
	k->token_wait_s = c->token_publish;
	memcpy(k->folder, c->module_folder, sizeof k->folder);
	memcpy(k->host, c->host, sizeof k->host);
	memcpy(k->names, c->tls_names, sizeof k->names);
	if (!p->act.completing) {
		k->audit = p->act.audit;
		memcpy(k->audit_hash, p->act.audit_hash, sizeof k->audit_hash);
		memcpy(k->text, p->act.text, sizeof k->text);
		memcpy(k->approvals, p->act.approvals, sizeof k->approvals);
	}
	rconf_put_keyadm(w, k);
	return KE_OK;
}

static int make(struct parent *p, struct child *c, struct scratch *s, struct wire_out *w)
{
	/* every configuration begins with the identity */
	struct rconf_identity *id = &s->conf.hsm.id;
	int r = conf_identity(&p->conf, c->role, id, s->why, s->whylen);

	if (r != KE_OK)
		return r;
	memcpy(id->root, p->empty, sizeof id->root);
	c->uid = id->drop ? id->uid : geteuid();
	switch (c->role) {
	case ROLE_NET:
		return make_net(&p->conf, c, s, w);
	case ROLE_ENGINE:
		s->conf.engine.restore = p->restore;
		return make_engine(&p->conf, c, s, w);
	case ROLE_HSM:
	case ROLE_TLSKEY:
		return make_hsm(p, c, s, w);
	case ROLE_KEYADM:
		return make_keyadm(p, s, w);
	case ROLE_OUT:
		return make_out(&p->conf, s, w);
	case ROLE_BEACON:
		return make_beacon(&p->conf, s, w);
	default:
		return make_kdf(&p->conf, c, s, w);
	}
}

int roles_configure(struct parent *p, struct child *c, char *why, size_t whylen)
{
	struct scratch *s = sodium_malloc(sizeof *s);
	struct wire_out w;
	int r = KE_NOMEM;

	snprintf(why, whylen, "out of locked memory");
	if (s == NULL)
		return r;
	sodium_memzero(s, sizeof *s);
	s->why = why;
	s->whylen = whylen;
	wire_out_init(&w, s->body, sizeof s->body);
	r = make(p, c, s, &w);
	if (r == KE_OK) {
		snprintf(why, whylen, "its configuration cannot be sent");
		r = w.err;
	}
	if (r == KE_OK)
		r = msg_send(c->ctl, msg_of_role(c->role)->conf, 0, s->body, w.len,
		    c->role == ROLE_HSM || c->role == ROLE_KEYADM ? p->journal : -1);
	sodium_free(s); /* wipes */
	if (r != KE_OK || c->role != ROLE_NET)
		return r;
	r = msg_send(c->ctl, MSG_NET_LISTEN, 0, NULL, 0, p->listen);
	return r == KE_OK ? msg_send(c->ctl, MSG_NET_LIMITS, 0, NULL, 0, p->limits) : r;
}
