/*
 * Public keys, the database key, holder salts. Runs in hsm: see hsm.h.
 */
#include <sodium.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/p11/op.h"
#include "hsm/role/hsm.h"
#include "policy/leaf.h"

#define USED_DBKEY 1u /* of serve_peer.uses */

int hsm_answer_keys(struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *token = key_ring_get(&h->ring, KEY_TOKEN, 0);
	const struct key *log = key_ring_get(&h->ring, KEY_LOG, 0);

	(void)peer;
	(void)m; /* empty, by the table */
	if (!hsm_result(h, w, KE_OK))
		return KE_OK;
	wire_put_u32(w, token->version);
	wire_put_raw(w, token->pub, 65);
	wire_put_u32(w, log->version);
	wire_put_raw(w, log->pub, 32);
	wire_put_u8(w, h->p.has_digest_key);
	return KE_OK;
}

int hsm_answer_open_dbkey(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct wire_in in;
	const uint8_t *text, *appliance;
	uint8_t key[32];
	size_t n;
	int r = KE_DENIED;

	wire_in_init(&in, m->body, m->len);
	text = wire_get_str(&in, BLOB_TEXT_MAX, &n);
	appliance = wire_get_view(&in, 16);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if ((peer->uses & USED_DBKEY) == 0) {
		r = blob_open_class_key(
		    &h->p, &h->ring, BLOB_DB, appliance, (const char *)text, n, key);
		r = canary_judge(&h->p, &h->ring, &h->canary, r);
	} else {
		log_security("the database key was asked for twice on one channel");
	}
	peer->uses |= USED_DBKEY;
	if (hsm_result(h, w, r))
		wire_put_raw(w, key, sizeof key);
	sodium_memzero(key, sizeof key);
	return KE_OK;
}

int hsm_answer_holder(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *mac = key_ring_get(&h->ring, KEY_MAC, 0);
	uint8_t salt[32];
	int r;

	(void)peer;
	/* raffle ‖ SHA-256(holder id), 48 bytes by the table, is the KDF's context as it is */
	r = op_kdf(&h->p, mac->handle, LEAF_SALT_LABEL, m->body, m->len, salt);
	if (hsm_result(h, w, r))
		wire_put_raw(w, salt, sizeof salt);
	sodium_memzero(salt, sizeof salt);
	return KE_OK;
}
