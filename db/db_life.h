/*
 * What a v2 raffle has besides the others (DRAW.md section 6): its terms as they are in force, the
 * record that hsm is asked to agree to, and who got the money back after an abort. The records
 * themselves are in the operator log (db_log.h).
 */
#ifndef DB_DB_LIFE_H
#define DB_DB_LIFE_H

#include "db/db.h"
#include "db/db_idem.h"
#include "db/db_raffle.h"
#include "policy/record2.h"

#define DB_RULES_MAX   16000 /* the rules document */
#define DB_PENDING_MAX 8192  /* a record that waits: none of those is a draw */

/* numbers are part of the store's format */
enum db_told { DB_TOLD_NOT, DB_TOLD_YES, DB_TOLD_REFUSED };
/* What the witnesses of the configuration have seen of a closed raffle: daemon/engine/witnessed.h
 */
enum db_seen { DB_SEEN_UNASKED, DB_SEEN_IN_TIME, DB_SEEN_WAITING, DB_SEEN_TOO_LATE };

struct db_life {
	int64_t raffle;             /* struct db_raffle.no */
	struct record2_terms terms; /* but for not-before */
	uint64_t late_s;            /* when it is late, should it not be over then: life_late_s() */
	unsigned dedupe, on_default;
	uint8_t rules[32]; /* SHA-256 of the document */
	enum db_told told; /* has hsm agreed to the close record? */
	enum db_seen seen;
	bool over; /* drawn or aborted */
	int64_t refunded_ms;
};

/* Writes the raffle's sales_close_s, too. KE_LONG, KE_RANGE for more beacons than there may be. */
int db_life_create(struct db *d, const struct db_life *l, const char *rules, size_t n) KE_CHECK;
int db_life_get(struct db *d, int64_t raffle, struct db_life *l) KE_CHECK;
/* The rules document; KE_NOTFOUND, KE_LONG. */
int db_life_rules(struct db *d, int64_t raffle, char *buf, size_t cap, size_t *n) KE_CHECK;
int db_life_set_terms(
    struct db *d, int64_t raffle, const struct record2_terms *t, uint64_t late_s) KE_CHECK;
/* enum record2_default, as the open record says. */
int db_life_set_default(struct db *d, int64_t raffle, unsigned on_default) KE_CHECK;
int db_life_set_told(struct db *d, int64_t raffle, enum db_told told) KE_CHECK;
int db_life_set_seen(struct db *d, int64_t raffle, enum db_seen seen) KE_CHECK;
int db_life_set_over(struct db *d, int64_t raffle) KE_CHECK;
int db_life_set_refunded(struct db *d, int64_t raffle, int64_t now_ms) KE_CHECK;
/* How many are opened, and neither drawn nor aborted, at or after their late_s. */
int db_life_late(struct db *d, int64_t now_s, int64_t *n) KE_CHECK;

/* How many of those that are neither drawn nor aborted stand so; not of DB_SEEN_UNASKED. */
int db_life_seen(struct db *d, enum db_seen seen, int64_t *n) KE_CHECK;

/* A record that hsm is asked to agree to: durable before it is asked, for hsm never forgets. */
struct db_pending {
	enum record2_kind kind;
	char text[DB_PENDING_MAX];
	size_t len;
	/* of an open record: the seed that was made for it */
	uint8_t commit1[32], commit2[32];
	char blob[DB_SEED_BLOB_MAX + 1];
	uint8_t by[16]; /* whose request it was; zeroes: nobody's, the time's */
	struct db_idem_name request;
};
/* KE_STATE when another one waits. */
int db_life_propose(struct db *d, int64_t raffle, const struct db_pending *p) KE_CHECK;
/* KE_NOTFOUND. */
int db_life_pending(struct db *d, int64_t raffle, struct db_pending *p) KE_CHECK;
/* It waits no more. */
int db_life_decided(struct db *d, int64_t raffle) KE_CHECK;
/*
 * The request for which hsm is asked to reveal the seed, should nobody hear of the draw; the last
 * one counts. KE_STATE while a record waits.
 */
int db_life_set_asked(struct db *d, int64_t raffle, const struct db_idem_name *request) KE_CHECK;
/* Not keyed when there is none. */
int db_life_asked(struct db *d, int64_t raffle, struct db_idem_name *request) KE_CHECK;

/* --- refunds --- */

struct db_refund {
	int64_t holder; /* struct db_holder.no */
	uint8_t user[16];
	int64_t tickets;
};
/* Holders with tickets and without a refund, by user from `after` on, at most `limit`. */
int db_refund_due(struct db *d, int64_t raffle, const uint8_t after[16], int64_t limit,
    int (*each)(void *arg, const struct db_refund *r), void *arg) KE_CHECK;
/* The holder has got the money back by that transfer; KE_EXISTS when that was so before. */
int db_refund_put(
    struct db *d, int64_t holder, int64_t transfer, int64_t amount, int64_t now_ms) KE_CHECK;
/* What has been paid back of a raffle. */
int db_refund_sum(struct db *d, int64_t raffle, int64_t *n, int64_t *amount) KE_CHECK;

#endif
