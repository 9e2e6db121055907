/*
 * Which backups remain in backup-folder: the newest backup-keep of this host. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_PRUNE_H
#define DAEMON_CLI_KLEROCTL_PRUNE_H

#include <time.h>

#include "daemon/conf/conf.h"
#include "policy/ke.h"

#define PRUNE_PATH (3 * RCONF_PATH)

/* The name of a backup that is made now, with its folder. */
void prune_name(const struct conf *c, time_t now, char path[PRUNE_PATH]);

/*
 * Removes the oldest files that prune_name() has named, until backup-keep remain; counts them in
 * *gone. Others' names, folders and links stay. KE_IO with why.
 */
int prune(const struct conf *c, uint32_t *gone, char *why, size_t whylen) KE_CHECK;

#endif
