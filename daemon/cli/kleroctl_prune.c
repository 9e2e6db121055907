/*
 * The oldest backups go: see kleroctl_prune.h.
 */
#include "daemon/cli/kleroctl_prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN 255

/* The form of the time in a name, a digit for each 0; names sort as their times do. */
static const char form[] = "00000000T000000Z";

static void prefix(const struct conf *c, char text[RCONF_PATH + 8])
{
	snprintf(text, RCONF_PATH + 8, "klero-%s-", c->host);
}

void prune_name(const struct conf *c, time_t now, char path[PRUNE_PATH])
{
	char start[RCONF_PATH + 8], when[24];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
	prefix(c, start);
	snprintf(path, PRUNE_PATH, "%s/%s%s", c->backup_folder, start, when);
}

/* One that prune_name() has made: another host's name may begin like ours. */
static bool is_ours(const char *start, const char *name)
{
	size_t n = strlen(start);

	if (strncmp(name, start, n) != 0 || strlen(name + n) != sizeof form - 1)
		return false;
	for (size_t i = 0; i < sizeof form - 1; i++) {
		char c = name[n + i];

		if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
			return false;
	}
	return true;
}

/* How many there are, and the oldest one's name. */
static uint32_t look(DIR *dir, const char *start, char oldest[NAME_MAX_LEN + 1])
{
	const struct dirent *e;
	uint32_t n = 0;
	struct stat st;

	rewinddir(dir);
	while ((e = readdir(dir)) != NULL) {
		if (!is_ours(start, e->d_name) ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (n++ == 0 || strcmp(e->d_name, oldest) < 0)
			snprintf(oldest, NAME_MAX_LEN + 1, "%s", e->d_name);
	}
	return n;
}

int prune(const struct conf *c, uint32_t *gone, char *why, size_t whylen)
{
	char start[RCONF_PATH + 8], oldest[NAME_MAX_LEN + 1] = "";
	DIR *dir = opendir(c->backup_folder);
	int r = KE_OK;

	*gone = 0;
	prefix(c, start);
	if (dir == NULL) {
		snprintf(why, whylen, "%s: %s", c->backup_folder, strerror(errno));
		return KE_IO;
	}
	while (r == KE_OK && look(dir, start, oldest) > c->backup_keep) {
		if (unlinkat(dirfd(dir), oldest, 0) == 0) {
			++*gone;
			continue;
		}
		snprintf(why, whylen, "%s/%s: %s", c->backup_folder, oldest, strerror(errno));
		r = KE_IO;
	}
	closedir(dir);
	return r;
}
