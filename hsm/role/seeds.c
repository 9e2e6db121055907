/*
 * Server seeds: made and committed to, revealed once. Runs in hsm: see hsm.h.
 *
 * What hsm enforces by itself, whatever engine says (DRAW.md sections 2 and 11, v1; for v2 see
 * life.h):
 * - a seed leaves the HSM only for a raffle that has sold a ticket and has its entropy;
 * - once revealed, the same seed comes again only for the very same draw (tickets, root,
 *   aggregate, entropy), and no other seed for that raffle;
 * - where klerod.conf says so, it leaves only with the officers' approvals of a draw of that
 * raffle;
 * - a seed made by this process for one raffle is not revealed for another;
 * - a raffle whose seed is revealed gets no new one;
 * - what comes out is what the commitment names.
 * These facts outlive the process (hsm/once/once.h). hsm cannot know that sales are closed: in v1
 * that word is engine's. It counts the seeds under each version of its key: made, wrapped anew,
 * revealed.
 */
#include <sodium.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/life.h"
#include "hsm/role/seeds.h"
#include "policy/be.h"
#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/text.h"

/* A raffle id as a fact's value. */
static void as_value(uint8_t value[32], const uint8_t raffle[16])
{
	memset(value, 0, 32);
	memcpy(value, raffle, 16);
}

static int refuse(const uint8_t raffle[16], const char *why)
{
	char hex[33];

	text_hex(hex, raffle, 16);
	log_security("seed of raffle %s: %s", hex, why);
	return KE_DENIED;
}

struct fresh {
	uint8_t commit1[32], commit2[32], blob[OP_SEED_BLOB];
};

/*
 * Wraps a seed that is still inside, and has the device answer for it: from the wrapping comes the
 * seed of this commitment. One that did not would be found out at the draw, when nothing helps any
 * more.
 */
static int wrap(struct hsm *h, const struct key *k, CK_OBJECT_HANDLE seed, const uint8_t commit[32],
    uint8_t blob[OP_SEED_BLOB])
{
	CK_OBJECT_HANDLE back;
	uint8_t digest[32];
	int r = op_seed_wrap(&h->p, k->handle, seed, blob), d;

	if (r == KE_OK)
		r = op_seed_unwrap(&h->p, k->handle, blob, false, &back);
	if (r != KE_OK)
		return hsm_lied(h, r, "what it has wrapped does not open");
	r = op_seed_digest(&h->p, back, digest);
	if (r == KE_OK && memcmp(digest, commit, 32) != 0)
		r = hsm_lied(h, KE_CRYPTO, "what it has wrapped opens to something else");
	d = op_destroy(&h->p, back);
	return r != KE_OK ? r : d;
}

/* Commitments and wrapping. */
static int describe(struct hsm *h, const struct key *k, const uint8_t raffle[16],
    CK_OBJECT_HANDLE seed, struct fresh *f)
{
	uint8_t again[32];
	int r = op_seed_digest(&h->p, seed, f->commit1);

	if (r == KE_OK)
		r = op_kdf(&h->p, seed, DRAW_COMMIT_LABEL, raffle, 16, f->commit2);
	if (r == KE_OK)
		r = op_kdf(&h->p, seed, DRAW_COMMIT_LABEL, raffle, 16, again);
	if (r == KE_OK && memcmp(f->commit2, again, 32) != 0)
		r = hsm_lied(h, KE_CRYPTO, "two commitments to one seed differ");
	if (r == KE_OK)
		r = wrap(h, k, seed, f->commit1, f->blob);
	return r;
}

static int make_seed(
    struct hsm *h, const uint8_t raffle[16], struct fresh *f, char *text, size_t cap)
{
	const struct key *k = key_ring_get(&h->ring, KEY_SEED, 0);
	uint8_t value[32] = {0};
	CK_OBJECT_HANDLE seed;
	int r, d;

