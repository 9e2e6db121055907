/*
 * One run of klerod-keyadm: kleroctl setup plays the parent's part. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_KEYADM_H
#define DAEMON_CLI_KLEROCTL_KEYADM_H

#include "daemon/cli/kleroctl.h"

/*
 * Has keyadm do one action on one token and waits for what it has made. text: the officers that
 * the action takes, or the present certificate, "" for none. The result is keyadm's; KE_TIMEOUT
 * when it does not answer, KE_CLOSED when it has ended without an answer (it has said why on
 * standard error), or that of the configuration's trouble. why is one line.
 */
int keyadm_act(const struct ctl *ctl, enum keyadm_action action, const struct conf_token *which,
    const uint8_t appliance[16], const char *text, struct rconf_keyadm_done *done, char *why,
    size_t whylen) KE_CHECK;

#endif
