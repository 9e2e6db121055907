/*
 * The names of the appliance's logs (DRAW.md section 3): what stands in the first line of their
 * checkpoints, and names the key that signs them. Pure.
 */
#ifndef POLICY_ORIGIN_H
#define POLICY_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/note.h"

/* The operator log, or the ticket log of a raffle. */
struct log_name {
	bool oplog;
	uint8_t raffle[16]; /* zeros for the operator log */
};

/* "<host>/klero" or "<host>/klero/r/<32 hex>", with a NUL; KE_LONG. */
int origin_of(const struct log_name *l, const char *host, char out[NOTE_NAME_MAX + 1]) KE_CHECK;
/*
 * An appliance's log key signs the operator log as "<host>/klero" and v1's notes as
 * "<host>/klero/log". It publishes the first; until 0.1 it was the second. k under the name that a
 * reader needs when it has the other one; else k as it is.
 */
void origin_oplog_key(struct note_key *k);
void origin_note_key(struct note_key *k);
/* The key of that name: pub is as long as its type wants. KE_LONG. */
int origin_key(const struct log_name *l, const char *host, enum note_type type, const uint8_t *pub,
    struct note_key *k) KE_CHECK;

/*
 * Is it the origin of the operator log of that name, or of a ticket log beside it: the name,
 * "/r/", 32 hex digits?
 */
bool origin_belongs(const char *origin, const char *oplog);
/* The name of an appliance as a witness: "<host>/klero/witness", with a NUL; KE_LONG. */
int origin_witness(const char *host, char out[NOTE_NAME_MAX + 1]) KE_CHECK;

#endif
