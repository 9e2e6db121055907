/*
 * Money: a double-entry ledger. A transfer moves an amount from one account to another and leaves
 * two entries that sum to zero; a balance changes only together with its entry (a trigger holds
 * this), entries are never updated or deleted (triggers), and no balance but a provider's falls
 * below what is held (CHECK). Entries form a chain per account: newest first needs no index.
 */
#ifndef DB_DB_LEDGER_H
#define DB_DB_LEDGER_H

#include "db/db.h"

#define DB_CURRENCY_MAX 8
#define DB_KIND_MAX     31

enum db_account_kind {
	DB_ACCOUNT_USER = 1, /* owner: user id */
	DB_ACCOUNT_POT,      /* owner: raffle id */
	DB_ACCOUNT_PROVIDER  /* the world outside, may go negative; owner: 16 zero bytes or a
				provider's id */
};

struct db_account {
	int64_t id;
	enum db_account_kind kind;
	uint8_t owner[16];
	char currency[DB_CURRENCY_MAX + 1];
	int64_t balance, held; /* available = balance - held */
	int64_t last_entry;    /* seq of the newest entry, 0: none */
};

struct db_entry {
	int64_t seq;
	int64_t account;
	int64_t transfer;
	int64_t amount; /* signed */
	int64_t balance_after;
	int64_t prev; /* seq of the account's entry before, 0: none */
	char currency[DB_CURRENCY_MAX + 1];
	char kind[DB_KIND_MAX + 1]; /* of the transfer */
	uint8_t ref[16];
	int64_t at_ms;
};

/* The account as it is now. db_account_get: KE_NOTFOUND; db_account_open makes it when it is
 * missing. */
int db_account_get(struct db *d, enum db_account_kind kind, const uint8_t owner[16],
    const char *currency, struct db_account *a) KE_CHECK;
int db_account_open(struct db *d, enum db_account_kind kind, const uint8_t owner[16],
    const char *currency, struct db_account *a) KE_CHECK;

/*
 * Moves amount (> 0) from *from to *to, both freshly read in this savepoint; on KE_OK both hold
 * the new balance. kind is a word ("deposit", "buy"), ref what it is about.
 * KE_FUNDS: available is less. KE_RANGE: amount, or the balance would pass RULES_MONEY_MAX.
 * KE_FORMAT: currencies differ or the accounts are the same. KE_CONFLICT: an account was stale.
 * *transfer (may be NULL) is its id.
 */
int db_ledger_transfer(struct db *d, struct db_account *from, struct db_account *to, int64_t amount,
    const char *kind, const uint8_t ref[16], int64_t now_ms, int64_t *transfer) KE_CHECK;
/* held grows (or shrinks, amount < 0); KE_FUNDS when not available, KE_RANGE when held would fall
 * below 0. */
int db_ledger_hold(struct db *d, struct db_account *a, int64_t amount) KE_CHECK;

/* Every account of a user, by currency. A callback's error stops the list and is returned. */
int db_wallet_list(struct db *d, const uint8_t user[16],
    int (*each)(void *arg, const struct db_account *a), void *arg) KE_CHECK;
#define DB_WALLET_MAX 32 /* currencies that one user's entries are listed for */
/* Where such a list goes on: the next entry of each currency that has more. */
struct db_entries_at {
	size_t n;
	int64_t seq[DB_WALLET_MAX];
};
/*
 * A user's entries over all currencies, newest first, at most `limit`: from *at on, with at->n 0
 * from the newest. *at is then where the next page begins, at->n 0 after the last one. A page reads
 * its own rows and one of each currency, however many the others have. KE_RANGE when *at names what
 * is no entry of this user, or two of one currency.
 */
int db_wallet_entries(struct db *d, const uint8_t user[16], struct db_entries_at *at, int64_t limit,
    int (*each)(void *arg, const struct db_entry *e), void *arg) KE_CHECK;

struct db_ledger_report {
	int64_t accounts, transfers, entries;
	char why[DB_WHY_MAX]; /* the first thing that does not agree */
};
/*
 * Recomputes everything: each transfer has two entries that sum to zero in one currency, each chain
 * of entries is whole and adds up to the balance, each currency sums to zero. Reads the whole
 * ledger, in memory that grows with it. KE_DAMAGED with words.
 */
int db_ledger_check(struct db *d, struct db_ledger_report *rep) KE_CHECK;
/*
 * The least of it while the store works: do the balances of each currency sum to zero? Looks at
 * `most` accounts per call; what is booked between calls is followed. KE_AGAIN: there are more;
 * KE_OK: *whole is the answer, and the next call begins anew.
 */
int db_ledger_walk(struct db *d, int64_t most, bool *whole) KE_CHECK;

#endif
