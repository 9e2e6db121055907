/*
 * Finding, checking and copying our keys: see key.h. Runs in hsm, tlskey and keyadm.
 */
#include "hsm/p11/key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hsm/p11/ckr.h"
#include "hsm/p11/op.h"
#include "policy/hash.h"
#include "policy/p256.h"

#define PREFIX    "klero/"
#define LABEL_MAX 128

static const struct key_kind kinds[KEY_PURPOSES] = {
    [KEY_MASTER] = {CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, CKM_AES_GCM, KEY_ENCRYPT, 32, false},
    [KEY_SEED] = {CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, CKM_AES_KEY_WRAP_PAD, KEY_WRAP, 32,
	false},
    [KEY_MAC] = {CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA256_HMAC,
	KEY_SIGN, 32, false},
    [KEY_TOKEN] = {CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, KEY_SIGN, 65, false},
    [KEY_LOG] = {CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA, KEY_SIGN,
	32, false},
    [KEY_TLS] = {CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, KEY_SIGN, 65, false},
    [KEY_DEPOSIT] = {CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, CKM_AES_KEY_WRAP_PAD, KEY_WRAP, 32,
	true},
};

/* For the log, in a token without Ed25519. */
static const struct key_kind log_p256 = {
    CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, KEY_SIGN, 65, false};

const struct key_kind *key_kind_instead(const struct key_kind *kind)
{
	return kind == &kinds[KEY_LOG] ? &log_p256 : NULL;
}

int key_kind(struct p11 *p, enum key_purpose purpose, const struct key_kind **kind)
{
	bool has = true;
	int r = purpose == KEY_LOG ? p11_has(p, CKM_EC_EDWARDS_KEY_PAIR_GEN, &has) : KE_OK;

	*kind = has ? &kinds[purpose] : key_kind_instead(&kinds[purpose]);
	return r;
}

/* The kind of a key that is there; its type is checked against it afterwards. */
static int kind_of(struct p11 *p, struct key *k)
{
	CK_KEY_TYPE type = 0;
	size_t n;
	int r = p11_attribute(p, k->handle, CKA_KEY_TYPE, &type, sizeof type, &n);

	k->kind = k->purpose == KEY_LOG && type == CKK_EC ? &log_p256 : &kinds[k->purpose];
	return r;
}

enum note_type key_note_type(const struct key *k)
{
	return k->kind->type == CKK_EC ? NOTE_ECDSA : NOTE_ED25519;
}

int key_sign(struct p11 *p, const struct key *k, const void *text, size_t n, uint8_t sig[64])
{
	uint8_t digest[32];

	if (k->kind->type == CKK_EC_EDWARDS)
		return op_sign_ed25519(p, k->handle, text, n, sig);
	hash_sha256(digest, text, n);
	return op_sign_ecdsa(p, k->handle, digest, sig);
}

int key_verify(const struct key *k, const void *text, size_t n, const uint8_t sig[64])
{
	uint8_t digest[32];

	if (k->kind->type == CKK_EC_EDWARDS)
		return crypto_sign_verify_detached(sig, text, n, k->pub) == 0 ? KE_OK : KE_CRYPTO;
	hash_sha256(digest, text, n);
	return p256_verify(k->pub, digest, sig);
}

bool key_is_class(unsigned purpose)
{
	return (KEY_SET_CLASS & (1u << purpose)) != 0;
}

void key_label(char out[KEY_LABEL_MAX], enum key_purpose purpose, uint32_t version)
{
	snprintf(out, KEY_LABEL_MAX, PREFIX "%s/v%06u", purpose_words[purpose], version % 1000000);
}

