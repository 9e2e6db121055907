/*
 * What other answers of hsm need of server seeds. Runs in hsm: see seeds.c.
 */
#ifndef HSM_ROLE_SEEDS_H
#define HSM_ROLE_SEEDS_H

#include "hsm/p11/blob.h"
#include "hsm/role/hsm.h"

/*
 * A raffle's own wrapped seed as an object that cannot be read, which the caller destroys.
 * KE_DENIED when hsm has not made it for this raffle; the errors of unwrapping.
 */
int seeds_inside(struct hsm *h, const uint8_t raffle[16], const uint8_t *text, size_t n,
    CK_OBJECT_HANDLE *seed) KE_CHECK;

#endif
