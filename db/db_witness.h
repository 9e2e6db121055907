/*
 * What this appliance knows as a witness of other appliances' logs: the last checkpoint that it
 * cosigned of each, and the evidence of those that it refused although their log had signed them.
 */
#ifndef DB_DB_WITNESS_H
#define DB_DB_WITNESS_H

#include "db/db.h"

#define DB_WITNESS_NOTE_MAX 8192 /* of a signed checkpoint */
#define DB_EVIDENCE_MAX     1000 /* kept in all: the first ones say it */

enum db_evidence_kind {
	DB_EVIDENCE_SPLIT = 1,        /* another tree of the size that was cosigned */
	DB_EVIDENCE_INCONSISTENT = 2, /* not shown to hold what was cosigned */
	DB_EVIDENCE_KINDS
};

struct db_witnessed {
	const char *origin; /* of the log */
	uint64_t size;      /* at most INT64_MAX */
	const uint8_t *root;
	const char *note; /* signed by the log; note_len bytes */
	size_t note_len;
	int64_t at_ms;
};

/* The last checkpoint that was cosigned of that log. KE_RANGE. */
int db_witness_put(struct db *d, const struct db_witnessed *w) KE_CHECK;
/*
 * A refused one, with the last one that was cosigned beside it; *kept: it was not known yet, and
 * there was room.
 */
int db_witness_evidence(
    struct db *d, enum db_evidence_kind kind, const struct db_witnessed *w, bool *kept) KE_CHECK;
/* How many there are of a kind. */
int db_witness_count(struct db *d, enum db_evidence_kind kind, int64_t *n) KE_CHECK;

#endif
