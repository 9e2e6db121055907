/*
 * A buyer's receipt (DRAW.md section 5): a tlog-proof that his ticket is in the ticket log, and
 * what the ticket's leaf says of him. Pure; in klero-verify, on files from strangers.
 */
#ifndef POLICY_RECEIPT_H
#define POLICY_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/leaf.h"
#include "policy/tlog.h"

#define RECEIPT_MAX     65536
#define RECEIPT_WHY_MAX 160

struct receipt {
	/* what is known without it */
	const struct note_key *key;       /* of the ticket log, or of the operator's */
	const struct tlog_policy *policy; /* NULL: no witnesses are asked for */
	const char *holder, *client_seed; /* NULL: not to be compared */

	/* what it shows */
	struct leaf leaf;
	struct checkpoint log;
	unsigned seen; /* witnesses */
	char why[RECEIPT_WHY_MAX];
};

/*
 * Is the leaf (LEAF_LEN bytes) in the log, by a checkpoint that the key signed? KE_OK; why says
 * what is not: KE_FORMAT, KE_NOTFOUND (not signed by the key), KE_CRYPTO.
 */
int receipt_check(
    struct receipt *r, const char *text, size_t n, const uint8_t leaf[LEAF_LEN]) KE_CHECK;

#endif
