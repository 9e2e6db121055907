/*
 * Amounts of chains: unsigned integers of 256 bits, big-endian, in the smallest unit (wei,
 * lamports). Checked: what would not fit is an error, never wrapped. Pure.
 */
#ifndef POLICY_U256_H
#define POLICY_U256_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

struct u256 {
	uint8_t be[32];
};

#define U256_TEXT_MAX 78 /* digits of 2^256 - 1 */

struct u256 u256_of(uint64_t v);
/* KE_RANGE when it is larger. */
int u256_to_u64(const struct u256 *a, uint64_t *v) KE_CHECK;
/* Below, at, above 0 as a is less than, equal to, more than b. */
int u256_cmp(const struct u256 *a, const struct u256 *b);
/* *sum = a + b, which may be the same object. KE_RANGE, and *sum as it was. */
int u256_add(struct u256 *sum, const struct u256 *a, const struct u256 *b) KE_CHECK;
/* a * b: two factors of 64 bits always fit. */
struct u256 u256_mul(uint64_t a, uint64_t b);

/* Decimal; returns the length without the NUL. */
size_t u256_text(char dst[U256_TEXT_MAX + 1], const struct u256 *a);
/* Digits only, no leading zero: KE_FORMAT; KE_RANGE from 2^256 on. */
int u256_parse(struct u256 *a, const char *s, size_t n) KE_CHECK;

#endif
