/*
 * The start of every child, and the control messages that all roles answer alike: see start.h.
 * Compiled into every child. Trusts parent only.
 */
#include "daemon/msg/start.h"

#include <unistd.h>

#include "daemon/msg/log.h"
#include "sandbox/sandbox.h"

static enum sandbox_profile profile_of(enum role self, bool wide)
{
	static const enum sandbox_profile of[ROLE_COUNT] = {
	    [ROLE_NET] = SANDBOX_NET,
	    [ROLE_TLSKEY] = SANDBOX_TLSKEY,
	    [ROLE_ENGINE] = SANDBOX_ENGINE,
	    [ROLE_HSM] = SANDBOX_HSM,
	    [ROLE_KEYADM] = SANDBOX_KEYADM,
	    [ROLE_KDF] = SANDBOX_KDF,
	    [ROLE_OUT] = SANDBOX_OUT,
	    [ROLE_BEACON] = SANDBOX_BEACON,
	};

	if (msg_of_role(self)->conf == 0)
		fatal("no such child: %s", role_word(self));
	if (wide && self == ROLE_KEYADM)
		return SANDBOX_KEYADM_DB;
	return wide && (self == ROLE_HSM || self == ROLE_TLSKEY) ? SANDBOX_HSM_WIDE : of[self];
}

void start_early(enum role self)
{
	char why[160];
	int r = sandbox_early(MSG_CTL_FD + 1, why, sizeof why);

	if (r != KE_OK)
		fatal("%s: %s: %s", role_word(self), why, ke_words(r));
}

void start_no_writes(enum role self)
{
	char why[160];
	int r = sandbox_no_writes(why, sizeof why);

	if (r != KE_OK)
		fatal("%s: %s: %s", role_word(self), why, ke_words(r));
}

void start_files_as(enum role self, const struct rconf_identity *id)
{
	char why[160];
	int r = id->drop ? sandbox_files_as(id->uid, id->gid, why, sizeof why) : KE_OK;

	if (r != KE_OK)
		fatal("%s: %s: %s", role_word(self), why, ke_words(r));
}

void start_receive(enum role self, uint16_t type, uint8_t *buf, struct msg *m)
{
	int r = msg_recv(MSG_CTL_FD, self, ROLE_PARENT, PRE, buf, m);

	if (r == KE_CLOSED)
		_exit(1); /* parent gave up; it has said why */
	if (r != KE_OK || m->type != type)
		fatal("%s: configuration: %s", role_word(self), ke_words(r));
}

static void enter(struct sandbox_params *p, const struct rconf_identity *id)
{
	char note[160] = "", why[160] = "";
	int r;

	p->drop = id->drop;
	p->uid = id->uid;
	p->gid = id->gid;
	p->root = id->root;
	r = sandbox_enter(p, note, sizeof note, why, sizeof why);
	if (r != KE_OK)
		fatal("sandbox: %s", why);
	if (note[0] != '\0')
		log_warn("sandbox: %s", note);
}

void start_sandbox(enum role self, const struct rconf_identity *id,
    const struct sandbox_path *paths, unsigned n, bool wide)
{
	struct sandbox_params p = {.profile = profile_of(self, wide), .paths = paths, .npaths = n};

	enter(&p, id);
}

void start_sandbox_ports(
    enum role self, const struct rconf_identity *id, const uint16_t *ports, unsigned n)
{
	struct sandbox_params p = {.profile = profile_of(self, false), .ports = ports, .nports = n};

	enter(&p, id);
}

static void to_parent(uint16_t type, const void *body, size_t len)
{
	int r = msg_send(MSG_CTL_FD, type, 0, body, len, -1);

	if (r == KE_CLOSED)
		_exit(0); /* parent is gone; so are we */
	if (r != KE_OK)
		fatal("control channel: %s", ke_words(r));
}

void start_ready_with(enum role self, const void *body, size_t len)
{
	to_parent(msg_of_role(self)->ready, body, len);
}

void start_ready(enum role self)
{
	start_ready_with(self, NULL, 0);
}

void start_worn(void)
{
	to_parent(MSG_HSM_WORN, NULL, 0);
}

void start_put_peer(struct wire_out *w, const struct start_peer *p)
{
	wire_put_u8(w, (uint8_t)p->role);
	wire_put_u8(w, p->index);
	wire_put_u32(w, p->life);
}

int start_get_peer(struct wire_in *r, struct start_peer *p)
{
	uint8_t role = wire_get_u8(r);

	p->role = (enum role)role;
	p->index = wire_get_u8(r);
	p->life = wire_get_u32(r);
	if (r->err == KE_OK && role >= ROLE_COUNT)
		return KE_RANGE;
	return wire_end(r);
}

enum start_ctl start_control(enum role self, const struct msg *m, struct start_peer *peer)
{
	struct wire_in r;
	const struct msg_of_role *own = msg_of_role(self);

	if (m->type == own->ping) {
		to_parent(own->pong, NULL, 0);
		return START_PING;
	}
	if (m->type == own->stop)
		return START_STOP;
	if (m->type != own->peer)
		return START_OTHER;
	wire_in_init(&r, m->body, m->len);
	if (start_get_peer(&r, peer) != KE_OK)
		fatal("parent names peer role %u", (unsigned)peer->role);
	return START_PEER;
}

void start_blame(enum role self, const struct start_peer *peer)
{
	uint16_t type = msg_of_role(self)->blame;
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	log_security("%s %u broke the protocol", role_word(peer->role), peer->index);
	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, peer);
	if (type != 0)
		to_parent(type, body, w.len);
}
