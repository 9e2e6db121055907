/*
 * The life of one child: start, messages, watchdog, death. Runs in parent only; trusts no child.
 */
#ifndef DAEMON_PARENT_CHILD_H
#define DAEMON_PARENT_CHILD_H

#include "daemon/parent/parent.h"

/* Makes the list of children that the configuration asks for; none is started. */
void child_list(struct parent *p);

/* Starts a process for a child that has none, and links it with its peers. */
void child_start(struct parent *p, struct child *c);

/* Ends it at once: why goes into the log as a security event, or as a warning. */
void child_kill(struct parent *p, struct child *c, enum log_level level, const char *why);

/* Tells it to finish; it is killed when it takes too long. */
void child_stop(struct parent *p, struct child *c);

/* Sends to a child; one that does not read what it is told is killed. */
void child_tell(
    struct parent *p, struct child *c, uint16_t type, const void *body, size_t len, int fd);

/* One message of a child on its control channel. */
void child_message(struct parent *p, struct child *c);

/* PING, deadlines and due starts; returns the time of its next one. */
int64_t child_tick(struct parent *p, struct child *c, int64_t now);

/* Takes leave of every child that has ended. */
void child_reap(struct parent *p);

#endif
