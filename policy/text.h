/*
 * Text forms of bytes, ids and times: hex, base64 (RFC 4648), UUID (RFC 9562), RFC 3339, UTF-8.
 * Pure; used everywhere. Decoders are strict: one text form per value, anything else KE_FORMAT.
 * Not for secrets where timing matters (hex and base64 of secrets use libsodium's).
 */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

/* dst receives 2n characters and a NUL. Lower case. */
void text_hex(char *dst, const void *src, size_t n);
/* Exactly 2n lower-case characters. */
int text_unhex(void *dst, size_t n, const char *s, size_t len) KE_CHECK;

#define TEXT_B64_LEN(n) ((((n) + 2) / 3) * 4)
/* Standard alphabet with padding; dst receives TEXT_B64_LEN(n) characters and a NUL. */
void text_b64(char *dst, const void *src, size_t n);
/*
 * Canonical input only (padding, zero spare bits): KE_FORMAT. *n (may be NULL) is the size on
 * return; KE_FULL when it is above cap. With dst NULL the text is only checked.
 */
int text_unb64(void *dst, size_t cap, size_t *n, const char *s, size_t len) KE_CHECK;
/* URL alphabet without padding; returns the length, or KE_FULL; cap holds the NUL too. */
int text_b64url(char *dst, size_t cap, const void *src, size_t n) KE_CHECK;
int text_unb64url(void *dst, size_t cap, size_t *n, const char *s, size_t len) KE_CHECK;

/* dst receives 36 characters and a NUL. */
void text_uuid(char *dst, const uint8_t id[16]);
int text_unuuid(uint8_t id[16], const char *s, size_t len) KE_CHECK;
/* RFC 9562 version 7: unix_ms, then rnd (10 random bytes; their version and variant bits are set).
 */
void text_uuid7(uint8_t id[16], int64_t unix_ms, const uint8_t rnd[10]);

/* "2026-11-21T09:00:00.123Z": 24 characters and a NUL. Years 1970-9999, times outside are clamped.
 */
void text_time(char dst[25], int64_t unix_ms);
/* What text_time() writes, back to Unix milliseconds; anything else is KE_FORMAT. */
int text_untime(int64_t *unix_ms, const char *s, size_t len) KE_CHECK;

/* RFC 3629; KE_FORMAT for anything else. */
int text_utf8(const void *s, size_t n) KE_CHECK;
/* Bytes (1-4) of the character that s begins with; 0 when it is none, or n is 0. */
size_t text_utf8_len(const void *s, size_t n);

#define TEXT_U64_MAX 20
/* Decimal; returns the length without the NUL. */
size_t text_u64(char dst[TEXT_U64_MAX + 1], uint64_t v);
/* Digits only, no leading zero, at most 2^64 - 1. */
int text_unu64(uint64_t *v, const char *s, size_t len) KE_CHECK;

#endif
