/*
 * One wrapper for each thing that we do with a key, with everything pinned that a caller could
 * get wrong. Runs in hsm, tlskey and keyadm.
 * Errors of all: KE_CRYPTO, KE_AGAIN or KE_UNAVAIL as ckr_class() says, with the call in p->call
 * and p->rv; a wrong size from the module is KE_UNAVAIL.
 */
#ifndef HSM_P11_OP_H
#define HSM_P11_OP_H

#include "hsm/p11/p11.h"

#define OP_IV_LEN     12
#define OP_TAG_LEN    16
#define OP_SEAL_EXTRA (OP_IV_LEN + OP_TAG_LEN)
#define OP_SEED_LEN   32
#define OP_SEED_BLOB  40 /* RFC 5649: 32 bytes padded to none, and 8 of integrity */

/*
 * C_GenerateRandom, and the kernel's generator over it: a token whose randomness repeats itself
 * neither repeats an IV nor gives a key that can be guessed. At most 64 bytes.
 */
int op_random(struct p11 *p, void *out, size_t n) KE_CHECK;

/* ECDSA over a digest by a P-256 or secp256k1 key; sig is r ‖ s, 32 bytes each. */
int op_sign_ecdsa(
    struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t digest[32], uint8_t sig[64]) KE_CHECK;
/* Ed25519 (RFC 8032, pure) over the message. */
int op_sign_ed25519(
    struct p11 *p, CK_OBJECT_HANDLE key, const void *msg, size_t n, uint8_t sig[64]) KE_CHECK;

/* HMAC-SHA256 */
int op_hmac(
    struct p11 *p, CK_OBJECT_HANDLE key, const void *in, size_t n, uint8_t out[32]) KE_CHECK;
/* The KDF of DRAW.md section 1 under a key of the token; context up to 400 bytes. */
int op_kdf(struct p11 *p, CK_OBJECT_HANDLE key, const char *label, const void *ctx, size_t n,
    uint8_t out[32]) KE_CHECK;

/*
 * AES-256-GCM (SP 800-38D), IV of 12 bytes from op_random, tag of 128 bits, aad never
 * empty. Sealed form: iv ‖ ciphertext ‖ tag; out has room for n + OP_SEAL_EXTRA bytes.
 */
int op_seal(struct p11 *p, CK_OBJECT_HANDLE key, const void *aad, size_t aadlen, const void *plain,
    size_t n, uint8_t *out) KE_CHECK;
/* out has room for n bytes; *len is what was sealed. A tampered value gives KE_CRYPTO or KE_AGAIN.
 */
int op_open(struct p11 *p, CK_OBJECT_HANDLE key, const void *aad, size_t aadlen,
    const uint8_t *sealed, size_t n, uint8_t *out, size_t *len) KE_CHECK;

/* A fresh 32-byte seed as a session object: sensitive, extractable only by wrapping. */
int op_seed_make(struct p11 *p, CK_OBJECT_HANDLE *seed) KE_CHECK;
/* AES key wrap with padding (RFC 5649), by the mechanism that learn_ways() has found. */
int op_seed_wrap(struct p11 *p, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE seed,
    uint8_t blob[OP_SEED_BLOB]) KE_CHECK;
/* reveal: the object's value may be read by op_seed_read. A tampered blob gives KE_CRYPTO or
 * KE_AGAIN. */
int op_seed_unwrap(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t blob[OP_SEED_BLOB],
    bool reveal, CK_OBJECT_HANDLE *seed) KE_CHECK;
int op_seed_read(struct p11 *p, CK_OBJECT_HANDLE seed, uint8_t out[OP_SEED_LEN]) KE_CHECK;
/*
 * SHA-256 of the seed, inside the token (C_DigestKey). KE_NOTFOUND, and p->has_digest_key becomes
 * false, when the module cannot; one that could before is KE_UNAVAIL.
 */
int op_seed_digest(struct p11 *p, CK_OBJECT_HANDLE seed, uint8_t out[32]) KE_CHECK;
int op_destroy(struct p11 *p, CK_OBJECT_HANDLE h) KE_CHECK;

#endif
