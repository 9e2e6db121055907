/*
 * The context of checking a v2 proof bundle, shared by its files (bundle2*.c) and no others. Pure.
 */
#ifndef POLICY_BUNDLE2_CHECK_H
#define POLICY_BUNDLE2_CHECK_H

#include "policy/bundle2.h"
#include "policy/leaf.h"
#include "policy/record2.h"

enum which { OPEN, CLOSE, DRAW, ABORT, RECORDS };
extern const char *const check2_words[RECORDS];

/* A record of the bundle and its place in the operator log; text is NULL when there is none. */
struct logged2 {
	char *text, *proof_text;
	size_t len;
	struct record2 rec;
	uint8_t leaf[32];
	struct tlog_proof proof;
};

struct ticket2 {
	uint64_t pos;
	struct leaf leaf;
};

/* The winners in the order of their holders' commitments. */
struct holder2 {
	const uint8_t *commit;
	size_t at;
};

struct check2 {
	struct bundle_doc doc;
	const struct bundle2_trust *trust;
	struct bundle2_result *res;
	struct { /* tokens of the members */
		size_t operator_vkey, tickets_vkey, policy, text[RECORDS], proof[RECORDS], amends,
		    forfeits, checkpoint, winners, passed, beacons, timestamps, escrow;
	} at;
	bool drawn; /* else aborted */

	struct note_key operator_key, tickets_key;
	struct tlog_policy own_policy;
	const struct tlog_policy *policy;
	struct logged2 rec[RECORDS], *amends, *forfeits;
	size_t namends, nforfeits;
	const struct record2_terms *terms; /* that count in the end */
	struct record_pick *picks;         /* of the draw record */
	size_t picks_cap;
	char *note; /* the ticket log's checkpoint */
	size_t note_len;
	struct checkpoint tickets;
	struct ticket2 *winners, *passed; /* winners, then reserves */
	struct holder2 *holders;          /* of the winners and reserves, sorted */
	size_t nwinners, npassed;
	uint64_t first_s; /* Unix time of the first beacon value */
};

/* Notes why a level is not reached; the first note stays. */
void check2_lacks(struct check2 *c, const char *what);

/* policy/bundle2_record.c */
int check2_records(struct check2 *c) KE_CHECK;
int check2_logged(struct check2 *c) KE_CHECK;
/* The draw has as many winners and reserves as were announced, as far as the tickets go. */
int check2_numbers(struct check2 *c) KE_CHECK;
/* policy/bundle2_winner.c */
int check2_winners(struct check2 *c) KE_CHECK;
int check2_draw(struct check2 *c) KE_CHECK;
/* policy/bundle2_beacon.c */
/* From the end of sales to a beacon value, as the auditor asks. */
uint64_t check2_delay(const struct check2 *c);
int check2_times(struct check2 *c) KE_CHECK;
int check2_beacons(struct check2 *c) KE_CHECK;
/* When the first value of promised terms could be known; 0 where a chain's times are not known. */
uint64_t check2_first(const struct check2 *c, const struct record2_terms *t);
/* policy/bundle2_witness.c */
/* So long before a value that nobody can have known it. */
uint64_t check2_before(const struct check2 *c, uint64_t first_s);
int check2_witnesses(struct check2 *c) KE_CHECK;
/* policy/bundle2_stamp.c */
int check2_stamps(struct check2 *c) KE_CHECK;

#endif
