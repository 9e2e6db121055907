/*
 * Access tokens: ES256 `at+jwt` (RFC 7515, 7518, 9068), verified with the public point that hsm
 * gave. Runs in engine; the token comes from a stranger and nothing in it counts before its
 * signature holds. Nothing is taken from the token's header but the proof that it is exactly ours.
 */
#ifndef DAEMON_ENGINE_TOKEN_H
#define DAEMON_ENGINE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define TOKEN_POINT    65  /* uncompressed P-256 point */
#define TOKEN_LIFE_S   900 /* a token that claims to live longer is not ours */
#define TOKEN_SKEW_S   60  /* how far a clock that was set back may lie behind */
#define TOKEN_KID_MAX  24
#define TOKEN_PART_MAX 1024 /* decoded header, decoded payload */

struct token_key {
	uint32_t version; /* 0: no key yet */
	uint8_t point[TOKEN_POINT];
	void *ctx; /* libcrypto's verification context */
};

/* The keys that tokens may be signed by just now: the one that signs is the first. */
#define TOKEN_KEYS_MAX 16
struct token_keys {
	struct token_key key[TOKEN_KEYS_MAX];
	size_t n; /* 0: none is known yet */
};

struct token_claims {
	uint8_t user[16], session[16];
	int64_t issued_s, expires_s;
};

/* Takes over a public key; KE_CRYPTO when the point is not on P-256. */
int token_key_set(struct token_key *k, uint32_t version, const uint8_t point[TOKEN_POINT]) KE_CHECK;
void token_key_free(struct token_key *k);

/* "token-v000001" */
void token_kid(char kid[TOKEN_KID_MAX], uint32_t version);

/*
 * KE_OK and the claims when the token is ours and valid at now_s; KE_TIMEOUT when it was ours and
 * has expired; KE_AUTH for anything else; KE_UNAVAIL while there is no key. issuer is both `iss`
 * and `aud`.
 */
int token_verify(const struct token_key *k, const char *issuer, int64_t now_s, const uint8_t *token,
    size_t n, struct token_claims *c) KE_CHECK;

/* The same under whichever of the keys the token names. */
int token_verify_any(const struct token_keys *keys, const char *issuer, int64_t now_s,
    const uint8_t *token, size_t n, struct token_claims *c) KE_CHECK;

/* The two JSON parts alone: for token_verify and for fuzzing. KE_AUTH. */
int token_check_header(const char *json, size_t n, const char *kid) KE_CHECK;
int token_parse_claims(
    const char *json, size_t n, const char *issuer, struct token_claims *c) KE_CHECK;

#endif
