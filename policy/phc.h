/*
 * Argon2id PHC strings: cost, salt and hash, and the bounds that a stored one must keep. Pure. kdf
 * reads them, and hsm looks whether what it is to seal as a credential is one; the string comes
 * from the store and is not trusted.
 */
#ifndef POLICY_PHC_H
#define POLICY_PHC_H

/* The longest that libsodium makes is 128. */
#define PHC_MAX 160

#include <stdbool.h>
#include <stdint.h>

#include "policy/ke.h"

struct phc_cost {
	uint32_t memory_kib, passes;
};

/* "$argon2id$v=19$m=<KiB>,t=<passes>,p=1$…": KE_FORMAT for anything else. */
int phc_parse(const char *phc, struct phc_cost *cost) KE_CHECK;

#define PHC_SALT 16
#define PHC_HASH 32

/* Salt and hash at the end of a string that phc_parse() has taken; KE_FORMAT. */
int phc_values(const char *phc, uint8_t salt[PHC_SALT], uint8_t hash[PHC_HASH]) KE_CHECK;

/* Is it one, whole and within bounds? KE_FORMAT. */
int phc_check(const char *phc) KE_CHECK;

/* 8 MiB to 1 GiB, 1 to 10 passes. */
bool phc_bounded(const struct phc_cost *cost);

#endif
