/*
 * Holders (one row per person and raffle, with the salt that the HSM made) and tickets (one row
 * per index). A holder's tickets form a chain, newest first, so that no index is needed.
 */
#ifndef DB_DB_TICKET_H
#define DB_DB_TICKET_H

#include "db/db.h"

#define DB_CLIENT_SEED_MAX 256

struct db_holder {
	int64_t no;     /* the store's own number */
	int64_t raffle; /* struct db_sale.no, struct db_raffle.no */
	uint8_t user[16];
	uint8_t salt[32];
	int64_t tickets; /* how many */
	int64_t last;    /* index of the newest ticket, -1: none */
};

struct db_ticket {
	int64_t index;
	uint8_t id[16]; /* UUIDv7 */
	int64_t issued_ms;
	const char *client_seed; /* UTF-8; in callbacks valid until they return */
	size_t client_seed_len;
	int64_t prev; /* the holder's ticket before, -1: none; set by the store */
};

/* KE_NOTFOUND. raffle is the short number. */
int db_holder_get(
    struct db *d, int64_t raffle, const uint8_t user[16], struct db_holder *h) KE_CHECK;
/* With no tickets yet; KE_EXISTS. */
int db_holder_create(struct db *d, int64_t raffle, const uint8_t user[16], const uint8_t salt[32],
    struct db_holder *h) KE_CHECK;

/*
 * Issues n tickets to *h (freshly read): inserts them in order, links them and counts them on the
 * holder's row; *h is updated. KE_EXISTS when an index is taken, KE_CONFLICT when *h was stale.
 */
int db_ticket_issue(
    struct db *d, struct db_holder *h, const struct db_ticket *t, size_t n) KE_CHECK;

/* A ticket together with its holder: what a leaf is made of. */
struct db_ticket_row {
	struct db_ticket t;
	uint8_t user[16];
	uint8_t salt[32];
};
/* The one at an index: KE_NOTFOUND. The callback gets it, as in the others. */
int db_ticket_at(struct db *d, int64_t raffle, int64_t index,
    int (*each)(void *arg, const struct db_ticket_row *r), void *arg) KE_CHECK;
/* From index `first` on, in order, at most n: for the proof, in steps. */
int db_ticket_range(struct db *d, int64_t raffle, int64_t first, int64_t n,
    int (*each)(void *arg, const struct db_ticket_row *r), void *arg) KE_CHECK;
/*
 * A holder's, newest first: at most n before `before`, a ticket of the same holder (KE_RANGE when
 * it is not), or from the newest (-1).
 */
int db_ticket_page(struct db *d, int64_t raffle, const uint8_t user[16], int64_t before, int64_t n,
    int (*each)(void *arg, const struct db_ticket *t), void *arg) KE_CHECK;

#endif
