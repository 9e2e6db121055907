/*
 * What hsm remembers so that a captured engine cannot ask twice: facts of the form "this id was
 * bound to this value", each told once, for the life of the process. A process lives for at most
 * P11_OBJECTS_MAX seeds and is replaced before this memory is full, so nothing is ever forgotten
 * within a life; across lives it is (the token's anchor object will change that).
 * Runs in hsm. Ids come from engine, so their places are keyed with randomness of our own.
 */
#ifndef HSM_ROLE_ONCE_H
#define HSM_ROLE_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define ONCE_MAX   131072
#define ONCE_SLOTS (2 * ONCE_MAX)

enum once_kind {
	ONCE_SEED, /* a seed's v1 commitment → the raffle it was made or revealed for */
	ONCE_DRAW, /* a raffle → what its seed was revealed for */
	ONCE_NOTE, /* a raffle → the record that was signed */
};

struct once_fact {
	uint8_t key[32], value[32];
};

struct once {
	uint8_t salt[16];
	uint32_t *slots; /* index + 1 into facts, 0 for none */
	struct once_fact *facts;
	uint32_t n;
};

/* KE_NOMEM. The memory is the process's for ever. */
int once_init(struct once *o) KE_CHECK;

/* KE_OK when the id is bound to this value, KE_NOTFOUND when to none, KE_DENIED when to another. */
int once_ask(const struct once *o, enum once_kind kind, const uint8_t *id, size_t n,
    const uint8_t value[32]) KE_CHECK;

/* Binds it; KE_DENIED when it is bound to another value, KE_FULL. */
int once_tell(struct once *o, enum once_kind kind, const uint8_t *id, size_t n,
    const uint8_t value[32]) KE_CHECK;

/* True a few facts before the end. */
bool once_nearly_full(const struct once *o);

#endif
