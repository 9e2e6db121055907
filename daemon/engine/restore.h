/*
 * A restored store, looked at before it serves: engine was started by kleroctl restore, on a folder
 * that holds what a backup held, with hsm beside it and nobody else. Runs in engine; trusts hsm,
 * and nothing that stands in the folder.
 */
#ifndef DAEMON_ENGINE_RESTORE_H
#define DAEMON_ENGINE_RESTORE_H

struct engine;

#define RESTORE_MANIFEST "klero.manifest" /* the signed note (policy/backup.h) */

/*
 * Checks everything, tells kleroctl each finding (MSG_ENGINE_FOUND), and, when it was asked to
 * restore, revokes all sessions and writes down that this is a restored store. Returns the
 * process's exit status.
 */
int restore_run(struct engine *e, int hsm);

#endif