	/* bound to a draw, and not to this impossible one: it has been revealed */
	r = once_ask(&h->once, ONCE_DRAW, raffle, 16, value);
	if (r == KE_DENIED)
		return refuse(raffle, "a new one was asked for after the reveal");
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	r = op_seed_make(&h->p, &seed);
	if (r != KE_OK)
		return r;
	r = describe(h, k, raffle, seed, f);
	d = op_destroy(&h->p, seed);
	if (r != KE_OK || d != KE_OK)
		return r != KE_OK ? r : d;
	r = blob_put(text, cap, BLOB_SEED, k->version, f->blob, sizeof f->blob);
	if (r != KE_OK)
		return r;
	as_value(value, raffle);
	r = once_tell(&h->once, ONCE_SEED, f->commit1, 32, value);
	return r == KE_OK ? once_stand(&h->once, KEY_SEED, f->commit1, 32, k->version) : r;
}

int hsm_answer_new_seed(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char text[BLOB_TEXT_MAX];
	struct fresh f;

	(void)peer;
	/* raw[16] by the table */
	if (hsm_result(h, w, make_seed(h, m->body, &f, text, sizeof text))) {
		wire_put_raw(w, f.commit1, sizeof f.commit1);
		wire_put_raw(w, f.commit2, sizeof f.commit2);
		wire_put_cstr(w, text);
	}
	return KE_OK;
}

void hsm_draw_hash(uint8_t out[32], const struct hsm_draw *d)
{
	uint8_t fixed[16 + 32 + 8 + 32 + 32];

	memcpy(fixed, d->raffle, 16);
	memcpy(fixed + 16, d->commit, 32);
	be_put64(fixed + 48, d->tickets);
	memcpy(fixed + 56, d->root, 32);
	memcpy(fixed + 88, d->aggregate, 32);
	/* the one field of unknown length is the last */
	hash_sha256_2(out, fixed, sizeof fixed, d->entropy, d->entropy_len);
}

int seed_consent(struct hsm *h, const uint8_t raffle[16], const struct consent *c)
{
	const char *why = "it needs the officers' approval";
	int r = consent_check(h, c, &why);

	if (r == KE_OK && h->proposal.action == PROPOSE_DRAW &&
	    memcmp(h->proposal.raffle, raffle, 16) == 0)
		return KE_OK;
	(void)refuse(raffle, r == KE_OK ? "what is approved is another one" : why);
	return KE_AUTH;
}

int seed_owner(struct hsm *h, const uint8_t commit[32], const uint8_t raffle[16])
{
	uint8_t value[32];
	int r;

	as_value(value, raffle);
	r = once_ask(&h->once, ONCE_SEED, commit, 32, value);
	if (r == KE_DENIED)
		return refuse(raffle, "it belongs to another raffle");
	return r == KE_NOTFOUND ? KE_OK : r;
}

int seed_told(
    struct hsm *h, const uint8_t raffle[16], const uint8_t commit[32], const uint8_t draw[32])
{
	uint8_t value[32];
	int r;

	as_value(value, raffle);
	r = once_tell(&h->once, ONCE_SEED, commit, 32, value);
	if (r == KE_OK)
		r = once_tell(&h->once, ONCE_DRAW, raffle, 16, draw);
	return r == KE_OK ? once_stand(&h->once, KEY_SEED, commit, 32, 0) : r;
}

/* Do the facts allow it? */
static int may_reveal(
    struct hsm *h, const struct hsm_draw *d, const uint8_t draw[32], const struct consent *c)
{
	bool v2;
	int r;

	if (d->tickets == 0 || d->entropy_len == 0 || d->entropy_len > DRAW_ENTROPY_MAX)
		return KE_RANGE;
	r = seed_owner(h, d->commit, d->raffle);
	if (r == KE_OK)
		r = life_bound(h, ONCE_OPEN, d->raffle, &v2);
	if (r != KE_OK)
		return r;
	/* its open record promises beacons, not somebody's word */
	if (v2)
		return refuse(d->raffle, "a v1 reveal of a v2 raffle");
	r = once_ask(&h->once, ONCE_DRAW, d->raffle, 16, draw);
	if (r == KE_DENIED)
		return refuse(d->raffle, "a second reveal with other facts");
	return r == KE_OK || !h->draw_approval ? KE_OK : seed_consent(h, d->raffle, c);
}

