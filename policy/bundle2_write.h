/*
 * Writing a v2 proof bundle (policy/bundle2.h) piece by piece, so that one of any size needs one
 * small buffer. Pure; engine writes, and the tests' tools.
 *
 *	head, then each list in the order of enum bundle2_list with its elements, then the tail:
 *	bundle2_put_head(), for each list bundle2_put_list() and its elements, bundle2_put_tail().
 *
 * A piece is appended at out + len and moves len; one that does not fit is KE_FULL and leaves the
 * writer as it was, so that the caller can send what is there, set len to 0 and put it again.
 * Pieces in another order are KE_RANGE, texts that are not UTF-8 KE_FORMAT.
 */
#ifndef POLICY_BUNDLE2_WRITE_H
#define POLICY_BUNDLE2_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/leaf.h"
#include "policy/record2.h"

enum bundle2_list {
	BUNDLE2_AMENDS,     /* bundle2_put_record() */
	BUNDLE2_FORFEITS,   /* bundle2_put_record() */
	BUNDLE2_PICKS,      /* bundle2_put_ticket(): winners, then reserves */
	BUNDLE2_PASSED,     /* bundle2_put_ticket() */
	BUNDLE2_VALUES,     /* bundle2_put_drand(), bundle2_put_nist(): the beacons */
	BUNDLE2_TIMESTAMPS, /* bundle2_put_stamp() */
	BUNDLE2_LISTS
};

struct bundle2_writer {
	char *out; /* the caller's */
	size_t cap, len;
	unsigned
	    next; /* what may come: 0 the head, 1 … BUNDLE2_LISTS a list, then the tail, nothing */
	bool first; /* of its list */
	bool null;  /* instead of it */
};

/* A text of so many bytes; s NULL: there is none, null is written. */
struct bundle2_text {
	const char *s;
	size_t n;
};

/* A record and its tlog-proof in the operator log. */
struct bundle2_record {
	struct bundle2_text text, proof;
};

struct bundle2_head {
	const char *operator_vkey, *tickets_vkey;
	struct bundle2_text policy;
	struct bundle2_record open, close, draw, abort;
	struct bundle2_text tickets_checkpoint; /* the whole note */
};

struct bundle2_pulse {
	struct bundle2_text pulse,
	    previous; /* JSON as its source served it; previous may be none */
	struct bundle2_text certificate, intermediate; /* PEM */
};

struct bundle2_tail {
	const uint8_t *escrow; /* 32 bytes, NULL: none */
	const char *version, *git, *sha256;
};

/* Room that a piece with n bytes of text in all needs at most. */
#define BUNDLE2_CAP(n) (6 * (n) + 1024)

void bundle2_write_init(struct bundle2_writer *w, char *out, size_t cap);
int bundle2_put_head(struct bundle2_writer *w, const struct bundle2_head *h) KE_CHECK;
int bundle2_put_list(struct bundle2_writer *w, enum bundle2_list l) KE_CHECK;
/* Tickets passed over that are too many: null in place of their list. */
int bundle2_put_unlisted(struct bundle2_writer *w) KE_CHECK;
int bundle2_put_record(struct bundle2_writer *w, const struct bundle2_record *r) KE_CHECK;
/* pos from 1 in winners and in reserves; of one passed over, how many stood before it. */
int bundle2_put_ticket(struct bundle2_writer *w, uint64_t pos, const uint8_t leaf[LEAF_LEN],
    const struct bundle2_text *proof) KE_CHECK;
/* chain_info as a relay's /info says it. */
int bundle2_put_drand(struct bundle2_writer *w, const struct bundle2_text *chain_info,
    const struct beacon *b) KE_CHECK;
int bundle2_put_nist(struct bundle2_writer *w, const struct bundle2_pulse *p) KE_CHECK;
/* An RFC 3161 token in DER; the certificates in PEM, or none. */
int bundle2_put_stamp(struct bundle2_writer *w, const void *token, size_t n,
    const struct bundle2_text *certificates) KE_CHECK;
int bundle2_put_tail(struct bundle2_writer *w, const struct bundle2_tail *t) KE_CHECK;

#endif
