/*
 * The answers of klerod-kdf: see answer.h. Runs in kdf.
 */
#include "daemon/kdf/answer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 1024

static int answer_hash(const struct phc_cost *c, const struct msg *m, struct wire_out *w)
{
	char phc[crypto_pwhash_STRBYTES];
	struct wire_in r;
	const uint8_t *password;
	size_t n;

	wire_in_init(&r, m->body, m->len);
	password = wire_get_str(&r, PASSWORD_MAX, &n);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	if (crypto_pwhash_argon2id_str(
		phc, (const char *)password, n, c->passes, (size_t)c->memory_kib * 1024) != 0) {
		wire_put_i32(w, KE_NOMEM);
		return KE_OK;
	}
	wire_put_i32(w, KE_OK);
	wire_put_cstr(w, phc);
	sodium_memzero(phc, sizeof phc);
	return KE_OK;
}

int kdf_verify(
    const struct phc_cost *c, const char *phc, const uint8_t *password, size_t n, bool *raise)
{
	uint8_t salt[PHC_SALT], want[PHC_HASH], hash[PHC_HASH];
	struct phc_cost cost;
	int r = KE_NOMEM;

	/* a string from the store must not make us work for hours or take all memory */
	if (phc_parse(phc, &cost) != KE_OK || !phc_bounded(&cost))
		return KE_RANGE;
	*raise = cost.memory_kib < c->memory_kib || cost.passes < c->passes;
	if (phc_values(phc, salt, want) != KE_OK)
		return KE_RANGE;
	/*
	 * Not libsodium's own comparison, which says "another password" for want of memory too:
	 * the user would be told so with the right one.
	 */
	if (crypto_pwhash_argon2id(hash, sizeof hash, (const char *)password, n, salt, cost.passes,
		(size_t)cost.memory_kib * 1024, crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0)
		r = sodium_memcmp(hash, want, sizeof hash) == 0 ? KE_OK : KE_AUTH;
	sodium_memzero(hash, sizeof hash);
	return r;
}

static int answer_verify(const struct phc_cost *c, const struct msg *m, struct wire_out *w)
{
	char phc[crypto_pwhash_STRBYTES];
	struct wire_in r;
	const uint8_t *password;
	bool raise = false;
	size_t n;
	int result;

	wire_in_init(&r, m->body, m->len);
	password = wire_get_str(&r, PASSWORD_MAX, &n);
	wire_get_cstr(&r, phc, sizeof phc);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	result = kdf_verify(c, phc, password, n, &raise);
	sodium_memzero(phc, sizeof phc);
	wire_put_i32(w, result);
	wire_put_u8(w, result == KE_OK && raise);
	return KE_OK;
}

int kdf_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	(void)peer;
	if (m->type == MSG_KDF_HASH)
		return answer_hash(ctx, m, w);
	return answer_verify(ctx, m, w);
}
