/*
 * Revealing the seed of a v2 raffle (DRAW.md section 2): only for the records that hsm has agreed
 * to, its own clock past the promised moments, each promised value verified under its pin, the
 * close record seen in time by witnesses, and the officers' consent, the last two where klerod.conf
 * wants them. Once, and the same again only for the very same draw. Runs in hsm: see life.h.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "hsm/p11/blob.h"
#include "hsm/role/life.h"
#include "hsm/role/seeds.h"
#include "policy/hash.h"
#include "policy/pulse.h"

#define DRAW_LABEL "kleroterion/v2/draw"

/* How far the beacons' clock may be ahead of hsm's: a round is out when it is out. */
#define AHEAD_S 60

#define SEEN_MAX 32768 /* of a tlog-proof with all its cosignatures */

struct asked {
	struct life_papers papers;
	struct record2_terms came; /* the values */
	const uint8_t *commit, *text;
	size_t n;
	const char *seen; /* a tlog-proof of the close record, seen_len 0: none */
	size_t seen_len;
};

static int no(const struct asked *a, const char *why)
{
	return life_refuse(a->papers.raffle, why);
}

/* --- values --- */

static int unpack(struct wire_in *in, struct pulse *p, bool *there)
{
	size_t n;
	const uint8_t *packed = wire_get_str(in, PULSE_PACKED_MAX, &n);

	*there = n > 0;
	if (packed == NULL)
		return KE_PEER;
	return n > 0 ? pulse_unpack(p, packed, n) : KE_OK;
}

static bool signed_by_pin(const struct hsm *h, const struct pulse *p)
{
	for (size_t i = 0; i < RCONF_CERTS && h->certificates[i][0] != '\0'; i++)
		if (pulse_verify(p, h->certificates[i], strlen(h->certificates[i])) == KE_OK)
			return true;
	return false;
}

/* The pulse of the very moment, or the first one after it, as its predecessor shows. */
static int check_nist(const struct hsm *h, const struct asked *a, struct beacon *b,
    const struct pulse *p, const struct pulse *before, bool shown)
{
	if (p->chain != b->chain || !signed_by_pin(h, p))
		return no(a, "a pulse that is not its beacon's");
	if (pulse_first(p, shown ? before : NULL, (int64_t)b->at_ms) != KE_OK ||
	    (p->at_ms != (int64_t)b->at_ms && !signed_by_pin(h, before)))
		return no(a, "a pulse that is not the first one from the promised moment on");
	b->pulse = p->pulse;
	memcpy(b->output, p->output, sizeof b->output);
	return KE_OK;
}

static int get_nist(struct hsm *h, struct wire_in *in, const struct asked *a, struct beacon *b)
{
	struct pulse p, before;
	bool there, shown;
	int r = unpack(in, &p, &there), s = unpack(in, &before, &shown);

	if (r == KE_PEER || s == KE_PEER)
		return KE_PEER;
	if (r != KE_OK || s != KE_OK || !there)
		return no(a, "a pulse that cannot be read");
	return check_nist(h, a, b, &p, &before, shown);
}

static int get_drand(struct hsm *h, struct wire_in *in, const struct asked *a, struct beacon *b)
{
	const struct drand_chain *c = life_chain(&h->site, b->chain_hash);

	wire_get_raw(in, b->signature, sizeof b->signature);
	if (in->err != KE_OK)
		return KE_PEER;
	if (c == NULL || drand_verify(c, b->round, b->signature, sizeof b->signature) != KE_OK)
		return no(a, "a value that is not the promised round's");
	return KE_OK;
}

/*
 * As many as are promised, in that order. What does not decode is KE_PEER, whatever else is
 * wrong; so the reading goes on behind a wrong value.
 */
static int get_values(struct hsm *h, struct wire_in *in, struct asked *a)
{
	uint8_t n = wire_get_u8(in);
	int r = KE_OK;

	a->came = a->papers.terms;
	if (in->err != KE_OK)
		return KE_PEER;
	if (n != a->came.nbeacons)
		return no(a, "not as many values as were promised");
	for (uint8_t i = 0; i < n; i++) {
		struct beacon *b = &a->came.beacons[i];
		int e = b->kind == BEACON_DRAND ? get_drand(h, in, a, b) : get_nist(h, in, a, b);

		if (e == KE_PEER)
			return e;
		r = r != KE_OK ? r : e;
	}
	return r;
}

/* --- witnesses --- */

/*
 * Where klerod.conf names witnesses: the close record is under a checkpoint of the operator log
 * that is signed by a key of this token, and that their quorum had cosigned before anybody could
 * know the first value.
 */
