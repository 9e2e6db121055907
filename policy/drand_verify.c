/*
 * A round's signature: see drand.h. Pure, and apart from the rest of drand because it needs libgmp,
 * which engine does not link.
 */
#include "policy/be.h"
#include "policy/drand.h"
#include "policy/hash.h"

#define DST "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"

int drand_verify(const struct drand_chain *c, uint64_t round, const uint8_t *sig, size_t n)
{
	uint8_t number[8], msg[32];

	if (round == 0)
		return KE_RANGE;
	be_put64(number, round);
	hash_sha256(msg, number, sizeof(number));
	return bls_verify(c->pub, sig, n, msg, sizeof(msg), DST);
}
