/*
 * The ids of tickets that stand in a log: UUIDs of version 7 whose last 62 bits say which ticket of
 * which raffle it is, so that one is found by its id without an index over all of them. That is no
 * secret (the log says it, too) and no proof: the row that is found must have the very id. Pure.
 */
#ifndef POLICY_TICKETID_H
#define POLICY_TICKETID_H

#include <stdint.h>

#include "policy/ke.h"

#define TICKETID_RAFFLES (INT64_C(1) << 28)
#define TICKETID_INDEXES (INT64_C(1) << 34)

/*
 * raffle: the store's number, index: of the ticket; salt: 12 bits of it are taken. KE_RANGE when
 * either number has no room.
 */
int ticketid_make(
    uint8_t id[16], int64_t unix_ms, int64_t raffle, int64_t index, const uint8_t salt[2]) KE_CHECK;
/* Where it is if it is one; any other id says something, too. */
void ticketid_place(const uint8_t id[16], int64_t *raffle, int64_t *index);

#endif
