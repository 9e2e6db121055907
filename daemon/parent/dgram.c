/*
 * Datagrams to a local socket: see dgram.h. The address is looked up with each one, so that a
 * daemon that was started anew is found.
 */
#include "daemon/parent/dgram.h"

#include <string.h>

int dgram_open(struct dgram *d, const char *path)
{
	size_t n = strlen(path);

	*d = (struct dgram){.fd = -1, .to.sun_family = AF_UNIX};
	if (n < 2 || (path[0] != '/' && path[0] != '@'))
		return KE_FORMAT;
	if (n >= sizeof d->to.sun_path)
		return KE_LONG;
	memcpy(d->to.sun_path, path, n);
	if (path[0] == '@')
		d->to.sun_path[0] = '\0';
	/* an abstract name ends with its length, a path with a NUL */
	d->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/' ? 1 : 0));
	d->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return d->fd < 0 ? KE_IO : KE_OK;
}

int dgram_send(const struct dgram *d, const char *text, size_t n)
{
	ssize_t sent = sendto(
	    d->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&d->to, d->len);

	return sent == (ssize_t)n ? KE_OK : KE_IO;
}
