/*
 * The log: parent's own lines and those of the roles, each with time and origin, to the log file
 * or to standard error. Runs in parent only; trusts no role with the form of a line.
 */
#ifndef DAEMON_PARENT_LOGS_H
#define DAEMON_PARENT_LOGS_H

#include "daemon/parent/parent.h"

/* One line of parent's own. */
void logs_say(struct parent *p, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A fresh child, with nothing said yet. */
void logs_begin(struct child *c);

/* Reads what a child has written to its descriptor 2; with end set, also an unfinished line. */
void logs_read(struct parent *p, struct child *c, bool end);

#endif
