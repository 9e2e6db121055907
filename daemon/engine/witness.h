/*
 * This appliance as a witness of others' logs (c2sp.org/tlog-witness): what it refused, for /health
 * and the metrics. Runs in engine; hsm decides and signs (hsm/role/cosign.c).
 */
#ifndef DAEMON_ENGINE_WITNESS_H
#define DAEMON_ENGINE_WITNESS_H

#include <stdint.h>

#include "db/db_witness.h"
#include "policy/note.h"

struct engine;

#define WITNESS_LOGS 16

struct witness {
	struct note_key logs[WITNESS_LOGS]; /* operator logs of the configuration */
	size_t nlogs;
	uint64_t cosigned, refused;
	int64_t evidence[DB_EVIDENCE_KINDS]; /* in the store */
};

/* Reads the configuration and counts the evidence that there is; fatal when it cannot. */
void witness_start(struct engine *e);
/* "ok", "split-view", "inconsistent"; NULL when this appliance is nobody's witness. */
const char *witness_word(const struct engine *e);

#endif
