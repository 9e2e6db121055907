/*
 * The ticket leaf. Pure; engine writes leaves, klero-verify reads them.
 */
#include "policy/leaf.h"

#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"

#define MAGIC        "KLT2"
#define HOLDER_LABEL "kleroterion/v2/holder"
#define SEED_LABEL   "kleroterion/v2/client-seed"

/* Where the fields stand. */
enum { AT_RAFFLE = 4, AT_INDEX = 20, AT_ISSUED = 28, AT_TICKET = 36, AT_HOLDER = 52, AT_SEED = 84 };
_Static_assert(AT_SEED + 32 == LEAF_LEN, "the fields fill the leaf");

void leaf_encode(uint8_t out[LEAF_LEN], const struct leaf *l)
{
	memcpy(out, MAGIC, 4);
	memcpy(out + AT_RAFFLE, l->raffle, 16);
	be_put64(out + AT_INDEX, l->index);
	be_put64(out + AT_ISSUED, l->issued_ms);
	memcpy(out + AT_TICKET, l->ticket, 16);
	memcpy(out + AT_HOLDER, l->holder_commit, 32);
	memcpy(out + AT_SEED, l->client_seed_hash, 32);
}

int leaf_decode(struct leaf *l, const uint8_t *p, size_t n)
{
	if (n != LEAF_LEN || memcmp(p, MAGIC, 4) != 0)
		return KE_FORMAT;
	memcpy(l->raffle, p + AT_RAFFLE, 16);
	l->index = be_get64(p + AT_INDEX);
	l->issued_ms = be_get64(p + AT_ISSUED);
	memcpy(l->ticket, p + AT_TICKET, 16);
	memcpy(l->holder_commit, p + AT_HOLDER, 32);
	memcpy(l->client_seed_hash, p + AT_SEED, 32);
	return KE_OK;
}

/* Writes u16 big-endian length; returns the end of what stands before the value. */
static size_t put_len(uint8_t *at, size_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	return 2;
}

void leaf_holder_commit(uint8_t out[32], const uint8_t salt[32], const void *holder, size_t n)
{
	uint8_t head[sizeof(HOLDER_LABEL) + 32 + 2] = HOLDER_LABEL;
	size_t len = sizeof(HOLDER_LABEL);

	memcpy(head + len, salt, 32);
	len += 32;
	len += put_len(head + len, n);
	hash_sha256_2(out, head, len, holder, n);
}

void leaf_client_seed_hash(uint8_t out[32], const void *seed, size_t n)
{
	uint8_t head[sizeof(SEED_LABEL) + 2] = SEED_LABEL;
	size_t len = sizeof(SEED_LABEL);

	len += put_len(head + len, n);
	hash_sha256_2(out, head, len, seed, n);
}
