/*
 * The values of single header fields: characters and small grammars (RFC 9110, 6750, 3986). Pure;
 * runs in net on what strangers send.
 */
#ifndef DAEMON_NET_HDR_H
#define DAEMON_NET_HDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define HDR_TOKEN_MAX 2048
#define HDR_IDEM_MAX  255

/* Character classes of RFC 9110 and RFC 3986. */
bool hdr_is_tchar(uint8_t c); /* of a token */
bool hdr_is_value(uint8_t c); /* of a field value: no control character but HTAB */
bool hdr_is_pchar(uint8_t c); /* of a URI's path, without '/' and '%' */

/* Are two texts the same but for the case of ASCII letters? */
bool hdr_same(const uint8_t *p, size_t n, const uint8_t *q, size_t m);
/* Are n bytes the text s but for the case of ASCII letters? s is lower case. */
bool hdr_equal(const uint8_t *p, size_t n, const char *s);
/* Does a comma-separated list hold the token s (lower case)? */
bool hdr_lists(const uint8_t *p, size_t n, const char *s);

/* uri-host [":" port], RFC 9110 section 7.2: a name, an IPv4 address or a bracketed IPv6 one. */
bool hdr_host_ok(const uint8_t *p, size_t n);
/* path [and query] characters with well-formed percent encodings, RFC 3986 section 3.3. */
bool hdr_target_ok(const uint8_t *p, size_t n);

/* "Bearer" SP b64token, RFC 6750 section 2.1. The token is a view. */
int hdr_bearer(const uint8_t *p, size_t n, const uint8_t **token, size_t *token_len) KE_CHECK;
/* application/json, with no parameter but charset=utf-8; empty ones are none (RFC 9110 5.6.6). */
bool hdr_is_json(const uint8_t *p, size_t n);
/*
 * What an Accept field says of type "main/sub", lower case: the range that names it most closely
 * decides, by a weight of zero or another (RFC 9110 section 12.5.1).
 */
enum hdr_accept { HDR_UNNAMED, HDR_REFUSED, HDR_ACCEPTED };
enum hdr_accept hdr_accepts(const uint8_t *p, size_t n, const char *type);
/* An Idempotency-Key, bare or as a quoted string without escapes; the view is without quotes. */
int hdr_idem(const uint8_t *p, size_t n, const uint8_t **key, size_t *key_len) KE_CHECK;
/* The version of an entity tag of ours, "v<version>", from If-Match. */
int hdr_version(const uint8_t *p, size_t n, int64_t *version) KE_CHECK;

#endif
