/*
 * Pools: deposit addresses whose private keys the HSM keeps (API.md). The store holds what the HSM
 * has wrapped or sealed, bound to its row by the public key; nothing here opens it. Of a pool only
 * that wrapping ever changes.
 */
#ifndef DB_DB_POOL_H
#define DB_DB_POOL_H

#include "db/db.h"
#include "policy/payout.h"

#define DB_POOL_NAME_MAX    64
#define DB_POOL_ADDRESS_MAX 44
#define DB_POOL_KEY_MAX     511

struct db_pool {
	uint8_t id[16]; /* UUIDv7 */
	char name[DB_POOL_NAME_MAX + 1];
	enum payout_kind chain;
	int64_t network;                       /* EVM: the chain id; Solana: 1 and on, a cluster */
	char address[DB_POOL_ADDRESS_MAX + 1]; /* one text per address: EIP-55, or base58 */
	uint8_t public_key[PAYOUT_PUB_MAX];
	size_t public_len;             /* 65 uncompressed point, 32 Ed25519 */
	char key[DB_POOL_KEY_MAX + 1]; /* klero:1:deposit:… or klero:1:deposit25519:… */
	bool imported;                 /* from the platform before; else made in the HSM */
	uint8_t created_by[16];        /* zero: by the control socket */
	int64_t created_ms;
};

/* KE_EXISTS when the id or the address is taken. */
int db_pool_create(struct db *d, const struct db_pool *p) KE_CHECK;
int db_pool_get(struct db *d, const uint8_t id[16], struct db_pool *p) KE_CHECK;
int db_pool_by_address(struct db *d, const char *address, struct db_pool *p) KE_CHECK;
/* Newest first: ids below `before` (NULL: from the newest). */
int db_pool_page(struct db *d, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_pool *p), void *arg) KE_CHECK;
int db_pool_count(struct db *d, int64_t *n) KE_CHECK;

/* head: "klero:1:deposit:v000001:", what the keys of a chain begin with under a version */
/* At most `limit` pools of a chain whose keys do not begin with this head, behind `skip` of them.
 */
int db_pool_old_keys(struct db *d, enum payout_kind chain, const char *head, int64_t limit,
    int64_t skip, int (*each)(void *arg, const struct db_pool *p), void *arg) KE_CHECK;
/* How many begin with it. */
int db_pool_count_keys(struct db *d, enum payout_kind chain, const char *head, int64_t *n) KE_CHECK;
/* The same key wrapped anew; KE_STATE when the row does not hold p->key any more. */
int db_pool_set_key(struct db *d, const struct db_pool *p, const char *key) KE_CHECK;

#endif
