/*
 * A file of security officers, for enrolment, proposals and setup. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_OFFICERS_H
#define DAEMON_CLI_KLEROCTL_OFFICERS_H

#include "daemon/cli/kleroctl.h"

/*
 * The canonical text (policy/anchor.h) of the officers in a file ("-": standard input) of whom so
 * many must agree. CTL_OK, or a status whose words were said.
 */
int officers_file(const char *threshold, const char *path, char text[RCONF_KEYADM_TEXT]);

#endif
