/*
 * A draw that somebody else finishes (DRAW.md section 9): from the records of the operator log, the
 * tickets, the seed that an escrow gave and the beacons' values, who has won. Pure; runs in
 * klero-verify on files from strangers. What the appliance would have drawn comes out, or nothing.
 */
#ifndef POLICY_COMPLETE_H
#define POLICY_COMPLETE_H

#include "policy/leaf.h"
#include "policy/record2.h"

#define COMPLETE_ENTRY (2 + LEAF_LEN) /* as an entry bundle has it: u16 length ‖ leaf */

struct complete {
	struct record2 open, close; /* read from their texts */
	uint8_t open_leaf[32];
	struct record2_terms terms; /* of the open record or the last amend, with values */
	const uint8_t *entries;     /* all of the ticket log's, one behind the other */
	size_t entries_len;

	/* what comes out */
	uint8_t context[32], draw_key[32];
	struct record_pick *picks; /* winners, then reserves; the caller's to free(), or NULL */
	size_t winners, reserves;
};

/* Does the close record follow the open one, and are the seed and the tickets theirs? */
enum complete_step {
	COMPLETE_RECORDS, /* kinds, one raffle, the close record names the open one */
	COMPLETE_SEED,    /* it is the one committed to */
	COMPLETE_TICKETS, /* leaves of this raffle, each at its index, with the root of the close
			     record */
	COMPLETE_STEPS
};

/*
 * Draws. The beacons' values in terms are the caller's to have verified. KE_CRYPTO: then *step says
 * what does not hold; KE_NOMEM.
 */
int complete_draw(struct complete *c, const uint8_t seed[32], enum complete_step *step) KE_CHECK;

#endif
