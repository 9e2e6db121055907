/*
 * Strict JSON (RFC 8259) in two steps: json_check() accepts or refuses the text (grammar, UTF-8,
 * depth, duplicate keys, NUL), then jsmn splits it into tokens, and the getters read values.
 * Pure; runs in net on strangers' bodies and in klero-verify on strangers' proofs.
 */
#ifndef POLICY_JSON_H
#define POLICY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define JSON_DEPTH   16
#define JSON_TOKENS  1024 /* the limit for request bodies */
#define JSON_KEY_MAX 1024 /* bytes of a key as it is written */

struct json_tok {
	uint8_t type;   /* enum json_type */
	int start, end; /* of strings: without the quotes, escapes still in */
	int size;       /* members or elements */
	int parent;     /* -1 for the root */
};
enum json_type {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL
};

/*
 * KE_OK when the text is one JSON value with at most max_tokens tokens; *tokens is their number.
 * KE_FORMAT for grammar and UTF-8, KE_EXISTS for a duplicate key, KE_LIMIT for depth, token
 * number, a key's length or size (2^31 - 1), KE_NOMEM when objects have very many keys. *at (may be
 * NULL) is the offset of the trouble. Duplicate keys are compared after unescaping. Linear time; no
 * recursion.
 */
int json_check(const char *text, size_t n, size_t max_tokens, size_t *tokens, size_t *at) KE_CHECK;

/* Splits a checked text: toks has room for the `tokens` that json_check counted. */
int json_split(const char *text, size_t n, struct json_tok *toks, size_t tokens) KE_CHECK;

/* The token after toks[i] and all below it. */
size_t json_next(const struct json_tok *toks, size_t ntoks, size_t i);
/* The value of a member of the object toks[i], 0 when it has none of that name (plain ASCII name).
 */
size_t json_member(
    const char *text, const struct json_tok *toks, size_t ntoks, size_t i, const char *name);
/* Unescapes a string token into dst (cap bytes, not terminated): KE_LONG; KE_FORMAT: no string. */
int json_string(
    const char *text, const struct json_tok *t, char *dst, size_t cap, size_t *n) KE_CHECK;
/* An integer without fraction or exponent within int64; KE_FORMAT for another number or type,
 * KE_RANGE. */
int json_int(const char *text, const struct json_tok *t, int64_t *v) KE_CHECK;

#endif
