/*
 * The configuration of each role on the wire: see rconf.h. The setters run in parent and in
 * kleroctl setup, the getters in the roles, which trust parent but bound everything.
 */
#include "daemon/msg/rconf.h"

#include <string.h>

static void put_strings(struct wire_out *w, const char *first, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i++)
		wire_put_cstr(w, first + i * stride);
}

static void get_strings(struct wire_in *r, char *first, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i++)
		wire_get_cstr(r, first + i * stride, stride);
}

static void put_identity(struct wire_out *w, const struct rconf_identity *c)
{
	wire_put_u8(w, c->drop);
	wire_put_u32(w, c->uid);
	wire_put_u32(w, c->gid);
	wire_put_cstr(w, c->root);
}

static void get_identity(struct wire_in *r, struct rconf_identity *c)
{
	uint8_t drop = wire_get_u8(r);

	c->drop = drop != 0;
	c->uid = wire_get_u32(r);
	c->gid = wire_get_u32(r);
	wire_get_cstr(r, c->root, sizeof c->root);
	/* to drop to root would be no drop */
	if (r->err == KE_OK && (drop > 1 || (c->drop && (c->uid == 0 || c->gid == 0))))
		r->err = KE_RANGE;
}

static void put_limit(struct wire_out *w, const struct rconf_limit *c)
{
	wire_put_u32(w, c->count);
	wire_put_u32(w, c->window_s);
}

static void get_limit(struct wire_in *r, struct rconf_limit *c)
{
	c->count = wire_get_u32(r);
	c->window_s = wire_get_u32(r);
}

static void put_token(struct wire_out *w, const struct rconf_token *c)
{
	wire_put_cstr(w, c->module);
	wire_put_cstr(w, c->label);
	put_strings(w, c->env[0], RCONF_ENVS, RCONF_PATH);
	wire_put_cstr(w, c->params);
	wire_put_u8(w, c->store);
	wire_put_cstr(w, c->pin);
}

static void get_token(struct wire_in *r, struct rconf_token *c)
{
	wire_get_cstr(r, c->module, sizeof c->module);
	wire_get_cstr(r, c->label, sizeof c->label);
	get_strings(r, c->env[0], RCONF_ENVS, RCONF_PATH);
	wire_get_cstr(r, c->params, sizeof c->params);
	c->store = wire_get_u8(r);
	wire_get_cstr(r, c->pin, sizeof c->pin);
}

static void put_chain(struct wire_out *w, const struct drand_chain *c)
{
	wire_put_raw(w, c->pub, sizeof c->pub);
	wire_put_raw(w, c->group_hash, sizeof c->group_hash);
	wire_put_u32(w, c->period_s);
	wire_put_u64(w, c->genesis_s);
	wire_put_cstr(w, c->id);
}

static void get_chain(struct wire_in *r, struct drand_chain *c)
{
	wire_get_raw(r, c->pub, sizeof c->pub);
	wire_get_raw(r, c->group_hash, sizeof c->group_hash);
	c->period_s = wire_get_u32(r);
	c->genesis_s = wire_get_u64(r);
	wire_get_cstr(r, c->id, sizeof c->id);
	if (r->err == KE_OK && (c->period_s == 0 || c->genesis_s > INT64_MAX))
		r->err = KE_RANGE;
}

static void put_chains(struct wire_out *w, const struct drand_chain *chains, uint8_t n)
{
	wire_put_u8(w, n);
	for (uint8_t i = 0; i < n; i++)
		put_chain(w, &chains[i]);
}

static uint8_t get_chains(struct wire_in *r, struct drand_chain chains[RCONF_CHAINS])
{
	uint8_t n = wire_get_u8(r);

	if (r->err == KE_OK && n > RCONF_CHAINS)
		r->err = KE_RANGE;
	for (uint8_t i = 0; r->err == KE_OK && i < n; i++)
		get_chain(r, &chains[i]);
	return n;
}

void rconf_put_beacons(struct wire_out *w, const struct rconf_beacons *c)
{
	put_chains(w, c->chains, c->nchains);
	put_strings(w, c->relays[0], RCONF_RELAYS, RCONF_PATH);
	put_strings(w, c->nists[0], RCONF_NISTS, RCONF_PATH);
}

void rconf_get_beacons(struct wire_in *r, struct rconf_beacons *c)
{
	c->nchains = get_chains(r, c->chains);
	get_strings(r, c->relays[0], RCONF_RELAYS, RCONF_PATH);
	get_strings(r, c->nists[0], RCONF_NISTS, RCONF_PATH);
}

void rconf_put_out(struct wire_out *w, const struct rconf_out *c)
{
	put_identity(w, &c->id);
	rconf_put_beacons(w, &c->beacons);
	put_strings(w, c->witnesses[0], RCONF_WITNESSES, RCONF_PATH);
	wire_put_cstr(w, c->authorities);
	put_strings(w, c->resolvers[0], RCONF_RESOLVERS, RCONF_PATH);
}

