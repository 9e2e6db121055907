/*
 * Generation of long-lived keys: see make.h. Runs in keyadm only.
 */
#include "hsm/p11/make.h"

#include <string.h>

#include "hsm/p11/ckr.h"
#include "hsm/p11/op.h"

#define TEMPLATE_MAX 24

/* A template under construction. Its flags are its own, so it must not be moved. */
struct tmpl {
	CK_ATTRIBUTE a[TEMPLATE_MAX];
	CK_ULONG n;
	CK_BBOOL yes, no;
	CK_ATTRIBUTE unwrapped; /* of a key that never reveals: what its unwrapping must say */
};

/* CKA_EC_PARAMS: P-256 by its object identifier; Ed25519 by either form that PKCS#11 3.0 allows. */
static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t ed25519_oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t ed25519_name[] = "\x13\x0c"
				      "edwards25519";

static void put(struct tmpl *t, CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
	t->a[t->n++] = (CK_ATTRIBUTE){type, p11_in(p), (CK_ULONG)n};
}

static void put_flag(struct tmpl *t, CK_ATTRIBUTE_TYPE type, bool on)
{
	put(t, type, on ? &t->yes : &t->no, sizeof(CK_BBOOL));
}

static void start(
    struct tmpl *t, const char *label, const uint8_t *id, size_t idlen, bool modifiable)
{
	*t = (struct tmpl){.yes = CK_TRUE, .no = CK_FALSE};
	put_flag(t, CKA_TOKEN, true);
	put(t, CKA_LABEL, label, strlen(label));
	put(t, CKA_ID, id, idlen);
	put_flag(t, CKA_MODIFIABLE, modifiable);
}

/* What every secret and private key of ours has in common. */
static void put_closed(struct tmpl *t, const struct key_kind *kind)
{
	put_flag(t, CKA_PRIVATE, true);
	put_flag(t, CKA_SENSITIVE, true);
	put_flag(t, CKA_EXTRACTABLE, false);
	put_flag(t, CKA_DECRYPT, (kind->use & KEY_ENCRYPT) != 0);
	put_flag(t, CKA_UNWRAP, (kind->use & KEY_WRAP) != 0);
	put_flag(t, CKA_SIGN, (kind->use & KEY_SIGN) != 0);
	put_flag(t, CKA_DERIVE, false);
}

static size_t make_id(
    struct p11 *p, enum key_purpose purpose, uint32_t version, uint8_t id[KEY_ID_MAX], int *r)
{
	const char *word = purpose_words[purpose];
	size_t n = strlen(word);

	memcpy(id, word, n);
	for (unsigned i = 0; i < 4; i++)
		id[n + i] = (uint8_t)(version >> (24 - 8 * i));
	*r = op_random(p, id + n + 4, 8);
	return n + 12;
}

static CK_RV make_secret(struct p11 *p, const struct key_kind *kind, struct tmpl *t)
{
	CK_MECHANISM m = {kind->make, NULL, 0};
	CK_OBJECT_HANDLE h;

	put_closed(t, kind);
	put_flag(t, CKA_ENCRYPT, (kind->use & KEY_ENCRYPT) != 0);
	put_flag(t, CKA_WRAP, (kind->use & KEY_WRAP) != 0);
	put_flag(t, CKA_VERIFY, false);
	put(t, CKA_VALUE_LEN, &kind->bytes, sizeof kind->bytes);
	if (kind->closed) {
		t->unwrapped = (CK_ATTRIBUTE){CKA_SENSITIVE, &t->yes, sizeof t->yes};
		put(t, CKA_UNWRAP_TEMPLATE, &t->unwrapped, sizeof t->unwrapped);
	}
	return p->f->C_GenerateKey(p->session, &m, t->a, t->n, &h);
}

static CK_RV make_pair(struct p11 *p, const struct key_kind *kind, struct tmpl *priv,
    struct tmpl *pub, const uint8_t *curve, size_t len)
{
	CK_MECHANISM m = {kind->make, NULL, 0};
	CK_OBJECT_HANDLE h[2];

	put_closed(priv, kind);
	put_flag(pub, CKA_PRIVATE, false);
	put_flag(pub, CKA_VERIFY, true);
	put(pub, CKA_EC_PARAMS, curve, len);
	return p->f->C_GenerateKeyPair(
	    p->session, &m, pub->a, pub->n, priv->a, priv->n, &h[0], &h[1]);
}

/* What a module may refuse and another demand: tried in this order. */
struct variant {
	bool modifiable;
	bool restrict_mechanism; /* CKA_ALLOWED_MECHANISMS, "where the module keeps it" */
	bool curve_by_name;
};

static CK_RV try_variant(struct p11 *p, const struct key_kind *kind, const char *label,
    const uint8_t *id, size_t idlen, const struct variant *v)
{
	struct tmpl priv, pub;

	start(&priv, label, id, idlen, v->modifiable);
	start(&pub, label, id, idlen, v->modifiable);
	if (v->restrict_mechanism)
		put(&priv, CKA_ALLOWED_MECHANISMS,
		    kind->allowed == CKM_AES_KEY_WRAP_PAD ? &p->ways.wrap : &kind->allowed,
		    sizeof kind->allowed);
	if (kind->class == CKO_SECRET_KEY)
		return make_secret(p, kind, &priv);
	if (kind->type == CKK_EC)
		return make_pair(p, kind, &priv, &pub, p256, sizeof p256);
	if (v->curve_by_name)
		return make_pair(p, kind, &priv, &pub, ed25519_name, sizeof ed25519_name - 1);
	return make_pair(p, kind, &priv, &pub, ed25519_oid, sizeof ed25519_oid);
}

