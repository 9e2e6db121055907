/*
 * The transparency logs (DRAW.md section 3): the operator log's records, and of every log the roots
 * of complete subtrees and the signed checkpoints. A raffle's ticket log has no leaves of its own:
 * the tickets are its leaves, and what the sale keeps of their tree is in the raffle's row.
 */
#ifndef DB_DB_LOG_H
#define DB_DB_LOG_H

#include "db/db.h"
#include "policy/merkle.h"
#include "policy/tile.h"

#define DB_LOG_OPERATOR 0 /* number of the operator log; a ticket log has its raffle's */
#define DB_LOG_TEXT_MAX TILE_ENTRY_MAX /* of a record */
#define DB_LOG_NOTE_MAX 16384          /* of a checkpoint with its cosignatures */

struct db_log {
	int64_t no;
	uint8_t raffle[16];        /* zeros for the operator log */
	struct merkle_range range; /* of all leaves that are durable */
	int64_t logged;            /* size of the newest checkpoint, -1: none yet */
};

/* KE_NOTFOUND: no raffle has this number or id, or it has no ticket log (v1, draft). */
int db_log_get(struct db *d, int64_t no, struct db_log *l) KE_CHECK;
int db_log_of_raffle(struct db *d, const uint8_t id[16], struct db_log *l) KE_CHECK;
/*
 * The next log above `after` (-1: from the first) whose checkpoint does not cover all its leaves;
 * KE_NOTFOUND.
 */
int db_log_behind(struct db *d, int64_t after, int64_t *no) KE_CHECK;

/* The subtrees that a leaf has completed, n of them (policy/merkle.h). KE_EXISTS. */
int db_log_complete(struct db *d, int64_t no, const struct merkle_subtree *done, size_t n) KE_CHECK;
/* Stored roots first .. first + n - 1 of a level from 1 on; KE_NOTFOUND when one is not there. */
int db_log_nodes(struct db *d, int64_t no, unsigned level, uint64_t first, unsigned n,
    uint8_t (*hash)[32]) KE_CHECK;

struct db_record {
	uint64_t index; /* in the operator log */
	uint8_t raffle[16];
	unsigned kind; /* enum record2_kind */
	int64_t at_ms;
	uint8_t leaf[32]; /* leaf hash */
	const char *text; /* in callbacks valid until they return */
	size_t len;
};

/* As the next leaf: takes all but index, which it sets. KE_LONG. */
int db_log_append(struct db *d, struct db_record *r) KE_CHECK;
/* n records from an index on, in order. */
int db_log_records(struct db *d, uint64_t first, uint64_t n,
    int (*each)(void *arg, const struct db_record *r), void *arg) KE_CHECK;
/* The leaf hashes of n records; KE_NOTFOUND when one is not there. */
int db_log_leaves(struct db *d, uint64_t first, unsigned n, uint8_t (*hash)[32]) KE_CHECK;
/* All of one kind of a raffle, in order. */
int db_log_records_of(struct db *d, const uint8_t raffle[16], unsigned kind,
    int (*each)(void *arg, const struct db_record *r), void *arg) KE_CHECK;

struct db_checkpoint {
	uint64_t size;
	uint8_t root[32];
	int64_t at_ms;
	char note[DB_LOG_NOTE_MAX + 1];
	size_t len;
	uint64_t met_s; /* Unix time at which a quorum of witnesses had cosigned it; 0: not yet */
};

/* Makes it the log's newest, whose met_s is 0: KE_STATE unless it is larger than the one before. */
int db_log_set_checkpoint(struct db *d, int64_t no, const struct db_checkpoint *c) KE_CHECK;
/* The newest of at most `size` leaves (UINT64_MAX: the newest); KE_NOTFOUND. */
int db_log_checkpoint(struct db *d, int64_t no, uint64_t size, struct db_checkpoint *c) KE_CHECK;
/* The first of more than `size` leaves that has its quorum; KE_NOTFOUND. */
int db_log_met(struct db *d, int64_t no, uint64_t size, struct db_checkpoint *c) KE_CHECK;
/* The checkpoint of that size with other signature lines (cosignatures), and met_s; KE_NOTFOUND. */
int db_log_set_note(struct db *d, int64_t no, const struct db_checkpoint *c) KE_CHECK;

#endif
