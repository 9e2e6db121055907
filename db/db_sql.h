/*
 * Inside db/ only: how a noun's functions run their statements, in words that any SQL store
 * knows. Each noun has a list of statement texts next to its functions; the driver
 * (db_sqlite.c) prepares all of them once at open. Parameters are filled and columns read in
 * order, so a number never goes astray.
 */
#ifndef DB_DB_SQL_H
#define DB_DB_SQL_H

#include "db/db.h"

/* Every noun that has statements: db_<noun>_sql is its list. */
#define DB_NOUNS(X)                                                                                \
	X(head)                                                                                    \
	X(meta)                                                                                    \
	X(user)                                                                                    \
	X(session)                                                                                 \
	X(behind)                                                                                  \
	X(ledger)                                                                                  \
	X(ledger_check)                                                                            \
	X(deposit)                                                                                 \
	X(exposed)                                                                                 \
	X(raffle)                                                                                  \
	X(ticket)                                                                                  \
	X(log)                                                                                     \
	X(life)                                                                                    \
	X(idem)                                                                                    \
	X(audit) X(job) X(proposal) X(pool) X(payout) X(beacon) X(escrow) X(witness) X(winners)

struct db_sql_list {
	const char *const *text;
	size_t n;
};

enum db_noun {
#define X(noun) DB_NOUN_##noun,
	DB_NOUNS(X)
#undef X
	    DB_NOUN_COUNT
};

#define X(noun) extern const struct db_sql_list db_##noun##_sql;
DB_NOUNS(X)
#undef X

/* Declares a noun's list from its enum-indexed array of texts. */
#define DB_SQL_LIST(noun, texts)                                                                   \
	const struct db_sql_list db_##noun##_sql = {texts, sizeof(texts) / sizeof((texts)[0])}

struct db_st;

/* Statement i of a noun, ready for its first parameter. Outside a turn db_step() says KE_STATE. */
struct db_st *db_sql(struct db *d, enum db_noun noun, size_t i);

/* The next parameter. Texts and bytes must live until db_end() or the step that ends it. */
void db_in_int(struct db_st *st, int64_t v);
void db_in_blob(struct db_st *st, const void *p, size_t n);
void db_in_text(struct db_st *st, const char *s, size_t n);
void db_in_cstr(struct db_st *st, const char *s);
void db_in_null(struct db_st *st);
/* NULL pointer: SQL NULL. */
void db_in_id(struct db_st *st, const uint8_t *id);

/*
 * KE_OK: a row is there. KE_NOTFOUND: no (more) row, ended. KE_EXISTS: a key is taken;
 * KE_RANGE: a CHECK refused; KE_STATE: a trigger or a foreign key refused; KE_IO, KE_DAMAGED,
 * KE_NOMEM, KE_INTERNAL. After anything but KE_OK the statement is ended.
 */
int db_step(struct db_st *st) KE_CHECK;

/* The next column of the row. A value of another type or size makes db_end() say KE_DAMAGED. */
int64_t db_out_int(struct db_st *st);
void db_out_blob(struct db_st *st, void *dst, size_t n); /* exactly n bytes; NULL reads as zeroes */
/* At most cap bytes, *n how many. */
void db_out_bytes(struct db_st *st, void *dst, size_t cap, size_t *n);
void db_out_text(struct db_st *st, char *dst, size_t cap); /* with NUL */
/* A view, valid until the next step; NULL with *n = 0 for an empty or NULL value. */
const void *db_out_view(struct db_st *st, size_t *n);
bool db_out_isnull(struct db_st *st); /* does not move on */

/* Ends a statement before its last row; KE_OK or KE_DAMAGED. */
int db_end(struct db_st *st) KE_CHECK;
/* For statements without rows: steps once and ends. */
int db_exec(struct db_st *st) KE_CHECK;
/* As db_exec; *n (may be NULL) is how many rows were changed. */
int db_exec_many(struct db_st *st, int64_t *n) KE_CHECK;
/* As db_exec; KE_NOTFOUND when no row was changed. */
int db_exec_one(struct db_st *st) KE_CHECK;
/*
 * A compare-and-set: when it changes nothing, `row` (a query by the same key, its parameters
 * filled) tells whether the row is missing, KE_NOTFOUND, or not as expected, `otherwise`.
 */
int db_exec_cas(struct db_st *st, struct db_st *row, int otherwise) KE_CHECK;
/* The bytes or text of the one column of the one row; KE_NOTFOUND, KE_LONG. */
int db_exec_copy(struct db_st *st, void *buf, size_t cap, size_t *n) KE_CHECK;
/* For statements with at most one row of one integer. */
int db_exec_int(struct db_st *st, int64_t *v) KE_CHECK;

/*
 * Runs a statement to its end. row reads the columns (db_out_*) and hands them on; its error
 * stops the run and is returned.
 */
int db_each(struct db_st *st, int (*row)(struct db_st *st, void *arg), void *arg) KE_CHECK;

/* How far db_ledger_walk() is, and what it has found: the balances of all accounts up to there. */
#define DB_WALK_CURRENCIES 32
struct db_walk {
	int64_t upto; /* id of an account, 0: none yet */
	bool broken;
	size_t n;
	struct {
		char currency[9];
		int64_t sum;
	} c[DB_WALK_CURRENCIES];
};
/* A balance has changed: the walk's sums follow when it has been there. */
void db_walk_moved(struct db_walk *w, int64_t account, const char *currency, int64_t amount);

/* How far balances, holdings and scopes have been swept to their pages (db_behind.h). */
struct db_sweep {
	int64_t entry, answer;   /* the newest when this round began */
	int64_t length;          /* so many entries, tickets and answers is this round */
	int64_t done;            /* have been appended since */
	int64_t account, holder; /* swept up to here in this round */
	uint64_t scope;          /* and up to scopes that begin so */
	bool grew;               /* since the last commit */
	bool own;                /* this process has appended something */
};

/*
 * Numbers that the store gives out itself, kept here so that no insert has to ask. They follow
 * turns and savepoints: rolled back together with the rows.
 */
struct db_head {
	int64_t transfer, entry; /* newest given */
	int64_t account, holder, raffle, idem;
	int64_t audit;
	uint8_t audit_hash[32];
	struct db_walk walk;
	struct db_sweep sweep;
};
struct db_head *db_head(struct db *d);

/* Above every id: where a list "newest first" begins. */
extern const uint8_t db_id_last[16];

/* Notes words for db_why(); returns r. */
int db_fail(struct db *d, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
