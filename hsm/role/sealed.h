/*
 * Sealed values: numerous small secrets that engine keeps and cannot read (KEYS.md section 3).
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, by libsodium) under a class key, in hsm's own
 * memory. Text form `klero:1:<class>:v<version>:<base64url of nonce ‖ ciphertext ‖ tag>`, bound to
 * the place that it stands in, so that it does not open anywhere else. Runs in hsm; the text comes
 * from engine, and is not trusted at all.
 */
#ifndef HSM_ROLE_SEALED_H
#define HSM_ROLE_SEALED_H

#include "hsm/p11/blob.h"
#include "hsm/role/hsm.h"

#define SEALED_PLAIN_MAX 1024
#define SEALED_EXTRA     40 /* nonce of 24 bytes, tag of 16 */
#define SEALED_TEXT_MAX  (BLOB_HEADER_MAX + (SEALED_PLAIN_MAX + SEALED_EXTRA + 2) / 3 * 4 + 2)

/* Where a value stands. */
struct sealed_place {
	enum key_purpose class;
	const char *table, *column;
	const uint8_t *row; /* its id, row_len bytes, up to 64 */
	size_t row_len;
	/* SHA-256 of the public key or the commitment that the value belongs to; NULL: it has none
	 */
	const uint8_t *bound;
};

/* Seals under the active version, with a random nonce. KE_LONG, KE_FULL, KE_NOTFOUND. */
int sealed_seal(const struct hsm *h, const struct sealed_place *at, const void *plain, size_t n,
    char *out, size_t cap) KE_CHECK;

/*
 * Opens into out, which has room for cap bytes. The version in the header decides which key, and
 * no other is tried. KE_FORMAT: not a value of this class; KE_VERSION: no such version; KE_LONG;
 * KE_CRYPTO: altered, or of another place. Each is logged with the row, and out is wiped.
 */
int sealed_open(const struct hsm *h, const struct sealed_place *at, const char *text, size_t n,
    uint8_t *out, size_t cap, size_t *len) KE_CHECK;

#endif
