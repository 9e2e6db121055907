/*
 * Security officers as engine sees them (KEYS.md sections 4 and 5): it keeps their proposals and
 * approvals, brings them to keyadm when there are enough, and shows what the token's anchor says.
 * It decides nothing: keyadm and hsm count for themselves. Runs in engine.
 */
#ifndef DAEMON_ENGINE_QUORUM_H
#define DAEMON_ENGINE_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "db/db_payout.h"
#include "db/db_proposal.h"
#include "policy/jsonw.h"
#include "policy/proposal.h"

struct engine;

/* Is the store the one that the token knew last? */
enum quorum_history { QUORUM_HISTORY_UNKNOWN, QUORUM_HISTORY_OK, QUORUM_HISTORY_OLDER };

struct quorum {
	bool known; /* anchor is what hsm has told */
	struct anchor anchor;
	enum quorum_history history;
	uint64_t asked; /* the hsm channel that it was asked over */
	struct job job;
	int64_t next_ms; /* when to look for what has expired or was left over */
	bool busy;       /* keyadm is at one, acting */
	uint8_t acting[16];
};

/*
 * Writes a proposal: action, purpose, version and officers of p are the caller's wish, the rest is
 * filled in. by: a user, or NULL for the control socket. Refusals with words in *why:
 * KE_UNAVAIL (the anchor is not known), KE_STATE (no officers, or nothing to do), KE_RANGE,
 * KE_NOTFOUND (no such version), KE_CONFLICT (to destroy what still holds values).
 */
int quorum_propose(struct engine *e, struct proposal *p, const uint8_t *by, int64_t life_s,
    const char **why) KE_CHECK;

/* May the officer whom p names propose it? KE_NOTFOUND, KE_STATE when all must approve. */
int quorum_check_proposer(struct engine *e, const struct proposal *p, const char **why) KE_CHECK;

/*
 * Takes an officer's approval; enough of them, and keyadm gets to work once the turn is committed.
 * KE_NOTFOUND, KE_STATE (not open any more), KE_CRYPTO or KE_DENIED (no officer's, or the
 * proposer's), KE_EXISTS.
 */
int quorum_approve(
    struct engine *e, const uint8_t id[16], const char *armor, size_t n, const char **why) KE_CHECK;

/*
 * The same for a payout, whose id becomes the proposal's: KE_OK when it is there already, too;
 * KE_UNAVAIL, KE_STATE (there are no officers).
 */
int quorum_propose_payout(struct engine *e, const struct db_payout *payout) KE_CHECK;
/*
 * The same for the draw of a raffle: *id is the proposal that is open, or a fresh one. KE_UNAVAIL,
 * KE_STATE.
 */
int quorum_propose_draw(
    struct engine *e, const uint8_t raffle[16], const uint8_t *by, uint8_t id[16]) KE_CHECK;
/* The last proposal of that raffle's draw; KE_NOTFOUND. Opens the turn. */
int quorum_draw(struct engine *e, const uint8_t raffle[16], struct db_proposal *p) KE_CHECK;
/* An approved proposal's approvals, one behind the other, as keyadm and hsm take them. Opens the
 * turn. */
int quorum_approvals(
    struct engine *e, const uint8_t id[16], char out[RCONF_KEYADM_APPROVALS]) KE_CHECK;

/* KE_NOTFOUND, KE_STATE. */
int quorum_reject(
    struct engine *e, const uint8_t id[16], const uint8_t *by, const char **why) KE_CHECK;

/* One proposal as JSON, with its text and who has approved; whose: and who has made it. Opens the
 * turn. */
int quorum_put(struct engine *e, struct jsonw *w, const struct db_proposal *p, bool whose) KE_CHECK;
/* Officers, keys with their states, and how far rotation is, as JSON. */
int quorum_put_keys(struct engine *e, struct jsonw *w) KE_CHECK;

/* MSG_ENGINE_ACTED: what became of the last one. */
void quorum_acted(struct engine *e, const struct msg *m);
/* Asks a fresh hsm for the anchor, once. */
void quorum_ask(struct engine *e);
/* Does so too, ends what has expired, takes up what a restart has left. */
void quorum_tick(struct engine *e);

#endif
