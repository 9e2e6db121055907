/*
 * Fuzz target: the message layer's checks and every configuration decoder. The first bytes choose
 * receiver, peer and state; the rest is the packet.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const struct msg *m)
{
	static union {
		struct rconf_net net;
		struct rconf_engine engine;
		struct rconf_hsm hsm;
		struct rconf_kdf kdf;
		struct rconf_out out;
		struct rconf_beacon beacon;
		struct rconf_keyadm keyadm;
		struct rconf_keyadm_done done;
	} c;
	struct wire_in r;
	int ignored;

	wire_in_init(&r, m->body, m->len);
	switch (m->type) {
	case MSG_NET_CONF:
		ignored = rconf_get_net(&r, &c.net);
		break;
	case MSG_ENGINE_CONF:
		ignored = rconf_get_engine(&r, &c.engine);
		break;
	case MSG_HSM_CONF:
	case MSG_TLSKEY_CONF:
		ignored = rconf_get_hsm(&r, &c.hsm);
		break;
	case MSG_OUT_CONF:
		ignored = rconf_get_out(&r, &c.out);
		break;
	case MSG_BEACON_CONF:
		ignored = rconf_get_beacon(&r, &c.beacon);
		break;
	case MSG_KDF_CONF:
		ignored = rconf_get_kdf(&r, &c.kdf);
		break;
	case MSG_KEYADM_CONF:
		ignored = rconf_get_keyadm(&r, &c.keyadm);
		break;
	case MSG_KEYADM_DONE:
		ignored = rconf_get_keyadm_done(&r, &c.done);
		break;
	default:
		return;
	}
	if (ignored == KE_OK && r.p != r.end)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m;
	enum role self, peer;
	enum msg_when when;

	if (size < 3)
		return 0;
	self = (enum role)(data[0] % ROLE_COUNT);
	peer = (enum role)(data[1] % ROLE_COUNT);
	when = (data[2] & 1) != 0 ? PRE : RUN;
	if (msg_check(data + 3, size - 3, (data[2] & 2) != 0 ? 99 : -1, self, peer, when, &m) ==
	    KE_OK) {
		if (m.len > MSG_BODY_MAX || msg_rule(m.type)->to != self)
			abort();
		decode(&m);
	}
	return 0;
}
