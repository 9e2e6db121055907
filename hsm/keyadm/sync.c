/*
 * fsync of a token folder, which is two levels deep: see sync.h. Runs in klerod-keyadm.
 */
#include "hsm/keyadm/sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Opens an entry of a folder, or the folder itself for name ".". */
static int open_entry(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Calls visit for each entry, then syncs the folder. dir is closed. */
static int each(int dir, int (*visit)(int fd))
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	int r = KE_OK;

	if (d == NULL) {
		close(dir);
		return KE_IO;
	}
	while (r == KE_OK && (e = readdir(d)) != NULL) {
		int fd = is_dots(e->d_name) ? -1 : open_entry(dirfd(d), e->d_name);

		if (fd >= 0)
			r = visit(fd);
		else if (!is_dots(e->d_name))
			r = KE_IO;
	}
	if (r == KE_OK && fsync(dirfd(d)) != 0)
		r = KE_IO;
	closedir(d);
	return r;
}

static int sync_file(int fd)
{
	int r = fsync(fd) == 0 ? KE_OK : KE_IO;

	close(fd);
	return r;
}

static int sync_entry(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return each(fd, sync_file);
	return sync_file(fd);
}

int sync_folder(struct p11 *p, const char *folder)
{
	int fd, r;

	if (folder[0] == '\0')
		return KE_OK;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? KE_IO : each(fd, sync_entry);
	if (r != KE_OK)
		return p11_fail(p, r, "token folder %.160s cannot be made durable: %s", folder,
		    strerror(errno));
	return KE_OK;
}
