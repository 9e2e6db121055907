/*
 * A payout from a deposit address: its fields, their wire form, the transaction that they make and
 * what it can cost at most. One native transfer: an EIP-1559 (type 2) transaction without data or
 * access list on an EVM chain, one transfer of the system program on Solana (legacy message). Pure;
 * engine fills the fields, hsm alone builds the bytes and has them signed.
 */
#ifndef POLICY_PAYOUT_H
#define POLICY_PAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/u256.h"

enum payout_kind { PAYOUT_EVM = 1, PAYOUT_SOLANA = 2 };

#define PAYOUT_PUB_MAX  65 /* secp256k1: 04 ‖ X ‖ Y; Ed25519: 32 bytes */
#define PAYOUT_WIRE_MAX 128
#define PAYOUT_TX_MAX   512 /* a signed transaction */
#define PAYOUT_HASH_MAX 64  /* what names it: Keccak-256 (32 bytes), or its first signature */

struct payout {
	uint8_t id[16]; /* engine's: one id, one transaction */
	uint8_t kind;   /* enum payout_kind */
	/* EVM: fees in wei per unit of gas */
	uint64_t chain_id, nonce, priority_fee, max_fee, gas_limit;
	uint8_t blockhash[32]; /* Solana: a recent one */
	uint8_t to[32];        /* EVM: 20 bytes; Solana: 32 */
	struct u256 value;     /* wei, or lamports (below 2^64) */
};

/* Bytes of a public key, and of an address in raw form; 0 for a kind that there is not. */
size_t payout_pub_len(unsigned kind);
size_t payout_to_len(unsigned kind);

/*
 * Wire form (little-endian as daemon/msg/wire.h): raw[16] id, u8 kind; EVM: u64 chain id, u64
 * nonce, u64 max priority fee, u64 max fee, u64 gas limit, raw[20] to, raw[32] value, big-endian;
 * Solana: raw[32] recent blockhash, raw[32] to, u64 lamports. KE_FULL; KE_RANGE as payout_check().
 * payout_get demands the exact end and what payout_check() demands: KE_FORMAT.
 */
int payout_put(const struct payout *p, void *out, size_t cap, size_t *len) KE_CHECK;
int payout_get(struct payout *p, const void *in, size_t n) KE_CHECK;

/*
 * KE_RANGE for what is no payout: an unknown kind, chain id, receiver or value 0, a priority fee
 * above the maximum fee, gas below 21,000, a Solana value above 2^64 - 1.
 */
int payout_check(const struct payout *p) KE_CHECK;

/* All that the transaction can take from the address, fees included: KE_RANGE. */
int payout_cost(const struct payout *p, struct u256 *cost) KE_CHECK;

#endif
