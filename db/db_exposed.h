/*
 * What a key version that is compromised may have opened or made, from what the store still knows.
 * Runs in engine.
 */
#ifndef DB_DB_EXPOSED_H
#define DB_DB_EXPOSED_H

#include "db/db.h"

#define DB_EXPOSED_SESSIONS 100000 /* counted at most */
#define DB_EXPOSED_LOOK     10000  /* of the newest raffles */
#define DB_EXPOSED_RAFFLES  100    /* named at most */

/*
 * Sessions that were begun before until_ms and stand until after their_end_ms: those that had a
 * token since their_end_ms less a session's life. *n at most DB_EXPOSED_SESSIONS + 1.
 */
int db_exposed_sessions(struct db *d, int64_t their_end_ms, int64_t until_ms, int64_t *n) KE_CHECK;

/* Opened before until_ms and not drawn before from_ms: their seeds stood under a key of that time.
 */
int db_exposed_seeds(struct db *d, int64_t from_ms, int64_t until_ms,
    int (*row)(void *arg, const uint8_t id[16]), void *arg) KE_CHECK;
/* Drawn from from_ms on, before until_ms: their records were signed by a key of that time. */
int db_exposed_records(struct db *d, int64_t from_ms, int64_t until_ms,
    int (*row)(void *arg, const uint8_t id[16]), void *arg) KE_CHECK;

#endif
