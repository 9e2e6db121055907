/*
 * A backup of the running store for a client of the control socket (policy/backup.h). engine copies
 * nothing: it keeps klero.db as it is while the client reads it, tells where the log ends, says
 * what the store is, and has hsm sign that. Sales go on meanwhile; what they change goes to the
 * log, which is written back when the client is done, has gone, has taken too long, or lets the log
 * grow too much. Runs in engine.
 */
#ifndef DAEMON_ENGINE_BACKUP_H
#define DAEMON_ENGINE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/msg/msg.h"
#include "policy/backup.h"

struct engine;
struct ctl_client;

enum backup_wish { BACKUP_NOTHING, BACKUP_HOLD, BACKUP_CUT };

struct backup {
	uint64_t serial;       /* of the client that holds the store; 0: nobody */
	enum backup_wish wish; /* to be done between two turns */
	bool cut;              /* facts are told */
	struct backup_manifest facts;
};

/* MSG_CTL_BACKUP, _CUT and _SIGN. KE_PEER for a body that cannot be read, or out of turn. */
int backup_message(struct engine *e, struct ctl_client *c, const struct msg *m) KE_CHECK;
/* Is its answer to this client still to come? */
bool backup_wishes(const struct engine *e, const struct ctl_client *c);
/* Between two turns: no transaction is open. */
void backup_between(struct engine *e);
/* This client is gone. */
void backup_gone(struct engine *e, uint64_t serial);

#endif
