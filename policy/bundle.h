/*
 * The v1 proof bundle: how it is written (engine) and how it is checked (klero-verify). One JSON
 * document, never itself signed; everything in it can be recomputed from its parts. Pure.
 *
 *	{"format": "kleroterion-proof/1",
 *	 "label": "reproduced; entropy chosen by the operator after close",
 *	 "vkey": "<verifier key of <host>/klero/log>",
 *	 "note": "<signed note over the v1 draw record>",
 *	 "raffle": {"id", "title", "winners", "reserves"},
 *	 "leaves": ["<base64 of 116 bytes>", …],          in ticket order
 *	 "client_seeds": ["<text>", …]}                   in ticket order, "" for none
 */
#ifndef POLICY_BUNDLE_H
#define POLICY_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/note.h"

#define BUNDLE_FORMAT "kleroterion-proof/1"
#define BUNDLE_LABEL  "reproduced; entropy chosen by the operator after close"
#define BUNDLE_MAX    ((size_t)1 << 30)

/* What a check found: one step per row, in the order in which they are done. */
enum bundle_step {
	BUNDLE_READ,      /* JSON, format, fields */
	BUNDLE_SIGNATURE, /* note signed by the vkey */
	BUNDLE_RECORD,    /* record text parses */
	BUNDLE_COMMIT,    /* SHA-256(server seed) is the commitment */
	BUNDLE_LEAVES,    /* each leaf well-formed, of this raffle, at its index */
	BUNDLE_SEEDS,     /* client seeds match the leaves */
	BUNDLE_ROOT,      /* Merkle root */
	BUNDLE_AGGREGATE, /* aggregate of the client seeds */
	BUNDLE_DRAW,      /* draw key, winners, reserves */
	BUNDLE_WINNERS,   /* ticket ids of the winners are those of the leaves */
	BUNDLE_STEPS
};

struct bundle_result {
	enum bundle_step step; /* the last step entered */
	int err;               /* KE_OK when all steps held */
	char why[200];         /* one line: what did not agree, and where */
	uint64_t tickets;
	uint32_t winners, reserves;
	char vkey[400]; /* that signed */
};

const char *bundle_step_words(enum bundle_step s);

/*
 * Checks a whole bundle. trusted: the key the caller trusts, NULL to take the bundle's own word
 * (then "signed" proves only that the bundle agrees with itself). commit: the seed commitment
 * published before the sale (32 bytes), or NULL.
 */
int bundle_check(const char *text, size_t n, const struct note_key *trusted, const uint8_t *commit,
    struct bundle_result *res) KE_CHECK;

#endif
