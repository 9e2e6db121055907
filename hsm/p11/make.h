/*
 * Generation of long-lived keys. Runs in keyadm only, in a read-write session; hsm and tlskey do
 * not link it.
 */
#ifndef HSM_P11_MAKE_H
#define HSM_P11_MAKE_H

#include "hsm/p11/key.h"

/*
 * Generates the key (or pair) of that purpose and version in the token with the attributes of
 * KEYS.md section 2, finds it again by its label, checks what the token made of it and reads its
 * public half. KE_DAMAGED when the token made something else, KE_NOTFOUND when the module does not
 * know CKA_UNWRAP_TEMPLATE, which a deposit key must have, KE_UNAVAIL.
 *
 * One attribute is a choice: SoftHSM copies no key into a session whose CKA_MODIFIABLE is false,
 * and the copies are what lets hsm close the file system. Such a module's keys are made
 * modifiable (k->modifiable says so): hsm's sessions are read-only, SENSITIVE and EXTRACTABLE
 * only ever tighten, and the usage flags are checked at every start. Another is the log key's kind:
 * NSS softoken 3.110 makes Ed25519 keys and copies none out of its database; it is P-256 there.
 */
int make_key(struct p11 *p, enum key_purpose purpose, uint32_t version, struct key *k) KE_CHECK;

/* Destroys a key, and the public half of a pair, for ever. KE_UNAVAIL. */
int make_destroy(struct p11 *p, const struct key *k) KE_CHECK;

/* Removes a key that this run has made: the way back from a provisioning that failed half-way. */
void make_undo(struct p11 *p, const struct key *k);

#endif
