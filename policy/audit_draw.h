/*
 * A drawn raffle's ticket log against its draw (DRAW.md section 8), for audits: the picks are the
 * tickets of their places in the log and the shuffle's first, and where a holder wins once, each
 * ticket that was passed over is of one who had won. That last question takes the whole ticket log,
 * and 8 bytes of each ticket. Pure; runs in klero-verify, on what strangers say.
 */
#ifndef POLICY_AUDIT_DRAW_H
#define POLICY_AUDIT_DRAW_H

#include "policy/audit_records.h"
#include "policy/leaf.h"

struct audit_draw {
	const struct audit_raffle *raffle;
	const struct record_pick *picks; /* winners, then reserves */
	size_t n;
	uint32_t *by_index; /* numbers of picks, by their places in the log */
	size_t found;       /* how many of them the log has shown */
	/* dedupe holder: a keyed hash of each ticket's holder_commit */
	uint64_t *holder;
	size_t tickets, cap;
};

/*
 * picks are the caller's while it lives. The hash's key is the draw's: whoever made the tickets did
 * not know it. KE_NOMEM. Then audit_draw_free(), also after an error.
 */
int audit_draw_init(struct audit_draw *d, const struct audit_raffle *raffle,
    const struct record_pick *picks, size_t n) KE_CHECK;
void audit_draw_free(struct audit_draw *d);

/* For struct audit; arg is a struct audit_draw. Judges as audit_ticket() does, too. */
audit_leaf audit_draw_leaf;

/* When all leaves were there: KE_CRYPTO, why (AUDIT_WHY_MAX bytes) says what does not agree. */
int audit_draw_end(struct audit_draw *d, char *why) KE_CHECK;

#endif
