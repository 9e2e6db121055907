/*
 * A growing set of values: see seen.h. Pure.
 */
#include "policy/seen.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

/* The slot of that value, or the empty one where it belongs. */
static uint32_t *slot_of(const struct seen *s, const uint8_t *value)
{
	size_t mask = 2 * s->cap - 1, i;
	uint8_t h[crypto_shorthash_BYTES];

	(void)crypto_shorthash(h, value, s->width, s->key);
	memcpy(&i, h, sizeof(i));
	for (i &= mask; s->slots[i] != 0; i = (i + 1) & mask)
		if (memcmp(s->values + (s->slots[i] - 1) * s->width, value, s->width) == 0)
			break;
	return &s->slots[i];
}

static int grow(struct seen *s, size_t cap)
{
	uint8_t *values = realloc(s->values, cap * s->width);
	uint32_t *slots = calloc(2 * cap, sizeof(*slots));

	if (values != NULL)
		s->values = values;
	if (values == NULL || slots == NULL) {
		free(slots);
		return KE_NOMEM;
	}
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	for (size_t i = 0; i < s->n; i++)
		*slot_of(s, values + i * s->width) = (uint32_t)i + 1;
	return KE_OK;
}

int seen_init(struct seen *s, size_t width, const uint8_t key[16])
{
	_Static_assert(sizeof(size_t) <= crypto_shorthash_BYTES, "a hash fills a place");

	*s = (struct seen){.width = width};
	memcpy(s->key, key, sizeof(s->key));
	if (grow(s, FIRST_CAP) == KE_OK)
		return KE_OK;
	seen_free(s);
	return KE_NOMEM;
}

void seen_free(struct seen *s)
{
	free(s->values);
	free(s->slots);
	*s = (struct seen){.values = NULL};
}

uint32_t seen_find(const struct seen *s, const void *value)
{
	return *slot_of(s, value);
}

int seen_add(struct seen *s, const void *value)
{
	uint32_t *slot = slot_of(s, value);

	if (*slot != 0)
		return KE_EXISTS;
	if (s->n == (size_t)1 << 31)
		return KE_LIMIT;
	if (s->n == s->cap) {
		int r = grow(s, 2 * s->cap);

		if (r != KE_OK)
			return r;
		slot = slot_of(s, value);
	}
	memcpy(s->values + s->n * s->width, value, s->width);
	*slot = (uint32_t)++s->n;
	return KE_OK;
}
