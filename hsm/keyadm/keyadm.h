/*
 * The approved actions of keyadm: the only code that writes a token. Runs in klerod-keyadm, inside
 * its sandbox. Trusts parent, which asks for one action, and the token.
 */
#ifndef HSM_KEYADM_KEYADM_H
#define HSM_KEYADM_KEYADM_H

#include "daemon/msg/rconf.h"
#include "hsm/p11/key.h"

/*
 * Both: the token is open read-write and logged in. They fill what the action made into done; on
 * failure p->why says what and why, and every key that the action had made is removed again.
 */

/* master, seed, mac, token and log keys, and the sealed database key. KE_EXISTS when there is a
 * key. */
int keyadm_provision_keys(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/* The TLS key and a self-signed certificate for it. */
int keyadm_provision_tls(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

#endif
