/*
 * drand, the public randomness beacon (DRAW.md section 7): a chain's facts, its rounds in time, and
 * whether a signature is a round's. Only the unchained scheme with signatures in G1,
 * "bls-unchained-g1-rfc9380", as quicknet has it. Pure; verification runs for tens of milliseconds
 * and on libgmp: see bls.h.
 */
#ifndef POLICY_DRAND_H
#define POLICY_DRAND_H

#include <stdbool.h>

#include "policy/bls.h"

#define DRAND_SCHEME           "bls-unchained-g1-rfc9380"
#define DRAND_ID_MAX           64
#define DRAND_CONTRIBUTION_LEN 73

/* What a chain's /info says. */
struct drand_chain {
	uint8_t pub[BLS_PUB_LEN];
	uint8_t group_hash[32]; /* "genesis seed" in newer words */
	uint32_t period_s;      /* from 1 */
	uint64_t genesis_s;     /* Unix time of round 1 */
	char id[DRAND_ID_MAX + 1];
};

/* quicknet, the League of Entropy's chain: pinned, so that no relay has to be believed. */
extern const struct drand_chain drand_quicknet;

/*
 * What a relay answers to GET /<chain hash>/info: {"public_key", "period", "genesis_time", "hash",
 * "groupHash", "schemeID", "metadata": {"beaconID"}}. Members that are not known are skipped.
 * KE_FORMAT; KE_VERSION for another scheme; KE_CRYPTO when "hash" is not the hash of the rest.
 */
int drand_chain_parse(struct drand_chain *c, const char *json, size_t n) KE_CHECK;

/*
 * What a relay answers to GET /<chain hash>/public/<round>: {"round", "signature", …}. What else
 * stands there, such as "randomness", is skipped: only the signature counts. KE_FORMAT.
 */
int drand_round_parse(
    uint64_t *round, uint8_t sig[BLS_SIG_LEN], const char *json, size_t n) KE_CHECK;

/* The hash by which a chain is named: over all of the above. */
void drand_chain_hash(uint8_t out[32], const struct drand_chain *c);

/* Unix seconds of a round (from 1); KE_RANGE for round 0 and beyond what 63 bits hold. */
int drand_round_time(const struct drand_chain *c, uint64_t round, uint64_t *unix_s) KE_CHECK;
/* The first round at or after a moment. */
uint64_t drand_round_from(const struct drand_chain *c, uint64_t unix_s);

/* bls_verify()'s answers for the round's signature; KE_RANGE for round 0. */
int drand_verify(
    const struct drand_chain *c, uint64_t round, const uint8_t *sig, size_t n) KE_CHECK;

/* 01 ‖ chain hash ‖ u64 round ‖ SHA-256(signature): what a round gives to the draw's context. */
void drand_contribution(uint8_t out[DRAND_CONTRIBUTION_LEN], const uint8_t chain_hash[32],
    uint64_t round, const uint8_t sig[BLS_SIG_LEN]);

#endif
