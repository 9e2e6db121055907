/*
 * The context of checking a v2 proof bundle, shared by its two files and no others. Pure.
 */
#ifndef POLICY_BUNDLE2_CHECK_H
#define POLICY_BUNDLE2_CHECK_H

#include "policy/bundle2.h"
#include "policy/leaf.h"
#include "policy/record2.h"

enum which { OPEN, CLOSE, DRAW, RECORDS };
extern const char *const check2_words[RECORDS];

struct ticket2 {
	uint64_t pos;
	struct leaf leaf;
};

struct check2 {
	struct bundle_doc doc;
	const struct bundle2_trust *trust;
	struct bundle2_result *res;
	struct { /* tokens of the members */
		size_t operator_vkey, tickets_vkey, policy, text[RECORDS], proof[RECORDS],
		    checkpoint, winners, passed, beacons, escrow;
	} at;

	struct note_key operator_key, tickets_key;
	struct tlog_policy own_policy;
	const struct tlog_policy *policy;
	char *text[RECORDS], *proof_text[RECORDS];
	size_t text_len[RECORDS];
	struct record2 rec[RECORDS];
	uint8_t leaf[RECORDS][32];
	struct tlog_proof proof[RECORDS];
	char *note; /* the ticket log's checkpoint */
	size_t note_len;
	struct checkpoint tickets;
	struct ticket2 *winners, *passed; /* winners, then reserves */
	size_t nwinners, npassed;
	uint64_t first_s; /* Unix time of the first beacon value */
	struct record_pick picks[RECORD2_LISTED_MAX];
};

/* Notes why a level is not reached; the first note stays. */
void check2_lacks(struct check2 *c, const char *what);

/* policy/bundle2_beacon.c */
int check2_times(struct check2 *c) KE_CHECK;
int check2_beacons(struct check2 *c) KE_CHECK;
/* policy/bundle2_witness.c */
int check2_witnesses(struct check2 *c) KE_CHECK;

#endif
