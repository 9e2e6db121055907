/*
 * C2SP signed notes (c2sp.org/signed-note) and verifier keys: Ed25519 signatures, type 0x01, and,
 * for tokens that lack Ed25519, ECDSA over P-256 with SHA-256, type 0x02 (as
 * transparency-dev/formats writes them: DER signatures, keys as SubjectPublicKeyInfo, whose hash
 * alone is the key id). Pure: verification only; the HSM signs. A note is text ‖ LF ‖ signature
 * lines "— <name> <base64(key id ‖ signature)>".
 */
#ifndef POLICY_NOTE_H
#define POLICY_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define NOTE_NAME_MAX 255
#define NOTE_SIGS_MAX 64 /* a log's and 32 witnesses', with room for keys that turn over */

#define NOTE_DASH     "\xe2\x80\x94 " /* em dash, space: how a signature line begins */
#define NOTE_SIG_MAX  80              /* bytes: Ed25519, or ECDSA in DER */
#define NOTE_PUB_MAX  65
#define NOTE_VKEY_MAX (NOTE_NAME_MAX + 160)

/* The byte that begins what a verifier key encodes. */
enum note_type {
	NOTE_ED25519 = 1,
	NOTE_ECDSA = 2,
	NOTE_COSIGN = 4 /* a witness's Ed25519 key: policy/tlog.h */
};

struct note_key {
	char name[NOTE_NAME_MAX + 1];
	enum note_type type;
	uint8_t id[4];
	uint8_t pub[NOTE_PUB_MAX]; /* note_pub_len(type) bytes: a key of RFC 8032, or 04 ‖ X ‖ Y */
};

/* 32 or 65; 0 for a type that is none of ours. */
size_t note_pub_len(enum note_type type);
/*
 * First 4 bytes of SHA-256, of name ‖ 0A ‖ 01 ‖ public key for Ed25519, of the
 * SubjectPublicKeyInfo for ECDSA.
 */
void note_key_id(uint8_t id[4], const char *name, enum note_type type, const uint8_t *pub);
/* "<name>+<8 hex>+<base64(type ‖ public key)>"; KE_FULL. */
int note_vkey(
    const char *name, enum note_type type, const uint8_t *pub, char *out, size_t cap) KE_CHECK;
/* KE_FORMAT, KE_VERSION for a type that signs no notes of ours. */
int note_vkey_parse(struct note_key *k, const char *s, size_t n) KE_CHECK;
/* The same for a witness's key, and for nothing else. */
int note_witness_parse(struct note_key *k, const char *s, size_t n) KE_CHECK;
/* Are these one key? */
bool note_key_same(const struct note_key *a, const struct note_key *b);

/* One signature line with its LF; sig is Ed25519's, or r ‖ s of ECDSA. KE_FULL, KE_NOMEM. */
int note_sig_line(const char *name, enum note_type type, const uint8_t id[4], const uint8_t sig[64],
    char *out, size_t cap, size_t *len) KE_CHECK;

/*
 * Splits and verifies a note: *text_len bytes of msg (its final LF included) are what was signed.
 * KE_OK when a signature by k verifies; KE_NOTFOUND when there is none by k, KE_CRYPTO when it is
 * wrong, KE_FORMAT when it is no note.
 */
int note_open(const char *msg, size_t n, const struct note_key *k, size_t *text_len) KE_CHECK;

/* A signature by k over len bytes of text, as its line carries it. KE_CRYPTO. */
int note_verify(
    const struct note_key *k, const uint8_t *sig, size_t n, const char *text, size_t len) KE_CHECK;
/* The bytes of the note's first signature by k, not verified; KE_NOTFOUND, KE_FORMAT. */
int note_signature(const char *msg, size_t n, const struct note_key *k, uint8_t sig[NOTE_SIG_MAX],
    size_t *len) KE_CHECK;

/*
 * The key id of the note's first signature line by this name, so that the key can be looked up;
 * nothing is verified. KE_NOTFOUND when there is none, KE_FORMAT when it is no note.
 */
int note_signer(const char *msg, size_t n, const char *name, uint8_t id[4]) KE_CHECK;

/* The signature lines one by one; the pointers are into the note. Nothing is verified. */
struct note_lines {
	const char *p, *end;
	size_t seen;
};
struct note_line {
	const char *name, *b64;
	size_t name_len, b64_len;
};
/* As note_open(): KE_FORMAT when it is no note. */
int note_lines_begin(struct note_lines *l, const char *msg, size_t n, size_t *text_len) KE_CHECK;
/* KE_NOTFOUND behind the last one; KE_FORMAT for a line that is none, or one too many. */
int note_lines_next(struct note_lines *l, struct note_line *line) KE_CHECK;
/* The line's key id; KE_NOTFOUND when it is not by that name. */
int note_line_id(const struct note_line *line, const char *name, uint8_t id[4]) KE_CHECK;

#endif