/* A label of ours, or KE_NOTFOUND (somebody else's object), or KE_FORMAT. */
static int parse_label(const char *label, enum key_purpose *purpose, uint32_t *version)
{
	char again[KEY_LABEL_MAX], word[16];
	unsigned v;

	if (strncmp(label, PREFIX, strlen(PREFIX)) != 0)
		return KE_NOTFOUND;
	if (sscanf(label, PREFIX "%15[a-z]/v%6u", word, &v) != 2 || v == 0)
		return KE_FORMAT;
	*purpose = purpose_of(word, strlen(word));
	if (*purpose == KEY_PURPOSES || key_is_class(*purpose))
		return KE_FORMAT;
	*version = v;
	key_label(again, *purpose, v);
	return strcmp(again, label) == 0 ? KE_OK : KE_FORMAT;
}

/* What a boolean attribute must be in a token object and in its session copy. */
enum must { NO, YES, ANY };

struct flag {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
	enum must token, copy;
	unsigned use; /* not 0: YES for a key of this use, NO for any other; may be absent for NO */
};

#define FLAG(a, token, copy, use)                                                                  \
	{                                                                                          \
		a, #a, token, copy, use                                                            \
	}

static const struct flag flags[] = {
    FLAG(CKA_TOKEN, YES, NO, 0),
    FLAG(CKA_PRIVATE, YES, YES, 0),
    FLAG(CKA_SENSITIVE, YES, YES, 0),
    FLAG(CKA_EXTRACTABLE, NO, NO, 0),
    FLAG(CKA_LOCAL, YES, ANY, 0),
    FLAG(CKA_ALWAYS_SENSITIVE, YES, YES, 0),
    FLAG(CKA_NEVER_EXTRACTABLE, YES, YES, 0),
    FLAG(CKA_ENCRYPT, ANY, ANY, KEY_ENCRYPT),
    FLAG(CKA_DECRYPT, ANY, ANY, KEY_ENCRYPT),
    FLAG(CKA_WRAP, ANY, ANY, KEY_WRAP),
    FLAG(CKA_UNWRAP, ANY, ANY, KEY_WRAP),
    FLAG(CKA_SIGN, ANY, ANY, KEY_SIGN),
    FLAG(CKA_DERIVE, ANY, ANY, 8 /* no key of ours derives */),
};

static int check_flag(struct p11 *p, const struct key *k, const struct flag *f, bool token)
{
	const struct key_kind *kind = k->kind;
	enum must must = token ? f->token : f->copy;
	char label[KEY_LABEL_MAX];
	CK_BBOOL value = CK_FALSE;
	size_t n;
	int r;

	if (f->use != 0)
		must = (kind->use & f->use) != 0 ? YES : NO;
	if (must == ANY || (token && f->type == CKA_LOCAL && p->ways.no_local))
		return KE_OK;
	if (!token && p->ways.copies_forget &&
	    (f->type == CKA_ALWAYS_SENSITIVE || f->type == CKA_NEVER_EXTRACTABLE))
		return KE_OK;
	r = p11_attribute(p, k->handle, f->type, &value, sizeof value, &n);
	if (r != KE_OK)
		return r;
	/* a private key has no CKA_ENCRYPT at all, which is as good as a refusal */
	if (n == 0 && f->use != 0 && must == NO)
		return KE_OK;
	if (n == sizeof value && (value != CK_FALSE) == (must == YES))
		return KE_OK;
	key_label(label, k->purpose, k->version);
	return p11_fail(p, KE_DAMAGED, "key %s of token %s: %s must be %s; it is not used", label,
	    p->label, f->name, must == YES ? "true" : "false");
}

static int check_number(
    struct p11 *p, const struct key *k, CK_ATTRIBUTE_TYPE type, const char *name, CK_ULONG want)
{
	char label[KEY_LABEL_MAX];
	CK_ULONG value = 0;
	size_t n;
	int r = p11_attribute(p, k->handle, type, &value, sizeof value, &n);

	if (r != KE_OK)
		return r;
	if (n == sizeof value && value == want)
		return KE_OK;
	key_label(label, k->purpose, k->version);
	return p11_fail(p, KE_DAMAGED, "key %s of token %s: %s is 0x%lx, not 0x%lx", label,
	    p->label, name, value, want);
}

