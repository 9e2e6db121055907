/*
 * Files of the store's folder (db_file.h). Runs in engine at start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_file.h"

static int open_folder(const char *folder)
{
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A plain file below the folder, or KE_*; never through a symbolic link. */
static int open_file(const char *folder, const char *name, int *fd, struct stat *st)
{
	int dir = open_folder(folder);

	if (dir < 0)
		return errno == ENOENT ? KE_NOTFOUND : KE_IO;
	*fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int r = *fd >= 0 ? KE_OK : errno == ENOENT ? KE_NOTFOUND : KE_IO;
	close(dir);
	if (!r && (fstat(*fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(*fd);
		r = KE_IO;
	}
	return r;
}

int db_file_size(const char *folder, const char *name, int64_t *size)
{
	struct stat st;
	int fd;
	int r = open_file(folder, name, &fd, &st);

	if (r)
		return r;
	close(fd);
	*size = st.st_size;
	return KE_OK;
}

/* Up to n bytes, fewer only at the end of the file; -1 for an error. */
static ssize_t read_full(int fd, void *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = read(fd, (char *)buf + got, n - got);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

static int write_full(int fd, const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, (const char *)p + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return KE_IO;
		done += (size_t)k;
	}
	return KE_OK;
}

int db_file_read(const char *folder, const char *name, void *buf, size_t cap, size_t *n)
{
	struct stat st;
	int fd;
	int r = open_file(folder, name, &fd, &st);

	if (r)
		return r;
	ssize_t k = read_full(fd, buf, cap);
	close(fd);
	if (k < 0)
		return KE_IO;
	*n = (size_t)k;
	return st.st_size > (off_t)cap ? KE_LONG : KE_OK;
}

/* Where a file's new content comes from: memory, or a descriptor. */
struct source {
	const void *p;
	size_t n;
	int fd;
};

static int pour(int to, const struct source *s)
{
	char buf[65536];
	ssize_t k;

	if (s->p)
		return write_full(to, s->p, s->n);
	while ((k = read_full(s->fd, buf, sizeof buf)) > 0)
		if (write_full(to, buf, (size_t)k))
			return KE_IO;
	return k < 0 ? KE_IO : KE_OK;
}

static int replace(const char *folder, const char *name, const struct source *s)
{
	char aside[80];
	int r = KE_IO, fd = -1;
	int dir = open_folder(folder);

	if (dir < 0)
		return KE_IO;
	snprintf(aside, sizeof aside, "%s.part", name);
	fd = openat(dir, aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		goto out;
	if (pour(fd, s) || fsync(fd) < 0)
		goto undo;
	if (renameat(dir, aside, dir, name) < 0 || fsync(dir) < 0)
		goto undo;
	r = KE_OK;
	goto out;
undo:
	unlinkat(dir, aside, 0);
out:
	if (fd >= 0)
		close(fd);
	close(dir);
	return r;
}

int db_file_write(const char *folder, const char *name, const void *p, size_t n)
{
	const struct source s = {.p = p, .n = n, .fd = -1};
	return replace(folder, name, &s);
}

int db_file_copy(const char *folder, const char *from, const char *to)
{
	struct source s = {.fd = -1};
	struct stat st;
	int r = open_file(folder, from, &s.fd, &st);

	if (r)
		return r;
	r = replace(folder, to, &s);
	close(s.fd);
	return r;
}

int db_file_remove(const char *folder, const char *name)
{
	int dir = open_folder(folder), r = KE_IO;

	if (dir < 0)
		return r;
	if ((unlinkat(dir, name, 0) == 0 || errno == ENOENT) && fsync(dir) == 0)
		r = KE_OK;
	close(dir);
	return r;
}
