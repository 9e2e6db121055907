/*
 * Deposit keys as the old platform kept them: a text `v1:` and AES-256-GCM in base64, under a
 * 32-byte key that stood in its environment; inside, a private key as wallets write it. Read once,
 * by the import, inside hsm; kleroctl reads the 32-byte key. Pure; texts come from another
 * program's database and are trusted for nothing.
 */
#ifndef POLICY_LEGACY_H
#define POLICY_LEGACY_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/payout.h"

/*
 * The layouts behind `v1:`, by the words of kleroctl: one base64 text of iv (12 bytes, or 16), tag
 * (16) and ciphertext in one of two orders, or three base64 texts with colons between them, the iv
 * of either length.
 */
#define LEGACY_LAYOUTS(X)                                                                          \
	X(LEGACY_IV_TAG_TEXT, "iv-tag-text")                                                       \
	X(LEGACY_IV_TEXT_TAG, "iv-text-tag")                                                       \
	X(LEGACY_IV16_TAG_TEXT, "iv16-tag-text")                                                   \
	X(LEGACY_IV16_TEXT_TAG, "iv16-text-tag")                                                   \
	X(LEGACY_PARTS, "iv:tag:text")

enum legacy_layout {
#define X(name, word) name,
	LEGACY_LAYOUTS(X)
#undef X
	    LEGACY_LAYOUT_COUNT
};

extern const char *const legacy_words[LEGACY_LAYOUT_COUNT];

#define LEGACY_KEY_LEN  32
#define LEGACY_TEXT_MAX 384 /* of the ciphertext, and of what is inside */
#define LEGACY_MAX      640 /* of a whole value */

struct legacy {
	uint8_t iv[16], tag[16];
	size_t iv_len; /* 12 or 16 */
	uint8_t text[LEGACY_TEXT_MAX];
	size_t text_len;
};

/* Takes a value apart: KE_VERSION for a prefix other than v1:, KE_FORMAT. Nothing is decrypted. */
int legacy_parse(struct legacy *l, unsigned layout, const char *s, size_t n) KE_CHECK;

/* The old platform's key: base64 of 32 bytes, or 64 hex digits; a line's end may follow. KE_FORMAT.
 */
int legacy_key(uint8_t key[LEGACY_KEY_LEN], const char *s, size_t n) KE_CHECK;

/*
 * What was inside, as the 32 bytes that make the key: for EVM 64 hex digits, with or without 0x;
 * for Solana the 64-byte secret key (seed ‖ public key) in base58, or as a JSON array of numbers.
 * room holds 64 bytes, which are the caller's to wipe; the secret is its first half. KE_FORMAT;
 * KE_RANGE when it is a key of the other kind of chain. That a secret and its public half belong
 * together is the caller's to check: room[32..63] for Solana.
 */
int legacy_secret(uint8_t room[64], unsigned kind, const char *s, size_t n) KE_CHECK;

#endif
