/*
 * Escrow of a server seed (DRAW.md section 9): for each m of the n escrow officers the seed, closed
 * to the first, the result to the next, and so on. The bundle of all of these is public. Pure: hsm
 * makes bundles, officers and auditors read them from strangers; the keys are RSA and not those
 * that officers sign with.
 *
 * The text is JSON in the one form that escrow_text() writes:
 *	{"format": "kleroterion-escrow/1",
 *	 "raffle": 32 hex digits, "seed_commit": 64 hex digits (DRAW.md section 2),
 *	 "wrap": "rsa-oaep-sha256" or "rsa-oaep-sha1", as far as the HSM's module goes,
 *	 "threshold": m,
 *	 "officers": [base64 of the SubjectPublicKeyInfo in DER, …],   numbered from 0
 *	 "shares": [{"officers": [0, 1], "sealed": base64}, …]}
 * with a share for each m of them, in rising order of the numbers whose bits are the officers'.
 *
 * A share for the officers a < b < c has a layer for each, c's outermost:
 *	a	RSAES-OAEP (RFC 8017) of the 32 bytes of the seed, with the hash that "wrap" names
 *in both its places and an empty label: made inside the HSM, where the seed is b, c
 *RSAES-OAEP with SHA-256 of a fresh 32-byte key ‖ 12 bytes of IV ‖ AES-256-GCM of the layer below ‖
 *its tag of 16 bytes; associated data: T("kleroterion/v2/escrow") ‖ raffle ‖ seed_commit ‖ u16 the
 *share's bits ‖ u8 how many layers lie below
 */
#ifndef POLICY_ESCROW_H
#define POLICY_ESCROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define ESCROW_FORMAT       "kleroterion-escrow/1"
#define ESCROW_OFFICERS_MAX 16
#define ESCROW_SHARES_MAX   256
#define ESCROW_BITS_MIN     3072 /* of a modulus */
#define ESCROW_BITS_MAX     4096
#define ESCROW_MODULUS_MAX  (ESCROW_BITS_MAX / 8)
#define ESCROW_DER_MAX      560
#define ESCROW_PEM_MAX      1024
#define ESCROW_TEXT_MAX     65000 /* so that it fits into one message */
#define ESCROW_SEED         32
#define ESCROW_IV           12
#define ESCROW_TAG          16
#define ESCROW_SHARE_MAX    (ESCROW_OFFICERS_MAX * (ESCROW_MODULUS_MAX + ESCROW_IV + ESCROW_TAG))
#define ESCROW_AAD          (22 + 16 + 32 + 2 + 1)

struct escrow_key {
	uint8_t der[ESCROW_DER_MAX]; /* SubjectPublicKeyInfo */
	size_t len;
	size_t modulus; /* bytes: of what is encrypted to it */
};

struct escrow_officers {
	unsigned m, n; /* n 0: no escrow */
	struct escrow_key key[ESCROW_OFFICERS_MAX];
};

enum escrow_wrap { ESCROW_OAEP_SHA256, ESCROW_OAEP_SHA1, ESCROW_WRAPS };

struct escrow_share {
	unsigned officers; /* bits */
	size_t at, len;    /* in data */
};

/* 64 KiB: for the heap. */
struct escrow {
	uint8_t raffle[16], seed_commit[32];
	unsigned wrap; /* enum escrow_wrap */
	struct escrow_officers officers;
	size_t nshares, used;
	struct escrow_share share[ESCROW_SHARES_MAX];
	uint8_t data[ESCROW_TEXT_MAX / 4 * 3];
};

/*
 * An RSA public key of ESCROW_BITS_MIN to _MAX bits with the exponent 65537, as PEM ("PUBLIC KEY")
 * or DER. KE_FORMAT: it is none; KE_RANGE: another size or exponent.
 */
int escrow_key_pem(struct escrow_key *k, const char *pem, size_t n) KE_CHECK;
int escrow_key_der(struct escrow_key *k, const uint8_t *der, size_t n) KE_CHECK;

/*
 * Can there be a bundle for them: 1 ≤ m ≤ n, every key once, at most ESCROW_SHARES_MAX shares, a
 * text of at most ESCROW_TEXT_MAX? KE_RANGE, KE_EXISTS, KE_LIMIT.
 */
int escrow_officers_check(const struct escrow_officers *o) KE_CHECK;

/* The first m of n, then the next ones; 0 when there are no more. */
unsigned escrow_first(const struct escrow_officers *o);
unsigned escrow_next(const struct escrow_officers *o, unsigned share);
/* The officer of a share's outermost layer, of those that are left (not 0). */
unsigned escrow_last(unsigned officers);
/* How many bytes a share has while these of its officers' layers are left. */
size_t escrow_layers_len(const struct escrow_officers *o, unsigned left);

/* The associated data of the layer that has `below` others under it. */
void escrow_aad(uint8_t out[ESCROW_AAD], const struct escrow *e, unsigned share, unsigned below);

/* Writes the text, and sets the shares' places in data; *len without a NUL. KE_FULL; KE_RANGE for
 * what has none. */
int escrow_text(struct escrow *e, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict: KE_FORMAT for what escrow_text() would not write, escrow_officers_check()'s errors. */
int escrow_parse(struct escrow *e, const char *text, size_t n) KE_CHECK;

#endif