int rconf_get_out(struct wire_in *r, struct rconf_out *c)
{
	get_identity(r, &c->id);
	rconf_get_beacons(r, &c->beacons);
	get_strings(r, c->witnesses[0], RCONF_WITNESSES, RCONF_PATH);
	wire_get_cstr(r, c->authorities, sizeof c->authorities);
	get_strings(r, c->resolvers[0], RCONF_RESOLVERS, RCONF_PATH);
	return wire_end(r);
}

void rconf_put_beacon(struct wire_out *w, const struct rconf_beacon *c)
{
	put_identity(w, &c->id);
	put_chains(w, c->chains, c->nchains);
	put_strings(w, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
}

int rconf_get_beacon(struct wire_in *r, struct rconf_beacon *c)
{
	get_identity(r, &c->id);
	c->nchains = get_chains(r, c->chains);
	get_strings(r, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
	return wire_end(r);
}

void rconf_put_net(struct wire_out *w, const struct rconf_net *c)
{
	put_identity(w, &c->id);
	wire_put_u8(w, c->index);
	wire_put_cstr(w, c->host);
	wire_put_cstr(w, c->cert_pem);
	put_strings(w, c->origins[0], RCONF_ORIGINS, RCONF_PATH);
	wire_put_u32(w, c->max_connections);
	wire_put_u32(w, c->header_timeout_ms);
	wire_put_u32(w, c->body_timeout_ms);
	wire_put_u32(w, c->idle_timeout_ms);
	put_limit(w, &c->anonymous);
	put_limit(w, &c->auth);
	put_limit(w, &c->approval);
	put_limit(w, &c->logs);
}

int rconf_get_net(struct wire_in *r, struct rconf_net *c)
{
	get_identity(r, &c->id);
	c->index = wire_get_u8(r);
	wire_get_cstr(r, c->host, sizeof c->host);
	wire_get_cstr(r, c->cert_pem, sizeof c->cert_pem);
	get_strings(r, c->origins[0], RCONF_ORIGINS, RCONF_PATH);
	c->max_connections = wire_get_u32(r);
	c->header_timeout_ms = wire_get_u32(r);
	c->body_timeout_ms = wire_get_u32(r);
	c->idle_timeout_ms = wire_get_u32(r);
	get_limit(r, &c->anonymous);
	get_limit(r, &c->auth);
	get_limit(r, &c->approval);
	get_limit(r, &c->logs);
	return wire_end(r);
}

void rconf_put_engine(struct wire_out *w, const struct rconf_engine *c)
{
	put_identity(w, &c->id);
	wire_put_cstr(w, c->store);
	wire_put_cstr(w, c->host);
	wire_put_u8(w, c->nets);
	wire_put_u8(w, c->kdfs);
	wire_put_u32(w, c->kdf_queue);
	put_limit(w, &c->user);
	wire_put_cstr(w, c->currencies);
	put_strings(w, c->witness_logs[0], RCONF_LOGS, RCONF_VKEY);
	wire_put_cstr(w, c->witnesses.policy);
	put_strings(w, c->witnesses.urls[0], RCONF_WITNESSES, RCONF_PATH);
	wire_put_u8(w, c->restore);
	rconf_put_beacons(w, &c->beacons);
	wire_put_u32(w, c->beacon_delay_s);
	put_strings(w, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
}

int rconf_get_engine(struct wire_in *r, struct rconf_engine *c)
{
	get_identity(r, &c->id);
	wire_get_cstr(r, c->store, sizeof c->store);
	wire_get_cstr(r, c->host, sizeof c->host);
	c->nets = wire_get_u8(r);
	c->kdfs = wire_get_u8(r);
	c->kdf_queue = wire_get_u32(r);
	get_limit(r, &c->user);
	wire_get_cstr(r, c->currencies, sizeof c->currencies);
	get_strings(r, c->witness_logs[0], RCONF_LOGS, RCONF_VKEY);
	wire_get_cstr(r, c->witnesses.policy, sizeof c->witnesses.policy);
	get_strings(r, c->witnesses.urls[0], RCONF_WITNESSES, RCONF_PATH);
	c->restore = wire_get_u8(r);
	rconf_get_beacons(r, &c->beacons);
	c->beacon_delay_s = wire_get_u32(r);
	get_strings(r, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
	return wire_end(r);
}

void rconf_put_hsm(struct wire_out *w, const struct rconf_hsm *c)
{
	put_identity(w, &c->id);
	put_token(w, &c->token);
	wire_put_cstr(w, c->folder);
	wire_put_cstr(w, c->host);
	wire_put_u32(w, c->objects);
	wire_put_u8(w, c->draw_approval);
	put_strings(w, c->payout_limits[0], RCONF_PAYLIMITS, RCONF_PATH);
	wire_put_u8(w, c->escrow_m);
	put_strings(w, c->escrow[0], RCONF_ESCROW, RCONF_PEM);
	rconf_put_beacons(w, &c->beacons);
	wire_put_u32(w, c->beacon_delay_s);
	put_strings(w, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
	put_strings(w, c->witness_logs[0], RCONF_LOGS, RCONF_VKEY);
	wire_put_cstr(w, c->policy);
	wire_put_u8(w, c->nkeys);
	for (uint8_t i = 0; i < c->nkeys; i++)
		wire_put_raw(w, c->keys[i], RCONF_KEY_NAME);
}

int rconf_get_hsm(struct wire_in *r, struct rconf_hsm *c)
{
	get_identity(r, &c->id);
	get_token(r, &c->token);
	wire_get_cstr(r, c->folder, sizeof c->folder);
	wire_get_cstr(r, c->host, sizeof c->host);
	c->objects = wire_get_u32(r);
	c->draw_approval = wire_get_u8(r);
	get_strings(r, c->payout_limits[0], RCONF_PAYLIMITS, RCONF_PATH);
	c->escrow_m = wire_get_u8(r);
	get_strings(r, c->escrow[0], RCONF_ESCROW, RCONF_PEM);
	rconf_get_beacons(r, &c->beacons);
	c->beacon_delay_s = wire_get_u32(r);
	get_strings(r, c->certificates[0], RCONF_CERTS, RCONF_CERTIFICATE);
	get_strings(r, c->witness_logs[0], RCONF_LOGS, RCONF_VKEY);
	wire_get_cstr(r, c->policy, sizeof c->policy);
	c->nkeys = wire_get_u8(r);
	if (r->err == KE_OK && c->nkeys > RCONF_KEYS)
		return KE_RANGE;
	for (uint8_t i = 0; r->err == KE_OK && i < c->nkeys; i++)
		wire_get_raw(r, c->keys[i], RCONF_KEY_NAME);
	return wire_end(r);
}

void rconf_put_kdf(struct wire_out *w, const struct rconf_kdf *c)
{
	put_identity(w, &c->id);
	wire_put_u32(w, c->memory_kib);
	wire_put_u32(w, c->passes);
}

int rconf_get_kdf(struct wire_in *r, struct rconf_kdf *c)
{
	get_identity(r, &c->id);
	c->memory_kib = wire_get_u32(r);
	c->passes = wire_get_u32(r);
	return wire_end(r);
}

void rconf_put_keyadm(struct wire_out *w, const struct rconf_keyadm *c)
{
	put_identity(w, &c->id);
	put_token(w, &c->token);
	wire_put_cstr(w, c->folder);
	wire_put_cstr(w, c->host);
	wire_put_u8(w, c->action);
	wire_put_raw(w, c->appliance_id, sizeof c->appliance_id);
	put_strings(w, c->names[0], 8, RCONF_PATH);
	put_token(w, &c->tls);
	wire_put_cstr(w, c->cert_pem);
	wire_put_u64(w, c->audit);
	wire_put_raw(w, c->audit_hash, sizeof c->audit_hash);
	wire_put_u32(w, c->token_wait_s);
	wire_put_cstr(w, c->text);
	wire_put_cstr(w, c->approvals);
}

int rconf_get_keyadm(struct wire_in *r, struct rconf_keyadm *c)
{
	get_identity(r, &c->id);
	get_token(r, &c->token);
	wire_get_cstr(r, c->folder, sizeof c->folder);
	wire_get_cstr(r, c->host, sizeof c->host);
	c->action = wire_get_u8(r);
	wire_get_raw(r, c->appliance_id, sizeof c->appliance_id);
	get_strings(r, c->names[0], 8, RCONF_PATH);
	get_token(r, &c->tls);
	wire_get_cstr(r, c->cert_pem, sizeof c->cert_pem);
	c->audit = wire_get_u64(r);
	wire_get_raw(r, c->audit_hash, sizeof c->audit_hash);
	c->token_wait_s = wire_get_u32(r);
	wire_get_cstr(r, c->text, sizeof c->text);
	wire_get_cstr(r, c->approvals, sizeof c->approvals);
	return wire_end(r);
}

void rconf_put_keyadm_done(struct wire_out *w, const struct rconf_keyadm_done *c)
{
	wire_put_i32(w, c->result);
	wire_put_cstr(w, c->reason);
	wire_put_cstr(w, c->sealed_dbkey);
	wire_put_cstr(w, c->log_vkey);
	wire_put_cstr(w, c->cert_pem);
}

int rconf_get_keyadm_done(struct wire_in *r, struct rconf_keyadm_done *c)
{
	c->result = wire_get_i32(r);
	wire_get_cstr(r, c->reason, sizeof c->reason);
	wire_get_cstr(r, c->sealed_dbkey, sizeof c->sealed_dbkey);
	wire_get_cstr(r, c->log_vkey, sizeof c->log_vkey);
	wire_get_cstr(r, c->cert_pem, sizeof c->cert_pem);
	return wire_end(r);
}
