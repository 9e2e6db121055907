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

/* The active deposit key into *k: KE_STATE, logged with what to do. */
int deposit_active(struct hsm *h, const struct key **k) KE_CHECK;

#endif
