/*
 * Fuzz target: access tokens as strangers send them. The first byte chooses the part: the whole
 * token, its header, its claims (which a real token shows only behind a signature).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/engine/token.h"
#include "policy/text.h"

#define ISSUER "https://klero.example"
#define KID    "token-v000001"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* NIST's base point: nobody has signed with its private key 1 here, so nothing may verify. */
static const struct token_key *any_key(void)
{
	static const char base[] =
	    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
	static struct token_key k;
	uint8_t point[TOKEN_POINT];

	if (k.version == 0 && (text_unhex(point, sizeof point, base, sizeof base - 1) != KE_OK ||
				  token_key_set(&k, 1, point) != KE_OK))
		abort();
	return &k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct token_claims c;
	int r;

	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		if (token_verify(any_key(), ISSUER, 1800000000, data + 1, size - 1, &c) == KE_OK)
			abort();
		break;
	case 1:
		r = token_check_header((const char *)data + 1, size - 1, KID);
		if (r != KE_OK && r != KE_AUTH)
			abort();
		break;
	default:
		r = token_parse_claims((const char *)data + 1, size - 1, ISSUER, &c);
		if (r == KE_OK && (c.issued_s < 0 || c.expires_s - c.issued_s > TOKEN_LIFE_S))
			abort();
	}
	return 0;
}
