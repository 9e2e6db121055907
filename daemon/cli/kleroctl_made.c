/*
 * What setup makes, and how it takes it back: see kleroctl_made.h.
 */
#include "daemon/cli/kleroctl_made.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf/durable.h"

#define DEPTH 8 /* descriptors of a walk */

/* nftw's callback has no argument of ours. */
static struct {
	uid_t uid;
	gid_t gid;
} walk;

static int failed(char *why, size_t whylen, const char *path)
{
	snprintf(why, whylen, "%s: %s", path, strerror(errno));
	return KE_IO;
}

static void note(struct made *m, const char *path)
{
	if (m->n < MADE_MAX)
		snprintf(m->path[m->n++], MADE_PATH, "%s", path);
}

/* Without root all is the caller's already. */
static int give(int fd, const struct rconf_identity *owner)
{
	return owner != NULL && geteuid() == 0 ? fchown(fd, owner->uid, owner->gid) : 0;
}

int made_note(struct made *m, const char *path, char *why, size_t whylen)
{
	note(m, path);
	return durable_name(path) ? KE_OK : failed(why, whylen, path);
}

int made_folder(struct made *m, const char *path, mode_t mode, const struct rconf_identity *owner,
    char *why, size_t whylen)
{
	bool fresh = mkdir(path, 0700) == 0;
	int fd, r;

	if (!fresh && errno != EEXIST)
		return failed(why, whylen, path);
	if (fresh)
		note(m, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(why, whylen, path);
	r = give(fd, owner) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 && durable_name(path)
		? KE_OK
		: failed(why, whylen, path);
	close(fd);
	return r;
}

int made_file(struct made *m, const char *path, mode_t mode, const struct rconf_identity *owner,
    const void *text, size_t n, char *why, size_t whylen)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return failed(why, whylen, path);
	note(m, path);
	/* fsync last: it covers mode and owner too, without which engine could not read the file */
	r = durable_write(fd, text, n) && fchmod(fd, mode) == 0 && give(fd, owner) == 0 &&
		    fsync(fd) == 0 && durable_name(path)
		? KE_OK
		: failed(why, whylen, path);
	close(fd);
	return r;
}

static int give_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return lchown(path, walk.uid, walk.gid);
}

int made_give(const char *folder, const struct rconf_identity *owner, char *why, size_t whylen)
{
	if (geteuid() != 0)
		return KE_OK;
	walk.uid = owner->uid;
	walk.gid = owner->gid;
	return nftw(folder, give_one, DEPTH, FTW_PHYS) == 0 ? KE_OK : failed(why, whylen, folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void made_undo(struct made *m, const char *private_folder)
{
	while (m->n > 0) {
		const char *path = m->path[--m->n];
		int r = strcmp(path, private_folder) == 0
			    ? nftw(path, remove_one, DEPTH, FTW_PHYS | FTW_DEPTH)
			    : remove(path);

		if (r != 0)
			fprintf(stderr, "kleroctl: %s remains: %s\n", path, strerror(errno));
	}
}

void made_list(const struct made *m)
{
	for (size_t i = 0; i < m->n; i++)
		printf("made %s\n", m->path[i]);
}
