/*
 * Access tokens: see token.h. Runs in engine; parses what strangers send, so every part is bounded
 * before it is decoded, and the payload is read only after the signature held.
 */
#include "daemon/engine/token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/jsondoc.h"
#include "policy/p256.h"
#include "policy/text.h"

#define HEADER_TOKENS 16
#define CLAIM_TOKENS  64
#define SIG_LEN       P256_SIG

/* A part of a compact JWS, still in base64url. */
struct part {
	const char *p;
	size_t n;
};

void token_kid(char kid[TOKEN_KID_MAX], uint32_t version)
{
	snprintf(kid, TOKEN_KID_MAX, "token-v%06u", version);
}

void token_key_free(struct token_key *k)
{
	EVP_PKEY_CTX_free(k->ctx);
	*k = (struct token_key){0};
}

int token_key_set(struct token_key *k, uint32_t version, const uint8_t point[TOKEN_POINT])
{
	EVP_PKEY *key = p256_key(point);
	EVP_PKEY_CTX *ctx = key == NULL ? NULL : EVP_PKEY_CTX_new(key, NULL);

	EVP_PKEY_free(key); /* the context holds its own reference */
	if (ctx == NULL || version == 0 || EVP_PKEY_public_check(ctx) != 1 ||
	    EVP_PKEY_verify_init(ctx) != 1) {
		EVP_PKEY_CTX_free(ctx);
		return KE_CRYPTO;
	}
	token_key_free(k);
	k->version = version;
	memcpy(k->point, point, TOKEN_POINT);
	k->ctx = ctx;
	return KE_OK;
}

/* Exactly three parts between two dots. */
static int split(const uint8_t *token, size_t n, struct part part[3])
{
	const char *p = (const char *)token, *end = p + n;

	for (int i = 0; i < 3; i++) {
		const char *dot = i < 2 ? memchr(p, '.', (size_t)(end - p)) : end;

		if (dot == NULL)
			return KE_AUTH;
		part[i] = (struct part){p, (size_t)(dot - p)};
		p = dot + 1;
	}
	return memchr(part[2].p, '.', part[2].n) == NULL ? KE_OK : KE_AUTH;
}

static int member_is(const struct jsondoc *d, const char *name, const char *want)
{
	char got[512];

	if (jsondoc_text(d, 0, name, got, sizeof got) != KE_OK || strcmp(got, want) != 0)
		return KE_AUTH;
	return KE_OK;
}

static int member_uuid(const struct jsondoc *d, const char *name, uint8_t id[16])
{
	char text[40];

	if (jsondoc_text(d, 0, name, text, sizeof text) != KE_OK ||
	    text_unuuid(id, text, strlen(text)) != KE_OK)
		return KE_AUTH;
	return KE_OK;
}

static int member_time(const struct jsondoc *d, const char *name, int64_t *v)
{
	return jsondoc_int(d, 0, name, 0, INT64_MAX, v) == KE_OK ? KE_OK : KE_AUTH;
}

/* Ours has exactly these three members: no crit, no jwk, no second algorithm to choose from. */
int token_check_header(const char *json, size_t n, const char *kid)
{
	struct json_tok toks[HEADER_TOKENS];
	struct jsondoc d;

	if (jsondoc_read(&d, json, n, toks, HEADER_TOKENS) != KE_OK || toks[0].size != 3)
		return KE_AUTH;
	if (member_is(&d, "alg", "ES256") != KE_OK || member_is(&d, "typ", "at+jwt") != KE_OK ||
	    member_is(&d, "kid", kid) != KE_OK)
		return KE_AUTH;
	return KE_OK;
}

int token_parse_claims(const char *json, size_t n, const char *issuer, struct token_claims *c)
{
	struct json_tok toks[CLAIM_TOKENS];
	struct jsondoc d;

	if (jsondoc_read(&d, json, n, toks, CLAIM_TOKENS) != KE_OK)
		return KE_AUTH;
	/* ours have none, and whoever adds one means that it be obeyed (RFC 7519 section 4.1.5) */
	if (jsondoc_member(&d, 0, "nbf") != 0)
		return KE_AUTH;
	if (member_is(&d, "iss", issuer) != KE_OK || member_is(&d, "aud", issuer) != KE_OK ||
	    member_is(&d, "client_id", "klero") != KE_OK)
		return KE_AUTH;
	if (member_uuid(&d, "sub", c->user) != KE_OK || member_uuid(&d, "sid", c->session) != KE_OK)
		return KE_AUTH;
	if (member_time(&d, "iat", &c->issued_s) != KE_OK ||
	    member_time(&d, "exp", &c->expires_s) != KE_OK)
		return KE_AUTH;
	/* compared this way round, no sum of foreign numbers can overflow */
	if (c->expires_s < c->issued_s || c->expires_s - c->issued_s > TOKEN_LIFE_S)
		return KE_AUTH;
	return KE_OK;
}

/* r ‖ s over the first two parts, as RFC 7518 section 3.4 writes it. */
static int check_signature(
    const struct token_key *k, const uint8_t *token, size_t signed_len, const uint8_t sig[SIG_LEN])
{
	uint8_t digest[32], der[P256_DER_MAX];
	size_t len;
	int r = p256_der(sig, der, &len);

	if (r != KE_OK)
		return r;
	hash_sha256(digest, token, signed_len);
	return EVP_PKEY_verify(k->ctx, der, len, digest, sizeof digest) == 1 ? KE_OK : KE_AUTH;
}

static int check_times(const struct token_claims *c, int64_t now_s)
{
	if (c->issued_s > now_s + TOKEN_SKEW_S)
		return KE_AUTH;
	return now_s < c->expires_s ? KE_OK : KE_TIMEOUT;
}

int token_verify(const struct token_key *k, const char *issuer, int64_t now_s, const uint8_t *token,
    size_t n, struct token_claims *c)
{
	char json[TOKEN_PART_MAX], kid[TOKEN_KID_MAX];
	uint8_t sig[SIG_LEN + 1];
	struct part part[3];
	size_t len;

	if (k->version == 0)
		return KE_UNAVAIL;
	if (split(token, n, part) != KE_OK)
		return KE_AUTH;
	token_kid(kid, k->version);
	if (text_unb64url(json, sizeof json, &len, part[0].p, part[0].n) != KE_OK ||
	    token_check_header(json, len, kid) != KE_OK)
		return KE_AUTH;
	if (text_unb64url(sig, sizeof sig, &len, part[2].p, part[2].n) != KE_OK || len != SIG_LEN)
		return KE_AUTH;
	if (check_signature(k, token, part[0].n + 1 + part[1].n, sig) != KE_OK)
		return KE_AUTH;
	if (text_unb64url(json, sizeof json, &len, part[1].p, part[1].n) != KE_OK ||
	    token_parse_claims(json, len, issuer, c) != KE_OK)
		return KE_AUTH;
	return check_times(c, now_s);
}

/* Only the key whose kid stands in the header gets as far as the signature. */
int token_verify_any(const struct token_keys *keys, const char *issuer, int64_t now_s,
    const uint8_t *token, size_t n, struct token_claims *c)
{
	int r = keys->n == 0 ? KE_UNAVAIL : KE_AUTH;

	for (size_t i = 0; r == KE_AUTH && i < keys->n; i++)
		r = token_verify(&keys->key[i], issuer, now_s, token, n, c);
	return r;
}
