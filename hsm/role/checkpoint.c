/*
 * Checkpoints of the logs: engine says how large a log is and what its root is, hsm writes the text
 * (C2SP tlog-checkpoint) and signs that as a note. Runs in hsm: see hsm.h.
 *
 * What hsm enforces by itself, whatever engine says:
 * - the origin is this appliance's, from its own configuration;
 * - a log that it knows never shrinks, and what it signs next holds all that it signed before, by a
 *   consistency proof that it checks itself;
 * - from its close record on, a ticket log gets no other checkpoint than that record's (life.h).
 * It knows HSM_LOGS logs, as long as the process lives. For another one engine shows the newest
 * note, which must be signed by a log key of this token, and the proof begins there. A log that has
 * no note yet is new. So an engine that was captured and has hsm started anew can show an older
 * note and continue from there: that is what witnesses are for.
 */
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/role/life.h"
#include "policy/hash.h"
#include "policy/merkle.h"
#include "policy/tlog.h"

#define PROOF_MAX (MERKLE_LEVELS + 1)
#define NOTE_MAX  20000

struct question {
	struct checkpoint head; /* that is asked for, with its origin */
	struct log_name name;
	uint64_t from; /* size of the one that the proof begins at */
	uint8_t proof[PROOF_MAX][32];
	uint8_t n;
	const char *note; /* that one, signed */
	size_t note_len;
};

static int refuse(const struct question *q, const char *why)
{
	log_security("checkpoint of %s: %s", q->head.origin, why);
	return KE_DENIED;
}

/* --- what it knows --- */

static struct hsm_log *find(struct hsm_logs *l, const struct log_name *name)
{
	for (size_t i = 0; i < l->n; i++) {
		struct hsm_log *one = &l->log[i];

		if (one->name.oplog == name->oplog &&
		    memcmp(one->name.raffle, name->raffle, 16) == 0)
			return one;
	}
	return NULL;
}

/* Room for another log, if need be where one is forgotten. */
static struct hsm_log *place(struct hsm_logs *l)
{
	struct hsm_log *oldest = &l->log[0];

	if (l->n < HSM_LOGS)
		return &l->log[l->n++];
	for (size_t i = 1; i < HSM_LOGS; i++)
		if (l->log[i].used < oldest->used)
			oldest = &l->log[i];
	return oldest;
}

static void remember(struct hsm *h, const struct question *q)
{
	struct hsm_log *l = find(h->logs, &q->name);

	if (l == NULL)
		l = place(h->logs);
	l->name = q->name;
	l->size = q->head.size;
	memcpy(l->root, q->head.root, 32);
	l->used = ++h->logs->serial;
}

int hsm_note_key(
    const struct hsm *h, const struct log_name *name, const uint8_t id[4], struct note_key *out)
{
	for (size_t i = 0; i < h->ring.n; i++) {
		const struct key *k = &h->ring.keys[i];

		if (k->purpose == KEY_LOG && !k->compromised &&
		    origin_key(name, h->host, key_note_type(k), k->pub, out) == KE_OK &&
		    memcmp(out->id, id, 4) == 0)
			return KE_OK;
	}
	return KE_NOTFOUND;
}

/* The head that engine's note vouches for. */
static int read_note(struct hsm *h, const struct question *q, struct hsm_log *base)
{
	struct checkpoint c;
	struct note_key k;
	uint8_t id[4];
	int r = note_signer(q->note, q->note_len, q->head.origin, id);

	if (r == KE_OK)
		r = hsm_note_key(h, &q->name, id, &k);
	if (r == KE_OK)
		r = checkpoint_open(&c, q->note, q->note_len, &k);
	if (r != KE_OK)
		return refuse(q, "the note before it is not by a log key of this token");
	base->size = c.size;
	memcpy(base->root, c.root, 32);
	return KE_OK;
}

