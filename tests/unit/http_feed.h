/*
 * Feeds the HTTP parser in pieces and keeps what it says, for its unit test and its fuzz target.
 */
#ifndef TESTS_UNIT_HTTP_FEED_H
#define TESTS_UNIT_HTTP_FEED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/http.h"

struct fed {
	enum http_event last; /* DONE, ERROR, or MORE when the input ended first */
	bool head;            /* HTTP_HEAD was told */
	bool full;            /* the buffer was full and the parser wanted more: must not be */
	size_t consumed;      /* of the input, when DONE */
	struct http h;
	uint8_t buf[HTTP_BUF_MAX];
};

/* How many bytes come next; arg is the caller's. */
typedef size_t feed_step(void *arg, size_t done);

static inline void feed(struct fed *f, const uint8_t *data, size_t n, feed_step *step, void *arg)
{
	size_t len = 0, done = 0, gone = 0;

	memset(f, 0, sizeof *f);
	http_init(&f->h);
	for (;;) {
		size_t before = len;

		f->last = http_parse(&f->h, f->buf, &len);
		gone += before - len;
		if (f->last == HTTP_HEAD) {
			if (f->head)
				abort(); /* told twice */
			f->head = true;
			continue;
		}
		if (f->last != HTTP_MORE || done == n)
			break;
		size_t more = step(arg, done);

		if (more > n - done)
			more = n - done;
		if (more > sizeof f->buf - len)
			more = sizeof f->buf - len;
		if (more == 0) {
			f->full = true;
			break;
		}
		memcpy(f->buf + len, data + done, more);
		len += more;
		done += more;
	}
	f->consumed = f->h.pos + gone;
}

static inline bool fed_span_same(
    const struct fed *a, struct http_span x, const struct fed *b, struct http_span y)
{
	return x.len == y.len && memcmp(a->buf + x.off, b->buf + y.off, x.len) == 0;
}

/* Did two feedings of the same bytes come to the same end? */
static inline bool fed_same(const struct fed *a, const struct fed *b)
{
	if (a->last != b->last || a->full || b->full)
		return false;
	if (a->last == HTTP_ERROR)
		return a->h.error == b->h.error;
	if (a->head != b->head)
		return false;
	if (a->last != HTTP_DONE)
		return true;
	for (int i = 0; i < HF_COUNT; i++)
		if (!fed_span_same(a, a->h.field[i], b, b->h.field[i]))
			return false;
	return a->consumed == b->consumed && a->h.method == b->h.method && a->h.seen == b->h.seen &&
	       a->h.chunked == b->h.chunked && a->h.close == b->h.close &&
	       a->h.expect == b->h.expect && fed_span_same(a, a->h.path, b, b->h.path) &&
	       fed_span_same(a, a->h.query, b, b->h.query) &&
	       fed_span_same(a, a->h.body, b, b->h.body);
}

static inline size_t feed_all(void *arg, size_t done)
{
	(void)arg;
	(void)done;
	return SIZE_MAX;
}

static inline size_t feed_bytes(void *arg, size_t done)
{
	(void)arg;
	(void)done;
	return 1;
}

#endif
