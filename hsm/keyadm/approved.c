/*
 * What officers have approved: see keyadm.h. Runs in klerod-keyadm, inside its sandbox. Counts the
 * approvals itself, by the officers that stand in the token; nobody's word for it counts.
 *
 * The order is such that a power cut at any point leaves a token that works: a key is made and
 * proved before the anchor names it, the anchor is written before a key is destroyed. What a cut
 * has left over, keys that the anchor does not want, the next approved action sweeps away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/keyadm/cert.h"
#include "hsm/keyadm/enrol.h"
#include "hsm/keyadm/keyadm.h"
#include "hsm/keyadm/sync.h"
#include "hsm/once/once.h"
#include "hsm/p11/class.h"
#include "hsm/p11/data.h"
#include "hsm/p11/make.h"
#include "hsm/p11/prove.h"
#include "policy/proposal.h"

/* One run: what is asked, what the token knows, what it will know. */
struct run {
	struct p11 *p, *tls; /* the token of the keys, and the one of the TLS key */
	const struct rconf_keyadm *c;
	struct rconf_keyadm_done *done;
	struct anchor anchor;
	struct proposal proposal;
	struct once memory; /* hsm's, of which it takes the counts */
	uint64_t now_s;
};

static struct p11 *token_of(const struct run *r, unsigned purpose)
{
	return purpose == KEY_TLS ? r->tls : r->p;
}

static int count(struct run *r)
{
	struct approval approvals[ANCHOR_OFFICERS_MAX];
	struct proposal_verdict v = {.why = "the approvals are not signatures of ssh-keygen"};
	size_t n;
	int result = approvals_split(r->c->approvals, strlen(r->c->approvals), approvals, &n);

	if (result == KE_OK)
		result = proposal_count(&r->proposal, &r->anchor, r->c->text, strlen(r->c->text),
		    approvals, n, (uint64_t)time(NULL), &v);
	if (result != KE_OK)
		return p11_fail(r->p, result, "the proposal is refused: %s", v.why);
	return KE_OK;
}

static int sweep(struct p11 *p, const struct anchor *a)
{
	int r = key_sweep(p, a);

	return r == KE_OK ? class_sweep(p, a) : r;
}

/* A certificate of its own for a new TLS key; a CA's comes later, for the same key. */
static int certify(struct run *r, const struct key *k)
{
	int result = cert_make(
	    r->tls, k, r->c, (int64_t)r->now_s, r->done->cert_pem, sizeof r->done->cert_pem);

	return result == KE_OK ? KE_OK : p11_fail(r->p, result, "%s", r->tls->why);
}

/* The keys of the token, each as live as the anchor says. */
static int find_keys(struct run *r, struct key_ring *ring)
{
	int result = key_ring_find(r->p, ring);

	return result == KE_OK ? key_ring_obey(r->p, ring, &r->anchor, 0) : result;
}

static int make_class(struct run *r, unsigned purpose, uint32_t version)
{
	struct key_ring ring;
	int result = find_keys(r, &ring);

	if (result == KE_OK)
		result = class_make(r->p, &ring, r->anchor.appliance, purpose, version);
	return result == KE_OK ? sync_folder(r->p, r->c->folder) : result;
}

/* A class key that only a master key opened which goes would go with it. */
static int seal_classes(struct run *r)
{
	struct key_ring ring;
	int result = find_keys(r, &ring);

	if (result == KE_OK)
		result = class_reseal(r->p, &ring, &r->anchor);
	return result == KE_OK ? sync_folder(r->p, r->c->folder) : result;
}

static int remember(struct run *r, int result)
{
	return result == KE_OK ? result
			       : p11_fail(r->p, result, "hsm's journal: %s", ke_words(result));
}

static int recall(struct run *r)
{
	return remember(r, once_init(&r->memory, r->c->journal, r->anchor.appliance));
}

static int make_version(struct run *r, unsigned purpose, uint64_t since_s)
{
	struct p11 *p = token_of(r, purpose);
	struct key_ring ring = {.n = 1};
	uint64_t version;
	int result = anchor_add(&r->anchor, purpose, since_s, &version);

	if (result != KE_OK)
		return p11_fail(r->p, result, "the token has no room for another version");
	if (key_is_class(purpose))
		return make_class(r, purpose, (uint32_t)version);
	result = make_key(p, purpose, (uint32_t)version, &ring.keys[0]);
	if (result != KE_OK)
		return p == r->p ? result : p11_fail(r->p, result, "%s", p->why);
	result = prove_keys(p, &ring, 1u << purpose);
	if (result == KE_OK && purpose == KEY_TLS)
		result = certify(r, &ring.keys[0]);
	if (result == KE_OK && once_counts(purpose))
		result = remember(r, once_begin(&r->memory, purpose, (uint32_t)version));
	if (result == KE_OK)
		result = sync_folder(r->p, r->c->folder);
	if (result != KE_OK)
		make_undo(p, &ring.keys[0]);
	return result;
}

