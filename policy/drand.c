/*
 * drand's chains and rounds. Pure; see drand.h.
 */
#include "policy/drand.h"

#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"

#define DST "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"

/* drand/drand, common/chain; https://api.drand.sh/52db9ba7…/info */
const struct drand_chain drand_quicknet = {
    .pub = {0x83, 0xcf, 0x0f, 0x28, 0x96, 0xad, 0xee, 0x7e, 0xb8, 0xb5, 0xf0, 0x1f, 0xca, 0xd3,
	0x91, 0x22, 0x12, 0xc4, 0x37, 0xe0, 0x07, 0x3e, 0x91, 0x1f, 0xb9, 0x00, 0x22, 0xd3, 0xe7,
	0x60, 0x18, 0x3c, 0x8c, 0x4b, 0x45, 0x0b, 0x6a, 0x0a, 0x6c, 0x3a, 0xc6, 0xa5, 0x77, 0x6a,
	0x2d, 0x10, 0x64, 0x51, 0x0d, 0x1f, 0xec, 0x75, 0x8c, 0x92, 0x1c, 0xc2, 0x2b, 0x0e, 0x17,
	0xe6, 0x3a, 0xaf, 0x4b, 0xcb, 0x5e, 0xd6, 0x63, 0x04, 0xde, 0x9c, 0xf8, 0x09, 0xbd, 0x27,
	0x4c, 0xa7, 0x3b, 0xab, 0x4a, 0xf5, 0xa6, 0xe9, 0xc7, 0x6a, 0x4b, 0xc0, 0x9e, 0x76, 0xea,
	0xe8, 0x99, 0x1e, 0xf5, 0xec, 0xe4, 0x5a},
    .group_hash = {0xf4, 0x77, 0xd5, 0xc8, 0x9f, 0x21, 0xa1, 0x7c, 0x86, 0x3a, 0x7f, 0x93, 0x7c,
	0x6a, 0x6d, 0x15, 0x85, 0x94, 0x14, 0xd2, 0xbe, 0x09, 0xcd, 0x44, 0x8d, 0x42, 0x79, 0xaf,
	0x33, 0x1c, 0x5d, 0x3e},
    .period_s = 3,
    .genesis_s = 1692803367,
    .id = "quicknet",
};

/* u32 period ‖ i64 genesis ‖ public key ‖ group hash ‖ id, unless that is "default" */
void drand_chain_hash(uint8_t out[32], const struct drand_chain *c)
{
	uint8_t in[4 + 8 + BLS_PUB_LEN + 32 + DRAND_ID_MAX], *p = in;
	size_t id = strnlen(c->id, DRAND_ID_MAX);

	be_put32(p, c->period_s);
	be_put64(p + 4, c->genesis_s);
	p += 12;
	memcpy(p, c->pub, BLS_PUB_LEN);
	p += BLS_PUB_LEN;
	memcpy(p, c->group_hash, 32);
	p += 32;
	if (strcmp(c->id, "default") != 0) {
		memcpy(p, c->id, id);
		p += id;
	}
	hash_sha256(out, in, (size_t)(p - in));
}

int drand_round_time(const struct drand_chain *c, uint64_t round, uint64_t *unix_s)
{
	if (round == 0 || c->period_s == 0 ||
	    (round - 1) > ((uint64_t)INT64_MAX - c->genesis_s) / c->period_s)
		return KE_RANGE;
	*unix_s = c->genesis_s + (round - 1) * c->period_s;
	return KE_OK;
}

uint64_t drand_round_from(const struct drand_chain *c, uint64_t unix_s)
{
	uint64_t since = unix_s - c->genesis_s;

	if (unix_s <= c->genesis_s || c->period_s == 0)
		return 1;
	return 1 + since / c->period_s + (since % c->period_s != 0);
}

int drand_verify(const struct drand_chain *c, uint64_t round, const uint8_t *sig, size_t n)
{
	uint8_t number[8], msg[32];

	if (round == 0)
		return KE_RANGE;
	be_put64(number, round);
	hash_sha256(msg, number, sizeof(number));
	return bls_verify(c->pub, sig, n, msg, sizeof(msg), DST);
}

void drand_contribution(uint8_t out[DRAND_CONTRIBUTION_LEN], const uint8_t chain_hash[32],
    uint64_t round, const uint8_t sig[BLS_SIG_LEN])
{
	out[0] = 1;
	memcpy(out + 1, chain_hash, 32);
	be_put64(out + 33, round);
	hash_sha256(out + 41, sig, BLS_SIG_LEN);
}