/* Where the proof has to begin. */
static int known(struct hsm *h, const struct question *q, struct hsm_log *base)
{
	const struct hsm_log *l = find(h->logs, &q->name);

	*base = (struct hsm_log){0};
	if (l != NULL)
		*base = *l;
	else if (q->note_len > 0)
		return read_note(h, q, base);
	else
		hash_sha256(base->root, NULL, 0);
	return KE_OK;
}

/* --- signing --- */

/* Does the new head hold all of the old one? */
static int follows(const struct question *q, const struct hsm_log *base)
{
	int r;

	if (q->head.size < base->size)
		return refuse(q, "it is smaller than one that is signed");
	if (q->from != base->size)
		return KE_STATE;
	if (base->size == 0 && q->head.size > 0)
		return q->n == 0 ? KE_OK : KE_FORMAT;
	if (base->size == 0)
		r = q->n == 0 && memcmp(q->head.root, base->root, 32) == 0 ? KE_OK : KE_CRYPTO;
	else
		r = merkle_verify_consistency(base->size, q->head.size,
		    (const uint8_t(*)[32])q->proof, q->n, base->root, q->head.root);
	return r == KE_OK ? r : refuse(q, "it does not hold what is signed already");
}

static int sign(struct hsm *h, const struct key *k, const struct question *q, uint8_t sig[64])
{
	char text[CHECKPOINT_TEXT_MAX];
	size_t n;
	int r = checkpoint_text(&q->head, text, sizeof text, &n);

	if (r == KE_OK && !q->name.oplog)
		r = life_checkpoint(h, q->name.raffle, q->head.size, q->head.root);
	if (r == KE_OK)
		r = key_sign(&h->p, k, text, n, sig);
	if (r == KE_OK && key_verify(k, text, n, sig) != KE_OK)
		r = hsm_lied(h, KE_CRYPTO, "its signature does not verify");
	if (r == KE_OK)
		remember(h, q);
	return r;
}

static int get_question(struct hsm *h, const struct msg *m, struct question *q)
{
	static const uint8_t nobody[16];
	struct wire_in in;
	uint8_t which;

	*q = (struct question){0};
	wire_in_init(&in, m->body, m->len);
	which = wire_get_u8(&in);
	wire_get_raw(&in, q->name.raffle, 16);
	q->head.size = wire_get_u64(&in);
	wire_get_raw(&in, q->head.root, 32);
	q->from = wire_get_u64(&in);
	q->n = wire_get_u8(&in);
	if (q->n > PROOF_MAX)
		return KE_PEER;
	wire_get_raw(&in, q->proof, (size_t)q->n * 32);
	q->note = (const char *)wire_get_str(&in, NOTE_MAX, &q->note_len);
	if (wire_end(&in) != KE_OK || which > 1)
		return KE_PEER;
	q->name.oplog = which == 1;
	if (q->name.oplog != (memcmp(q->name.raffle, nobody, 16) == 0))
		return KE_PEER;
	return origin_of(&q->name, h->host, q->head.origin);
}

int hsm_answer_sign_checkpoint(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *k = key_ring_get(&h->ring, KEY_LOG, 0);
	struct hsm_log base = {0};
	struct note_key name;
	struct question q;
	uint8_t sig[64];
	int r = get_question(h, m, &q);

	(void)peer;
	if (r != KE_OK)
		return r;
	r = known(h, &q, &base);
	if (r == KE_OK)
		r = follows(&q, &base);
	if (r == KE_OK)
		r = origin_key(&q.name, h->host, key_note_type(k), k->pub, &name);
	if (r == KE_OK)
		r = sign(h, k, &q, sig);
	if (!hsm_result(h, w, r)) {
		if (r == KE_STATE)
			wire_put_u64(w, base.size);
		return KE_OK;
	}
	wire_put_u64(w, q.head.size);
	wire_put_raw(w, name.id, sizeof name.id);
	wire_put_u8(w, (uint8_t)name.type);
	wire_put_raw(w, sig, sizeof sig);
	return KE_OK;
}