/* Verifiers must know a token key before they meet it; everybody else asks hsm. */
static uint64_t since(const struct run *r, unsigned purpose)
{
	return r->now_s + (purpose == KEY_TOKEN ? r->c->token_wait_s : 0);
}

/* An emergency: a successor serves at once, whether it is made now or was only published so far. */
static int compromise(struct run *r)
{
	const struct proposal *p = &r->proposal;
	const struct anchor_key *active = anchor_active(&r->anchor, p->purpose, r->now_s);
	bool in_use = active != NULL && active->version == p->version;
	int result = anchor_compromise(&r->anchor, p->purpose, p->version);

	if (result == KE_EXISTS)
		return p11_fail(r->p, KE_STATE, "it is marked as compromised already");
	if (result != KE_OK)
		return p11_fail(r->p, result, "there is no such version");
	active = anchor_active(&r->anchor, p->purpose, r->now_s);
	if (!in_use || (active != NULL && active->version > p->version))
		return KE_OK;
	return make_version(r, p->purpose, r->now_s);
}

/*
 * A TLS key goes with its certificate. One that is in use, or that the next certificate is for, is
 * not destroyed: what the file holds must be for another version that stays.
 */
static int check_certificate(struct run *r)
{
	const struct proposal *p = &r->proposal;
	struct key_ring ring;
	uint32_t version;
	int result = key_ring_find(r->tls, &ring);

	if (result != KE_OK)
		return p11_fail(r->p, result, "%s", r->tls->why);
	version = cert_version(r->c->cert_pem, &ring);
	if (version == 0)
		return p11_fail(r->p, KE_STATE,
		    "what the certificate's file holds is for no version of the TLS key: mend "
		    "that, "
		    "and send SIGHUP");
	if (version == p->version || !anchor_wants(&r->anchor, KEY_TLS, version))
		return p11_fail(r->p, KE_STATE,
		    "the certificate's file holds one for version %u of the TLS key: replace it, "
		    "and "
		    "send SIGHUP",
		    (unsigned)version);
	return KE_OK;
}

/* An older version comes back with a certificate of its own: the one it had may have expired. */
static int certify_version(struct run *r)
{
	const struct key *k;
	struct key_ring ring;
	int result = key_ring_find(r->tls, &ring);

	if (result != KE_OK)
		return p11_fail(r->p, result, "%s", r->tls->why);
	k = key_ring_get(&ring, KEY_TLS, (uint32_t)r->proposal.version);
	if (k == NULL)
		return p11_fail(r->p, KE_NOTFOUND, "the token of the TLS key lacks that version");
	return certify(r, k);
}

/*
 * Nobody is asked how much stands under a version: hsm has written down what it made, wrapped anew
 * and revealed, where engine cannot reach it.
 */
static int check_empty(struct run *r)
{
	const struct proposal *p = &r->proposal;
	const char *word = purpose_words[p->purpose];
	unsigned version = (unsigned)p->version;
	uint32_t live;
	int result;

	if (!once_counts(p->purpose))
		return KE_OK;
	result = once_count(&r->memory, p->purpose, (uint32_t)p->version, &live);
	if (result == KE_NOTFOUND)
		return p11_fail(r->p, KE_STATE,
		    "hsm has not counted from the beginning what stands under version %u of '%s'; "
		    "abandon destroys it all the same",
		    version, word);
	if (result != KE_OK)
		return remember(r, result);
	if (live > 0)
		return p11_fail(r->p, KE_STATE,
		    "hsm counts %u that stand under version %u of '%s'; abandon destroys it with "
		    "them",
		    (unsigned)live, version, word);
	return KE_OK;
}

static int by_state(struct run *r, int result)
{
	return result == KE_OK ? result
			       : p11_fail(r->p, result, "the state of the key does not allow it");
}

static int destroy(struct run *r)
{
	const struct proposal *p = &r->proposal;
	int result = by_state(r, anchor_destroy(&r->anchor, p->purpose, p->version, r->now_s));

	if (result == KE_OK && p->purpose == KEY_TLS)
		return check_certificate(r);
	return result == KE_OK && p->action == PROPOSE_DESTROY ? check_empty(r) : result;
}

static int roll_back(struct run *r)
{
	const struct proposal *p = &r->proposal;
	int result = by_state(r, anchor_roll_back(&r->anchor, p->purpose, p->version));

	return result == KE_OK && p->purpose == KEY_TLS ? certify_version(r) : result;
}

static int decide(struct run *r)
{
	const struct proposal *p = &r->proposal;

	switch (p->action) {
	case PROPOSE_ROTATE:
		return make_version(r, p->purpose, since(r, p->purpose));
	case PROPOSE_COMPROMISE:
		return compromise(r);
	case PROPOSE_ROLL_BACK:
		return roll_back(r);
	case PROPOSE_DESTROY:
	case PROPOSE_ABANDON:
		return destroy(r);
	case PROPOSE_OFFICERS:
		return by_state(r, anchor_set_officers(&r->anchor, &p->officers));
	default:
		return p11_fail(r->p, KE_DENIED, "it is not about the token: hsm decides it");
	}
}

