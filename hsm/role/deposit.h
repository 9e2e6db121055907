/*
 * A deposit key as engine hands it over: what its answers in hsm share. Runs in hsm: see hsm.h.
 */
#ifndef HSM_ROLE_DEPOSIT_H
#define HSM_ROLE_DEPOSIT_H

#include "hsm/p11/chainkey.h"
#include "hsm/role/hsm.h"
#include "policy/payout.h"

/* Views into the message. */
struct deposit {
	const uint8_t *pool; /* 16 bytes */
	unsigned kind;       /* enum payout_kind, by the public key's length */
	const uint8_t *pub;
	const uint8_t *text; /* n bytes: wrapped or sealed */
	size_t n;
};

/* raw[16] pool, u8 length, raw public key, str text. KE_PEER for another length. */
int deposit_get(struct wire_in *in, struct deposit *d) KE_CHECK;

/*
 * Unwraps an EVM key and signs sig->digest with it; good under the public key, or KE_CRYPTO.
 * KE_STATE when the token has no deposit key, KE_FORMAT, KE_VERSION.
 */
int deposit_sign(struct hsm *h, const struct deposit *d, struct chainkey_sig *sig) KE_CHECK;

/* Makes h->secrets->signer of the seed there: KE_CRYPTO when that is another public key's. */
int deposit_signer(struct hsm *h, const uint8_t pub[32]) KE_CHECK;
/*
 * Opens a Solana key into h->secrets->seed and signer; the caller wipes both by deposit_wipe(). It
 * is pub's, or KE_CRYPTO. KE_STATE, KE_FORMAT, KE_VERSION.
 */
int deposit_open(struct hsm *h, const struct deposit *d) KE_CHECK;
void deposit_wipe(struct hsm *h);

/*
 * Keeps the secret in h->secrets->seed, which is wiped, for a pool: its public key and what engine
 * is to store. KE_RANGE for what is no key, KE_STATE.
 */
int deposit_keep(struct hsm *h, const uint8_t pool[16], unsigned kind, uint8_t pub[PAYOUT_PUB_MAX],
    char *text, size_t cap) KE_CHECK;

/* The fields of a new key's answer, behind the result r. */
int deposit_tell(struct hsm *h, struct wire_out *w, int r, unsigned kind, const uint8_t *pub,
    const char *text) KE_CHECK;

/* Locked memory, and the key pair of imports. Once, before the sandbox: KE_NOMEM, KE_INTERNAL. */
int deposit_prepare(struct hsm *h) KE_CHECK;
/* The same, and a test of what an import needs. */
int import_prepare(struct hsm *h) KE_CHECK;

/* The active deposit key into *k: KE_STATE, logged with what to do. */
int deposit_active(struct hsm *h, const struct key **k) KE_CHECK;

#endif
