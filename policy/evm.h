/*
 * Ethereum and what speaks its language: addresses (EIP-55), RLP (the Yellow Paper, appendix B),
 * EIP-1559 transactions. Pure.
 */
#ifndef POLICY_EVM_H
#define POLICY_EVM_H

#include "policy/payout.h"

#define EVM_ADDRESS_TEXT 42 /* 0x and 40 digits */

/* The last 20 bytes of Keccak-256 over X ‖ Y. */
void evm_address(uint8_t address[20], const uint8_t pub[65]);
/* With the checksum of EIP-55 in its capitals. */
void evm_address_text(char text[EVM_ADDRESS_TEXT + 1], const uint8_t address[20]);
/*
 * 0x and 40 digits with a right checksum; a text in small letters only has none and is accepted
 * (EIP-55 leaves that to us), in capitals only too. KE_FORMAT; KE_CRYPTO for a wrong checksum.
 */
int evm_address_parse(uint8_t address[20], const char *s, size_t n) KE_CHECK;

/*
 * 02 ‖ rlp([chain id, nonce, priority fee, max fee, gas limit, to, value, data "", access list []])
 * of a payout: what is hashed and signed. KE_FULL.
 */
int evm_unsigned(const struct payout *p, uint8_t *out, size_t cap, size_t *len) KE_CHECK;
/* The same with y parity, r and s behind. Keccak-256 over it names the transaction. */
int evm_signed(const struct payout *p, const uint8_t sig[64], unsigned odd, uint8_t *out,
    size_t cap, size_t *len) KE_CHECK;

#endif
