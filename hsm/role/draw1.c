/*
 * The signature on a v1 draw record. Engine sends what it says was drawn; hsm draws again from the
 * record's own seed and entropy, compares, writes the text itself and signs that as a C2SP note
 * (DRAW.md sections 3 and 11). Runs in hsm: see hsm.h.
 *
 * It signs only what this process has revealed the seed for, and for one raffle only one record:
 * drawn-at alone may differ when engine asks again.
 */
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/role/hsm.h"
#include "policy/hash.h"

static int refuse(const char *why)
{
	log_security("draw record: %s", why);
	return KE_DENIED;
}

/* Was the seed revealed, here, for exactly this? */
static int was_revealed(struct hsm *h, const struct record1 *r)
{
	struct hsm_draw d = {
	    .raffle = r->raffle,
	    .commit = r->seed_commit,
	    .root = r->root,
	    .aggregate = r->aggregate,
	    .entropy = r->entropy,
	    .tickets = r->tickets,
	    .entropy_len = r->entropy_len,
	};
	uint8_t draw[32];

	hsm_draw_hash(draw, &d);
	return once_ask(&h->once, ONCE_DRAW, r->raffle, 16, draw);
}

/* One record per raffle: the hash of its text with drawn-at left out of the account. */
static int hold_record(struct hsm *h, const struct record1 *r)
{
	struct record1 timeless = *r;
	uint8_t digest[32];
	size_t n;
	int e;

	timeless.drawn_ms = 0;
	e = record1_text(&timeless, h->text, RECORD1_TEXT_MAX, &n);
	if (e != KE_OK)
		return e;
	hash_sha256(digest, h->text, n);
	return once_tell(&h->once, ONCE_NOTE, r->raffle, 16, digest);
}

static int sign(struct hsm *h, const struct key *k, const struct record1 *rec, uint8_t sig[64])
{
	const char *what = "";
	size_t n;
	int r;

	r = was_revealed(h, rec);
	if (r == KE_NOTFOUND || r == KE_DENIED)
		return refuse("its seed was not revealed for this draw");
	if (r != KE_OK)
		return r;
	r = record1_check(rec, &what);
	if (r != KE_OK) {
		log_security("draw record: %s is not what the draw gives", what);
		return r;
	}
	r = hold_record(h, rec);
	if (r == KE_DENIED)
		return refuse("another one of this raffle is signed already");
	if (r != KE_OK)
		return r; /* a journal that cannot be read or written says nothing of the draw */
	r = record1_text(rec, h->text, RECORD1_TEXT_MAX, &n);
	if (r != KE_OK)
		return r;
	r = key_sign(&h->p, k, h->text, n, sig);
	if (r == KE_OK && key_verify(k, h->text, n, sig) != KE_OK)
		r = hsm_lied(h, KE_CRYPTO, "its signature does not verify");
	return r;
}

int hsm_answer_sign_draw1(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *k = key_ring_get(&h->ring, KEY_LOG, 0);
	struct record1 rec = {.picks = h->picks};
	struct wire_in in;
	const uint8_t *origin;
	uint8_t sig[64];
	size_t n;
	int r;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	origin = wire_get_str(&in, NOTE_NAME_MAX, &n);
	if (origin == NULL || record1_unwire(&rec, in.p, (size_t)(in.end - in.p)) != KE_OK)
		return KE_PEER;
	if (n != strlen(h->log_name) || memcmp(origin, h->log_name, n) != 0)
		r = refuse("its origin is not this appliance's log");
	else
		r = sign(h, k, &rec, sig);
	if (hsm_result(h, w, r)) {
		wire_put_raw(w, h->log_id, sizeof h->log_id);
		wire_put_u8(w, (uint8_t)key_note_type(k));
		wire_put_raw(w, sig, sizeof sig);
	}
	return KE_OK;
}
