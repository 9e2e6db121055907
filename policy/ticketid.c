/*
 * Ids of tickets. Pure; see ticketid.h.
 */
#include "policy/ticketid.h"

#include <string.h>

#include "policy/be.h"
#include "policy/text.h"

int ticketid_make(
    uint8_t id[16], int64_t unix_ms, int64_t raffle, int64_t index, const uint8_t salt[2])
{
	uint8_t rnd[10];

	if (raffle < 0 || raffle >= TICKETID_RAFFLES || index < 0 || index >= TICKETID_INDEXES)
		return KE_RANGE;
	memcpy(rnd, salt, 2);
	be_put64(rnd + 2, (uint64_t)raffle * (uint64_t)TICKETID_INDEXES + (uint64_t)index);
	text_uuid7(id, unix_ms, rnd);
	return KE_OK;
}

void ticketid_place(const uint8_t id[16], int64_t *raffle, int64_t *index)
{
	uint64_t place = be_get64(id + 8) & (UINT64_MAX >> 2); /* without the UUID's variant */

	*raffle = (int64_t)(place / (uint64_t)TICKETID_INDEXES);
	*index = (int64_t)(place % (uint64_t)TICKETID_INDEXES);
}