/* Unwraps the seed into an object; nothing is known about its value yet. */
static int unwrap(
    struct hsm *h, const uint8_t *text, size_t n, bool reveal, CK_OBJECT_HANDLE *object)
{
	uint8_t blob[BLOB_DATA_MAX];
	const struct key *k;
	uint32_t version;
	unsigned tries = 0;
	size_t len;
	int r = blob_get((const char *)text, n, BLOB_SEED, &version, blob, sizeof blob, &len);

	if (r != KE_OK)
		return r;
	if (len != OP_SEED_BLOB)
		return KE_FORMAT;
	k = key_ring_get(&h->ring, KEY_SEED, version);
	if (version == 0 || k == NULL)
		return KE_VERSION;
	do
		r = op_seed_unwrap(&h->p, k->handle, blob, reveal, object);
	while (hsm_once_more(h, &r, &tries));
	return r;
}

/* *foreign: it opens, to what was not made for this raffle; KE_CRYPTO then. */
static int open_inside(struct hsm *h, const uint8_t raffle[16], const uint8_t *text, size_t n,
    CK_OBJECT_HANDLE *seed, bool *foreign)
{
	uint8_t commit[32], value[32];
	int r = unwrap(h, text, n, false, seed), d;

	*foreign = false;
	if (r != KE_OK)
		return r;
	as_value(value, raffle);
	r = op_seed_digest(&h->p, *seed, commit);
	if (r == KE_OK) {
		r = once_ask(&h->once, ONCE_SEED, commit, 32, value);
		*foreign = r == KE_NOTFOUND || r == KE_DENIED;
	}
	if (r == KE_OK)
		return r;
	d = op_destroy(&h->p, *seed);
	if (d != KE_OK)
		return d;
	return *foreign ? KE_CRYPTO : r;
}

int seeds_inside(
    struct hsm *h, const uint8_t raffle[16], const uint8_t *text, size_t n, CK_OBJECT_HANDLE *seed)
{
	unsigned tries = 0;
	bool foreign;
	int r;

	do
		r = open_inside(h, raffle, text, n, seed, &foreign);
	while (hsm_once_more(h, &r, &tries));
	if (r == KE_CRYPTO && foreign)
		return refuse(raffle, "it was not made for this raffle");
	return r;
}

static int read_value(
    struct hsm *h, const uint8_t commit[32], const uint8_t *text, size_t n, uint8_t seed[32])
{
	uint8_t digest[32];
	CK_OBJECT_HANDLE object;
	int r = unwrap(h, text, n, true, &object), d;

	if (r != KE_OK)
		return r;
	r = op_seed_read(&h->p, object, seed);
	d = op_destroy(&h->p, object);
	if (r != KE_OK || d != KE_OK)
		return r != KE_OK ? r : d;
	hash_sha256(digest, seed, 32);
	return sodium_memcmp(digest, commit, 32) == 0 ? KE_OK : KE_CRYPTO;
}

int seed_value(
    struct hsm *h, const uint8_t commit[32], const uint8_t *text, size_t n, uint8_t seed[32])
{
	unsigned tries = 0;
	int r;

	do
		r = read_value(h, commit, text, n, seed);
	while (hsm_once_more(h, &r, &tries));
	return r;
}

/* Both commitments of what the handle holds. */
static int compare(struct hsm *h, CK_OBJECT_HANDLE object, const uint8_t raffle[16],
    const uint8_t commit1[32], const uint8_t commit2[32])
{
	uint8_t own[32];
	int r = op_seed_digest(&h->p, object, own);

	if (r == KE_OK && memcmp(own, commit1, 32) != 0)
		return KE_CRYPTO;
	if (r == KE_OK)
		r = op_kdf(&h->p, object, DRAW_COMMIT_LABEL, raffle, 16, own);
	if (r == KE_OK && memcmp(own, commit2, 32) != 0)
		return KE_CRYPTO;
	return r;
}

