/*
 * One request to a running appliance over its control socket, and its answer. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_LIVE_H
#define DAEMON_CLI_KLEROCTL_LIVE_H

#include "daemon/cli/kleroctl.h"
#include "daemon/msg/msg.h"
#include "daemon/msg/wire.h"

/* Both directions of one exchange, in locked memory: a request may hold a password. */
struct exchange {
	uint8_t body[RCONF_KEYADM_TEXT + 128], answer[MSG_MAX];
	struct wire_out w; /* into body */
};

/* NULL without locked memory; sodium_free() wipes it. */
struct exchange *exchange_new(void);

/* The state of a running appliance, JSON of less than cap bytes. KE_UNAVAIL and the like. */
int live_status(const struct ctl *ctl, char *text, size_t cap) KE_CHECK;

/* A string member of engine's JSON, "" when there is none. */
void live_member(const char *json, const char *name, char *out, size_t cap);

/* The control socket, or -1 with errno. */
int live_reach(const struct ctl *ctl);

/* Says that nobody is there, by errno; CTL_UNREACHABLE. */
int live_nobody(const struct ctl *ctl);

/* Sends what stands in x->w over a reached socket, and waits for the answer, which is in x->answer.
 * KE_TIMEOUT, KE_CLOSED, KE_PEER. */
int live_talk(int fd, uint16_t type, struct exchange *x, struct msg *m) KE_CHECK;

/*
 * Sends what stands in x->w and tells the answer, with --json as the member key; with key NULL it
 * is JSON already. An enum ctl_status.
 */
int live_ask(struct ctl *ctl, uint16_t type, const char *key, struct exchange *x);

#endif
