/*
 * Auditing a log, leaf by leaf: that its entries are what its checkpoint says, that its hash tiles
 * are those of its entries, and that an older checkpoint is of the same log. Constant memory
 * whatever the log's size. Pure but for the reader; everything that is read comes from strangers.
 * Runs in klero-verify.
 */
#ifndef POLICY_AUDIT_H
#define POLICY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/merkle.h"
#include "policy/tile.h"
#include "policy/tlog.h"

#define AUDIT_WHY_MAX    240
#define AUDIT_BUNDLE_MAX ((size_t)TILE_WIDTH * (2 + TILE_ENTRY_MAX))

/*
 * Reads a tile or an entry bundle; *p stays valid until the next call. KE_NOTFOUND, or another
 * error, which audit_log() returns as it is.
 */
typedef int audit_read(void *arg, const struct tile *t, const uint8_t **p, size_t *n);
/* Judges the leaf at that index; an error ends the audit, why (AUDIT_WHY_MAX bytes) says what. */
typedef int audit_leaf(
    void *arg, uint64_t index, const uint8_t *p, size_t n, const uint8_t hash[32], char *why);

struct audit {
	audit_read *read;
	void *read_arg;
	audit_leaf *leaf;
	void *leaf_arg;
	const struct checkpoint *old; /* of the same log, of an earlier day; NULL: none is known */

	/* the audit's own */
	struct merkle_range range;
	uint8_t tile[TILE_LEVELS][TILE_WIDTH][32]; /* the last tile of each level, so far */
	unsigned width[TILE_LEVELS];
	char why[AUDIT_WHY_MAX];
};

/*
 * Goes through all entries below head->size. KE_OK; KE_CRYPTO when something does not agree with
 * the checkpoint, its own tiles or the older checkpoint, KE_FORMAT for an entry bundle that is
 * none, the reader's and the leaf's errors; why says what and where.
 */
int audit_log(struct audit *a, const struct checkpoint *head) KE_CHECK;

/* The leaf of a ticket log (DRAW.md section 4); arg is the raffle's 16 bytes. */
audit_leaf audit_ticket;

/* Notes why: a helper of audit_leaf functions. Returns err. */
int audit_no(char *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
