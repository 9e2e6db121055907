/*
 * SHA-256, HMAC-SHA256 and the one KDF of the draw. Pure; linked into every process.
 *
 * libcrypto's SHA256_* functions are called directly. OpenSSL 3 names them deprecated, but for a
 * leaf of 117 bytes they took 91 ns where EVP with a fetched digest and a reused context took 118
 * and libsodium's portable code 400 (CPU with SHA extensions); and they need no fetch, no
 * allocation and no static object: a process can call them in any sandbox without a warm-up.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "policy/hash.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "policy/be.h"

#define BLOCK 64

void hash_sha256(uint8_t out[32], const void *p, size_t n)
{
	hash_sha256_2(out, p, n, NULL, 0);
}

void hash_sha256_2(uint8_t out[32], const void *a, size_t an, const void *b, size_t bn)
{
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, a, an);
	SHA256_Update(&c, b, bn);
	SHA256_Final(out, &c);
}

void hash_hmac(uint8_t out[32], const uint8_t key[32], const void *p, size_t n)
{
	uint8_t pad[BLOCK], inner[32];
	SHA256_CTX c;

	memset(pad, 0x36, sizeof(pad));
	for (int i = 0; i < 32; i++)
		pad[i] ^= key[i];
	SHA256_Init(&c);
	SHA256_Update(&c, pad, sizeof(pad));
	SHA256_Update(&c, p, n);
	SHA256_Final(inner, &c);
	for (int i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	hash_sha256_2(out, pad, sizeof(pad), inner, sizeof(inner));
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(inner, sizeof(inner));
	sodium_memzero(&c, sizeof(c));
}

size_t hash_kdf_input(uint8_t out[HASH_KDF_INPUT_MAX], const char *label, const void *ctx, size_t n)
{
	size_t len = strlen(label), total = 4 + len + 1 + n + 4;

	if (len > HASH_KDF_INPUT_MAX || n > HASH_KDF_INPUT_MAX || total > HASH_KDF_INPUT_MAX)
		return 0;
	be_put32(out, 1); /* the counter: there is one iteration only */
	memcpy(out + 4, label, len + 1);
	if (n > 0)
		memcpy(out + 4 + len + 1, ctx, n);
	be_put32(out + total - 4, 256); /* output bits */
	return total;
}

void hash_kdf(uint8_t out[32], const uint8_t key[32], const char *label, const void *ctx, size_t n)
{
	uint8_t in[HASH_KDF_INPUT_MAX];
	size_t len = hash_kdf_input(in, label, ctx, n);

	/* Labels and sizes are constants of the callers: never reached by input. */
	if (len == 0)
		abort();
	hash_hmac(out, key, in, len);
}

/* --- the running hash that can be stored --- */

static void state_put(uint8_t state[HASH_STATE_LEN], const SHA256_CTX *c)
{
	uint8_t *p = state;

	memset(state, 0, HASH_STATE_LEN);
	for (int i = 0; i < 8; i++, p += 4)
		be_put32(p, c->h[i]);
	be_put64(p, (uint64_t)c->Nh << 32 | c->Nl);
	memcpy(p + 8, c->data, c->num);
}

static void state_get(SHA256_CTX *c, const uint8_t state[HASH_STATE_LEN])
{
	const uint8_t *p = state;
	uint64_t bits;

	SHA256_Init(c);
	for (int i = 0; i < 8; i++, p += 4)
		c->h[i] = be_get32(p);
	bits = be_get64(p);
	c->Nh = (SHA_LONG)(bits >> 32);
	c->Nl = (SHA_LONG)bits;
	c->num = (unsigned)(bits / 8 % BLOCK);
	memcpy(c->data, p + 8, c->num);
}

void hash_run_start(uint8_t state[HASH_STATE_LEN])
{
	SHA256_CTX c;

	SHA256_Init(&c);
	state_put(state, &c);
}

void hash_run_add(uint8_t state[HASH_STATE_LEN], const void *p, size_t n)
{
	SHA256_CTX c;

	state_get(&c, state);
	SHA256_Update(&c, p, n);
	state_put(state, &c);
}

void hash_run_end(uint8_t out[32], const uint8_t state[HASH_STATE_LEN])
{
	SHA256_CTX c;

	state_get(&c, state);
	SHA256_Final(out, &c);
}
