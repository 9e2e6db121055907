/*
 * What parent knows of each role: who talks to whom, when it starts, and how its
 * configuration is made. Runs in parent only.
 */
#ifndef DAEMON_PARENT_ROLES_H
#define DAEMON_PARENT_ROLES_H

#include "daemon/parent/parent.h"

/* Stages of the start: a role starts when all of lower stages are ready; the stop goes back. */
#define ROLES_STAGES 3
int roles_stage(enum role role);

/* Does it use a token's keys while it serves? */
bool roles_hold_keys(enum role role);

/* May these two have a channel (DESIGN.md section 2: no other edges)? */
bool roles_edge(enum role a, enum role b);

/*
 * Sends a fresh child its configuration, with PIN and certificate read again from their files,
 * and what else it starts with. On failure why is one line.
 */
int roles_configure(struct parent *p, struct child *c, char *why, size_t whylen) KE_CHECK;

#endif
