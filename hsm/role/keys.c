/*
 * Public keys, the database key, holder salts. Runs in hsm: see hsm.h.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/p11/op.h"
#include "hsm/role/hsm.h"
#include "policy/leaf.h"

#define USED_DBKEY 1u /* of serve_peer.uses */

/*
 * Verifiers must know a token key before it signs and for as long as its last token lives; what a
 * compromised one has signed counts no more.
 */
static bool is_published(const struct key *k, const struct key *active)
{
	uint64_t now_s = (uint64_t)time(NULL);

	if (k->purpose != KEY_TOKEN || k == active || k->compromised)
		return false;
	if (k->live && k->version > active->version)
		return true;
	return now_s < active->since_s + HSM_TOKEN_LIFE_S + HSM_CLOCK_SLACK_S;
}

static void put_token_key(struct wire_out *w, const struct key *k)
{
	wire_put_u32(w, k->version);
	wire_put_raw(w, k->pub, 65);
}

int hsm_answer_keys(struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *token = key_ring_get(&h->ring, KEY_TOKEN, 0);
	const struct key *log = key_ring_get(&h->ring, KEY_LOG, 0);
	uint8_t n = 1;

	(void)peer;
	(void)m; /* empty, by the table */
	for (size_t i = 0; i < h->ring.n; i++)
		n = (uint8_t)(n + is_published(&h->ring.keys[i], token));
	if (!hsm_result(h, w, KE_OK))
		return KE_OK;
	wire_put_u8(w, h->p.has_digest_key);
	wire_put_u32(w, log->version);
	wire_put_u8(w, (uint8_t)key_note_type(log));
	wire_put_raw(w, log->pub, note_pub_len(key_note_type(log)));
	wire_put_u8(w, n);
	put_token_key(w, token);
	for (size_t i = 0; i < h->ring.n; i++)
		if (is_published(&h->ring.keys[i], token))
			put_token_key(w, &h->ring.keys[i]);
	return KE_OK;
}

int hsm_answer_anchor(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char text[ANCHOR_TEXT_MAX];
	size_t n = 0;
	int r = anchor_text(&h->anchor, text, sizeof text, &n);

	(void)peer;
	(void)m; /* empty, by the table */
	if (hsm_result(h, w, r))
		wire_put_str(w, text, n);
	return KE_OK;
}

/* The body of both questions about the database key. */
struct dbkey {
	const uint8_t *text, *appliance;
	size_t n;
};

static int get_dbkey(const struct msg *m, struct dbkey *d)
{
	struct wire_in in;

	wire_in_init(&in, m->body, m->len);
	d->text = wire_get_str(&in, BLOB_TEXT_MAX, &d->n);
	d->appliance = wire_get_view(&in, 16);
	return wire_end(&in);
}

static int open_dbkey(struct hsm *h, const struct dbkey *d, uint8_t key[32])
{
	unsigned tries = 0;
	int r;

	if (memcmp(d->appliance, h->anchor.appliance, 16) != 0) {
		log_security("klero.keys belongs to another appliance than the token: restore both "
			     "from one backup");
		return KE_DENIED;
	}
	do
		r = blob_open_class_key(&h->p, &h->ring,
		    &(struct blob_class){BLOB_DB, 0, d->appliance}, (const char *)d->text, d->n,
		    key);
	while (hsm_once_more(h, &r, &tries));
	return r;
}

/* A database key that an HSM gets wrong once would make a store that nobody opens again. */
static int open_twice(struct hsm *h, const struct dbkey *d, uint8_t key[32])
{
	uint8_t again[32];
	int r = open_dbkey(h, d, key);

	if (r == KE_OK)
		r = open_dbkey(h, d, again);
	if (r == KE_OK && sodium_memcmp(key, again, sizeof again) != 0)
		r = hsm_lied(h, KE_CRYPTO, "one sealed value opens to two things");
	sodium_memzero(again, sizeof again);
	return r;
}

/* What takes the place of klero.keys must open to what was in it. */
static int reseal(struct hsm *h, const struct dbkey *d, char *text, size_t cap)
{
	struct dbkey fresh = {.text = (const uint8_t *)text, .appliance = d->appliance};
	uint8_t key[32], back[32];
	int r = open_twice(h, d, key);

	if (r == KE_OK)
		r = blob_seal_class_key(&h->p, key_ring_get(&h->ring, KEY_MASTER, 0),
		    &(struct blob_class){BLOB_DB, 0, d->appliance}, key, text, cap);
	if (r == KE_OK) {
		fresh.n = strlen(text);
		r = open_dbkey(h, &fresh, back);
		if (r == KE_CRYPTO || (r == KE_OK && sodium_memcmp(key, back, sizeof key) != 0))
			r = hsm_lied(h, KE_CRYPTO, "what it has sealed does not open");
	}
	sodium_memzero(key, sizeof key);
	sodium_memzero(back, sizeof back);
	if (r != KE_OK)
		return r;
	return once_stand(&h->once, KEY_MASTER, BLOB_DB, strlen(BLOB_DB),
	    key_ring_get(&h->ring, KEY_MASTER, 0)->version);
}

int hsm_answer_open_dbkey(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct dbkey d;
	uint8_t key[32];
	int r = KE_DENIED;

	if (get_dbkey(m, &d) != KE_OK)
		return KE_PEER;
	if ((peer->uses & USED_DBKEY) == 0)
		r = open_twice(h, &d, key);
	else
		log_security("the database key was asked for twice on one channel");
	peer->uses |= USED_DBKEY;
	if (hsm_result(h, w, r))
		wire_put_raw(w, key, sizeof key);
	sodium_memzero(key, sizeof key);
	return KE_OK;
}

/* The key itself does not leave: what comes back is sealed as what came in was. */
int hsm_answer_reseal_dbkey(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char text[BLOB_TEXT_MAX];
	struct dbkey d;

	(void)peer;
	if (get_dbkey(m, &d) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, reseal(h, &d, text, sizeof text)))
		wire_put_cstr(w, text);
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
