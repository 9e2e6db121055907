/*
 * One run of klerod-keyadm: kleroctl setup plays the parent's part. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_KEYADM_H
#define DAEMON_CLI_KLEROCTL_KEYADM_H

#include "daemon/cli/kleroctl.h"

/*
 * Starts keyadm with this configuration and waits for what it has made. The result is keyadm's;
 * KE_TIMEOUT when it does not answer, KE_CLOSED when it has ended without an answer (it has said
 * why on standard error). why is one line.
 */
int keyadm_run(const struct ctl *ctl, const struct rconf_keyadm *k, struct rconf_keyadm_done *done,
    char *why, size_t whylen) KE_CHECK;

#endif
