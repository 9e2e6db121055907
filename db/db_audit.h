/*
 * The audit trail: a hash chain. hash = SHA-256(hash before ‖ canonical line), the first before
 * being 32 zero bytes, the line (no LF)
 *	klero-audit/1 <seq> <unix ms> <actor> <action> <subject> <detail>
 * with ids as 32 hex characters or "-" for none. Rows are never updated or deleted (triggers).
 */
#ifndef DB_DB_AUDIT_H
#define DB_DB_AUDIT_H

#include "db/db.h"

#define DB_ACTION_MAX 47
#define DB_DETAIL_MAX 4096

struct db_audit {
	int64_t seq; /* from 1, without gaps */
	int64_t at_ms;
	bool has_actor, has_subject;
	uint8_t actor[16], subject[16];
	const char *action; /* a word without spaces */
	const char *detail; /* JSON text */
	size_t detail_len;
	uint8_t hash[32];
};

/* actor and subject may be NULL. KE_FORMAT, KE_LONG. */
int db_audit_append(struct db *d, int64_t now_ms, const uint8_t *actor, const char *action,
    const uint8_t *subject, const char *detail, size_t n) KE_CHECK;
/* Newest first: seq < before (0: from the newest), at most limit. Texts valid until each returns.
 */
int db_audit_page(struct db *d, int64_t before, int64_t limit,
    int (*each)(void *arg, const struct db_audit *a), void *arg) KE_CHECK;
/* The newest line's seq and hash; seq 0 and zeroes when there is none. */
int db_audit_head(struct db *d, int64_t *seq, uint8_t hash[32]) KE_CHECK;
/* The hash of line seq; KE_NOTFOUND. */
int db_audit_hash(struct db *d, int64_t seq, uint8_t hash[32]) KE_CHECK;
/* Recomputes the whole chain; KE_DAMAGED, *bad (may be NULL) is the first line that does not fit.
 */
int db_audit_check(struct db *d, int64_t *lines, int64_t *bad) KE_CHECK;

#endif
