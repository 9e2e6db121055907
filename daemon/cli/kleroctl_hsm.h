/*
 * A look at one token of the configuration by hsm/check, for doctor. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_HSM_H
#define DAEMON_CLI_KLEROCTL_HSM_H

#include "daemon/cli/kleroctl.h"
#include "hsm/p11/p11.h"

/*
 * Logs in once, in a child, and tries what the keys need. CTL_OK when the token can be used; words
 * is one line in any case.
 */
int hsm_look(struct ctl *ctl, enum p11_need what, char *words, size_t len);

#endif
