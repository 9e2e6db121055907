/*
 * The bounded cursors of the message layer: see wire.h. Compiled into every process; reads what
 * any peer sends and trusts none of it.
 */
#include "daemon/msg/wire.h"

#include <string.h>

void wire_out_init(struct wire_out *w, void *buf, size_t cap)
{
	*w = (struct wire_out){.buf = buf, .cap = cap};
}

void wire_put_raw(struct wire_out *w, const void *p, size_t n)
{
	if (w->err != KE_OK)
		return;
	if (n > w->cap - w->len) {
		w->err = KE_FULL;
		return;
	}
	if (n > 0)
		memcpy(w->buf + w->len, p, n);
	w->len += n;
}

/* Little-endian, byte by byte: the same on every machine. */
static void put_le(struct wire_out *w, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	wire_put_raw(w, b, n);
}

void wire_put_u8(struct wire_out *w, uint8_t v)
{
	put_le(w, v, 1);
}

void wire_put_u16(struct wire_out *w, uint16_t v)
{
	put_le(w, v, 2);
}

void wire_put_u32(struct wire_out *w, uint32_t v)
{
	put_le(w, v, 4);
}

void wire_put_i32(struct wire_out *w, int32_t v)
{
	put_le(w, (uint32_t)v, 4);
}

void wire_put_u64(struct wire_out *w, uint64_t v)
{
	put_le(w, v, 8);
}

void wire_put_i64(struct wire_out *w, int64_t v)
{
	put_le(w, (uint64_t)v, 8);
}

void wire_put_str(struct wire_out *w, const void *p, size_t n)
{
	if (n > UINT16_MAX) {
		if (w->err == KE_OK)
			w->err = KE_LONG;
		return;
	}
	wire_put_u16(w, (uint16_t)n);
	wire_put_raw(w, p, n);
}

void wire_put_cstr(struct wire_out *w, const char *s)
{
	wire_put_str(w, s, strlen(s));
}

void wire_in_init(struct wire_in *r, const void *p, size_t n)
{
	static const uint8_t nothing;

	/* an empty message still needs a pointer that may be compared */
	r->p = n > 0 ? p : &nothing;
	r->end = r->p + n;
	r->err = KE_OK;
}

const uint8_t *wire_get_view(struct wire_in *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->err != KE_OK)
		return NULL;
	if (n > (size_t)(r->end - r->p)) {
		r->err = KE_SHORT;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint64_t get_le(struct wire_in *r, size_t n)
{
	const uint8_t *p = wire_get_view(r, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t wire_get_u8(struct wire_in *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t wire_get_u16(struct wire_in *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t wire_get_u32(struct wire_in *r)
{
	return (uint32_t)get_le(r, 4);
}

int32_t wire_get_i32(struct wire_in *r)
{
	return (int32_t)(uint32_t)get_le(r, 4);
}

uint64_t wire_get_u64(struct wire_in *r)
{
	return get_le(r, 8);
}

int64_t wire_get_i64(struct wire_in *r)
{
	return (int64_t)get_le(r, 8);
}

void wire_get_raw(struct wire_in *r, void *dst, size_t n)
{
	const uint8_t *p = wire_get_view(r, n);

	if (p == NULL)
		memset(dst, 0, n);
	else if (n > 0)
		memcpy(dst, p, n);
}

const uint8_t *wire_get_str(struct wire_in *r, size_t max, size_t *n)
{
	size_t len = wire_get_u16(r);
	const uint8_t *p;

	*n = 0;
	if (r->err == KE_OK && len > max)
		r->err = KE_LONG;
	p = wire_get_view(r, len);
	if (p != NULL)
		*n = len;
	return p;
}

void wire_get_cstr(struct wire_in *r, char *dst, size_t cap)
{
	size_t n;
	const uint8_t *p = wire_get_str(r, cap - 1, &n);

	dst[0] = '\0';
	if (p == NULL)
		return;
	if (memchr(p, '\0', n) != NULL) {
		r->err = KE_FORMAT;
		return;
	}
	memcpy(dst, p, n);
	dst[n] = '\0';
}

int wire_end(const struct wire_in *r)
{
	if (r->err != KE_OK)
		return r->err;
	return r->p == r->end ? KE_OK : KE_LONG;
}
