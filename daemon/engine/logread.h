/*
 * What a log holds, from the store: hashes for proofs and tiles, leaves for entry bundles. Level 0
 * of a ticket log and its entries are computed from the tickets' rows; the operator log keeps its
 * records; of both the store has the roots of complete subtrees. Runs in engine.
 */
#ifndef DAEMON_ENGINE_LOGREAD_H
#define DAEMON_ENGINE_LOGREAD_H

#include <stddef.h>
#include <stdint.h>

#include "db/db_log.h"
#include "db/db_ticket.h"
#include "policy/leaf.h"
#include "policy/tile.h"
#include "policy/tile_proof.h"

struct engine;

/* An open log: the reader for policy/tile_proof.h. Within one turn. */
struct logread {
	struct engine *e;
	const struct db_log *log;
	struct tile_reader reader;
};
void logread_init(struct logread *l, struct engine *e, const struct db_log *log);

/* The leaf of a ticket (DRAW.md section 4), from its row. */
void logread_ticket(
    uint8_t out[LEAF_LEN], const uint8_t raffle[16], const struct db_ticket_row *row);

#define LOGREAD_TILE_MAX ((size_t)TILE_WIDTH * (2 + DB_LOG_TEXT_MAX))
/*
 * A tile as it is served: 32 bytes a hash, or entries with their lengths; *len bytes into out. The
 * caller has checked that the log has it. KE_DAMAGED when the store lacks something of it, KE_FULL.
 */
int logread_tile(
    struct logread *l, const struct tile *t, uint8_t *out, size_t cap, size_t *len) KE_CHECK;

#endif
