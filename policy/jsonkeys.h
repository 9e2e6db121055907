/*
 * The keys that a JSON text's objects have used so far, for json_check() to find one that comes
 * twice. Pure; the keys are strangers' texts.
 *
 * A key is known by 16 bytes of SHA-256(serial number of its object ‖ unescaped key): nobody can
 * make keys that collide, so the table needs no secret and no comparison of texts, and stays
 * linear for hostile input. A small one needs no allocation.
 */
#ifndef POLICY_JSONKEYS_H
#define POLICY_JSONKEYS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define JSONKEYS_LEN    16
#define JSONKEYS_INLINE 64

struct jsonkeys {
	uint8_t (*slot)[JSONKEYS_LEN]; /* last byte zero: free */
	size_t cap, used;              /* cap is a power of two, at least twice used */
	uint8_t first[JSONKEYS_INLINE][JSONKEYS_LEN];
};

void jsonkeys_init(struct jsonkeys *k);
void jsonkeys_free(struct jsonkeys *k);
/* KE_EXISTS when the object has this key already; KE_NOMEM. */
int jsonkeys_add(struct jsonkeys *k, size_t object, const void *key, size_t n) KE_CHECK;

#endif
