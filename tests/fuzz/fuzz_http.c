/*
 * Fuzz target: the HTTP parser. However the bytes are split, it must come to the same end; what
 * it calls done must be what its rules say; a pipelined rest must be left alone. The first two
 * bytes choose the splits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/hdr.h"
#include "tests/unit/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static size_t step_pseudo(void *arg, size_t done)
{
	uint32_t *x = arg;

	*x = *x * 1664525 + 1013904223 + (uint32_t)done;
	return 1 + (*x >> 24) % 17;
}

/* A span lies inside the request, and its bytes are legal in a field value. */
static void check_span(const struct fed *f, struct http_span s)
{
	must(s.off + s.len <= f->h.pos);
	for (uint32_t i = 0; i < s.len; i++)
		must(hdr_is_value(f->buf[s.off + i]));
}

static void check_done(const struct fed *f, size_t size)
{
	const struct http_span host = f->h.field[HF_HOST];

	must(f->head && f->consumed <= size && f->h.method < HTTP_M_NONE);
	must(f->h.path.len > 0 && f->h.path.len <= HTTP_TARGET_MAX);
	must(f->buf[f->h.path.off] == '/' || f->buf[f->h.path.off] == '*');
	must(hdr_target_ok(f->buf + f->h.query.off, f->h.query.len));
	must(http_has(&f->h, HF_HOST) && hdr_host_ok(f->buf + host.off, host.len));
	must(f->h.body.len <= HTTP_BODY_MAX && f->h.body.off + f->h.body.len <= sizeof f->buf);
	must(!(http_has(&f->h, HF_CONTENT_LENGTH) && http_has(&f->h, HF_TRANSFER_ENCODING)));
	must(f->h.chunked == http_has(&f->h, HF_TRANSFER_ENCODING));
	for (int i = 0; i < HF_COUNT; i++)
		check_span(f, f->h.field[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fed whole, other;
	uint32_t seed;

	if (size < 2)
		return 0;
	seed = (uint32_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	feed(&whole, data, size, feed_all, NULL);
	must(!whole.full);
	if (whole.last == HTTP_DONE)
		check_done(&whole, size);
	feed(&other, data, size, feed_bytes, NULL);
	must(fed_same(&whole, &other));
	feed(&other, data, size, step_pseudo, &seed);
	must(fed_same(&whole, &other));
	if (whole.last == HTTP_DONE) {
		/* the same request alone is the same request */
		feed(&other, data, whole.consumed, feed_all, NULL);
		must(fed_same(&whole, &other));
	}
	return 0;
}