static int check_seen(struct hsm *h, const struct asked *a, uint64_t first_s)
{
	const struct log_name oplog = {.oplog = true};
	char origin[NOTE_NAME_MAX + 1];
	struct tlog_proof p;
	struct checkpoint c;
	struct note_key k;
	uint8_t id[4];
	uint64_t at_s;
	int r;

	if (h->policy->quorum == 0)
		return KE_OK;
	r = tlog_proof_parse(&p, a->seen, a->seen_len);
	if (r == KE_OK)
		r = origin_of(&oplog, h->host, origin);
	if (r == KE_OK)
		r = note_signer(p.note, p.note_len, origin, id);
	if (r == KE_OK)
		r = hsm_note_key(h, &oplog, id, &k);
	if (r == KE_OK)
		r = tlog_proof_verify(&p, a->papers.last_leaf, &k, &c);
	if (r != KE_OK)
		return no(a, "its close record is not shown to be in the operator log");
	r = tlog_policy_met_at(h->policy, p.note, p.note_len, &at_s);
	if (r != KE_OK || at_s > life_seen_until(first_s, h->site.delay_s))
		return no(a, "too few witnesses saw its close record in time");
	return KE_OK;
}

/* --- the reveal --- */

static int check_close(struct hsm *h, const struct asked *a)
{
	uint64_t first_s, last_s, now_s = (uint64_t)time(NULL);
	const struct record2 *close = &a->papers.last;
	int r;

	if (!a->papers.has_last || close->kind != RECORD2_CLOSE)
		return KE_FORMAT;
	r = once_ask(&h->once, ONCE_CLOSE, a->papers.raffle, 16, a->papers.last_leaf);
	if (r == KE_NOTFOUND || r == KE_DENIED)
		return no(a, "its close record is not the one that was agreed to");
	if (r != KE_OK)
		return r;
	if (close->tickets == 0)
		return KE_RANGE;
	if (life_moments(&h->site, &a->papers.terms, &first_s, &last_s) != KE_OK)
		return no(a, "a beacon that is not pinned here");
	if (now_s < close->at_s || now_s + AHEAD_S < last_s)
		return no(a, "it is too early by the clock of this process");
	return check_seen(h, a, first_s);
}

/* What the seed is revealed for, as one hash. */
static void draw_hash(uint8_t out[32], const struct asked *a)
{
	const struct record2 *close = &a->papers.last;
	const struct record2 came = {.terms = a->came};
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], context[32];
	size_t n = record2_contributions(&came, given);

	draw_context_v2(context, a->papers.raffle, a->papers.open_leaf, close->tickets, close->root,
	    (uint16_t)a->came.nbeacons, given, n);
	hash_sha256_2(out, DRAW_LABEL, sizeof DRAW_LABEL, context, sizeof context);
}

static int may_reveal(
    struct hsm *h, const struct asked *a, const uint8_t draw[32], const struct consent *c)
{
	const char *why;
	int r = life_known(h, &a->papers, &why);

	if (r != KE_OK)
		return r == KE_DENIED ? no(a, why) : r;
	r = check_close(h, a);
	if (r == KE_OK)
		r = seed_owner(h, a->commit, a->papers.raffle);
	if (r != KE_OK)
		return r;
	r = once_ask(&h->once, ONCE_DRAW, a->papers.raffle, 16, draw);
	if (r == KE_DENIED)
		return no(a, "it is aborted, or its seed was revealed for another draw");
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	return r == KE_OK || !h->draw_approval ? KE_OK : seed_consent(h, a->papers.raffle, c);
}

static int reveal(struct hsm *h, const struct asked *a, const struct consent *c, uint8_t seed[32])
{
	uint8_t draw[32], commit[32];
	int r;

	draw_hash(draw, a);
	r = may_reveal(h, a, draw, c);
	if (r == KE_OK)
		r = seed_value(h, a->commit, a->text, a->n, seed);
	if (r != KE_OK)
		return r;
	hash_kdf(commit, seed, DRAW_COMMIT_LABEL, a->papers.raffle, 16);
	if (sodium_memcmp(commit, a->papers.open.seed_commit, 32) != 0)
		return KE_CRYPTO;
	return seed_told(h, a->papers.raffle, a->commit, draw);
}

/*
 * str proposal and str approvals, or both empty; raw[32] commitment, str seed, str tlog-proof of
 * the close record or nothing; then AGREE's papers; u8 n values.
 */
int hsm_answer_reveal2(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct consent c;
	struct asked a;
	struct wire_in in;
	uint8_t seed[32] = {0};
	int r;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	c.text = (const char *)wire_get_str(&in, PROPOSAL_TEXT_MAX, &c.n);
	c.approvals = (const char *)wire_get_str(&in, RCONF_KEYADM_APPROVALS, &c.len);
	a.commit = wire_get_view(&in, 32);
	a.text = wire_get_str(&in, BLOB_TEXT_MAX, &a.n);
	a.seen = (const char *)wire_get_str(&in, SEEN_MAX, &a.seen_len);
	r = life_papers_get(&in, true, &a.papers);
	if (r == KE_PEER)
		return r;
	if (r == KE_OK)
		r = get_values(h, &in, &a);
	/* behind papers or values that are none, nobody knows where the message ends */
	if (r == KE_PEER || (r == KE_OK && wire_end(&in) != KE_OK))
		return KE_PEER;
	if (r == KE_OK)
		r = reveal(h, &a, &c, seed);
	if (hsm_result(h, w, r))
		wire_put_raw(w, seed, sizeof seed);
	sodium_memzero(seed, sizeof seed);
	return KE_OK;
}
