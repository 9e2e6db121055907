/*
 * Payouts: transactions that a pool's key signs. A row stands before hsm is asked, so that whatever
 * dies in between, the same payout is asked for again and no other takes its place on the chain.
 * What a row says never changes; it is signed or refused once.
 */
#ifndef DB_DB_PAYOUT_H
#define DB_DB_PAYOUT_H

#include "db/db.h"
#include "policy/payout.h"

/* numbers are part of the store's format; words in db_payout_word() */
enum db_payout_state {
	DB_PAYOUT_REQUESTED, /* hsm is to sign it */
	DB_PAYOUT_SIGNED,
	DB_PAYOUT_REFUSED, /* hsm has not signed it and never will */
	DB_PAYOUT_STATES
};

struct db_payout {
	struct payout say; /* what is to be signed; kind and chain id are the pool's */
	uint8_t pool[16];
	uint8_t idem[16]; /* db_idem_scope() of the request that it came by */
	enum db_payout_state state;
	uint8_t created_by[16];
	int64_t created_ms, settled_ms; /* settled 0: not yet */
	/* when signed: */
	uint8_t tx[PAYOUT_TX_MAX];
	size_t tx_len;
	uint8_t tx_hash[PAYOUT_HASH_MAX];
	size_t tx_hash_len; /* 32: Keccak-256; 64: the signature, Solana's name for a transaction */
};

const char *db_payout_word(enum db_payout_state s);

/*
 * All but state, settled_ms, tx and its hash; requested. KE_RANGE when it is no payout or a number
 * is above 2^63 - 1; KE_EXISTS: the request has one, or the
 * pool has one of this nonce, or of this blockhash, recipient and amount, that is not refused.
 */
int db_payout_create(struct db *d, const struct db_payout *p) KE_CHECK;
int db_payout_get(struct db *d, const uint8_t id[16], struct db_payout *p) KE_CHECK;
int db_payout_by_idem(struct db *d, const uint8_t idem[16], struct db_payout *p) KE_CHECK;
/* Of one pool, newest first: ids below `before` (NULL: from the newest). */
int db_payout_page(struct db *d, const uint8_t pool[16], const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_payout *p), void *arg) KE_CHECK;
/* Those that are requested, oldest first: ids above `after` (NULL: from the oldest). */
int db_payout_waiting(struct db *d, const uint8_t *after, int64_t limit,
    int (*each)(void *arg, const struct db_payout *p), void *arg) KE_CHECK;
/* Requested → signed: p->tx and p->tx_hash are stored. KE_STATE when it is settled, KE_NOTFOUND. */
int db_payout_set_signed(struct db *d, const struct db_payout *p, int64_t now_ms) KE_CHECK;
/* Requested → refused; its place on the chain is free again. KE_STATE, KE_NOTFOUND. */
int db_payout_set_refused(struct db *d, const uint8_t id[16], int64_t now_ms) KE_CHECK;
int db_payout_count(struct db *d, enum db_payout_state s, int64_t *n) KE_CHECK;

#endif
