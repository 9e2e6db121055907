/*
 * Does a key do what it should? A test of each with software as the other side, run after
 * generation (KEYS.md section 2, known-answer test) and at every start, where it also warms up
 * every code path that the sandbox is going to close behind us. And a canary: a value with a
 * known answer, which tells a bad row from a bad HSM when the module's answer does not.
 * Runs in hsm, tlskey and keyadm.
 */
#ifndef HSM_P11_PROVE_H
#define HSM_P11_PROVE_H

#include "hsm/p11/key.h"
#include "hsm/p11/op.h"

/*
 * One operation of each kind with the active key of every purpose in the set (bits 1 << KEY_x,
 * all of them there), each checked: signatures by OpenSSL and libsodium under the public key, the
 * MAC and the KDF against software over a revealed throw-away seed, sealing and wrapping by going
 * both ways and by refusing a changed bit, and for deposit a read. KE_DAMAGED when an answer is
 * wrong, KE_NOTFOUND when the module cannot keep deposit keys closed, KE_UNAVAIL.
 */
int prove_keys(struct p11 *p, const struct key_ring *ring, unsigned purposes) KE_CHECK;

struct canary {
	uint8_t sealed[32 + OP_SEAL_EXTRA];
	uint8_t wrapped[OP_SEED_BLOB];
	uint8_t commit[32]; /* SHA-256 of the wrapped seed */
};

/* Needs master and seed keys. */
int canary_make(struct p11 *p, const struct key_ring *ring, struct canary *c) KE_CHECK;

/*
 * After an operation under the master or the seed key came to r. One that speaks of the value, or
 * may: KE_UNAVAIL when the same operation does not work on the canary; when it does, KE_AGAIN for
 * the first time, and the caller tries the same once more, for the device may just have stumbled;
 * KE_CRYPTO for the second: the value is bad. Any other r comes back as it is. *tries begins at 0.
 */
int canary_judge(struct p11 *p, const struct key_ring *ring, const struct canary *c, int r,
    unsigned *tries) KE_CHECK;

#endif
