/*
 * What parent does before it has children: checks, rights, descriptors. Runs in parent only.
 */
#ifndef DAEMON_PARENT_SETUP_H
#define DAEMON_PARENT_SETUP_H

#include "daemon/parent/parent.h"

/*
 * Are the things there that the configuration names, and do they belong to the right users?
 * Changes nothing. On failure why is one line that names the thing and what to do.
 */
int setup_check(struct parent *p, char *why, size_t whylen) KE_CHECK;

/* Could it listen? A try that leaves nothing; true, too, where a klerod of ours does already. */
int setup_try(struct parent *p, char *why, size_t whylen) KE_CHECK;

/* Opens log, sockets, limits and signals. */
int setup_open(struct parent *p, char *why, size_t whylen) KE_CHECK;

/*
 * Cuts the capabilities of root to the five that parent and its children's start need, for good.
 * Without root it does nothing.
 */
int setup_capabilities(char *why, size_t whylen) KE_CHECK;

#endif
