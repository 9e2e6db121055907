/*
 * A file that is there whole or not at all: it gets its name when all of it is on the disk. Runs in
 * kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_OUT_H
#define DAEMON_CLI_KLEROCTL_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/msg/rconf.h"
#include "policy/ke.h"

struct out {
	int fd;                      /* -1: closed */
	const char *path;            /* "-": standard output, which cannot be taken back */
	char folder[2 * RCONF_PATH]; /* of path */
	char aside[2 * RCONF_PATH];  /* its name until then; "": it has none */
	uint64_t written, synced;
};

/*
 * A new file of mode 0600, for path to be its name later; path must live as long. KE_EXISTS when
 * there is one, KE_LONG, KE_IO with errno.
 */
int out_open(struct out *o, const char *path) KE_CHECK;
/* KE_IO with errno. Every few megabytes are synced, so that the disk is never busy for long. */
int out_write(struct out *o, const void *p, size_t n) KE_CHECK;
/* Syncs it and gives it its name; KE_EXISTS, KE_IO with errno. Closed in any case. */
int out_commit(struct out *o) KE_CHECK;
/* Nothing of it remains, if it has no name yet. */
void out_abandon(struct out *o);

#endif