/* Some token does not tell it of the keys that it keeps: then their copies do. */
static int check_length(struct p11 *p, const struct key *k, bool token)
{
	int r;

	if (k->kind->class != CKO_SECRET_KEY)
		return KE_OK;
	p->rv = CKR_OK;
	r = check_number(p, k, CKA_VALUE_LEN, "CKA_VALUE_LEN", k->kind->bytes);
	if (token && (p->rv == CKR_BUFFER_TOO_SMALL || p->rv == CKR_ATTRIBUTE_SENSITIVE))
		return KE_OK;
	return r;
}

static int check_key(struct p11 *p, const struct key *k, bool token)
{
	int r = check_number(p, k, CKA_KEY_TYPE, "CKA_KEY_TYPE", k->kind->type);

	if (r == KE_OK)
		r = check_length(p, k, token);
	for (size_t i = 0; r == KE_OK && i < sizeof flags / sizeof flags[0]; i++)
		r = check_flag(p, k, &flags[i], token);
	return r;
}

/* CKA_ID = purpose ‖ u32 version ‖ 8 random bytes, beside the label that says the same. */
static int check_id(struct p11 *p, struct key *k)
{
	const char *word = purpose_words[k->purpose];
	uint8_t id[KEY_ID_MAX], want[4], digest[32];
	size_t n, w = strlen(word);
	int r = p11_attribute(p, k->handle, CKA_ID, id, sizeof id, &n);

	if (r != KE_OK)
		return r;
	for (unsigned i = 0; i < 4; i++)
		want[i] = (uint8_t)(k->version >> (24 - 8 * i));
	hash_sha256(digest, id, n);
	memcpy(k->name, digest, sizeof k->name);
	if (n == w + 12 && memcmp(id, word, w) == 0 && memcmp(id + w, want, 4) == 0)
		return KE_OK;
	return p11_fail(p, KE_DAMAGED, "key klero/%s/v%06u of token %s: CKA_ID says otherwise",
	    word, k->version, p->label);
}

/* Both lengths are known, so there is no doubt which it is. */
int key_point(const uint8_t *der, size_t n, uint8_t *pub, size_t want)
{
	if (n == want + 2 && der[0] == 0x04 && der[1] == want) {
		der += 2;
		n -= 2;
	}
	if (n != want || (want == 65 && der[0] != 0x04))
		return KE_FORMAT;
	memcpy(pub, der, want);
	return KE_OK;
}

static int read_public(struct p11 *p, struct key *k)
{
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	CK_ULONG count = 0;
	char label[KEY_LABEL_MAX];
	uint8_t der[KEY_PUB_MAX + 16];
	size_t n = 0;
	int r;

	key_label(label, k->purpose, k->version);
	r = p11_find(p, CKO_PUBLIC_KEY, label, found, &count);
	if (r != KE_OK)
		return r;
	if (count != 1)
		return p11_fail(p, count > 1 ? KE_EXISTS : KE_NOTFOUND,
		    "token %s has %lu public keys labelled %s, not one", p->label, count, label);
	r = p11_attribute(p, found[0], CKA_EC_POINT, der, sizeof der, &n);
	if (r != KE_OK)
		return r;
	if (key_point(der, n, k->pub, k->kind->bytes) != KE_OK)
		return p11_fail(
		    p, KE_DAMAGED, "public key %s of token %s is malformed", label, p->label);
	return KE_OK;
}

static int read_modifiable(struct p11 *p, struct key *k)
{
	CK_BBOOL value = CK_TRUE;
	size_t n;
	int r = p11_attribute(p, k->handle, CKA_MODIFIABLE, &value, sizeof value, &n);

	k->modifiable = n == 0 || value != CK_FALSE;
	return r;
}

/* What the label says: KE_NOTFOUND for an object that is not ours, KE_FORMAT for a bad label. */
static int read_label(struct p11 *p, CK_OBJECT_HANDLE h, char label[LABEL_MAX], struct key *k)
{
	size_t n;
	int r = p11_attribute(p, h, CKA_LABEL, label, LABEL_MAX - 1, &n);

	if (r == KE_DAMAGED)
		return KE_NOTFOUND; /* longer than any of ours */
	if (r != KE_OK)
		return r;
	label[n] = '\0';
	return parse_label(label, &k->purpose, &k->version);
}

