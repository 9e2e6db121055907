/*
 * A bounded JSON writer: compact, one value after the other, commas by itself. Used by net and
 * engine for answers and by tests. Strings are escaped (RFC 8259); invalid UTF-8 is an error.
 * The first error sticks; the text is valid only when jsonw_end() says KE_OK.
 */
#ifndef POLICY_JSONW_H
#define POLICY_JSONW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define JSONW_DEPTH 16

struct jsonw {
	char *buf; /* the caller's */
	size_t cap, len;
	unsigned depth;
	bool comma[JSONW_DEPTH + 1];  /* something stands at this depth already */
	bool object[JSONW_DEPTH + 1]; /* else an array, or outside all brackets */
	bool key;                     /* a key was written, its value is due */
	int err;
};

void jsonw_init(struct jsonw *w, char *buf, size_t cap);
void jsonw_object(struct jsonw *w);     /* { */
void jsonw_object_end(struct jsonw *w); /* } */
void jsonw_array(struct jsonw *w);
void jsonw_array_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_str(struct jsonw *w, const char *s, size_t n);
void jsonw_cstr(struct jsonw *w, const char *s);
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_hex(struct jsonw *w, const void *p, size_t n); /* lower-case hex string */
void jsonw_b64(struct jsonw *w, const void *p, size_t n); /* base64 with padding */
void jsonw_uuid(struct jsonw *w, const uint8_t id[16]);   /* canonical form */
void jsonw_time(struct jsonw *w, int64_t unix_ms);        /* RFC 3339 UTC, milliseconds */
void jsonw_money(struct jsonw *w, int64_t amount, const char *currency);
/* A value that is JSON already. */
void jsonw_raw(struct jsonw *w, const char *json, size_t n);
/* key and value in one */
void jsonw_kcstr(struct jsonw *w, const char *key, const char *s);
void jsonw_kstr(struct jsonw *w, const char *key, const char *s, size_t n);
void jsonw_kint(struct jsonw *w, const char *key, int64_t v);
void jsonw_kbool(struct jsonw *w, const char *key, bool v);
void jsonw_khex(struct jsonw *w, const char *key, const void *p, size_t n);
void jsonw_kuuid(struct jsonw *w, const char *key, const uint8_t id[16]);
void jsonw_ktime(struct jsonw *w, const char *key, int64_t unix_ms);
void jsonw_kmoney(struct jsonw *w, const char *key, int64_t amount, const char *currency);
/*
 * KE_OK when everything fitted and every bracket is closed; KE_FULL, KE_LIMIT (depth), or
 * KE_FORMAT for invalid UTF-8 and for calls in an order that makes no JSON.
 */
int jsonw_end(const struct jsonw *w) KE_CHECK;

#endif
