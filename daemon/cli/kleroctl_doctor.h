/*
 * What doctor's parts share: a list of findings, each good, worth a look, or broken. Runs in
 * kleroctl; changes nothing.
 */
#ifndef DAEMON_CLI_KLEROCTL_DOCTOR_H
#define DAEMON_CLI_KLEROCTL_DOCTOR_H

#include "daemon/cli/kleroctl.h"

enum doctor_level { DOCTOR_OK, DOCTOR_ATTENTION, DOCTOR_BROKEN, DOCTOR_LEVELS };

#define DOCTOR_JSON 131072

struct doctor {
	struct ctl *ctl;
	bool running; /* klerod answers at its control socket */
	enum doctor_level worst;
	unsigned count[DOCTOR_LEVELS];
	struct jsonw w;
	char buf[DOCTOR_JSON];
};

/* One finding; check is its stable name. */
void doctor_found(struct doctor *d, enum doctor_level level, const char *check, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* The parts, in the order of the report. */
void doctor_kernel(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_certificate(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_journal(struct doctor *d);

/*
 * Everything, as findings in d->w, an array that is begun here and ended; with print also a line
 * for each. store: all of the store is read, too. An enum ctl_status.
 */
int doctor_run(struct doctor *d, struct ctl *ctl, bool store, bool print);

#endif
