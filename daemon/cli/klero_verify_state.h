/*
 * What klero-verify remembers of logs from one audit to the next: their signed checkpoints, in one
 * file. If a log is ever rewritten, two checkpoints that its key signed and that contradict each
 * other are the evidence. Runs as the auditor's own program; the file is his own.
 */
#ifndef CLI_KLERO_VERIFY_STATE_H
#define CLI_KLERO_VERIFY_STATE_H

#include <stddef.h>

#include "policy/tlog.h"

#define STATE_NOTE_MAX 16384

struct state {
	struct state_note {
		struct checkpoint head;
		char *note;
		size_t n;
	} * notes;
	size_t n, cap;
};

/* A file that is not there yet is an empty state. Says what is wrong when it fails. */
int state_read(struct state *s, const char *file) KE_CHECK;
/* The checkpoint of that origin, or NULL; valid until the next state_put(). */
const struct checkpoint *state_get(const struct state *s, const char *origin);
/* Remembers this one instead of the last of its origin. KE_NOMEM. */
int state_put(struct state *s, const struct checkpoint *head, const char *note, size_t n) KE_CHECK;
/* In one step: whoever reads the file finds the old state or the new one, whole. */
int state_write(const struct state *s, const char *file) KE_CHECK;
void state_free(struct state *s);

#endif
