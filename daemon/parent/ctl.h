/*
 * The control socket: accepts a client, asks the kernel who it is, and hands it to engine. Parent
 * never reads from it. Runs in parent only.
 */
#ifndef DAEMON_PARENT_CTL_H
#define DAEMON_PARENT_CTL_H

#include "daemon/parent/parent.h"

/* Makes <run-dir>/ctl.sock, mode 0600. Refuses when another klerod answers there. */
int ctl_open(struct parent *p, char *why, size_t whylen) KE_CHECK;

/* Does a klerod with this run folder live? */
bool ctl_is_served(const struct parent *p);

/* One client: root or our own user, or nobody. */
void ctl_accept(struct parent *p);

/* Removes the socket's name. */
void ctl_close(struct parent *p);

#endif
