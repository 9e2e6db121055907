/*
 * Hashing to BLS12-381's G1: RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_. Pure; public values
 * only.
 */
#ifndef POLICY_BLS_MAP_H
#define POLICY_BLS_MAP_H

#include "policy/bls_curve.h"

#define BLS_UNIFORM 128

/*
 * expand_message_xmd (section 5.3.1) with SHA-256, for the bytes of two field elements. Here and
 * below, dst has at most BLS_DST_MAX characters: more is cut off.
 */
void bls_expand(uint8_t out[BLS_UNIFORM], const void *msg, size_t len, const char *dst);
void bls_hash_point(struct bls_point *r, const void *msg, size_t len, const char *dst);

#endif
