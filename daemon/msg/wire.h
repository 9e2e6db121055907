/*
 * Field encodings of the message layer: little-endian integers, raw bytes of a known size, and
 * `str` = u16 length ‖ bytes. No structure, size_t or pointer is ever put on the wire.
 * Part of the message layer; compiled into every process; reads what any peer sends and trusts
 * none of it.
 *
 * Both cursors keep their first error: a sequence of puts or gets is checked once, at its end.
 * A get after an error yields zeros and NULL.
 */
#ifndef DAEMON_MSG_WIRE_H
#define DAEMON_MSG_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

struct wire_out {
	uint8_t *buf; /* the caller's */
	size_t cap, len;
	int err; /* KE_OK or the first failure */
};

struct wire_in {
	const uint8_t *p, *end;
	int err;
};

void wire_out_init(struct wire_out *w, void *buf, size_t cap);
void wire_put_u8(struct wire_out *w, uint8_t v);
void wire_put_u16(struct wire_out *w, uint16_t v);
void wire_put_u32(struct wire_out *w, uint32_t v);
void wire_put_i32(struct wire_out *w, int32_t v);
void wire_put_u64(struct wire_out *w, uint64_t v);
void wire_put_i64(struct wire_out *w, int64_t v);
void wire_put_raw(struct wire_out *w, const void *p, size_t n);
/* n up to 65535 bytes */
void wire_put_str(struct wire_out *w, const void *p, size_t n);
void wire_put_cstr(struct wire_out *w, const char *s);

void wire_in_init(struct wire_in *r, const void *p, size_t n);
uint8_t wire_get_u8(struct wire_in *r);
uint16_t wire_get_u16(struct wire_in *r);
uint32_t wire_get_u32(struct wire_in *r);
int32_t wire_get_i32(struct wire_in *r);
uint64_t wire_get_u64(struct wire_in *r);
int64_t wire_get_i64(struct wire_in *r);
/* Copies n raw bytes to dst. */
void wire_get_raw(struct wire_in *r, void *dst, size_t n);
/* A view of n raw bytes inside the message, NULL after an error. */
const uint8_t *wire_get_view(struct wire_in *r, size_t n);
/* A view of a str of at most max bytes (KE_LONG beyond); *n is its length. Not terminated. */
const uint8_t *wire_get_str(struct wire_in *r, size_t max, size_t *n);
/* A str of at most cap - 1 bytes without a NUL inside, copied and terminated. */
void wire_get_cstr(struct wire_in *r, char *dst, size_t cap);
/* KE_OK only when nothing failed and the message ends exactly here. */
int wire_end(const struct wire_in *r) KE_CHECK;

#endif
