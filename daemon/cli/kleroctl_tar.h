/*
 * A tar archive (POSIX ustar) of small files that are made in memory. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_TAR_H
#define DAEMON_CLI_KLEROCTL_TAR_H

#include "daemon/cli/kleroctl_out.h"

/* A file of mode 0600, owned by nobody in particular; name has less than 100 bytes. KE_IO, KE_LONG.
 */
int tar_file(struct out *o, const char *name, const void *p, size_t n, int64_t mtime_s) KE_CHECK;
/* The end of the archive. */
int tar_end(struct out *o) KE_CHECK;

#endif
