/*
 * A staged store, looked at by hsm and engine themselves, whom kleroctl starts in parent's place.
 * Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_CHECK_H
#define DAEMON_CLI_KLEROCTL_CHECK_H

#include "daemon/cli/kleroctl.h"

/*
 * Calls each for every finding, as it comes: r is KE_OK, or what ends it. orders: RCONF_CHECK and
 * the like. Returns KE_OK, the first bad finding's error, or that of a role that cannot be started
 * or has ended without a word (why is one line then, "" otherwise).
 */
int check_store(const struct ctl *ctl, const char *folder, uint8_t orders,
    int (*each)(void *arg, int r, const char *what, const char *words), void *arg, char *why,
    size_t whylen) KE_CHECK;

#endif
