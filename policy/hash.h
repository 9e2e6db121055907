/*
 * SHA-256, HMAC-SHA256 and the one KDF of the draw (DRAW.md section 1; SP 800-108r1 counter mode).
 * Pure; software only: in the appliance the HSM computes what involves its keys.
 */
#ifndef POLICY_HASH_H
#define POLICY_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_LEN 32

void hash_sha256(uint8_t out[32], const void *p, size_t n);
/* SHA-256(a ‖ b) */
void hash_sha256_2(uint8_t out[32], const void *a, size_t an, const void *b, size_t bn);
void hash_hmac(uint8_t out[32], const uint8_t key[32], const void *p, size_t n);

#define HASH_KDF_INPUT_MAX 512
/*
 * The KDF's input: 00000001 ‖ label ‖ 00 ‖ context ‖ 00000100. Returns its length, at most
 * HASH_KDF_INPUT_MAX; 0 when it would not fit. For the HSM, whose HMAC wants these bytes.
 */
size_t hash_kdf_input(
    uint8_t out[HASH_KDF_INPUT_MAX], const char *label, const void *ctx, size_t n);
/* HMAC-SHA256(key, that input). context up to 400 bytes. */
void hash_kdf(uint8_t out[32], const uint8_t key[32], const char *label, const void *ctx, size_t n);

/*
 * A running SHA-256 that can be stored and taken up again: how a raffle's aggregate of client
 * seeds grows with each sale. The state is 104 bytes in a form of our own (8 u32 ‖ u64 bits ‖ 64).
 */
#define HASH_STATE_LEN 104
void hash_run_start(uint8_t state[HASH_STATE_LEN]);
void hash_run_add(uint8_t state[HASH_STATE_LEN], const void *p, size_t n);
void hash_run_end(uint8_t out[32], const uint8_t state[HASH_STATE_LEN]);

#endif
