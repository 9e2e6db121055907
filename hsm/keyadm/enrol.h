/*
 * The first anchor of a token, with or without officers. Runs in klerod-keyadm.
 */
#ifndef HSM_KEYADM_ENROL_H
#define HSM_KEYADM_ENROL_H

#include "daemon/msg/rconf.h"
#include "hsm/p11/key.h"

/*
 * Writes an anchor that names the keys of the ring, version 1 of the TLS key in its own token, and
 * the officers of c->text (policy/anchor.h; "" for none). made_s is when the keys were made, in
 * Unix seconds, 0 for keys of before anchors. KE_FORMAT, KE_UNAVAIL, p->why.
 */
int enrol_anchor(struct p11 *p, const struct key_ring *ring, const struct rconf_keyadm *c,
    uint64_t made_s) KE_CHECK;

#endif
