/*
 * What hsm knows of v2 raffles by itself (DRAW.md sections 2 and 6): which records it has agreed
 * to, and so what a seed may be revealed for. Facts of hsm/once, so that a captured engine can tell
 * a raffle's story only once. Runs in hsm; trusts its token, its clock and the pinned beacons.
 */
#ifndef HSM_ROLE_LIFE_H
#define HSM_ROLE_LIFE_H

#include "hsm/role/hsm.h"
#include "policy/record2.h"

/* A raffle's records as engine tells them: open, amends in their order, then perhaps another. */
struct life_papers {
	uint8_t raffle[16];
	struct record2 open, last; /* last.kind says which it is, if there is one (has_last) */
	bool has_last;
	uint8_t open_leaf[32], last_leaf[32];
	uint8_t amends; /* without the last paper, when the last is an amend too */
	uint8_t amend_leaf[LIFE_AMENDS_MAX][32];
	struct record2_terms terms; /* as the open record and these amends say */
};

/*
 * u8 n, n times str record. All of one raffle, the first an open record, amends behind it, any
 * other kind only as the last one; with `last` set the last one is not counted among the amends.
 * KE_PEER when the message ends early, KE_FORMAT for texts that are no such records.
 */
int life_papers_get(struct wire_in *in, bool last, struct life_papers *p) KE_CHECK;

/*
 * KE_OK when these are the open record and all the amends that hsm has agreed to; KE_DENIED with
 * words in *why.
 */
int life_known(struct hsm *h, const struct life_papers *p, const char **why) KE_CHECK;

/*
 * May a ticket log get a checkpoint of this size and root? From the close record on only its own;
 * remembers that tickets were sold. KE_OK, KE_DENIED, KE_FULL, KE_IO.
 */
int life_checkpoint(
    struct hsm *h, const uint8_t raffle[16], uint64_t size, const uint8_t root[32]) KE_CHECK;

/* Is this fact of the raffle bound to anything? KE_IO. */
int life_bound(struct hsm *h, enum once_kind kind, const uint8_t raffle[16], bool *bound) KE_CHECK;

/* One log line, and KE_DENIED. */
int life_refuse(const uint8_t raffle[16], const char *why) KE_CHECK;

/* What stands in ONCE_DRAW's place when a raffle ended without a draw. */
void life_no_draw(uint8_t value[32]);

#endif
