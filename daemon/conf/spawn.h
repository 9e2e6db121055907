/*
 * How a role's process is made: fork and exec with descriptors 0 to 3, no environment (but
 * for the sanitizers' builds), and a channel on descriptor 3. Runs in parent and in kleroctl setup.
 */
#ifndef DAEMON_CONF_SPAWN_H
#define DAEMON_CONF_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/msg/role.h"
#include "policy/ke.h"

/*
 * The folder of the roles' programs: the one this program stands in when they stand there too (a
 * build folder), else where they were installed.
 */
void spawn_default_libexec(char *dir, size_t len);

/*
 * Takes descriptors 0 to 3, so that nothing opened later is in a child's way. Returns a
 * descriptor of /dev/null, or KE_IO. Before anything else is opened.
 */
int spawn_reserve(void) KE_CHECK;

/*
 * Starts a role's program. null and log become its descriptors 0, 1 and 2; *ctl receives our end
 * of its channel, close-on-exec and non-blocking. KE_IO with errno when that fails; a program that
 * cannot be run says so on log and ends with status 1.
 */
int spawn_role(const char *libexec, enum role role, unsigned index, int null, int log, pid_t *pid,
    int *ctl) KE_CHECK;

#endif
