/*
 * Our keys in a token: what kinds there are, how they are labelled, which attributes each must
 * have (KEYS.md section 2). Keys are found by label, `klero/<purpose>/v000001`, never by handle or
 * slot, and checked before use. Runs in hsm, tlskey and keyadm. Trusts the token for its
 * attributes, not that somebody put the right keys into it.
 */
#ifndef HSM_P11_KEY_H
#define HSM_P11_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "hsm/p11/p11.h"
#include "policy/anchor.h"
#include "policy/note.h"
#include "policy/purpose.h"

/* Which of them each role holds, as bits 1 << purpose: two tokens, no key in both. */
#define KEY_SET_TLSKEY (1u << KEY_TLS)
/* Class keys (hsm/p11/class.h): no keys of the token's, but sealed under its master key. */
#define KEY_SET_CLASS ((1u << KEY_DATA) | (1u << KEY_DEPOSIT25519))
#define KEY_SET_TOKEN ((1u << KEY_PURPOSES) - 1 - KEY_SET_TLSKEY - KEY_SET_CLASS)
#define KEY_SET_HSM   (KEY_SET_TOKEN | KEY_SET_CLASS)
/* Those that a token is without when its module cannot keep them. */
#define KEY_SET_OPTIONAL (1u << KEY_DEPOSIT)

#define KEY_PUB_MAX   65 /* P-256: 04 ‖ X ‖ Y; Ed25519: 32 bytes */
#define KEY_LABEL_MAX 32
#define KEY_ID_MAX    24
#define KEY_RING_MAX  64
#define KEY_NAME_LEN  16

/* Boolean attributes that say what a key may be used for. */
enum key_use { KEY_ENCRYPT = 1, KEY_WRAP = 2, KEY_SIGN = 4 };

struct key_kind {
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE type;
	CK_MECHANISM_TYPE make,
	    allowed;    /* how it is generated, the one mechanism it is used with */
	unsigned use;   /* enum key_use */
	CK_ULONG bytes; /* of a secret key; of the public key of a pair */
	bool closed;    /* CKA_UNWRAP_TEMPLATE: what it unwraps is CKA_SENSITIVE, whoever asks */
};

struct key {
	enum key_purpose purpose;
	const struct key_kind *kind; /* what is really there: a log key is one of two kinds */
	uint32_t version;
	CK_OBJECT_HANDLE handle;
	bool modifiable;          /* see make_key */
	bool live;                /* may be the active one; a retired key verifies and opens only */
	bool compromised;         /* what it has signed or authenticated counts no more */
	uint64_t since_s;         /* when a live one becomes active, by the anchor */
	uint8_t pub[KEY_PUB_MAX]; /* of a pair */
	const uint8_t *secret;    /* of a class key, which has no handle: 32 bytes, locked */
	uint8_t name[KEY_NAME_LEN]; /* SHA-256 of its CKA_ID, cut: the same for ever */
};

struct key_ring {
	struct key keys[KEY_RING_MAX];
	size_t n;
};

/*
 * What a fresh key of that purpose is in this token: the log key is P-256 where Ed25519 is lacking.
 * KE_UNAVAIL.
 */
int key_kind(struct p11 *p, enum key_purpose purpose, const struct key_kind **kind) KE_CHECK;

/* What is made in place of a kind that the token makes and cannot use; NULL for none. */
const struct key_kind *key_kind_instead(const struct key_kind *kind);

/*
 * Signs with a key of a pair: Ed25519 over the text itself, ECDSA P-256 over its SHA-256. sig is
 * what RFC 8032 says, or r ‖ s. The errors of op.h.
 */
int key_sign(
    struct p11 *p, const struct key *k, const void *text, size_t n, uint8_t sig[64]) KE_CHECK;
/* Is sig the key's, by its public half and software? KE_CRYPTO when not. */
int key_verify(const struct key *k, const void *text, size_t n, const uint8_t sig[64]) KE_CHECK;

/* The log key as the type of its notes' signatures. */
enum note_type key_note_type(const struct key *k);

/* Is it a class key's purpose? */
bool key_is_class(unsigned purpose);

/* "klero/<purpose>/v000001" */
void key_label(char out[KEY_LABEL_MAX], enum key_purpose purpose, uint32_t version);

/*
 * CKA_EC_POINT, a DER OCTET STRING or, from some modules, the bare point, into want bytes (65 of an
 * uncompressed point, or 32): KE_FORMAT.
 */
int key_point(const uint8_t *der, size_t n, uint8_t *pub, size_t want) KE_CHECK;

/*
 * Every key of ours in the token: labels and ids read, duplicates refused, attributes checked,
 * public keys read. KE_EXISTS for a duplicate, KE_DAMAGED for a key that is not as KEYS.md
 * section 2 wants it or a label that is none, KE_UNAVAIL. p->why names the key.
 */
int key_ring_find(struct p11 *p, struct key_ring *ring) KE_CHECK;
/*
 * The same without the versions that the anchor (NULL: every one) does not want, in whatever state
 * they are; partial: and without what is not whole, for a token that has no anchor to say so.
 */
int key_ring_wanted(
    struct p11 *p, struct key_ring *ring, const struct anchor *a, bool partial) KE_CHECK;
/* Destroys those, halves and doubles of pairs among them. keyadm alone. */
int key_sweep(struct p11 *p, const struct anchor *a) KE_CHECK;

/* The set without those of KEY_SET_OPTIONAL that the ring has no active key of. */
unsigned key_ring_set(const struct key_ring *ring, unsigned purposes);

/* Demands an active key of each purpose in the set (bits 1 << KEY_x): KE_NOTFOUND. */
int key_ring_demand(struct p11 *p, const struct key_ring *ring, unsigned purposes) KE_CHECK;

/*
 * Makes session copies of all keys, so that no call needs the token's files again, and checks
 * that they are as closed as the originals. *copied is false, and the ring stays as it is, when
 * the module lacks C_CopyObject.
 */
int key_ring_copy(struct p11 *p, struct key_ring *ring, bool *copied) KE_CHECK;

/*
 * Makes one session copy: *copied is false when the module lacks C_CopyObject. KE_DENIED when it
 * refuses to copy this key.
 */
int key_copy(struct p11 *p, struct key *k, bool *copied) KE_CHECK;

/*
 * Lets the anchor say which versions are live and since when; those that it does not know, or
 * wants destroyed, leave the ring. KE_NOTFOUND when the ring lacks a version that it wants.
 */
int key_ring_obey(
    struct p11 *p, struct key_ring *ring, const struct anchor *a, unsigned purposes) KE_CHECK;

/*
 * The key of that version; for version 0 the active one, which is the last live one whose time has
 * come. NULL when there is none.
 */
const struct key *key_ring_get(
    const struct key_ring *ring, enum key_purpose purpose, uint32_t version);

#endif
