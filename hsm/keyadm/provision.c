/*
 * Provisioning: see keyadm.h. Runs in klerod-keyadm, inside its sandbox.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hsm/keyadm/cert.h"
#include "hsm/keyadm/enrol.h"
#include "hsm/keyadm/keyadm.h"
#include "hsm/keyadm/sync.h"
#include "hsm/once/once.h"
#include "hsm/p11/class.h"
#include "hsm/p11/make.h"
#include "hsm/p11/prove.h"
#include "policy/note.h"

static int refuse_if_used(struct p11 *p)
{
	struct key_ring ring;
	char label[KEY_LABEL_MAX];
	int r = key_ring_find(p, &ring);

	if (r != KE_OK)
		return r;
	if (ring.n == 0)
		return KE_OK;
	key_label(label, ring.keys[0].purpose, ring.keys[0].version);
	return p11_fail(p, KE_EXISTS,
	    "token %s holds %s already, so nothing was changed; use another token", p->label,
	    label);
}

/* Makes version 1 of each purpose in the set; ring holds what there is, also after a failure. */
static int make_each(struct p11 *p, unsigned purposes, struct key_ring *ring)
{
	int r = KE_OK;

	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++) {
		if ((purposes & (1u << i)) == 0)
			continue;
		r = make_key(p, (enum key_purpose)i, 1, &ring->keys[ring->n]);
		if (r == KE_OK)
			ring->n++;
	}
	return r == KE_OK ? prove_keys(p, ring, purposes) : r;
}

/* Version 1 of each class key. */
static int make_classes(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16])
{
	int r = KE_OK;

	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++)
		if (key_is_class(i))
			r = class_make(p, ring, appliance, i, 1);
	return r;
}

/* What the module lacks for an optional purpose is remarked on, and the appliance does without. */
static int make_all(struct p11 *p, unsigned purposes, struct key_ring *ring)
{
	size_t made;
	int r;

	ring->n = 0;
	r = make_each(p, purposes & ~KEY_SET_OPTIONAL, ring);
	made = ring->n;
	if (r != KE_OK)
		return r;
	r = make_each(p, purposes & KEY_SET_OPTIONAL, ring);
	if (r != KE_NOTFOUND)
		return r;
	while (ring->n > made)
		make_undo(p, &ring->keys[--ring->n]);
	return KE_OK;
}

static void undo_all(struct p11 *p, const struct key_ring *ring)
{
	for (size_t i = 0; i < ring->n; i++)
		make_undo(p, &ring->keys[i]);
	/* without their master key they are nothing, and the next ones replace them */
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if (key_is_class(i))
			(void)!class_destroy(p, i, 1);
}

/* What an operator should know about a module that does not do everything. */
static void remark(const struct p11 *p, const struct key_ring *ring, char *out, size_t cap)
{
	int n = 0;

	out[0] = '\0';
	if (!p->has_digest_key)
		n = snprintf(
		    out, cap, "the module lacks C_DigestKey: v1 raffles cannot be offered; ");
	if (n >= 0 && (size_t)n < cap && key_ring_get(ring, KEY_LOG, 1) != NULL &&
	    key_ring_get(ring, KEY_DEPOSIT, 1) == NULL)
		n += snprintf(out + n, cap - (size_t)n, "no deposit keys: %s; ", p->why);
	if (n >= 0 && (size_t)n < cap && ring->n > 0 && ring->keys[0].modifiable)
		snprintf(out + n, cap - (size_t)n,
		    "the module copies only keys that are CKA_MODIFIABLE: ours are");
}

/* The end of both: either all is in the token to stay, or nothing is there. */
static int settle(struct p11 *p, const struct key_ring *ring, const struct rconf_keyadm *c,
    struct rconf_keyadm_done *done, int r)
{
	if (r == KE_OK)
		r = sync_folder(p, c->folder);
	if (r != KE_OK)
		undo_all(p, ring);
	else
		remark(p, ring, done->reason, sizeof done->reason);
	return r;
}

static int vkey(
    const struct key_ring *ring, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	const struct key *log = key_ring_get(ring, KEY_LOG, 0);
	char name[NOTE_NAME_MAX + 1];
	int n = snprintf(name, sizeof name, "%s/klero/log", c->host);

	if (n < 0 || n >= (int)sizeof name)
		return KE_LONG;
	return note_vkey(name, key_note_type(log), log->pub, done->log_vkey, sizeof done->log_vkey);
}

/* From the first value on hsm counts what stands under each of these keys. */
static int begin_counts(struct p11 *p, const struct key_ring *ring, const struct rconf_keyadm *c)
{
	static struct once o;
	int r = once_init(&o, c->journal, c->appliance_id);

	/* class keys stand in no ring: they are none of the token's own keys */
	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++)
		if (once_counts(i) && (key_is_class(i) || key_ring_get(ring, i, 1) != NULL))
			r = once_begin(&o, i, 1);
	if (r == KE_OK)
		r = once_stand(&o, KEY_MASTER, BLOB_DB, strlen(BLOB_DB), 1);
	return r == KE_OK ? r : p11_fail(p, r, "the journal cannot be written: %s", ke_words(r));
}

int keyadm_provision_keys(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct key_ring ring;
	int r = refuse_if_used(p);

	if (r != KE_OK)
		return r;
	r = make_all(p, KEY_SET_TOKEN, &ring);
	if (r == KE_OK)
		r = make_classes(p, &ring, c->appliance_id);
	if (r == KE_OK)
		r = blob_make_class_key(p, key_ring_get(&ring, KEY_MASTER, 0),
		    &(struct blob_class){BLOB_DB, 0, c->appliance_id}, done->sealed_dbkey,
		    sizeof done->sealed_dbkey);
	if (r == KE_OK) {
		r = vkey(&ring, c, done);
		if (r != KE_OK)
			(void)p11_fail(p, r, "host %.100s is too long for a log name", c->host);
	}
	if (r == KE_OK)
		r = begin_counts(p, &ring, c);
	if (r == KE_OK)
		r = enrol_anchor(p, &ring, c, (uint64_t)time(NULL));
	return settle(p, &ring, c, done, r);
}

int keyadm_provision_tls(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct key_ring ring;
	int r = refuse_if_used(p);

	if (r != KE_OK)
		return r;
	r = make_all(p, KEY_SET_TLSKEY, &ring);
	if (r == KE_OK)
		r = cert_make(p, &ring.keys[0], c, (int64_t)time(NULL), done->cert_pem,
		    sizeof done->cert_pem);
	return settle(p, &ring, c, done, r);
}

int keyadm_request(struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct key_ring ring;
	const struct key *k;
	int r = key_ring_find(p, &ring);

	if (r != KE_OK)
		return r;
	k = key_ring_get(&ring, KEY_TLS, cert_version(c->cert_pem, &ring));
	if (k == NULL)
		return p11_fail(p, KE_NOTFOUND, "token %s has no TLS key", p->label);
	return cert_request(p, k, c, done->cert_pem, sizeof done->cert_pem);
}
