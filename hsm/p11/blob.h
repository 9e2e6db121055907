/*
 * The text form of sealed and wrapped values: `klero:1:<class>:v<6 digits>:<base64url>`
 * (KEYS.md section 3), and class keys sealed under the master key. Runs in hsm and keyadm; reads
 * what the store holds and trusts none of it.
 */
#ifndef HSM_P11_BLOB_H
#define HSM_P11_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "hsm/p11/key.h"

#define BLOB_HEADER_MAX 40
#define BLOB_TEXT_MAX   512
#define BLOB_DATA_MAX   256

#define BLOB_DB      "db"
#define BLOB_SEED    "seed"
#define BLOB_DEPOSIT "deposit"

/*
 * "klero:1:<class>:v000001", also a part of what is authenticated with a sealed value, so that
 * there is one way to write it. KE_RANGE, KE_FULL.
 */
int blob_header(char out[BLOB_HEADER_MAX], const char *class, uint32_t version) KE_CHECK;

/* Writes the text with its NUL; KE_FULL, KE_RANGE. */
int blob_put(
    char *out, size_t cap, const char *class, uint32_t version, const void *p, size_t n) KE_CHECK;

/*
 * Reads a text of that class, strictly: KE_FORMAT for what blob_put would not write, KE_VERSION
 * for another format number. Says nothing about whether the key of *version exists.
 */
int blob_get(const char *text, size_t n, const char *class, uint32_t *version, uint8_t *data,
    size_t cap, size_t *len) KE_CHECK;

/* A 32-byte key that seals values of one class, itself sealed under a master key. */
struct blob_class {
	const char *name;         /* BLOB_DB, or a class key's purpose */
	uint32_t version;         /* 0 for the database key, which has none */
	const uint8_t *appliance; /* 16 bytes: it opens on this appliance alone */
};

/* Makes a class key with the token's randomness and seals it. */
int blob_make_class_key(struct p11 *p, const struct key *master, const struct blob_class *c,
    char *out, size_t cap) KE_CHECK;

/* Seals a class key that is there. */
int blob_seal_class_key(struct p11 *p, const struct key *master, const struct blob_class *c,
    const uint8_t plain[32], char *out, size_t cap) KE_CHECK;

/*
 * Opens a sealed class key into out. KE_FORMAT, KE_VERSION (no such master key), KE_CRYPTO or
 * KE_AGAIN (the seal is broken, or the device is), KE_UNAVAIL.
 */
int blob_open_class_key(struct p11 *p, const struct key_ring *ring, const struct blob_class *c,
    const char *text, size_t n, uint8_t out[32]) KE_CHECK;

#endif
