/*
 * The files that the operator hands to the appliance: configuration, PINs, certificate. Runs in
 * parent and kleroctl, often as root, so it looks at what it has opened, not at a name.
 */
#include "daemon/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf/durable.h"

/* What is wrong with an opened file, in words; NULL when nothing is. */
static const char *flaw(const struct stat *st, bool secret)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to somebody else: chown it to root or to the user who starts "
		       "klerod";
	if ((st->st_mode & 022) != 0)
		return "can be written by others: chmod go-w";
	if (secret && (st->st_mode & 077) != 0)
		return "is a secret that others can read: chmod 0400";
	return NULL;
}

static int read_all(int fd, void *buf, size_t cap, size_t *n)
{
	uint8_t *p = buf;
	uint8_t one;
	ssize_t got;

	*n = 0;
	while (*n < cap && (got = read(fd, p + *n, cap - *n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return KE_IO;
		*n += (size_t)got;
	}
	return read(fd, &one, 1) == 0 ? KE_OK : KE_LONG;
}

int conf_file(
    const char *path, bool secret, void *buf, size_t cap, size_t *n, char *why, size_t whylen)
{
	/* O_NONBLOCK: a FIFO in its place must not hang us */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *wrong;
	struct stat st;
	int r = KE_DENIED;

	if (fd < 0) {
		snprintf(why, whylen, "%s: %s", path,
		    errno == ELOOP ? "is a symbolic link" : strerror(errno));
		return errno == ENOENT ? KE_NOTFOUND : KE_DENIED;
	}
	if (fstat(fd, &st) != 0) {
		snprintf(why, whylen, "%s: %s", path, strerror(errno));
		goto out;
	}
	wrong = flaw(&st, secret);
	if (wrong != NULL) {
		snprintf(why, whylen, "%s %s", path, wrong);
		goto out;
	}
	r = read_all(fd, buf, cap, n);
	if (r != KE_OK)
		snprintf(why, whylen, "%s: %s", path, ke_words(r));
out:
	close(fd);
	return r;
}

void conf_journal_folder(const struct conf *c, char path[RCONF_PATH + 16])
{
	snprintf(path, RCONF_PATH + 16, "%s-hsm", c->store);
}

/* An empty file in an own folder, both of which outlive a power cut. */
static int make_journal(const char *folder, const char *path)
{
	int fd;

	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return -1;
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && (fsync(fd) != 0 || !durable_name(path) || !durable_name(folder))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int conf_journal(const struct conf *c, char *why, size_t whylen)
{
	char folder[RCONF_PATH + 16], path[RCONF_PATH + 32];
	const char *wrong;
	struct stat st;
	int fd;

	conf_journal_folder(c, folder);
	snprintf(path, sizeof path, "%s/" CONF_JOURNAL, folder);
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		fd = make_journal(folder, path);
	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, whylen, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return KE_IO;
	}
	wrong = flaw(&st, true);
	if (wrong == NULL)
		return fd;
	snprintf(why, whylen, "%s %s", path, wrong);
	close(fd);
	return KE_DENIED;
}

int conf_read(struct conf *c, const char *path, char *why, size_t whylen)
{
	char text[CONF_FILE_MAX];
	size_t n;
	int r = conf_file(path, false, text, sizeof text, &n, why, whylen);

	return r == KE_OK ? conf_parse(c, path, text, n, why, whylen) : r;
}

int conf_pin(const char *path, char *pin, char *why, size_t whylen)
{
	size_t n = 0, len = 0;
	int r;

	memset(pin, 0, CONF_PIN_MAX + 1);
	r = conf_file(path, true, pin, CONF_PIN_MAX, &n, why, whylen);
	if (r != KE_OK)
		return r;
	while (len < n && pin[len] > ' ' && pin[len] < 0x7f)
		len++;
	if (len < 4 || (len < n && (pin[len] != '\n' || len + 1 != n))) {
		snprintf(why, whylen, "%s: a PIN is one line of 4 to %d printable characters", path,
		    CONF_PIN_MAX - 1);
		sodium_memzero(pin, CONF_PIN_MAX + 1);
		return KE_FORMAT;
	}
	pin[len] = '\0';
	return KE_OK;
}
