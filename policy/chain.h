/*
 * The networks of deposit addresses in words: "evm:1" (a chain id of EIP-155), "solana:devnet" (one
 * of Solana's clusters; "solana" alone is mainnet-beta). Pure; engine and kleroctl read it.
 */
#ifndef POLICY_CHAIN_H
#define POLICY_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/payout.h"

#define CHAIN_CLUSTERS "mainnet-beta", "testnet", "devnet"
#define CHAIN_ID_MAX   INT64_C(9007199254740991) /* 2^53 - 1 */

struct chain {
	enum payout_kind kind;
	int64_t network; /* the chain id; Solana: which cluster, from 1 */
};

/* KE_FORMAT for anything else. */
int chain_parse(struct chain *c, const char *s, size_t n) KE_CHECK;
/* KE_RANGE when there is no such network. */
int chain_check(const struct chain *c) KE_CHECK;
/* The name of a Solana cluster; NULL when there is none of this number. */
const char *chain_cluster(int64_t network);

#endif
