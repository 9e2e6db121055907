/*
 * How far long work has come: one line that is written anew on a terminal, a plain line now and
 * then elsewhere, both on standard error; nothing with --json. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_PROGRESS_H
#define DAEMON_CLI_KLEROCTL_PROGRESS_H

#include "daemon/cli/kleroctl.h"

#define PROGRESS_TERMINAL_MS 200
#define PROGRESS_PLAIN_MS    10000

struct progress {
	const char *what;
	uint64_t of, done; /* bytes; of 0: nobody knows */
	int64_t next_ms;
	bool terminal, quiet, shown;
};

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, uint64_t of);
/* n bytes more are done; says so when it is time. */
void progress_add(struct progress *p, uint64_t n);
/* Leaves a clean line. */
void progress_end(struct progress *p);

/* The line that is due at now_ms, if one is. Pure. */
bool progress_line(struct progress *p, int64_t now_ms, char *line, size_t len);

#endif
