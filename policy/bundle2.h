/*
 * The v2 proof bundle (DRAW.md section 10) and its check. One JSON document, never itself signed;
 * everything in it can be recomputed from the logs. Pure; runs in klero-verify on strangers' files.
 *
 *	{"format": "kleroterion-proof/2",
 *	 "operator_vkey", "tickets_vkey",      verifier keys of the two logs
 *	 "policy",                             a tlog-policy
 *	 "open", "close", "draw", "abort",     the records' texts, and their tlog-proofs in the
 *	 "open_proof", "close_proof",          operator log. A raffle ends by a draw or an abort:
 *	 "draw_proof", "abort_proof",          the other one is null, and with an abort before the
 *	                                       close so is close
 *	 "amends": [{"record", "proof"}, …],   in the log's order; the last one's terms count
 *	 "forfeits": [{"record", "proof"}, …], in the log's order
 *	 "tickets_checkpoint",                 the ticket log's last one, signed; null without close
 *	 "winners": [{"pos", "index", "ticket_id", "leaf_hex", "tlog_proof"}, …],
 *	    winners, then reserves, as drawn, whatever was forfeited later; pos from 1 in each. When
 *	    the draw record names a file, these are its lines
 *	 "passed": [the same, …],
 *	    tickets of holders who had won before (dedupe holder), in the draw's order; pos: how
 *	    many winners and reserves stood before it; null where they are too many for a file:
 *	    then only the ticket log itself shows that the draw is right (policy/audit_draw.h)
 *	 "beacons": [{"type": "drand", "chain_info", "round", "signature"} |
 *	    {"type": "nist2", "pulse", "previous_pulse", "certificate_pem", "intermediate_pem"}, …],
 *	    in the order of the draw record; chain_info and pulses as their sources serve them;
 *	    previous_pulse is null where the pulse is at the very time that was named
 *	 "timestamps": [{"token", "certificates_pem"}, …],
 *	    RFC 3161 tokens (DER in base64) over the text of the close record's checkpoint: what its
 *	    log signed; the certificates are intermediates that the token may lack
 *	 "escrow_bundle_sha256": hex, or null where the open record names no escrow
 *	 "software": {"version", "git", "sha256"}}
 *	    the appliance's own word, which nothing checks: the version, the commit that it was
 *	    built from ("-dirty" behind it: with changes), the SHA-256 of the executable of
 *	    klerod-engine; "" for what is not known
 */
#ifndef POLICY_BUNDLE2_H
#define POLICY_BUNDLE2_H

#include "policy/bundle_doc.h"
#include "policy/drand.h"
#include "policy/life.h"
#include "policy/note.h"
#include "policy/pulse.h"
#include "policy/record2.h"
#include "policy/tlog.h"

#define BUNDLE2_FORMAT       "kleroterion-proof/2"
#define BUNDLE2_MAX          ((size_t)512 << 20)
#define BUNDLE2_DELAY_S      LIFE_DELAY_S /* DRAW.md section 6: from the end of sales to the round */
#define BUNDLE2_CERTIFICATES 8
#define BUNDLE2_LIST_MAX     1000  /* amends, forfeits, time stamps: each */
#define BUNDLE2_TOLD         32    /* forfeits that the result has room for */
#define BUNDLE2_PASSED_MAX   10000 /* tickets passed over that an appliance lists */

/* What the auditor knows without the bundle; all may be absent. */
struct bundle2_trust {
	const struct note_key *operator_key; /* NULL: the bundle's own word */
	const struct tlog_policy *policy;    /* NULL: the bundle's own word */
	const uint8_t *commit;               /* 32 bytes, as published before the sale */
	const struct drand_chain *chain;     /* besides quicknet */
	uint8_t certificates[BUNDLE2_CERTIFICATES][PULSE_HASH]; /* of NIST's beacon: SHA-512 */
	size_t ncertificates;
	uint64_t delay_s; /* 0: BUNDLE2_DELAY_S; life_lead_s() goes with it */
	/* PEM certificates of time-stamping authorities that the auditor trusts; NULL: of none */
	const char *tsa_pem;
	size_t tsa_pem_len;
};

enum bundle2_step {
	BUNDLE2_READ,      /* JSON, format, members */
	BUNDLE2_KEYS,      /* verifier keys and policy */
	BUNDLE2_RECORDS,   /* the three records, and that they belong together */
	BUNDLE2_LOGGED,    /* each is in the operator log where the others say */
	BUNDLE2_TICKETS,   /* the ticket log's signed checkpoint is the close record's */
	BUNDLE2_COMMIT,    /* the server seed is the one committed to */
	BUNDLE2_WINNERS,   /* leaves of winners, reserves and passed are in the ticket log */
	BUNDLE2_DRAW,      /* context, key, the shuffle */
	BUNDLE2_TIMES,     /* the values are those promised, of moments after the sale */
	BUNDLE2_BEACONS,   /* and signed by their sources */
	BUNDLE2_WITNESSES, /* enough witnesses saw the close record before the first value */
	BUNDLE2_STAMPS,    /* so did a time-stamping authority */
	BUNDLE2_STEPS
};

/* What is shown when all steps hold; a bit each. */
enum bundle2_level {
	BUNDLE2_REPRODUCED = 1,
	BUNDLE2_SIGNED = 2,
	BUNDLE2_IN_LOG = 4,
	BUNDLE2_BEACON = 8,
	BUNDLE2_WITNESSED = 16,
	BUNDLE2_STAMPED = 32
};

/* A prize that its winner has lost, and who stands for it in the end. */
struct bundle2_forfeit {
	uint64_t pos;
	uint64_t reserve; /* from 1; 0: nobody */
	char rule[RECORD2_WORD_MAX + 1];
};

struct bundle2_result {
	enum bundle2_step step; /* the last step entered */
	int err;                /* KE_OK when no step failed */
	char why[BUNDLE_WHY_MAX];
	char lacking[BUNDLE_WHY_MAX]; /* why a level that the bundle claims is not reached, or "" */
	unsigned levels, claimed;
	bool aborted;  /* and not drawn: then reason, and no winners */
	bool unlisted; /* whom the draw passed over is not in the bundle: not reproduced by it */
	char reason[RECORD2_WORD_MAX + 1];
	uint64_t tickets, winners, reserves, amends, forfeits;
	struct bundle2_forfeit forfeit[BUNDLE2_TOLD]; /* the first ones */
	int64_t
	    stamped_s; /* the earliest good time stamp of the close record, Unix time; 0: none */
	unsigned seen, witnesses; /* that saw the close record in time, of how many */
	char operator_vkey[NOTE_VKEY_MAX];
	/* for an audit of the logs: both keys, the raffle, its first and its last record */
	struct note_key operator_key, tickets_key;
	uint8_t raffle[16], open_leaf[32], end_leaf[32];
	uint64_t open_index, end_index;
};

const char *bundle2_step_words(enum bundle2_step s);
/* The word for one bit. */
const char *bundle2_level_words(enum bundle2_level l);

/*
 * Checks a whole bundle. KE_OK when no step failed: then levels and claimed say how far that goes.
 * Errors as bundle_check(). At most half a minute of processor time, for the beacons' signatures.
 */
int bundle2_check(const char *text, size_t n, const struct bundle2_trust *trust,
    struct bundle2_result *res) KE_CHECK;

#endif
