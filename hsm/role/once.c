/*
 * The once-only memory of hsm: see once.h.
 */
#include "hsm/role/once.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "policy/hash.h"

#define RESERVE 8 /* one request tells less */

int once_init(struct once *o)
{
	*o = (struct once){.n = 0};
	randombytes_buf(o->salt, sizeof o->salt);
	/* large and untouched: the kernel gives pages as they are used */
	o->slots = calloc(ONCE_SLOTS, sizeof *o->slots);
	o->facts = calloc(ONCE_MAX, sizeof *o->facts);
	return o->slots != NULL && o->facts != NULL ? KE_OK : KE_NOMEM;
}

static void make_key(
    const struct once *o, enum once_kind kind, const uint8_t *id, size_t n, uint8_t key[32])
{
	uint8_t head[sizeof o->salt + 1];

	memcpy(head, o->salt, sizeof o->salt);
	head[sizeof o->salt] = (uint8_t)kind;
	hash_sha256_2(key, head, sizeof head, id, n);
}

/* The slot that holds the key, or the free one where it would go: half of them always are. */
static uint32_t find(const struct once *o, const uint8_t key[32])
{
	uint32_t at;

	memcpy(&at, key, sizeof at);
	for (at %= ONCE_SLOTS;; at = (at + 1) % ONCE_SLOTS) {
		uint32_t i = o->slots[at];

		if (i == 0 || memcmp(o->facts[i - 1].key, key, 32) == 0)
			return at;
	}
}

static int compare(const struct once *o, uint32_t at, const uint8_t value[32])
{
	uint32_t i = o->slots[at];

	if (i == 0)
		return KE_NOTFOUND;
	return sodium_memcmp(o->facts[i - 1].value, value, 32) == 0 ? KE_OK : KE_DENIED;
}

int once_ask(
    const struct once *o, enum once_kind kind, const uint8_t *id, size_t n, const uint8_t value[32])
{
	uint8_t key[32];

	make_key(o, kind, id, n, key);
	return compare(o, find(o, key), value);
}

int once_tell(
    struct once *o, enum once_kind kind, const uint8_t *id, size_t n, const uint8_t value[32])
{
	uint8_t key[32];
	uint32_t at;
	int r;

	make_key(o, kind, id, n, key);
	at = find(o, key);
	r = compare(o, at, value);
	if (r != KE_NOTFOUND)
		return r;
	if (o->n == ONCE_MAX)
		return KE_FULL;
	memcpy(o->facts[o->n].key, key, 32);
	memcpy(o->facts[o->n].value, value, 32);
	o->slots[at] = ++o->n;
	return KE_OK;
}

bool once_nearly_full(const struct once *o)
{
	return o->n > ONCE_MAX - RESERVE;
}
