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
#define NOTE_SIGS_MAX 16

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

#endif