static int write_anchor(struct run *r)
{
	int result = seal_classes(r);

	if (result != KE_OK)
		return result;
	/* engine's word: a store that is put back shows by it, and engine cannot gain by lying */
	if (r->c->audit > 0) {
		r->anchor.audit = r->c->audit;
		memcpy(r->anchor.audit_hash, r->c->audit_hash, sizeof r->anchor.audit_hash);
	}
	anchor_written(&r->anchor, r->now_s);
	return data_store(r->p, &r->anchor);
}

static int use_nonce(struct run *r)
{
	int result =
	    anchor_use_nonce(&r->anchor, r->proposal.nonce, r->proposal.expires_s, r->now_s);

	if (result != KE_OK)
		return p11_fail(r->p, result, "too many approvals are not expired yet");
	return KE_OK;
}

/*
 * It is carried out when the anchor is written. What fails after that, making it durable and
 * sweeping, fails for the log alone: the next action does it again.
 */
static int finish(struct run *r)
{
	int result = sync_folder(r->p, r->c->folder);

	if (result == KE_OK)
		result = sweep(token_of(r, r->proposal.purpose), &r->anchor);
	if (result == KE_OK)
		result = sync_folder(r->p, r->c->folder);
	if (result != KE_OK)
		log_error("it is carried out, but not tidied up: %s", r->p->why);
	return KE_OK;
}

static int carry_out(struct run *r)
{
	int result = sweep(r->p, &r->anchor);

	if (result == KE_OK && r->tls != NULL)
		result = sweep(r->tls, &r->anchor);
	if (result == KE_OK)
		result = decide(r);
	if (result == KE_OK)
		result = use_nonce(r);
	if (result == KE_OK)
		result = write_anchor(r);
	return result == KE_OK ? finish(r) : result;
}

int keyadm_approved(
    struct p11 *p, struct p11 *tls, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct run *r = calloc(1, sizeof *r);
	int result;

	if (r == NULL)
		return p11_fail(p, KE_NOMEM, "out of memory");
	*r = (struct run){.p = p, .tls = tls, .c = c, .done = done};
	result = data_load(p, &r->anchor);
	if (result == KE_OK)
		result = count(r);
	r->now_s = anchor_now(&r->anchor, (uint64_t)time(NULL));
	if (result == KE_OK)
		result = recall(r);
	if (result == KE_OK && r->proposal.purpose == KEY_TLS && tls == NULL)
		result = p11_fail(p, KE_FORMAT, "the token of the TLS key was not named");
	if (result == KE_OK)
		result = carry_out(r);
	free(r);
	return result;
}

/* --- what an older program's setup did not make --- */

static int load_or_begin(struct run *r)
{
	struct key_ring ring;
	int result = data_load(r->p, &r->anchor);

	if (result != KE_NOTFOUND)
		return result;
	result = key_ring_find(r->p, &ring);
	if (result == KE_OK)
		result = enrol_anchor(r->p, &ring, r->c, 0);
	return result == KE_OK ? data_load(r->p, &r->anchor) : result;
}

/* What the module lacks for an optional purpose, it lacks for ever: the appliance does without. */
static int make_first(struct run *r, unsigned purpose)
{
	size_t before = r->anchor.keys;
	int result = make_version(r, purpose, r->now_s);

	if (result != KE_NOTFOUND || (KEY_SET_OPTIONAL & (1u << purpose)) == 0)
		return result;
	r->anchor.keys = before;
	return KE_OK;
}

static int make_missing(struct run *r)
{
	int result = KE_OK;

	for (unsigned i = 0; result == KE_OK && i < KEY_PURPOSES; i++)
		if ((KEY_SET_HSM & (1u << i)) != 0 && anchor_key(&r->anchor, i, 1) == NULL)
			result = make_first(r, i);
	return result;
}

/*
 * The first version of a purpose exposes nothing and replaces nothing, so no officer is asked; a
 * purpose that had a version once is not missing, whatever became of it.
 */
int keyadm_complete(struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct run *r = calloc(1, sizeof *r);
	int result;

	if (r == NULL)
		return p11_fail(p, KE_NOMEM, "out of memory");
	*r = (struct run){.p = p, .c = c, .done = done};
	result = load_or_begin(r);
	r->now_s = anchor_now(&r->anchor, (uint64_t)time(NULL));
	if (result == KE_OK)
		result = recall(r);
	if (result == KE_OK)
		result = sweep(p, &r->anchor);
	if (result == KE_OK)
		result = make_missing(r);
	if (result == KE_OK)
		result = write_anchor(r);
	free(r);
	return result;
}
