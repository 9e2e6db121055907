/*
 * Announced deposits; an admin confirms or rejects each exactly once.
 */
#ifndef DB_DB_DEPOSIT_H
#define DB_DB_DEPOSIT_H

#include "db/db.h"
#include "db/db_ledger.h"

#define DB_REFERENCE_MAX 128
#define DB_PROVIDER_MAX  31

/* numbers are part of the store's format; words in db_deposit_word() */
enum db_deposit_state {
	DB_DEPOSIT_PENDING,
	DB_DEPOSIT_CONFIRMED,
	DB_DEPOSIT_REJECTED,
	DB_DEPOSIT_STATES
};
#define DB_DEPOSIT_ANY (-1)

struct db_deposit {
	uint8_t id[16]; /* UUIDv7 */
	uint8_t user[16];
	int64_t amount;
	char currency[DB_CURRENCY_MAX + 1];
	char provider[DB_PROVIDER_MAX + 1];
	char reference[DB_REFERENCE_MAX + 1]; /* "" for none */
	enum db_deposit_state state;
	int64_t created_ms;
	uint8_t decided_by[16];
	int64_t decided_ms; /* 0: not yet */
};

const char *db_deposit_word(enum db_deposit_state s);
/* Takes id, user, amount, currency, provider, reference, created_ms; pending. */
int db_deposit_create(struct db *d, const struct db_deposit *p) KE_CHECK;
int db_deposit_get(struct db *d, const uint8_t id[16], struct db_deposit *p) KE_CHECK;
/* pending → confirmed or rejected; KE_STATE when decided before, KE_NOTFOUND. Moves no money. */
int db_deposit_decide(struct db *d, const uint8_t id[16], enum db_deposit_state to,
    const uint8_t by[16], int64_t now_ms) KE_CHECK;
/* Newest first: ids below `before` (NULL: from the newest); state or DB_DEPOSIT_ANY. */
int db_deposit_page(struct db *d, int state, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_deposit *p), void *arg) KE_CHECK;

#endif
