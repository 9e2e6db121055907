/*
 * Base58 with Bitcoin's alphabet, as Solana writes addresses, hashes and signatures. One text per
 * value: a leading zero byte is a leading '1', and nothing else is accepted. Pure.
 */
#ifndef POLICY_BASE58_H
#define POLICY_BASE58_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define BASE58_MAX 64 /* bytes */
/* Digits of n bytes at most; dst has one more for the NUL. */
#define BASE58_LEN(n) ((n)*138 / 100 + 1)

/* n ≤ BASE58_MAX bytes; the text's length. */
size_t base58_put(char *dst, const uint8_t *src, size_t n);
/* Exactly n ≤ BASE58_MAX bytes: KE_FORMAT. */
int base58_get(uint8_t *dst, size_t n, const char *s, size_t len) KE_CHECK;

#endif
