/*
 * The set of keys of a JSON text: open addressing over digests. Pure; trusts nothing.
 */
#include "policy/jsonkeys.h"

#include <stdlib.h>
#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"

void jsonkeys_init(struct jsonkeys *k)
{
	memset(k, 0, sizeof(*k));
	k->slot = k->first;
	k->cap = JSONKEYS_INLINE;
}

void jsonkeys_free(struct jsonkeys *k)
{
	if (k->slot != k->first)
		free(k->slot);
}

static int slot_free(const uint8_t slot[JSONKEYS_LEN])
{
	return slot[JSONKEYS_LEN - 1] == 0;
}

/* The slot of a digest: its own, or the free one where it belongs. */
static uint8_t *find(uint8_t (*slot)[JSONKEYS_LEN], size_t cap, const uint8_t digest[JSONKEYS_LEN])
{
	size_t i = (size_t)be_get64(digest) & (cap - 1);

	while (!slot_free(slot[i]) && memcmp(slot[i], digest, JSONKEYS_LEN) != 0)
		i = (i + 1) & (cap - 1);
	return slot[i];
}

static int grow(struct jsonkeys *k)
{
	size_t cap = k->cap * 2;
	uint8_t(*slot)[JSONKEYS_LEN] = calloc(cap, JSONKEYS_LEN);

	if (slot == NULL)
		return KE_NOMEM;
	for (size_t i = 0; i < k->cap; i++)
		if (!slot_free(k->slot[i]))
			memcpy(find(slot, cap, k->slot[i]), k->slot[i], JSONKEYS_LEN);
	jsonkeys_free(k);
	k->slot = slot;
	k->cap = cap;
	return KE_OK;
}

int jsonkeys_add(struct jsonkeys *k, size_t object, const void *key, size_t n)
{
	uint8_t serial[8], digest[32], *slot;

	be_put64(serial, object);
	hash_sha256_2(digest, serial, sizeof(serial), key, n);
	digest[JSONKEYS_LEN - 1] |= 1; /* never the mark of a free slot */
	if (2 * (k->used + 1) > k->cap && grow(k) != KE_OK)
		return KE_NOMEM;
	slot = find(k->slot, k->cap, digest);
	if (!slot_free(slot))
		return KE_EXISTS;
	memcpy(slot, digest, JSONKEYS_LEN);
	k->used++;
	return KE_OK;
}
