/*
 * Asking the operator for a password or another secret. Runs in kleroctl.
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
/* The same for a secret that is known already: asked for once, with these words. */
int ask_secret(const char *words, char *buf, size_t cap) KE_CHECK;
/* The first line of a file, without its LF, read without a copy in any buffer: KE_FORMAT. */
int ask_line(int fd, char *buf, size_t cap) KE_CHECK;

#endif
