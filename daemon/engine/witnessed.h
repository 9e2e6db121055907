/*
 * What the witnesses of the configuration have seen of v2 raffles (DRAW.md section 6): by the
 * cosignatures that cosign.c has brought into the store. Runs in engine. Trusts nobody's word: each
 * time the stored notes are verified under the policy of today.
 *
 * A raffle is drawn when its close record stands under a checkpoint that a quorum had cosigned long
 * enough before the first beacon value (life_lead_s()), its amends before those that they changed,
 * and its tickets' last checkpoint has its quorum, too. When the quorum came too late there is no
 * draw that a verifier would take: the raffle can only be aborted.
 */
#ifndef DAEMON_ENGINE_WITNESSED_H
#define DAEMON_ENGINE_WITNESSED_H

#include "daemon/engine/life.h"
#include "db/db_log.h"

/*
 * The first checkpoint of the operator log that covers the record at that index and had its quorum
 * by until_s (UINT64_MAX: whenever): *size is its. KE_NOTFOUND. Within a turn.
 */
int witnessed_record(struct engine *e, uint64_t index, uint64_t until_s, uint64_t *size) KE_CHECK;
/* KE_OK when the newest checkpoint of a whole ticket log has its quorum; KE_NOTFOUND. */
int witnessed_tickets(struct engine *e, const struct db_log *log) KE_CHECK;

/* How a closed raffle stands; asks for what is missing. Within a turn. */
int witnessed_close(struct engine *e, const struct life_file *f, enum db_seen *seen) KE_CHECK;
/* The last moment for its close record. KE_NOTFOUND: a beacon that is not pinned any more. */
int witnessed_until(struct engine *e, const struct life_file *f, uint64_t *until_s) KE_CHECK;

/* Does the policy want a quorum? */
bool witnessed_wanted(const struct engine *e);
/* "waiting", "in-time", "too-late"; NULL where nobody is asked. */
const char *witnessed_word(enum db_seen seen);

#endif
