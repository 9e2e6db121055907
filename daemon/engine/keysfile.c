/*
 * The file klero.keys: see keysfile.h. Runs in engine.
 */
#include "daemon/engine/keysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conf/durable.h"
#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"
#include "policy/text.h"

#define KEYS_MAX 1024

/* The whole file, terminated; fatal when it cannot be read. */
static void read_keys(const char *path, char text[KEYS_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		fatal("%s: %s: run 'kleroctl setup', or restore the backup", KEYSFILE_NAME,
		    strerror(errno));
	n = read(fd, text, KEYS_MAX - 1);
	close(fd);
	if (n <= 0)
		fatal("%s: cannot be read: restore it from the backup", KEYSFILE_NAME);
	text[n] = '\0';
}

/* The value behind a word at the line's start, cut at the line's end; NULL. */
static char *line_of(char *text, const char *word)
{
	char *p = text;

	while (p != NULL && strncmp(p, word, strlen(word)) != 0) {
		p = strchr(p, '\n');
		p = p == NULL ? NULL : p + 1;
	}
	return p == NULL ? NULL : p + strlen(word);
}

static void parse_keys(struct engine *e, char *text)
{
	char *id = line_of(text, "appliance "), *key = line_of(text, "dbkey ");

	if (id == NULL || key == NULL)
		fatal("%s: the lines 'appliance' and 'dbkey' are missing: restore it from the "
		      "backup",
		    KEYSFILE_NAME);
	id[strcspn(id, "\n")] = '\0';
	key[strcspn(key, "\n")] = '\0';
	if (text_unhex(e->appliance, 16, id, strlen(id)) != KE_OK)
		fatal(
		    "%s: the appliance id is malformed: restore it from the backup", KEYSFILE_NAME);
	if (strlen(key) >= sizeof e->sealed)
		fatal("%s: the sealed key is too long: restore it from the backup", KEYSFILE_NAME);
	memcpy(e->sealed, key, strlen(key) + 1);
}

static void path_of(const struct engine *e, const char *suffix, char path[RCONF_PATH + 16])
{
	snprintf(path, RCONF_PATH + 16, "%s/%s%s", e->conf.store, KEYSFILE_NAME, suffix);
}

void keysfile_read(struct engine *e)
{
	char path[RCONF_PATH + 16], text[KEYS_MAX];

	path_of(e, "", path);
	read_keys(path, text);
	parse_keys(e, text);
}

static int write_whole(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r = KE_IO;

	if (fd < 0)
		return r;
	if (durable_write(fd, text, n) && fsync(fd) == 0)
		r = KE_OK;
	close(fd);
	return r;
}

int keysfile_write(struct engine *e, const char *sealed)
{
	char path[RCONF_PATH + 16], fresh[RCONF_PATH + 16], hex[33], text[KEYS_MAX];
	int n, r;

	if (strlen(sealed) >= sizeof e->sealed)
		return KE_LONG;
	path_of(e, "", path);
	path_of(e, ".new", fresh);
	text_hex(hex, e->appliance, sizeof e->appliance);
	n = snprintf(text, sizeof text, "appliance %s\ndbkey %s\n", hex, sealed);
	r = write_whole(fresh, text, (size_t)n);
	if (r == KE_OK && renameat(AT_FDCWD, fresh, AT_FDCWD, path) != 0)
		r = KE_IO;
	if (r == KE_OK && !durable_folder(e->conf.store))
		r = KE_IO;
	if (r != KE_OK) {
		log_error("%s cannot be written: %s", KEYSFILE_NAME, strerror(errno));
		return r;
	}
	memcpy(e->sealed, sealed, strlen(sealed) + 1);
	return KE_OK;
}
