/*
 * What other answers of hsm need of server seeds. Runs in hsm: see seeds.c.
 */
#ifndef HSM_ROLE_SEEDS_H
#define HSM_ROLE_SEEDS_H

#include "hsm/p11/blob.h"
#include "hsm/role/consent.h"

/*
 * A raffle's own wrapped seed as an object that cannot be read, which the caller destroys.
 * KE_DENIED when hsm has not made it for this raffle; the errors of unwrapping.
 */
int seeds_inside(struct hsm *h, const uint8_t raffle[16], const uint8_t *text, size_t n,
    CK_OBJECT_HANDLE *seed) KE_CHECK;

/* KE_OK: the v1 commitment is of a seed of that raffle, or of one that nobody has told of. */
int seed_owner(struct hsm *h, const uint8_t commit[32], const uint8_t raffle[16]) KE_CHECK;
/* KE_OK when the wrapped seed is the one of both commitments; it stays inside. */
int seed_is(struct hsm *h, const uint8_t raffle[16], const uint8_t commit1[32],
    const uint8_t commit2[32], const uint8_t *text, size_t n) KE_CHECK;
/* Unwraps it into memory that the caller wipes; KE_CRYPTO when it is not that of the commitment. */
int seed_value(struct hsm *h, const uint8_t commit1[32], const uint8_t *text, size_t n,
    uint8_t seed[32]) KE_CHECK;
/* Remembers, durably, that the seed is told for this draw; KE_DENIED when it was for another. */
int seed_told(struct hsm *h, const uint8_t raffle[16], const uint8_t commit[32],
    const uint8_t draw[32]) KE_CHECK;
/* Do the officers want this raffle drawn? KE_AUTH when they do not, or not any more. */
int seed_consent(struct hsm *h, const uint8_t raffle[16], const struct consent *c) KE_CHECK;

#endif
