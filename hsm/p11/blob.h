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

#define BLOB_HEADER_MAX 32
#define BLOB_TEXT_MAX   512
#define BLOB_DATA_MAX   256

#define BLOB_DB   "db"
#define BLOB_SEED "seed"

/* Writes the text with its NUL; KE_FULL, KE_RANGE. */
int blob_put(
    char *out, size_t cap, const char *class, uint32_t version, const void *p, size_t n) KE_CHECK;

/*
 * Reads a text of that class, strictly: KE_FORMAT for what blob_put would not write, KE_VERSION
 * for another format number. Says nothing about whether the key of *version exists.
 */
int blob_get(const char *text, size_t n, const char *class, uint32_t *version, uint8_t *data,
    size_t cap, size_t *len) KE_CHECK;

/* Makes a 32-byte class key with the token's randomness and seals it under the active master key.
 */
int blob_make_class_key(struct p11 *p, const struct key_ring *ring, const char *class,
    const uint8_t appliance[16], char *out, size_t cap) KE_CHECK;

/* Seals a class key that was opened under an older master key. */
int blob_seal_class_key(struct p11 *p, const struct key_ring *ring, const char *class,
    const uint8_t appliance[16], const uint8_t plain[32], char *out, size_t cap) KE_CHECK;

/*
 * Opens a sealed class key into out. KE_FORMAT, KE_VERSION (no such master key), KE_CRYPTO or
 * KE_AGAIN (the seal is broken, or the device is), KE_UNAVAIL.
 */
int blob_open_class_key(struct p11 *p, const struct key_ring *ring, const char *class,
    const uint8_t appliance[16], const char *text, size_t n, uint8_t out[32]) KE_CHECK;

#endif
