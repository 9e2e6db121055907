/*
 * A growing set of values of one length, numbered from 1 as they came: the holders who have won
 * already, the raffles that were opened. Pure. The key, which whoever chose the values could not
 * know, keeps them from falling together.
 */
#ifndef POLICY_SEEN_H
#define POLICY_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

struct seen {
	uint8_t key[16], *values;
	size_t width, n, cap; /* cap: of values; a power of two */
	uint32_t *slots;      /* twice as many, 0: empty */
};

/* KE_NOMEM. Until seen_free() it holds memory. */
int seen_init(struct seen *s, size_t width, const uint8_t key[16]) KE_CHECK;
void seen_free(struct seen *s);
/* Its number; 0: it is not there. */
uint32_t seen_find(const struct seen *s, const void *value);
/* KE_EXISTS; KE_NOMEM; KE_LIMIT for more than 2^31 of them. */
int seen_add(struct seen *s, const void *value) KE_CHECK;

#endif