/*
 * Takes one object into the ring; objects that are not ours are passed over, and so is what the
 * anchor does not want: a cut in the middle of an action may have left it there, half or twice.
 */
static int take(struct p11 *p, struct key_ring *ring, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE h,
    const struct anchor *a)
{
	struct key k = {.handle = h, .live = true};
	char label[LABEL_MAX];
	int r = read_label(p, h, label, &k);

	if (r == KE_NOTFOUND)
		return KE_OK;
	if (r != KE_OK && r != KE_FORMAT)
		return r;
	if (r == KE_OK && a != NULL && !anchor_wants(a, k.purpose, k.version))
		return KE_OK;
	if (r != KE_OK || kinds[k.purpose].class != class)
		return p11_fail(p, KE_DAMAGED,
		    "token %s holds an object labelled %.40s that is no key of ours; remove it",
		    p->label, label);
	if (key_ring_get(ring, k.purpose, k.version) != NULL)
		return p11_fail(p, KE_EXISTS,
		    "token %s holds two keys labelled %s; remove the one that is not ours",
		    p->label, label);
	if (ring->n == KEY_RING_MAX)
		return p11_fail(
		    p, KE_LIMIT, "token %s holds more than %d keys", p->label, KEY_RING_MAX);
	r = kind_of(p, &k);
	if (r == KE_OK)
		r = check_key(p, &k, true);
	if (r == KE_OK)
		r = check_id(p, &k);
	if (r == KE_OK)
		r = read_modifiable(p, &k);
	if (r == KE_OK && class == CKO_PRIVATE_KEY)
		r = read_public(p, &k);
	if (r == KE_OK)
		ring->keys[ring->n++] = k;
	return r;
}

static int pass_over(int r, bool partial)
{
	return partial && (r == KE_NOTFOUND || r == KE_EXISTS || r == KE_DAMAGED) ? KE_OK : r;
}

int key_ring_find(struct p11 *p, struct key_ring *ring)
{
	return key_ring_wanted(p, ring, NULL, false);
}

