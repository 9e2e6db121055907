/*
 * Asking the operator for a password. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_ASK_H
#define DAEMON_CLI_KLEROCTL_ASK_H

#include <stddef.h>

#include "policy/ke.h"

/*
 * From a terminal: twice, without echo; KE_CONFLICT when they differ. Otherwise the first line of
 * standard input. KE_FORMAT when it is empty or does not fit; buf is the caller's to wipe.
 */
int ask_password(char *buf, size_t cap) KE_CHECK;

#endif
