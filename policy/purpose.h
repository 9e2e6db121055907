/*
 * What the appliance's long-lived keys are for (KEYS.md section 2): the one list. Pure; labels in
 * the token, proposals, kleroctl and metrics read it.
 */
#ifndef POLICY_PURPOSE_H
#define POLICY_PURPOSE_H

#include <stddef.h>

/* purpose, its word, what it does (for officers) */
#define PURPOSES(X)                                                                                \
	X(KEY_MASTER, "master", "seals the database key and the other class keys")                 \
	X(KEY_SEED, "seed", "wraps the server seeds of raffles")                                   \
	X(KEY_MAC, "mac", "authenticates refresh tokens and makes holder salts")                   \
	X(KEY_TOKEN, "token", "signs access tokens")                                               \
	X(KEY_LOG, "log", "signs draw records and checkpoints")                                    \
	X(KEY_TLS, "tls", "identifies this host to its clients")                                   \
	X(KEY_DATA, "data", "seals credentials and personal data")                                 \
	X(KEY_DEPOSIT25519, "deposit25519", "seals the Ed25519 keys of deposit addresses")         \
	X(KEY_DEPOSIT, "deposit", "wraps the secp256k1 keys of deposit addresses")

enum key_purpose {
#define X(name, word, does) name,
	PURPOSES(X)
#undef X
	    KEY_PURPOSES
};

extern const char *const purpose_words[KEY_PURPOSES];

/* What a key of that purpose does, after "the key that". */
const char *purpose_does(enum key_purpose p);

/* The purpose of a word of n characters, KEY_PURPOSES for none. */
enum key_purpose purpose_of(const char *word, size_t n);

#endif
