/*
 * The approved actions of keyadm: the only code that writes a token. Runs in klerod-keyadm, inside
 * its sandbox. Trusts parent, which asks for one action, and the token.
 */
#ifndef HSM_KEYADM_KEYADM_H
#define HSM_KEYADM_KEYADM_H

#include "daemon/msg/rconf.h"
#include "hsm/p11/key.h"

/*
 * All: the token is open read-write and logged in. They fill what the action made into done; on
 * failure p->why says what and why, and every key that the action had made is removed again.
 */

/* master, seed, mac, token, log and deposit keys, and the sealed database key. KE_EXISTS when there
 * is a key. */
int keyadm_provision_keys(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/* The TLS key and a self-signed certificate for it. */
int keyadm_provision_tls(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/* A certificate request (PKCS #10) of the TLS key that the certificate c->cert_pem is for, or, when
 * it is for none, of the newest. Nothing is made in the token. */
int keyadm_request(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/* The first officers, c->text, of a token that has none. KE_EXISTS when it has. */
int keyadm_enrol(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/*
 * Makes version 1 of every purpose of hsm's that the anchor has never known, for a token that an
 * older program has made; an anchor for c->appliance_id when there is none. KE_UNAVAIL.
 */
int keyadm_complete(
    struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done) KE_CHECK;

/*
 * What the proposal c->text says, when the approvals count: the errors of proposal_count(),
 * KE_STATE when the keys are not in the state for it, KE_DAMAGED, KE_UNAVAIL. tls is the token of
 * the TLS key, open in the same way, or NULL when the proposal is not about it.
 */
int keyadm_approved(struct p11 *p, struct p11 *tls, const struct rconf_keyadm *c,
    struct rconf_keyadm_done *done) KE_CHECK;

#endif
