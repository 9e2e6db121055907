/*
 * Escrow of server seeds with officers (DRAW.md section 9, policy/escrow.h): whose keys they are
 * comes from hsm's own configuration, so that a captured engine names nobody. Runs in hsm.
 */
#ifndef HSM_ROLE_ESCROW_H
#define HSM_ROLE_ESCROW_H

#include "hsm/role/hsm.h"
#include "policy/escrow.h"
#include "policy/record2.h"

/*
 * Before the sandbox: reads the officers' keys of the configuration, shows the module that it can,
 * and goes through everything once. Nothing when there is no escrow. KE_FORMAT, KE_RANGE,
 * KE_EXISTS, KE_LIMIT, KE_NOTFOUND (the module cannot), with h->p.why.
 */
int escrow_prepare(struct hsm *h, const struct rconf_hsm *c) KE_CHECK;

/*
 * Does an open record promise what this appliance's configuration asks for, and a bundle that hsm
 * has made for that raffle? KE_DENIED.
 */
int escrow_vouch(struct hsm *h, const struct record2 *open) KE_CHECK;

#endif
