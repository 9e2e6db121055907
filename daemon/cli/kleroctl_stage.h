/*
 * Where a backup is unpacked and looked at before it becomes the store: a folder inside the
 * store's, on the same file system, so that taking its place is a matter of names. Runs in
 * kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_STAGE_H
#define DAEMON_CLI_KLEROCTL_STAGE_H

#include "daemon/cli/kleroctl_made.h"
#include "daemon/cli/kleroctl_progress.h"
#include "daemon/conf/conf.h"
#include "policy/backup.h"

struct stage {
	const struct conf *conf;
	char store[RCONF_PATH];  /* the store's folder */
	char folder[MADE_PATH];  /* restoring, inside it */
	char journal[MADE_PATH]; /* hsm's, where this machine has none: its place until then */
	struct rconf_identity engine;
	struct made made; /* what an undo takes back */
	struct backup_manifest m;
	char *cert; /* the certificate that it holds, of cert_len bytes; NULL */
	size_t cert_len;
	char why[512];
};

/*
 * Makes both folders, the store's where it is missing. What a killed restore has left there goes.
 * check: it is only to be looked at.
 */
int stage_open(struct stage *s, const struct conf *conf, bool check) KE_CHECK;
/*
 * Unpacks a backup from fd and checks it against its own manifest. KE_VERSION, KE_SHORT, KE_FORMAT,
 * KE_CRYPTO: the file; KE_IO: this machine. All with words in why.
 */
int stage_read(struct stage *s, int fd, struct progress *p) KE_CHECK;
/* Is there a store already? */
bool stage_occupied(const struct stage *s);
/*
 * The staged store takes its place; klero.keys last, without which nothing starts. What was there
 * is put into a folder of its own, whose name is in aside ("": nothing was).
 */
int stage_settle(struct stage *s, char aside[MADE_PATH]) KE_CHECK;
/* Removes the staging folder, and the store's if it was made here. */
void stage_undo(struct stage *s);

#endif
