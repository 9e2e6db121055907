/*
 * A staged store, looked at by hsm and engine themselves, whom kleroctl starts in parent's place.
 * Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_CHECK_H
#define DAEMON_CLI_KLEROCTL_CHECK_H

#include "daemon/cli/kleroctl.h"

/* What is to be looked at, and who listens. */
struct check {
	const char *folder;    /* of the staged store */
	const char *journal;   /* a staged one, or "" for the machine's own, if it has one */
	uint8_t appliance[16]; /* whose it says it is */
	uint8_t orders;        /* RCONF_CHECK and the like */
	/* Gets every finding, as it comes; r is KE_OK, or what ends it. Its result counts for r. */
	int (*each)(void *arg, int r, const char *what, const char *words);
	void *arg;
};

/*
 * KE_OK, the first bad finding's error, or that of a role that cannot be started or has ended
 * without a word (why is one line then, "" otherwise). A token that an older program has made is
 * completed first, as klerod does at its start, but for a mere check.
 */
int check_store(const struct ctl *ctl, const struct check *what, char *why, size_t whylen) KE_CHECK;

#endif
