/*
 * What hsm remembers so that a captured engine cannot ask twice, and so that no key is destroyed
 * under what it protects. Two kinds of memory, both in a journal that outlives the process when
 * there is one (journal.h), so that a fresh hsm knows what the one before it knew, and two that
 * run beside each other during a rotation know the same:
 *
 * - facts: "this id was bound to this value", each told once, never changed;
 * - standings: "this value stands under this version of a key", changed when it is wrapped anew,
 *   ended when it is revealed. Their number per version is hsm's own count of live values
 *   (KEYS.md section 4), of which engine is not asked.
 *
 * Runs in hsm, and in keyadm, which refuses to destroy a version whose count is not 0. Ids come
 * from engine, so their places are keyed with randomness of our own. Bounded: when ONCE_MAX things
 * are remembered, nothing new is made or revealed.
 */
#ifndef HSM_ONCE_ONCE_H
#define HSM_ONCE_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hsm/once/journal.h"
#include "policy/anchor.h"
#include "policy/paylimit.h"

#define ONCE_MAX   (1u << 20)
#define ONCE_SLOTS (2 * ONCE_MAX)

/* The numbers stand in journals: a new fact takes the next one. */
enum once_kind {
	ONCE_SEED = 1,   /* a seed's v1 commitment → the raffle it was made or revealed for */
	ONCE_DRAW = 2,   /* a raffle → what its seed was revealed for; or its abort */
	ONCE_NOTE = 3,   /* a raffle → the record that was signed */
	ONCE_PAYOUT = 4, /* a payout's id → the address and the transaction that were signed */
	/* of v2 raffles: hsm/role/life.h */
	ONCE_OPEN = 5,    /* a raffle → its open record's leaf hash */
	ONCE_AMEND = 6,   /* a raffle, u8 which → that amend's leaf hash */
	ONCE_CLOSE = 7,   /* a raffle → its close record's leaf hash */
	ONCE_LAST = 8,    /* a raffle → the size and root that its ticket log ends with */
	ONCE_SOLD = 9,    /* a raffle → 1: its ticket log has had a checkpoint with tickets */
	ONCE_ESCROW = 20, /* an escrow bundle's SHA-256 → the raffle it was made for */
	ONCE_FACTS,       /* one more than the last fact */
	ONCE_STAND = 100, /* a value of a purpose → the version it stands under, 0 for none */
	ONCE_BEGIN, /* a version of an appliance's key was made: counted from its first value on */
	ONCE_SPENT, /* what a payout may cost, and the span of time that it counts in */
	ONCE_COSIGNED = 110, /* another appliance's log grew from one size to another, seen by us */
};

struct once_fact {
	uint8_t name[32], value[32];
};

struct once_count {
	enum key_purpose purpose;
	uint32_t version;
	bool begun;
	uint32_t live;
};

/* What has gone out of one chain in the last span of time that something did. */
struct once_spent {
	unsigned kind; /* enum payout_kind */
	uint64_t chain_id;
	struct paylimit_spent spent;
};

/* The largest checkpoint that was cosigned of somebody else's log. */
struct once_log {
	uint8_t origin[16]; /* the first half of its hash */
	uint64_t size;
	uint8_t root[32];
};

#define ONCE_LOGS 65536 /* a ticket log for each raffle of those who are witnessed */

#define ONCE_CHAINS                                                                                \
	(4 * PAYLIMITS_MAX) /* ever; beyond, those are forgotten that rested longest               \
			     */

struct once {
	uint8_t salt[16];
	uint32_t *slots; /* index + 1 into facts, 0 for none */
	struct once_fact *facts;
	uint32_t n;
	struct journal journal;
	uint8_t appliance[16];
	struct once_count count[ANCHOR_KEYS_MAX];
	size_t counts;
	struct once_spent spent[ONCE_CHAINS];
	struct once_log *logs;
	uint32_t nlogs;
	uint32_t damaged; /* records that were finished and do not read any more */
	bool lossy;       /* more than there is room for: no count is whole */
};

/*
 * Reads what the journal holds; fd -1: there is none, all of it is for the life of the process.
 * appliance: whose versions count. KE_NOMEM, KE_IO. The memory is the process's for ever.
 */
int once_init(struct once *o, int fd, const uint8_t appliance[16]) KE_CHECK;
/* The same in memory that is there already, for a process that goes on where ours would end. */
int once_load(struct once *o, int fd) KE_CHECK;

/* KE_OK when the id is bound to this value, KE_NOTFOUND when to none, KE_DENIED when to another;
 * KE_IO. */
int once_ask(struct once *o, enum once_kind kind, const uint8_t *id, size_t n,
    const uint8_t value[32]) KE_CHECK;

/* Binds it, durably; KE_DENIED when it is bound to another value, KE_FULL, KE_IO. */
int once_tell(struct once *o, enum once_kind kind, const uint8_t *id, size_t n,
    const uint8_t value[32]) KE_CHECK;

/* The value (its commitment, its public key, a name) stands under that version now, 0: under none.
 * Durable. KE_FULL, KE_IO. */
int once_stand(
    struct once *o, enum key_purpose purpose, const void *id, size_t n, uint32_t version) KE_CHECK;

/* What has gone out of the payout's chain so far; KE_IO. */
int once_spent(struct once *o, const struct payout *p, struct paylimit_spent *spent) KE_CHECK;
/* Adds a cost to the span that began at start_s. Durable. KE_FULL, KE_IO. */
int once_spend(
    struct once *o, const struct payout *p, uint64_t start_s, const struct u256 *cost) KE_CHECK;

/* What was cosigned of a log last: KE_NOTFOUND when nothing was; KE_IO. */
int once_cosigned(struct once *o, const char *origin, struct once_log *last) KE_CHECK;
/*
 * From a log of `from` leaves (0: nothing was cosigned) to the larger one of size and root.
 * Durable. KE_CONFLICT when it is not what was cosigned last (another process was faster), KE_FULL,
 * KE_IO.
 */
int once_cosign(struct once *o, const char *origin, uint64_t from, uint64_t size,
    const uint8_t root[32]) KE_CHECK;

/* keyadm has made this version: everything under it will be counted. Durable. KE_IO. */
int once_begin(struct once *o, enum key_purpose purpose, uint32_t version) KE_CHECK;

/* Are values of this purpose counted? Those of the others are not values, or too many. */
bool once_counts(enum key_purpose purpose);

/*
 * How many values stand under a version. KE_NOTFOUND when it was not counted from its beginning,
 * KE_DAMAGED when the journal has lost something, KE_IO.
 */
int once_count(struct once *o, enum key_purpose purpose, uint32_t version, uint32_t *live) KE_CHECK;

#endif
