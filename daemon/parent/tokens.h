/*
 * What parent knows of the two tokens: which PIN each has refused, so that none is tried twice, and
 * which keys have served, so that another token is not taken for this one. Engine is told how they
 * are, for /health and kleroctl status. Runs in parent only. PINs are kept as keyed hashes, whose
 * key dies with the process.
 */
#ifndef DAEMON_PARENT_TOKENS_H
#define DAEMON_PARENT_TOKENS_H

#include "daemon/parent/parent.h"

/* A PIN is about to go to a role: KE_AUTH when the token has refused it, KE_LIMIT when the token
 * has locked its PIN. role: ROLE_HSM for klero-keys, ROLE_TLSKEY for klero-tls, whoever logs in. */
int tokens_pin(
    struct parent *p, enum role role, const char *pin, char *why, size_t whylen) KE_CHECK;

/* How a process that had PINs has ended: an exit status of hsm/role/exit.h. */
void tokens_ended(struct parent *p, enum role role, int status);

/* hsm or tlskey is ready, and these are its keys (MSG_HSM_READY): false when that is malformed. */
bool tokens_ready(struct parent *p, const struct child *c, const struct msg *m);

/* The keys that served last, for the next process. */
void tokens_expect(const struct parent *p, enum role role, struct rconf_hsm *c);

/* Would the PIN that was given last be refused again? */
bool tokens_barred(const struct parent *p, enum role role);

/* The operator says that something has changed: locked PINs may have been unlocked, files written
 * anew. Who waits for that is started. */
void tokens_again(struct parent *p);

/* Engine is told when something has changed; a fresh one always. */
void tokens_tell(struct parent *p, bool always);

#endif