static int find_made(struct p11 *p, enum key_purpose purpose, uint32_t version, struct key *k)
{
	struct key_ring ring;
	const struct key *found;
	int r = key_ring_find(p, &ring);

	if (r != KE_OK)
		return r;
	found = key_ring_get(&ring, purpose, version);
	if (found == NULL)
		return p11_fail(p, KE_DAMAGED,
		    "token %s does not find the key klero/%s it has made", p->label,
		    purpose_words[purpose]);
	*k = *found;
	return KE_OK;
}

/* Does the module say that it has no such attribute, rather than that it is unwell? */
static bool lacks(CK_RV rv)
{
	return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
	       rv == CKR_TEMPLATE_INCONSISTENT;
}

static int make(struct p11 *p, const struct key_kind *kind, bool modifiable, struct key *k)
{
	const enum key_purpose purpose = k->purpose;
	const uint32_t version = k->version;
	const struct variant variants[] = {
	    {modifiable, true, false},
	    {modifiable, false, false},
	    {modifiable, true, true},
	    {modifiable, false, true},
	};
	char label[KEY_LABEL_MAX];
	uint8_t id[KEY_ID_MAX];
	CK_RV rv = CKR_GENERAL_ERROR;
	size_t idlen;
	int r;

	key_label(label, purpose, version);
	idlen = make_id(p, purpose, version, id, &r);
	if (r != KE_OK)
		return r;
	for (size_t i = 0; rv != CKR_OK && i < sizeof variants / sizeof variants[0]; i++) {
		rv = try_variant(p, kind, label, id, idlen, &variants[i]);
		/* an error does not say that nothing was made, and two keys of one label are none
		 */
		if (rv != CKR_OK && (r = make_destroy(p, k)) != KE_OK)
			return r;
	}
	if (rv != CKR_OK)
		return p11_fail(p, kind->closed && lacks(rv) ? KE_NOTFOUND : KE_UNAVAIL,
		    "token %s cannot make %s: %s", p->label, label, ckr_name(rv));
	return find_made(p, purpose, version, k);
}

/* More of them, where one has failed. */
#define COPY_TRIES 3

/* KE_DENIED when the module has C_CopyObject and refuses it to this key. */
static int try_copy(struct p11 *p, const struct key *k)
{
	struct key probe = *k;
	bool copied;
	int r = key_copy(p, &probe, &copied);

	if (r == KE_OK && copied)
		r = op_destroy(p, probe.handle);
	return r;
}

/* Made and fit to be copied. What there is of it after a failure is the caller's to undo. */
static int make_kind(struct p11 *p, const struct key_kind *kind, struct key *k)
{
	const struct key blank = *k;
	int r = make(p, kind, false, k);

	if (r == KE_OK)
		r = try_copy(p, k);
	if (r != KE_DENIED)
		return r;
	r = make_destroy(p, k);
	*k = blank;
	if (r == KE_OK)
		r = make(p, kind, true, k);
	return r == KE_OK ? try_copy(p, k) : r;
}

/* Has the module no copies of such keys? Then it says the same each time; a hiccup passes. */
static bool never_copied(struct p11 *p, const struct key *k)
{
	const CK_RV first = p->rv;

	if (k->handle == CK_INVALID_HANDLE)
		return false;
	for (unsigned i = 0; i < COPY_TRIES; i++)
		if (try_copy(p, k) == KE_OK || p->rv != first)
			return false;
	return true;
}

int make_key(struct p11 *p, enum key_purpose purpose, uint32_t version, struct key *k)
{
	const struct key blank = {.purpose = purpose, .version = version};
	const struct key_kind *kind, *instead;
	int r;

	*k = blank;
	r = key_kind(p, purpose, &kind);
	if (r != KE_OK)
		return r;
	r = make_kind(p, kind, k);
	instead = key_kind_instead(kind);
	if (r != KE_OK && instead != NULL && never_copied(p, k)) {
		r = make_destroy(p, k);
		*k = blank;
		if (r == KE_OK)
			r = make_kind(p, instead, k);
	}
	if (r != KE_OK)
		make_undo(p, k);
	return r;
}

int make_destroy(struct p11 *p, const struct key *k)
{
	static const CK_OBJECT_CLASS classes[] = {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	char label[KEY_LABEL_MAX];
	int r = KE_OK;

	key_label(label, k->purpose, k->version);
	for (size_t c = 0; r == KE_OK && c < sizeof classes / sizeof classes[0]; c++) {
		CK_ULONG n = 0;

		r = p11_find(p, classes[c], label, found, &n);
		while (r == KE_OK && n > 0)
			r = p11_check(
			    p, "C_DestroyObject", p->f->C_DestroyObject(p->session, found[--n]));
	}
	return r;
}

void make_undo(struct p11 *p, const struct key *k)
{
	char why[sizeof p->why];

	/* what it is undone for is the story, not whether this works too */
	memcpy(why, p->why, sizeof why);
	(void)!make_destroy(p, k);
	memcpy(p->why, why, sizeof why);
}
