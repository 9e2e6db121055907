/*
 * Whom out may ask: the URLs of its configuration, cut apart once at its start. Runs in out; trusts
 * the configuration.
 */
#ifndef DAEMON_OUT_TARGET_H
#define DAEMON_OUT_TARGET_H

#include <stdint.h>

#include "daemon/msg/rconf.h"

#define TARGET_ADDRESSES 4

struct target {
	char url[RCONF_PATH]; /* https://host[:port][/path], without a slash at its end */
	char host[RCONF_PATH];
	uint16_t port;
	bool fixed; /* an address, or a name of /etc/hosts: nobody is asked for it */
	char address[TARGET_ADDRESSES][48]; /* numeric */
	unsigned naddresses;
	unsigned turn;    /* which of them was tried last */
	int64_t until_ms; /* they are believed */
};

/* KE_FORMAT: no such URL. */
int target_set(struct target *t, const char *url) KE_CHECK;

#endif