int key_sweep(struct p11 *p, const struct anchor *a)
{
	static const CK_OBJECT_CLASS classes[] = {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	char label[LABEL_MAX];
	struct key k;
	int r = KE_OK;

	for (size_t c = 0; r == KE_OK && c < sizeof classes / sizeof classes[0]; c++) {
		CK_ULONG n = 0;

		r = p11_find(p, classes[c], "", found, &n);
		while (r == KE_OK && n > 0) {
			r = read_label(p, found[--n], label, &k);
			if (r == KE_OK && !anchor_wants(a, k.purpose, k.version))
				r = p11_check(p, "C_DestroyObject",
				    p->f->C_DestroyObject(p->session, found[n]));
			else if (r == KE_NOTFOUND || r == KE_FORMAT)
				r = KE_OK;
		}
	}
	return r;
}

int key_ring_wanted(struct p11 *p, struct key_ring *ring, const struct anchor *a, bool partial)
{
	static const CK_OBJECT_CLASS classes[] = {CKO_SECRET_KEY, CKO_PRIVATE_KEY};
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	int r;

	ring->n = 0;
	for (size_t c = 0; c < 2; c++) {
		CK_ULONG n = 0;

		r = p11_find(p, classes[c], "", found, &n);
		for (CK_ULONG i = 0; r == KE_OK && i < n; i++)
			r = pass_over(take(p, ring, classes[c], found[i], a), partial);
		if (r != KE_OK)
			return r;
	}
	return KE_OK;
}

unsigned key_ring_set(const struct key_ring *ring, unsigned purposes)
{
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if ((KEY_SET_OPTIONAL & (1u << i)) != 0 &&
		    key_ring_get(ring, (enum key_purpose)i, 0) == NULL)
			purposes &= ~(1u << i);
	return purposes;
}

int key_ring_demand(struct p11 *p, const struct key_ring *ring, unsigned purposes)
{
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if ((purposes & (1u << i)) != 0 &&
		    key_ring_get(ring, (enum key_purpose)i, 0) == NULL)
			return p11_fail(p, KE_NOTFOUND,
			    "token %s has no key klero/%s; run kleroctl setup, or restore the "
			    "token",
			    p->label, purpose_words[i]);
	return KE_OK;
}

static int obey(struct key *k, const struct anchor *a)
{
	const struct anchor_key *known = anchor_key(a, k->purpose, k->version);

	if (known == NULL || known->status == ANCHOR_DESTROYED)
		return KE_NOTFOUND;
	k->live = known->status == ANCHOR_LIVE;
	k->compromised = known->compromised != 0;
	k->since_s = known->since_s;
	return KE_OK;
}

int key_ring_obey(struct p11 *p, struct key_ring *ring, const struct anchor *a, unsigned purposes)
{
	size_t kept = 0;

	for (size_t i = 0; i < ring->n; i++)
		if (obey(&ring->keys[i], a) == KE_OK)
			ring->keys[kept++] = ring->keys[i];
	ring->n = kept;
	for (size_t i = 0; i < a->keys; i++) {
		const struct anchor_key *k = &a->key[i];

		if ((purposes & (1u << k->purpose)) == 0 || k->status == ANCHOR_DESTROYED)
			continue;
		if (key_ring_get(ring, k->purpose, (uint32_t)k->version) == NULL)
			return p11_fail(p, KE_NOTFOUND,
			    "token %s lacks the key klero/%s/v%06u that its anchor names; restore "
			    "the token",
			    p->label, purpose_words[k->purpose], (unsigned)k->version);
	}
	return KE_OK;
}

/* The rule of anchor_active(), over what is really there. */
static const struct key *active(const struct key_ring *ring, enum key_purpose purpose)
{
	const struct key *best = NULL, *first = NULL;
	uint64_t now_s = (uint64_t)time(NULL);

	for (size_t i = 0; i < ring->n; i++) {
		const struct key *k = &ring->keys[i];

		if (k->purpose != purpose || !k->live)
			continue;
		if (first == NULL || k->version < first->version)
			first = k;
		if (k->since_s <= now_s && (best == NULL || k->version > best->version))
			best = k;
	}
	return best != NULL ? best : first;
}

const struct key *key_ring_get(
    const struct key_ring *ring, enum key_purpose purpose, uint32_t version)
{
	if (version == 0)
		return active(ring, purpose);
	for (size_t i = 0; i < ring->n; i++)
		if (ring->keys[i].purpose == purpose && ring->keys[i].version == version)
			return &ring->keys[i];
	return NULL;
}

int key_copy(struct p11 *p, struct key *k, bool *copied)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE change[] = {{CKA_TOKEN, &no, sizeof no}};
	CK_OBJECT_HANDLE h = CK_INVALID_HANDLE;
	CK_RV rv = p->f->C_CopyObject(p->session, k->handle, change, 1, &h);

	*copied = rv != CKR_FUNCTION_NOT_SUPPORTED;
	if (!*copied)
		return KE_OK;
	if (rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_ACTION_PROHIBITED)
		return p11_fail(p, KE_DENIED, "token %s does not let klero/%s be copied: %s",
		    p->label, purpose_words[k->purpose], ckr_name(rv));
	if (rv != CKR_OK)
		return p11_check(p, "C_CopyObject", rv);
	p->made++;
	k->handle = h;
	return check_key(p, k, false);
}

int key_ring_copy(struct p11 *p, struct key_ring *ring, bool *copied)
{
	struct key_ring copies = *ring;
	int r;

	*copied = true;
	for (size_t i = 0; i < copies.n; i++) {
		if (copies.keys[i].secret != NULL)
			continue;
		r = key_copy(p, &copies.keys[i], copied);
		if (r != KE_OK || !*copied)
			return r;
	}
	*ring = copies;
	return KE_OK;
}
