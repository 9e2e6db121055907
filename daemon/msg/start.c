/*
 * The start of every child, and the control messages that all roles answer alike: see start.h.
 * Compiled into every child. Trusts parent only.
 */
#include "daemon/msg/start.h"

#include <unistd.h>

#include "daemon/msg/log.h"
#include "sandbox/sandbox.h"

/* Each role's own message numbers and profile, in one row. */
struct role_row {
	uint16_t ready, ping, pong, peer, stop, blame;
	enum sandbox_profile profile;
};

#define ROW(R)                                                                                     \
	{                                                                                          \
		MSG_##R##_READY, MSG_##R##_PING, MSG_##R##_PONG, MSG_##R##_PEER, MSG_##R##_STOP,   \
		    0, SANDBOX_##R                                                                 \
	}

static struct role_row row_of(enum role self)
{
	switch (self) {
	case ROLE_NET: {
		struct role_row row = ROW(NET);
		row.blame = MSG_NET_BLAME;
		return row;
	}
	case ROLE_ENGINE: {
		struct role_row row = ROW(ENGINE);
		row.blame = MSG_ENGINE_BLAME;
		return row;
	}
	case ROLE_HSM: {
		struct role_row row = ROW(HSM);
		row.blame = MSG_HSM_BLAME;
		return row;
	}
	case ROLE_TLSKEY: {
		struct role_row row = ROW(TLSKEY);
		row.blame = MSG_TLSKEY_BLAME;
		return row;
	}
	case ROLE_KDF:
		return (struct role_row)ROW(KDF);
	case ROLE_KEYADM:
		return (struct role_row){.profile = SANDBOX_KEYADM};
	case ROLE_PARENT:
	case ROLE_CTL:
	case ROLE_COUNT:
		break;
	}
	fatal("no such child: %s", role_word(self));
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

void start_receive(enum role self, uint16_t type, uint8_t *buf, struct msg *m)
{
	int r = msg_recv(MSG_CTL_FD, self, ROLE_PARENT, PRE, buf, m);

	if (r == KE_CLOSED)
		_exit(1); /* parent gave up; it has said why */
	if (r != KE_OK || m->type != type)
		fatal("%s: configuration: %s", role_word(self), ke_words(r));
}

void start_sandbox(enum role self, const struct rconf_identity *id,
    const struct sandbox_path *paths, unsigned n, int wide)
{
	struct sandbox_params p = {
	    .profile = row_of(self).profile,
	    .drop = id->drop,
	    .uid = id->uid,
	    .gid = id->gid,
	    .root = id->root,
	    .paths = paths,
	    .npaths = n,
	};
	char note[160] = "", why[160] = "";
	int r;

	if (wide && (self == ROLE_HSM || self == ROLE_TLSKEY))
		p.profile = SANDBOX_HSM_WIDE;
	r = sandbox_enter(&p, note, sizeof note, why, sizeof why);
	if (r != KE_OK)
		fatal("sandbox: %s", why);
	if (note[0] != '\0')
		log_warn("sandbox: %s", note);
}

static void to_parent(uint16_t type, const void *body, size_t len)
{
	int r = msg_send(MSG_CTL_FD, type, 0, body, len, -1);

	if (r == KE_CLOSED)
		_exit(0); /* parent is gone; so are we */
	if (r != KE_OK)
		fatal("control channel: %s", ke_words(r));
}

void start_ready(enum role self)
{
	to_parent(row_of(self).ready, NULL, 0);
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
	struct role_row row = row_of(self);

	if (m->type == row.ping) {
		to_parent(row.pong, NULL, 0);
		return START_PING;
	}
	if (m->type == row.stop)
		return START_STOP;
	if (m->type != row.peer)
		return START_OTHER;
	wire_in_init(&r, m->body, m->len);
	if (start_get_peer(&r, peer) != KE_OK)
		fatal("parent names peer role %u", (unsigned)peer->role);
	return START_PEER;
}

void start_blame(enum role self, const struct start_peer *peer)
{
	uint16_t type = row_of(self).blame;
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	log_security("%s %u broke the protocol", role_word(peer->role), peer->index);
	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, peer);
	/* kdf has nobody below it to blame */
	if (type != 0)
		to_parent(type, body, w.len);
}
