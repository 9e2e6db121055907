/*
 * What setup asks for before it makes anything, in a dialogue or from a file: the lines of
 * klerod.conf that differ between one appliance and the next, who the officers are, and who signs
 * the certificate. Runs in kleroctl; every line of klerod.conf is read by its own parser, so
 * nothing is accepted that klerod would refuse.
 */
#ifndef DAEMON_CLI_KLEROCTL_WIZARD_H
#define DAEMON_CLI_KLEROCTL_WIZARD_H

#include "daemon/cli/kleroctl.h"

/* Who signs the first certificate. It is self-signed until another has. */
enum signer {
	SIGNER_SELF,
	SIGNER_REQUEST, /* an authority that is sent a request */
	SIGNER_ACME     /* one that certbot asks: klerod-acme.timer */
};

struct wizard {
	struct ctl *ctl;
	char before[CONF_FILE_MAX], text[CONF_FILE_MAX]; /* the file as it was, and as it will be */
	size_t before_len, len;
	char officers[RCONF_PATH], threshold[12]; /* "" for none */
	char *pin[2]; /* typed ones, of the keys' and of the TLS token, in locked memory; "" none */
	bool own;     /* a SoftHSM of the appliance's own */
	enum signer signer;
	char acme_mail[RCONF_PATH],
	    acme_server[RCONF_PATH];     /* "" for none, and for certbot's own */
	char acme_path[RCONF_PATH + 16]; /* of klerod-acme's settings, beside klerod.conf */
	bool acme_made;
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

/* Writes klerod.conf, the PINs that were typed, and acme.conf; KE_IO with why. wizard_undo() takes
 * it back. */
int wizard_write(struct wizard *w, char *why, size_t whylen) KE_CHECK;
void wizard_undo(struct wizard *w);

#endif
