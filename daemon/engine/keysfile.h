/*
 * klero.keys: the appliance's id and its database key, sealed by hsm. Written by setup, read at
 * start, and written anew when the master key was rotated. Runs in engine.
 */
#ifndef DAEMON_ENGINE_KEYSFILE_H
#define DAEMON_ENGINE_KEYSFILE_H

#include "policy/ke.h"

struct engine;

#define KEYSFILE_NAME "klero.keys"

/* Fills e->appliance and e->sealed; fatal with what to do when it cannot. */
void keysfile_read(struct engine *e);

/* Replaces the sealed key, durably: the file holds the old one or the new one at any time. KE_IO.
 */
int keysfile_write(struct engine *e, const char *sealed) KE_CHECK;

#endif
