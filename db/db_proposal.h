/*
 * What is put to the security officers (policy/proposal.h), their approvals, and what came of it.
 * The store only remembers: who counts, and whether there are enough, keyadm decides.
 */
#ifndef DB_DB_PROPOSAL_H
#define DB_DB_PROPOSAL_H

#include "db/db.h"
#include "policy/anchor.h"
#include "policy/proposal.h"

#define DB_REASON_MAX 255

/* numbers are part of the store's format; words in db_proposal_word() */
enum db_proposal_state {
	DB_PROPOSAL_OPEN,
	DB_PROPOSAL_APPROVED, /* enough officers: keyadm is at it */
	DB_PROPOSAL_DONE,
	DB_PROPOSAL_FAILED,
	DB_PROPOSAL_REJECTED,
	DB_PROPOSAL_EXPIRED,
	DB_PROPOSAL_STATES
};

struct db_proposal {
	uint8_t id[16]; /* UUIDv7, and the nonce of the text */
	char text[PROPOSAL_TEXT_MAX];
	enum db_proposal_state state;
	int64_t created_ms;
	uint8_t created_by[16]; /* zero: by the control socket */
	int64_t expires_ms, decided_ms /* 0: not yet */;
	char reason[DB_REASON_MAX + 1];
	int64_t approvals; /* how many there are */
};

struct db_approval {
	char officer[ANCHOR_NAME_MAX + 1];
	char signature[SSH_ARMOR_MAX + 1];
	int64_t at_ms;
};

const char *db_proposal_word(enum db_proposal_state s);

/* Takes id, text, created_ms, created_by, expires_ms; open. */
int db_proposal_create(struct db *d, const struct db_proposal *p) KE_CHECK;
int db_proposal_get(struct db *d, const uint8_t id[16], struct db_proposal *p) KE_CHECK;
/* From one state to another; KE_STATE when it is not in the first, KE_NOTFOUND. */
int db_proposal_set(struct db *d, const uint8_t id[16], enum db_proposal_state from,
    enum db_proposal_state to, const char *reason, int64_t now_ms) KE_CHECK;
/* Newest first: ids below `before` (NULL: from the newest). */
int db_proposal_page(struct db *d, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_proposal *p), void *arg) KE_CHECK;
/* The oldest in one of the first two states; KE_NOTFOUND. */
int db_proposal_oldest(struct db *d, enum db_proposal_state s, struct db_proposal *p) KE_CHECK;
/* How many are in one of the first two states. */
int db_proposal_count(struct db *d, enum db_proposal_state s, int64_t *n) KE_CHECK;
/* Open ones that expire before now become expired; *n (may be NULL) how many. */
int db_proposal_expire(struct db *d, int64_t now_ms, int64_t *n) KE_CHECK;

/* KE_EXISTS when that officer has approved. */
int db_approval_add(struct db *d, const uint8_t id[16], const struct db_approval *a) KE_CHECK;
int db_approval_each(struct db *d, const uint8_t id[16],
    int (*each)(void *arg, const struct db_approval *a), void *arg) KE_CHECK;

#endif
