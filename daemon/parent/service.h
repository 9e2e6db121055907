/*
 * What klerod and the service manager that has started it tell each other: the listening socket,
 * states, the watchdog. Without one nothing here does anything. Runs in parent only; trusts the
 * environment that it was started with, as it trusts who starts it.
 * Sources: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
 */
#ifndef DAEMON_PARENT_SERVICE_H
#define DAEMON_PARENT_SERVICE_H

#include "daemon/parent/parent.h"

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC. On failure why is one line. */
int service_open(struct parent *p, char *why, size_t whylen) KE_CHECK;

/*
 * The socket of LISTEN_FDS, which must listen where the configuration says; *fd is -1 when there is
 * none. The descriptor is p's. On failure why is one line that says what to change.
 */
int service_listener(const struct parent *p, int *fd, char *why, size_t whylen) KE_CHECK;

/* All roles are there and serve at url. */
void service_ready(struct parent *p, const char *url);

/* SIGHUP: around what it causes. */
void service_reloading(struct parent *p);
void service_reloaded(struct parent *p);

/*
 * Tells that the end has begun, what has changed, and, when it is time and every role that serves
 * answers parent's own watchdog, that all is well. Returns the time of its next one.
 */
int64_t service_tick(struct parent *p, int64_t now);

#endif
