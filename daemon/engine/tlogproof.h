/*
 * Proofs that a leaf is in a log, as c2sp.org/tlog-proof texts: for receipts and proof bundles.
 * Runs in engine; what is written is public, but for what the caller puts into it.
 */
#ifndef DAEMON_ENGINE_TLOGPROOF_H
#define DAEMON_ENGINE_TLOGPROOF_H

#include <stddef.h>
#include <stdint.h>

#include "db/db_log.h"
#include "policy/tlog.h"

struct engine;

#define TLOGPROOF_MAX TLOG_PROOF_MAX(DB_LOG_NOTE_MAX)

/*
 * The proof of the leaf at that index under the newest checkpoint of at most `size` leaves
 * (UINT64_MAX: the newest there is), with its cosignatures; extra of at most TLOG_EXTRA_MAX bytes,
 * n 0 for none. *len bytes of text into out. KE_NOTFOUND when no such checkpoint covers the leaf;
 * KE_FULL. Within a turn.
 */
int tlogproof_write(struct engine *e, const struct db_log *log, uint64_t index, uint64_t size,
    const void *extra, size_t n, char *out, size_t cap, size_t *len) KE_CHECK;

#endif
