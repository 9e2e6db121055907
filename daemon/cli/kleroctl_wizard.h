/*
 * What setup asks for before it makes anything, in a dialogue or from a file: the lines of
 * klerod.conf that differ between one appliance and the next, and who the officers are. Runs in
 * kleroctl; every answer is read by klerod.conf's own parser, so nothing is accepted that klerod
 * would refuse.
 */
#ifndef DAEMON_CLI_KLEROCTL_WIZARD_H
#define DAEMON_CLI_KLEROCTL_WIZARD_H

#include "daemon/cli/kleroctl.h"

struct wizard {
	struct ctl *ctl;
	char before[CONF_FILE_MAX], text[CONF_FILE_MAX]; /* the file as it was, and as it will be */
	size_t before_len, len;
	char officers[RCONF_PATH], threshold[12]; /* "" for none */
	char *pin[2]; /* typed ones, of the keys' and of the TLS token, in locked memory; "" none */
	bool own;     /* a SoftHSM of the appliance's own */
};

/* NULL without memory. */
struct wizard *wizard_new(struct ctl *ctl);
void wizard_free(struct wizard *w);

/*
 * Asks at the terminal, or reads a file of "keyword value" lines. CTL_OK: ctl->conf is what was
 * answered. Otherwise words were said and nothing was changed.
 */
int wizard_ask(struct wizard *w);
int wizard_read(struct wizard *w, const char *path);

/* Writes klerod.conf and the PINs that were typed; KE_IO with why. wizard_undo() takes it back. */
int wizard_write(struct wizard *w, char *why, size_t whylen) KE_CHECK;
void wizard_undo(struct wizard *w);

#endif
