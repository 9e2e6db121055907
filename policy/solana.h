/*
 * Solana: addresses (base58 of the public key), and the legacy message of one transfer by the
 * system program with its signature (docs of Solana, "Transactions": compact-u16 lengths, message
 * header, account keys, recent blockhash, instructions). Pure.
 */
#ifndef POLICY_SOLANA_H
#define POLICY_SOLANA_H

#include "policy/base58.h"
#include "policy/payout.h"

#define SOLANA_ADDRESS_TEXT BASE58_LEN(32) /* at most, without the NUL */

/* The message of a payout from pub: what is signed. KE_FULL; KE_RANGE for a payout to itself. */
int solana_message(
    const struct payout *p, const uint8_t pub[32], uint8_t *out, size_t cap, size_t *len) KE_CHECK;
/* One signature and the message: a whole transaction, named by the signature. KE_FULL. */
int solana_signed(const uint8_t sig[64], const uint8_t *message, size_t n, uint8_t *out, size_t cap,
    size_t *len) KE_CHECK;

#endif