int seed_is(struct hsm *h, const uint8_t raffle[16], const uint8_t commit1[32],
    const uint8_t commit2[32], const uint8_t *text, size_t n)
{
	CK_OBJECT_HANDLE object;
	unsigned tries = 0;
	int r, d;

	do {
		r = seeds_inside(h, raffle, text, n, &object);
		if (r != KE_OK)
			return r;
		r = compare(h, object, raffle, commit1, commit2);
		d = op_destroy(&h->p, object);
		if (d != KE_OK)
			return d;
	} while (hsm_once_more(h, &r, &tries));
	return r;
}

static int reveal(struct hsm *h, const struct hsm_draw *d, const struct consent *c,
    const uint8_t *text, size_t n, uint8_t seed[32])
{
	uint8_t draw[32];
	int r;

	hsm_draw_hash(draw, d);
	r = may_reveal(h, d, draw, c);
	if (r == KE_OK)
		r = seed_value(h, d->commit, text, n, seed);
	/* remembered before it is told */
	return r == KE_OK ? seed_told(h, d->raffle, d->commit, draw) : r;
}

static int answer_reveal(
    struct hsm *h, struct wire_in *in, const struct consent *c, struct wire_out *w)
{
	struct hsm_draw d;
	const uint8_t *text;
	uint8_t seed[32];
	size_t n;

	d.raffle = wire_get_view(in, 16);
	d.commit = wire_get_view(in, 32);
	d.tickets = wire_get_u64(in);
	d.root = wire_get_view(in, 32);
	d.aggregate = wire_get_view(in, 32);
	d.entropy = wire_get_str(in, 1024, &d.entropy_len);
	text = wire_get_str(in, BLOB_TEXT_MAX, &n);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, reveal(h, &d, c, text, n, seed)))
		wire_put_raw(w, seed, sizeof seed);
	sodium_memzero(seed, sizeof seed);
	return KE_OK;
}

int hsm_answer_reveal_seed(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct consent none = {.n = 0};
	struct wire_in in;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	return answer_reveal(h, &in, &none, w);
}

int hsm_answer_reveal_approved(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct consent c;
	struct wire_in in;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	return consent_get(&in, &c) == KE_OK ? answer_reveal(h, &in, &c, w) : KE_PEER;
}

/* Wraps the object under the active key, when it is the seed that the commitment names. */
static int wrap_again(
    struct hsm *h, const uint8_t commit[32], CK_OBJECT_HANDLE object, char *out, size_t cap)
{
	const struct key *k = key_ring_get(&h->ring, KEY_SEED, 0);
	uint8_t digest[32], blob[OP_SEED_BLOB];
	int r = op_seed_digest(&h->p, object, digest);

	if (r == KE_OK && sodium_memcmp(digest, commit, 32) != 0)
		return KE_CRYPTO;
	if (r == KE_OK)
		r = wrap(h, k, object, commit, blob);
	if (r == KE_OK)
		r = blob_put(out, cap, BLOB_SEED, k->version, blob, sizeof blob);
	return r == KE_OK ? once_stand(&h->once, KEY_SEED, commit, 32, k->version) : r;
}

static int rewrap(struct hsm *h, const uint8_t raffle[16], const uint8_t commit[32],
    const uint8_t *text, size_t n, char *out, size_t cap)
{
	CK_OBJECT_HANDLE object;
	int r, d;

	r = seed_owner(h, commit, raffle);
	if (r == KE_OK)
		r = unwrap(h, text, n, false, &object);
	if (r != KE_OK)
		return r;
	r = wrap_again(h, commit, object, out, cap);
	d = op_destroy(&h->p, object);
	return r != KE_OK ? r : d;
}

/* Rotation of the seed key: the seed stays inside, and its commitment stays what it is. */
int hsm_answer_rewrap_seed(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char out[BLOB_TEXT_MAX];
	const uint8_t *raffle, *commit, *text;
	struct wire_in in;
	size_t n;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	raffle = wire_get_view(&in, 16);
	commit = wire_get_view(&in, 32);
	text = wire_get_str(&in, BLOB_TEXT_MAX, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, rewrap(h, raffle, commit, text, n, out, sizeof out)))
		wire_put_cstr(w, out);
	return KE_OK;
}
