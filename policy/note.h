/*
 * C2SP signed notes (c2sp.org/signed-note), Ed25519 signatures of type 0x01 and verifier keys.
 * Pure: verification only; the HSM signs. A note is text ‖ LF ‖ signature lines
 * "— <name> <base64(key id ‖ signature)>".
 */
#ifndef POLICY_NOTE_H
#define POLICY_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define NOTE_NAME_MAX 255
#define NOTE_SIGS_MAX 64 /* a log's and 32 witnesses', with room for keys that turn over */

struct note_key {
	char name[NOTE_NAME_MAX + 1];
	uint8_t id[4];
	uint8_t pub[32];
};

/* First 4 bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key). */
void note_key_id(uint8_t id[4], const char *name, const uint8_t pub[32]);
/* "<name>+<8 hex>+<base64(01 ‖ public key)>"; KE_FULL. */
int note_vkey(const char *name, const uint8_t pub[32], char *out, size_t cap) KE_CHECK;
int note_vkey_parse(struct note_key *k, const char *s, size_t n) KE_CHECK;

/* One signature line with its LF; KE_FULL. */
int note_sig_line(const char *name, const uint8_t id[4], const uint8_t sig[64], char *out,
    size_t cap, size_t *len) KE_CHECK;

/*
 * Splits and verifies a note: *text_len bytes of msg (its final LF included) are what was signed.
 * KE_OK when a signature by k verifies; KE_NOTFOUND when there is none by k, KE_CRYPTO when it is
 * wrong, KE_FORMAT when it is no note.
 */
int note_open(const char *msg, size_t n, const struct note_key *k, size_t *text_len) KE_CHECK;

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
