/*
 * kleroctl unpack: one section of a backup on standard output: the configuration for a machine that
 * has none, the encrypted token folder for an officer. Needs no appliance, no token and no
 * configuration; says at the end whether the section is what the manifest says, but not whether the
 * manifest is genuine. Runs in kleroctl; trusts nothing in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "policy/backup.h"

#define PIECE 65536

struct unpack {
	unsigned name; /* of the section that is wanted */
	struct backup_reader reader;
	uint8_t buf[PIECE];
};

static int take(struct unpack *u, size_t n)
{
	struct backup_piece piece;
	size_t used;

	for (size_t at = 0; at < n; at += used) {
		if (backup_read(&u->reader, u->buf + at, n - at, &used, &piece) != KE_OK)
			return ctl_fail(CTL_DAMAGED, "this is no backup, or it is damaged");
		if (piece.name == u->name && fwrite(piece.p, 1, piece.n, stdout) != piece.n)
			return ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
	}
	return CTL_OK;
}

static int verdict(const struct unpack *u)
{
	const struct backup_reader *r = &u->reader;
	const char *end = memmem(r->note, r->note_len, "\n\n", 2);
	struct backup_manifest m;
	unsigned which;

	if (backup_read_end(r) != KE_OK)
		return ctl_fail(CTL_DAMAGED, "the backup was cut: its end is missing");
	if (end == NULL || backup_parse(&m, r->note, (size_t)(end - r->note) + 1) != KE_OK ||
	    backup_compare(&m, &r->found, &which) != KE_OK)
		return ctl_fail(CTL_DAMAGED, "the backup is not what its manifest says");
	for (size_t i = 0; i < m.sections; i++)
		if (m.section[i].name == u->name)
			return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
	return ctl_fail(CTL_REFUSED, "the backup has no section %s", backup_words[u->name]);
}

static int read_all(struct unpack *u, int fd)
{
	for (;;) {
		ssize_t n = read(fd, u->buf, sizeof u->buf);
		int status;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctl_fail(CTL_REFUSED, "the backup: %s", strerror(errno));
		if (n == 0)
			return verdict(u);
		status = take(u, (size_t)n);
		if (status != CTL_OK)
			return status;
	}
}

int ctl_unpack(struct ctl *ctl, int argc, char **argv)
{
	static struct unpack u;
	int fd, status;

	(void)argc;
	ctl->bytes = true;
	while (u.name < BACKUP_NAMES && strcmp(argv[0], backup_words[u.name]) != 0)
		u.name++;
	if (u.name == BACKUP_NAMES)
		return ctl_fail(CTL_USAGE, "%s: no section has this name", argv[0]);
	fd = strcmp(argv[1], "-") == 0 ? STDIN_FILENO : open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ctl_fail(CTL_USAGE, "%s: %s", argv[1], strerror(errno));
	backup_reader_init(&u.reader);
	status = read_all(&u, fd);
	if (fd != STDIN_FILENO)
		close(fd);
	if (status != CTL_OK || !ctl->json)
		return status;
	return ctl_tell(ctl, "section", argv[0], strlen(argv[0]));
}
