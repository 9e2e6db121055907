/*
 * Raffles. A state changes by compare-and-set only; each change bumps the version. A sale touches
 * one narrow read (db_raffle_sale) and one update (db_raffle_sold).
 */
#ifndef DB_DB_RAFFLE_H
#define DB_DB_RAFFLE_H

#include "db/db.h"
#include "db/db_ledger.h"
#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/merkle.h"
#include "policy/record.h"
#include "policy/rules.h"

#define DB_TITLE_MAX       200
#define DB_DESCRIPTION_MAX 4000
#define DB_SEED_BLOB_MAX   511
#define DB_RECORD_MAX      RECORD1_TEXT_MAX
#define DB_NOTE_MAX        (RECORD1_TEXT_MAX + 1024)

/* The store's numbers for how a raffle is drawn: DRAW.md section 11, and the rest of it. */
enum raffle_format { RAFFLE_V1 = 1, RAFFLE_V2 = 2 };

struct db_raffle {
	int64_t no;     /* the store's own short number, never shown */
	uint8_t id[16]; /* UUIDv7 */
	enum raffle_format format;
	char title[DB_TITLE_MAX + 1];
	char description[DB_DESCRIPTION_MAX + 1];
	enum raffle_state state;
	int64_t price;
	char currency[DB_CURRENCY_MAX + 1];
	int64_t capacity, per_person /* 0: none */, winners, reserves;
	int64_t sold;
	int64_t version;
	uint8_t created_by[16];
	int64_t created_ms, opened_ms, closed_ms, drawn_ms; /* 0: not yet */
	uint8_t seed_commit1[32], seed_commit2[32];         /* from open on */
	char seed_blob[DB_SEED_BLOB_MAX + 1];               /* klero:1:seed:…, from open on */
	uint8_t entropy[DRAW_ENTROPY_MAX];
	size_t entropy_len; /* 0: not entered */
	uint8_t entropy_by[16];
	int64_t entropy_ms;
	uint8_t root[32], aggregate[32]; /* from close on */
	uint8_t server_seed[32];         /* from draw on */
	int64_t aborted_ms;              /* v2; 0: not */
	int64_t sales_close_s;           /* v2 */
};

/* What a sale reads and writes. */
struct db_sale {
	int64_t no;
	uint8_t id[16];
	enum raffle_format format;
	enum raffle_state state;
	int64_t price;
	char currency[DB_CURRENCY_MAX + 1];
	int64_t capacity, per_person, sold;
	int64_t sales_close_s;             /* v2 */
	struct merkle_range range;         /* of the tickets' leaves; range.size == sold */
	uint8_t aggregate[HASH_STATE_LEN]; /* running hash of the client seeds' hashes */
};

/*
 * Takes id, format, title, description, price, currency, capacity, per_person, winners, reserves,
 * created_by, created_ms; a draft of version 1. KE_EXISTS.
 */
int db_raffle_create(struct db *d, const struct db_raffle *r) KE_CHECK;
int db_raffle_get(struct db *d, const uint8_t id[16], struct db_raffle *r) KE_CHECK;
/*
 * Newest first: ids below `before` (NULL: newest) of one RAFFLE_* state, or all but drafts. Without
 * descriptions.
 */
#define DB_RAFFLE_PUBLIC (-1)
int db_raffle_page(struct db *d, int state, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_raffle *r), void *arg) KE_CHECK;

/* Each: KE_STATE when the raffle is not in the state before, KE_NOTFOUND. */
int db_raffle_set_open(struct db *d, const uint8_t id[16], const uint8_t seed_commit1[32],
    const uint8_t seed_commit2[32], const char *seed_blob, int64_t now_ms) KE_CHECK;
int db_raffle_set_closed(struct db *d, const uint8_t id[16], const uint8_t root[32],
    const uint8_t aggregate[32], int64_t now_ms) KE_CHECK;
/* Once, while closed: KE_EXISTS when it was entered before. */
int db_raffle_set_entropy(struct db *d, const uint8_t id[16], const void *entropy, size_t n,
    const uint8_t by[16], int64_t now_ms) KE_CHECK;
/* record: the v1 draw record; note: the signed note around it. */
int db_raffle_set_drawn(struct db *d, const uint8_t id[16], const uint8_t server_seed[32],
    const char *record, size_t record_len, const char *note, size_t note_len,
    int64_t now_ms) KE_CHECK;
/* Of a v2 raffle, whose record is in the operator log. */
int db_raffle_set_drawn2(
    struct db *d, const uint8_t id[16], const uint8_t server_seed[32], int64_t now_ms) KE_CHECK;
int db_raffle_set_aborted(struct db *d, const uint8_t id[16], int64_t now_ms) KE_CHECK;
/* The texts of a drawn raffle into buf, *n bytes without a NUL; KE_NOTFOUND, KE_LONG. */
int db_raffle_record(struct db *d, const uint8_t id[16], char *buf, size_t cap, size_t *n) KE_CHECK;
int db_raffle_note(struct db *d, const uint8_t id[16], char *buf, size_t cap, size_t *n) KE_CHECK;

/* A seed that is not revealed yet, as the rotation of its key meets it. */
struct db_seed {
	uint8_t id[16], commit1[32];
	char blob[DB_SEED_BLOB_MAX + 1];
};
/* "klero:1:seed:v000001:": what a wrapped seed begins with */
#define DB_SEED_HEAD 21
/* At most `limit` seeds that do not begin with this head, behind the first `skip` of them. */
int db_raffle_old_seeds(struct db *d, const char *head, int64_t limit, int64_t skip,
    int (*each)(void *arg, const struct db_seed *s), void *arg) KE_CHECK;
/* How many begin with it. */
int db_raffle_count_seeds(struct db *d, const char *head, int64_t *n) KE_CHECK;
/* The same seed under another key; KE_STATE when the row does not hold s->blob any more. */
int db_raffle_set_seed(struct db *d, const struct db_seed *s, const char *blob) KE_CHECK;

/* KE_NOTFOUND. */
int db_raffle_sale(struct db *d, const uint8_t id[16], struct db_sale *s) KE_CHECK;
/*
 * Stores s->sold, s->range, s->aggregate: the sale went from sold_before to s->sold.
 * KE_STATE when the raffle is not open or was not at sold_before.
 */
int db_raffle_sold(struct db *d, const struct db_sale *s, int64_t sold_before) KE_CHECK;

#endif
