/*
 * Files and folders that setup makes, with their owners, and a list of them to take them back.
 * Runs in kleroctl. Nothing that exists is overwritten or followed.
 */
#ifndef DAEMON_CLI_KLEROCTL_MADE_H
#define DAEMON_CLI_KLEROCTL_MADE_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/msg/rconf.h"
#include "policy/ke.h"

#define MADE_PATH (RCONF_PATH + 32)
#define MADE_MAX  20

struct made {
	char path[MADE_MAX][MADE_PATH];
	size_t n;
};

/* owner NULL: the caller. All leave one line in why when they fail. */
int made_folder(struct made *m, const char *path, mode_t mode, const struct rconf_identity *owner,
    char *why, size_t whylen) KE_CHECK;
/* A new file, durable when this returns. */
int made_file(struct made *m, const char *path, mode_t mode, const struct rconf_identity *owner,
    const void *text, size_t n, char *why, size_t whylen) KE_CHECK;

/* Gives everything below a folder to its user. */
int made_give(
    const char *folder, const struct rconf_identity *owner, char *why, size_t whylen) KE_CHECK;

/* Puts on the list what another has made, and has synced; its name is made durable here. */
int made_note(struct made *m, const char *path, char *why, size_t whylen) KE_CHECK;

/*
 * Removes what is on the list, last first; private_folder, if it is on the list, with all that is
 * in it. Says on standard error what could not be removed.
 */
void made_undo(struct made *m, const char *private_folder);

/* Prints the list. */
void made_list(const struct made *m);

#endif
