/*
 * Lines of the audit trail about a request. Runs in engine.
 */
#ifndef DAEMON_ENGINE_AUDIT_H
#define DAEMON_ENGINE_AUDIT_H

#include "daemon/engine/rq.h"

/*
 * One line. actor NULL: nobody is known; subject may be NULL. The rest is JSON by printf: numbers
 * and words of ours only, never what a client wrote.
 */
int audit_add(struct rq *q, const uint8_t *actor, const char *action, const uint8_t *subject,
    const char *fmt, ...) KE_CHECK __attribute__((format(printf, 5, 6)));

/* What of an address may stand in a log: at most two harmless characters. */
#define AUDIT_PREFIX 8
void audit_prefix(char out[AUDIT_PREFIX], const struct api_value *email);

#endif
