/*
 * The rules of the operator log over all its records (DRAW.md sections 6 and 8): each raffle is
 * opened once, then perhaps amended, closed once, and drawn or aborted exactly once; each record
 * names the earlier ones by their places, and what a draw says follows from them. Memory grows with
 * the raffles, not with their records. Pure; in klero-verify, on strangers' logs.
 */
#ifndef POLICY_AUDIT_RECORDS_H
#define POLICY_AUDIT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/audit.h"
#include "policy/record2.h"
#include "policy/seen.h"

#define AUDIT_RAFFLES_MAX ((size_t)1 << 20)

enum audit_state { AUDIT_OPEN, AUDIT_CLOSED, AUDIT_DRAWN, AUDIT_ABORTED, AUDIT_STATES };

/* What later records of a raffle, and its ticket log, are judged by. */
struct audit_raffle {
	uint8_t id[16];
	enum audit_state state;
	bool holder; /* dedupe holder */
	uint32_t winners, reserves, amends, forfeits;
	uint64_t open_index, close_index, end_index; /* the last one of a draw or an abort */
	uint8_t open_leaf[32], end_leaf[32], seed_commit[32];
	uint64_t sales_close_s, deadline_s;
	uint64_t tickets; /* closed */
	uint8_t root[32];
	/* drawn: the key of its shuffle, and its picks, or the file that has so many of them */
	uint8_t draw_key[32], winners_file[32];
	struct record_pick *picks; /* NULL: they are in the file */
	uint32_t npicks;
};

struct audit_records {
	const char *origin; /* of the operator log */
	struct audit_raffle *raffles;
	size_t n, cap;   /* in the order of their open records */
	struct seen ids; /* numbered as they are */
	uint64_t count[RECORD2_KINDS];
	struct record_pick *picks;
};

/*
 * head is the checkpoint that the log is audited under: its root keys the table, so that nobody can
 * choose raffle ids that fall together. KE_NOMEM.
 */
int audit_records_init(
    struct audit_records *a, const char *origin, const struct checkpoint *head) KE_CHECK;
void audit_records_free(struct audit_records *a);

/* For struct audit; arg is a struct audit_records. */
audit_leaf audit_record;

/* NULL when the log has no such raffle; valid until the next record. */
const struct audit_raffle *audit_raffle_get(const struct audit_records *a, const uint8_t id[16]);

/* record2_numbers_ok() for the draw of a closed raffle. */
bool audit_numbers_ok(const struct audit_raffle *raffle, const struct record2 *draw);

#endif
