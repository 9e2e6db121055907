/*
 * JSON for people: what a running appliance answers, as lines and tables in a terminal. Runs in
 * kleroctl; trusts the text for nothing, for names of strangers may stand in it.
 */
#ifndef DAEMON_CLI_KLEROCTL_SHOW_H
#define DAEMON_CLI_KLEROCTL_SHOW_H

#include <stdio.h>

#include "policy/ke.h"

/*
 * Writes one JSON value: an object as a line for each plain member, an array of objects as a table,
 * or as one block of lines for each where a text has several. Control characters become spaces, so
 * that nothing but text reaches the terminal. KE_FORMAT, KE_LIMIT, KE_NOMEM: nothing was written.
 */
int show_json(FILE *to, const char *text, size_t n) KE_CHECK;

#endif
