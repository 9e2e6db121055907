/*
 * The witness: cosignatures on other appliances' checkpoints (c2sp.org/tlog-cosignature,
 * tlog-witness), by the log key under a name of its own. Runs in hsm: see hsm.h.
 *
 * What hsm enforces by itself, whatever engine says:
 * - the log is one of its own configuration (an operator log, or a ticket log beside it), and the
 *   checkpoint is signed by that log's key;
 * - of each log it has cosigned one growing tree: the next holds all of the last, by a proof that
 * it checks, and of two that would follow the last one only the first does. This outlives the
 * process (hsm/once/once.h) and is durable before the cosignature leaves;
 * - the time is hsm's own clock's.
 *
 * The log key also cosigns, for the cosigned text's first line parts the two (a checkpoint of ours
 * begins with our origin), and c2sp.org/tlog-cosignature asks for distinct keys of distinct
 * cosigners only. So it rotates with the log key, and those who trust this witness take both keys
 * from the same place.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/role/hsm.h"
#include "policy/hash.h"
#include "policy/merkle.h"
#include "policy/origin.h"
#include "policy/tlog.h"

struct submitted {
	struct checkpoint head;
	uint8_t sig[NOTE_SIG_MAX];
	size_t sig_len;
	uint64_t old;
	uint8_t n, path[TLOG_CONSISTENCY_MAX][32];
};

struct cosigned {
	struct note_key key;
	uint64_t time_s;
	uint8_t sig[64];
};

static int refuse(const struct submitted *s, int r, const char *why)
{
	log_security(
	    "witness: %s, %llu leaves: %s", s->head.origin, (unsigned long long)s->head.size, why);
	return r;
}

/* The key of that log: its operator log's. */
static const struct note_key *find_log(const struct hsm *h, const char *origin)
{
	for (size_t i = 0; i < h->nwitnessed; i++)
		if (origin_belongs(origin, h->witnessed[i].name))
			return &h->witnessed[i];
	return NULL;
}

static int check_signed(const struct hsm *h, const struct submitted *s)
{
	const struct note_key *k = find_log(h, s->head.origin);
	char text[CHECKPOINT_TEXT_MAX];
	size_t n;
	int r;

	if (k == NULL)
		return KE_NOTFOUND;
	r = checkpoint_text(&s->head, text, sizeof text, &n);
	if (r == KE_OK && note_verify(k, s->sig, s->sig_len, text, n) != KE_OK)
		r = KE_AUTH;
	return r;
}

/* Does it follow what was cosigned last? That goes to *last. */
static int check_follows(struct hsm *h, const struct submitted *s, struct once_log *last)
{
	int r = once_cosigned(&h->once, s->head.origin, last);

	if (r == KE_NOTFOUND) {
		*last = (struct once_log){.size = 0};
		hash_sha256(last->root, NULL, 0);
	}
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	if (s->old != last->size)
		return KE_STATE;
	if (s->old > s->head.size)
		return KE_FORMAT;
	if (s->old == s->head.size && memcmp(s->head.root, last->root, 32) != 0)
		return refuse(
		    s, KE_EXISTS, "another tree of the size that was cosigned: a split view");
	if (s->old == 0 || s->old == s->head.size)
		return s->n == 0 ? KE_OK : KE_CRYPTO;
	r = merkle_verify_consistency(
	    s->old, s->head.size, (const uint8_t(*)[32])s->path, s->n, last->root, s->head.root);
	return r == KE_OK ? r : refuse(s, KE_CRYPTO, "not shown to hold what was cosigned");
}

static int sign(struct hsm *h, const struct submitted *s, struct cosigned *c)
{
	const struct key *k = key_ring_get(&h->ring, KEY_LOG, 0);
	char text[CHECKPOINT_TEXT_MAX], msg[COSIGN_TEXT_MAX];
	size_t n;
	int r = checkpoint_text(&s->head, text, sizeof text, &n);

	c->time_s = (uint64_t)time(NULL);
	if (r == KE_OK)
		r = cosign_text(c->time_s, text, n, msg, sizeof msg, &n);
	if (r == KE_OK)
		r = key_sign(&h->p, k, msg, n, c->sig);
	if (r == KE_OK && key_verify(k, msg, n, c->sig) != KE_OK)
		r = hsm_lied(h, KE_CRYPTO, "its signature does not verify");
	return r;
}

/* Cosignatures are Ed25519's. */
static int own_key(const struct hsm *h, struct note_key *key)
{
	const struct key *k = key_ring_get(&h->ring, KEY_LOG, 0);
	int r = origin_witness(h->host, key->name);

	if (r != KE_OK || key_note_type(k) != NOTE_ED25519)
		return KE_NOTFOUND;
	key->type = NOTE_COSIGN;
	memcpy(key->pub, k->pub, 32);
	note_key_id(key->id, key->name, key->type, key->pub);
	return KE_OK;
}

static int cosign(
    struct hsm *h, const struct submitted *s, struct cosigned *c, struct once_log *last)
{
	int r = own_key(h, &c->key);

	if (r == KE_OK)
		r = check_signed(h, s);
	if (r == KE_OK)
		r = check_follows(h, s, last);
	if (r == KE_OK && s->head.size > s->old)
		r = once_cosign(&h->once, s->head.origin, s->old, s->head.size, s->head.root);
	return r == KE_OK ? sign(h, s, c) : r;
}

static int get_submitted(const struct msg *m, struct submitted *s)
{
	const uint8_t *sig;
	struct wire_in in;

	*s = (struct submitted){.n = 0};
	wire_in_init(&in, m->body, m->len);
	wire_get_cstr(&in, s->head.origin, sizeof s->head.origin);
	s->head.size = wire_get_u64(&in);
	wire_get_raw(&in, s->head.root, 32);
	sig = wire_get_str(&in, NOTE_SIG_MAX, &s->sig_len);
	s->old = wire_get_u64(&in);
	s->n = wire_get_u8(&in);
	if (s->n > TLOG_CONSISTENCY_MAX)
		return KE_PEER;
	wire_get_raw(&in, s->path, (size_t)s->n * 32);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	memcpy(s->sig, sig, s->sig_len);
	return KE_OK;
}

int hsm_answer_cosign(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct once_log last = {.size = 0};
	struct submitted s;
	struct cosigned c;
	int r = get_submitted(m, &s);

	(void)peer;
	if (r != KE_OK)
		return r;
	r = cosign(h, &s, &c, &last);
	if (hsm_result(h, w, r)) {
		wire_put_raw(w, c.key.id, sizeof c.key.id);
		wire_put_u64(w, c.time_s);
		wire_put_raw(w, c.sig, sizeof c.sig);
	} else if (r == KE_STATE) {
		wire_put_u64(w, last.size);
	}
	return KE_OK;
}
