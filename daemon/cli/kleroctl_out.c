/*
 * Whole files: see kleroctl_out.h. Where the file system can (O_TMPFILE) the file has no name until
 * it is finished, so that not even a kill leaves anything behind.
 */
#include "daemon/conf/durable.h"
#include "daemon/cli/kleroctl_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYNC_BYTES ((uint64_t)8 << 20)

static bool is_stdout(const struct out *o)
{
	return strcmp(o->path, "-") == 0;
}

static int folder_of(struct out *o)
{
	const char *slash = strrchr(o->path, '/');
	int n = slash == NULL ? 1 : slash == o->path ? 1 : (int)(slash - o->path);

	if (snprintf(o->folder, sizeof o->folder, "%.*s", n, slash == NULL ? "." : o->path) >=
	    (int)sizeof o->folder)
		return KE_LONG;
	return snprintf(o->aside, sizeof o->aside, "%s.part", o->path) < (int)sizeof o->aside
		   ? KE_OK
		   : KE_LONG;
}

int out_open(struct out *o, const char *path)
{
	int r;

	*o = (struct out){.fd = -1, .path = path};
	if (is_stdout(o)) {
		o->fd = STDOUT_FILENO;
		return KE_OK;
	}
	r = folder_of(o);
	if (r != KE_OK)
		return r;
	if (access(path, F_OK) == 0)
		return KE_EXISTS;
	o->fd = open(o->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (o->fd >= 0) {
		o->aside[0] = '\0';
		return KE_OK;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return KE_IO;
	o->fd = open(o->aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return o->fd >= 0 ? KE_OK : KE_IO;
}

int out_write(struct out *o, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t k = write(o->fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return KE_IO;
		at += k;
		n -= (size_t)k;
		o->written += (uint64_t)k;
	}
	if (is_stdout(o) || o->written - o->synced < SYNC_BYTES)
		return KE_OK;
	o->synced = o->written;
	return fdatasync(o->fd) == 0 ? KE_OK : KE_IO;
}

/* Never over a file that has come there meanwhile. */
static int give_name(struct out *o)
{
	char self[64];

	if (o->aside[0] == '\0') {
		snprintf(self, sizeof self, "/proc/self/fd/%d", o->fd);
		return linkat(AT_FDCWD, self, AT_FDCWD, o->path, AT_SYMLINK_FOLLOW);
	}
	if (link(o->aside, o->path) != 0)
		return -1;
	return unlink(o->aside);
}

int out_commit(struct out *o)
{
	int r = KE_IO;

	if (is_stdout(o)) {
		/* a pipe cannot be synced, a file that the shell has opened can */
		if (fsync(o->fd) == 0 || errno == EINVAL || errno == EROFS)
			r = KE_OK;
		o->fd = -1;
		return r;
	}
	if (fsync(o->fd) == 0 && give_name(o) == 0)
		r = durable_folder(o->folder) ? KE_OK : KE_IO;
	else if (errno == EEXIST)
		r = KE_EXISTS;
	if (r == KE_OK)
		o->aside[0] = '\0';
	out_abandon(o);
	return r;
}

void out_abandon(struct out *o)
{
	if (o->fd >= 0 && !is_stdout(o)) {
		int error = errno;

		close(o->fd);
		if (o->aside[0] != '\0')
			unlink(o->aside);
		errno = error;
	}
	o->fd = -1;
}
