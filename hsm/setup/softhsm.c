/*
 * SoftHSM's configuration file: see setup.h. Runs in kleroctl setup.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hsm/setup/setup.h"

static int write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, text, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return KE_IO;
		text += w;
		n -= (size_t)w;
	}
	return fsync(fd) == 0 ? KE_OK : KE_IO;
}

static int write_new(const char *path, const char *text, size_t n)
{
	/* no secret is in it, and the roles that load SoftHSM must read it */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r;

	if (fd < 0)
		return KE_IO;
	r = fchmod(fd, 0644) == 0 ? write_all(fd, text, n) : KE_IO;
	if (close(fd) != 0)
		r = KE_IO;
	return r;
}

int setup_softhsm_conf(const char *conf, const char *token_dir, char *why, size_t whylen)
{
	char text[1024], path[512];
	int n = snprintf(text, sizeof text,
	    "# written by kleroctl setup\n"
	    "directories.tokendir = %s\n"
	    "objectstore.backend = file\n"
	    "log.level = ERROR\n"
	    "slots.removable = false\n",
	    token_dir);
	int m = snprintf(path, sizeof path, "%s.new", conf);
	int r = KE_OK;

	if (n < 0 || n >= (int)sizeof text || m < 0 || m >= (int)sizeof path) {
		snprintf(why, whylen, "softhsm-conf: path too long");
		return KE_LONG;
	}
	r = write_new(path, text, (size_t)n);
	if (r == KE_OK && rename(path, conf) != 0)
		r = KE_IO;
	if (r != KE_OK)
		snprintf(why, whylen, "%.200s cannot be written: %s", conf, strerror(errno));
	return r;
}
