/*
 * The ticket leaf, 116 bytes (DRAW.md section 4). Pure.
 */
#ifndef POLICY_LEAF_H
#define POLICY_LEAF_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define LEAF_LEN 116

struct leaf {
	uint8_t raffle[16];
	uint64_t index;
	uint64_t issued_ms;
	uint8_t ticket[16];
	uint8_t holder_commit[32];
	uint8_t client_seed_hash[32];
};

void leaf_encode(uint8_t out[LEAF_LEN], const struct leaf *l);
int leaf_decode(struct leaf *l, const uint8_t *p, size_t n) KE_CHECK;

/* holder id and client seed up to 65535 bytes */
void leaf_holder_commit(uint8_t out[32], const uint8_t salt[32], const void *holder, size_t n);
void leaf_client_seed_hash(uint8_t out[32], const void *seed, size_t n);
/* The context of the holder salt's KDF (label LEAF_SALT_LABEL): raffle ‖ SHA-256(holder id). */
#define LEAF_SALT_LABEL "kleroterion/v2/holder-salt"

#endif
