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

#include "policy/bundle_doc.h"
#include "policy/ke.h"
#include "policy/note.h"

#define BUNDLE_FORMAT "kleroterion-proof/1"
#define BUNDLE_LABEL  "reproduced; entropy chosen by the operator after close"
#define BUNDLE_MAX    ((size_t)1 << 30)

/*
 * Writing, piece by piece, so that a bundle of any size needs one small buffer: the head, each
 * leaf, the middle, each client seed, the tail. first: the first of its array. Every piece is
 * appended at *len and moves it; KE_FULL, KE_FORMAT for text that is not UTF-8.
 */
struct bundle_head {
	const char *vkey, *note; /* note: the whole signed note */
	size_t note_len;
	uint8_t raffle[16];
	const char *title;
	uint32_t winners, reserves; /* as announced; the record may have fewer when few were sold */
};
#define BUNDLE_LEAF_CAP    168           /* room that one leaf needs */
#define BUNDLE_SEED_CAP(n) (6 * (n) + 4) /* that a client seed of n bytes needs at most */
#define BUNDLE_HEAD_CAP(nl)                                                                        \
	(2 * (nl) + 16 * 1024) /* that the head with a note of nl bytes needs                      \
				*/
int bundle_put_head(const struct bundle_head *h, char *out, size_t cap, size_t *len) KE_CHECK;
int bundle_put_leaf(const uint8_t *leaf, bool first, char *out, size_t cap, size_t *len) KE_CHECK;
int bundle_put_middle(char *out, size_t cap, size_t *len) KE_CHECK;
int bundle_put_seed(
    const void *seed, size_t n, bool first, char *out, size_t cap, size_t *len) KE_CHECK;
int bundle_put_tail(char *out, size_t cap, size_t *len) KE_CHECK;

/* What a check found: one step per row, in the order in which they are done. */
enum bundle_step {
	BUNDLE_READ,      /* JSON, format, fields */
	BUNDLE_SIGNATURE, /* note signed by the vkey */
	BUNDLE_RECORD,    /* record text parses */
	BUNDLE_COMMIT,    /* SHA-256(server seed) is the commitment */
	BUNDLE_LEAVES,    /* each leaf well-formed, of this raffle, at its index */
	BUNDLE_ROOT,      /* Merkle root */
	BUNDLE_SEEDS,     /* client seeds match the leaves */
	BUNDLE_AGGREGATE, /* aggregate of the client seeds */
	BUNDLE_DRAW,      /* draw key, winners, reserves */
	BUNDLE_WINNERS,   /* ticket ids of the winners are those of the leaves */
	BUNDLE_STEPS
};

struct bundle_result {
	enum bundle_step step;    /* the last step entered */
	int err;                  /* KE_OK when all steps held */
	char why[BUNDLE_WHY_MAX]; /* one line: what did not agree, and where */
	uint64_t tickets;
	uint32_t winners, reserves;
	char vkey[NOTE_VKEY_MAX]; /* that signed */
};

/* One or two words; never NULL. */
const char *bundle_step_words(enum bundle_step s);

/*
 * Checks a whole bundle; result and return value say the same. KE_FORMAT, KE_VERSION: no bundle of
 * this format; KE_WRONG_KEY, KE_NOTFOUND: another signer; KE_CRYPTO: something does not agree;
 * KE_NOMEM. Memory: 20 bytes a JSON token, that is about 40 bytes a ticket. trusted: the key the
 * caller trusts, NULL to take the bundle's own word (then "signed" proves only that the bundle
 * agrees with itself). commit: the seed commitment published before the sale (32 bytes), or NULL.
 */
int bundle_check(const char *text, size_t n, const struct note_key *trusted, const uint8_t *commit,
    struct bundle_result *res) KE_CHECK;

#endif
