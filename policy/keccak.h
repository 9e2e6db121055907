/*
 * Keccak-256 as Ethereum uses it: the Keccak submission's own padding (01), not that of FIPS 202
 * (SHA3-256 pads with 06), which is why libcrypto 3.0 has no name for it. Pure.
 */
#ifndef POLICY_KECCAK_H
#define POLICY_KECCAK_H

#include <stddef.h>
#include <stdint.h>

void keccak_256(uint8_t out[32], const void *p, size_t n);

#endif
