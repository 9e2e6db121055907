/*
 * Datagrams to a local socket that somebody else listens on: the service manager, the journal, a
 * syslog daemon. Runs in parent only; nothing is ever read from them.
 */
#ifndef DAEMON_PARENT_DGRAM_H
#define DAEMON_PARENT_DGRAM_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "policy/ke.h"

struct dgram {
	int fd;
	struct sockaddr_un to;
	socklen_t len;
};

/*
 * path is absolute, or begins with "@" (Linux's abstract sockets). Nothing is sent, and nobody
 * needs to listen yet. KE_LONG, KE_FORMAT, KE_IO.
 */
int dgram_open(struct dgram *d, const char *path) KE_CHECK;

/* One datagram, without waiting. KE_IO when nobody took it. */
int dgram_send(const struct dgram *d, const char *text, size_t n) KE_CHECK;

#endif
