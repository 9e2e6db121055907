/*
 * The public halves of every log key there ever was, in the store, so that a proof verifies and can
 * be written out long after its key was rotated or destroyed. Runs in engine.
 */
#ifndef DAEMON_ENGINE_LOGKEY_H
#define DAEMON_ENGINE_LOGKEY_H

#include <stddef.h>

#include "policy/note.h"
#include "policy/origin.h"

struct engine;

/* Writes down the key that hsm signs with now. Opens the turn. */
int logkey_keep(struct engine *e) KE_CHECK;

/*
 * The key that has signed a checkpoint of that log, under the log's name, by any version that this
 * store has known; KE_NOTFOUND, KE_FORMAT. Opens the turn.
 */
int logkey_of_log(struct engine *e, const struct log_name *log, const char *note, size_t n,
    struct note_key *k) KE_CHECK;

/* The key that a note of ours names as its signer; KE_NOTFOUND, KE_FORMAT. Opens the turn. */
int logkey_of(struct engine *e, const char *note, size_t n, struct note_key *k) KE_CHECK;

#endif
