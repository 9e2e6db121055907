/*
 * The certificate file while klerod runs: replaced after a rotation of the TLS key, read again on
 * SIGHUP, and told to the nets, which alone understand it. Runs in parent only.
 */
#ifndef DAEMON_PARENT_CERT_H
#define DAEMON_PARENT_CERT_H

#include "daemon/parent/parent.h"

/* Could it be replaced? A try that leaves no trace, before a key is made for it. */
int cert_check(const struct conf *c, char *why, size_t whylen) KE_CHECK;

/*
 * Replaces it, durably and in one step; the former one stays beside it with ".old" behind its
 * name. On failure the file is as it was, and why is one line.
 */
int cert_replace(const struct conf *c, const char *pem, char *why, size_t whylen) KE_CHECK;

/* Has every net serve with what stands in the file now. */
void cert_tell(struct parent *p);

#endif
