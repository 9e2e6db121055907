/*
 * The HTTP/1.1 request parser: see http.h. Runs in net; trusts nothing that it is given.
 *
 * It takes whole lines and counted bytes, never less, and decides on a line only when its CRLF
 * is there or its limit is passed: so a result cannot depend on how the bytes came.
 */
#include "daemon/net/http.h"

#include <string.h>

#include "daemon/net/hdr.h"

#define METHOD_LEN_MAX   16
#define REQUEST_LINE_MAX (METHOD_LEN_MAX + 1 + HTTP_TARGET_MAX + 1 + 8)

enum {
	S_REQUEST,
	S_FIELDS,
	S_LENGTH,
	S_CHUNK_SIZE,
	S_CHUNK,
	S_CHUNK_END,
	S_TRAILERS,
	S_DONE,
	S_ERROR
};

/* What a step says: go on, wait, or tell the caller an event. */
enum step { STEP_ON, STEP_MORE, STEP_HEAD, STEP_DONE, STEP_ERROR };

struct input {
	uint8_t *buf;
	size_t len;
};

void http_init(struct http *h)
{
	memset(h, 0, sizeof *h);
	h->method = HTTP_M_NONE;
}

bool http_in_body(const struct http *h)
{
	return h->state > S_FIELDS && h->state < S_DONE;
}

static enum step refuse(struct http *h, enum problem p)
{
	h->state = S_ERROR;
	h->error = p;
	return STEP_ERROR;
}

/*
 * The line at h->pos: STEP_ON with its length (without CRLF) when it is whole; h->pos is then
 * still its start and end_line() goes past it.
 */
static enum step whole_line(
    struct http *h, const struct input *in, size_t max, enum problem too_long, size_t *n)
{
	const uint8_t *lf = memchr(in->buf + h->scan, '\n', in->len - h->scan);
	size_t have = (lf != NULL ? (size_t)(lf - in->buf) : in->len) - h->pos;

	h->scan = (uint32_t)(h->pos + have);
	if (have > max + 1) /* the CR is one more */
		return refuse(h, too_long);
	if (h->state == S_FIELDS && h->pos + have + 1 > HTTP_HEAD_MAX)
		return refuse(h, PB_HEADERS_TOO_LARGE);
	if (lf == NULL)
		return STEP_MORE;
	if (have == 0 || lf[-1] != '\r')
		return refuse(h, PB_HTTP_MALFORMED);
	*n = have - 1;
	return STEP_ON;
}

static void end_line(struct http *h, size_t n)
{
	h->pos += (uint32_t)n + 2;
	h->scan = h->pos;
}

static uint8_t method_of(const uint8_t *p, size_t n)
{
	static const struct {
		const char *name;
		uint8_t method;
	} methods[] = {{"GET", GET}, {"POST", POST}, {"HEAD", HTTP_M_HEAD},
	    {"OPTIONS", HTTP_M_OPTIONS}, {"PATCH", PATCH}, {"PUT", PUT}, {"DELETE", DELETE}};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strlen(methods[i].name) == n && memcmp(methods[i].name, p, n) == 0)
			return methods[i].method;
	return HTTP_M_NONE;
}

/* "HTTP/" digit "." digit */
static bool is_version(const uint8_t *p, size_t n)
{
	return n == 8 && memcmp(p, "HTTP/", 5) == 0 && p[5] >= '0' && p[5] <= '9' && p[6] == '.' &&
	       p[7] >= '0' && p[7] <= '9';
}

/*
 * Goes past the scheme and authority of an absolute target (RFC 9112 section 3.2.2), which
 * end_of_head holds against Host; their length, 0 for another form. An empty path is "/": the last
 * of the two before the authority serves as it.
 */
static size_t absolute(struct http *h, const uint8_t *buf, size_t off, size_t n)
{
	static const size_t scheme = sizeof "https://" - 1;
	size_t i = scheme;

	if (n <= scheme || !hdr_equal(buf + off, scheme, "https://"))
		return 0;
	while (i < n && buf[off + i] != '/' && buf[off + i] != '?')
		i++;
	if (i == scheme)
		return 0;
	h->authority = (struct http_span){(uint32_t)(off + scheme), (uint32_t)(i - scheme)};
	if (i == n)
		h->path = (struct http_span){(uint32_t)(off + scheme - 1), 1};
	return i;
}

static enum step target(struct http *h, const uint8_t *buf, size_t off, size_t n)
{
	const uint8_t *p = buf + off, *mark;
	size_t path;

	if (n > HTTP_TARGET_MAX)
		return refuse(h, PB_URI_TOO_LONG);
	if (n == 1 && p[0] == '*' && h->method == HTTP_M_OPTIONS) {
		h->path = (struct http_span){(uint32_t)off, 1};
		return STEP_ON;
	}
	path = absolute(h, buf, off, n);
	if (path == n && n > 0)
		return STEP_ON;
	off += path;
	p += path;
	n -= path;
	if (n == 0 || p[0] != '/' || !hdr_target_ok(p, n))
		return refuse(h, PB_HTTP_MALFORMED);
	path = n;
	mark = memchr(p, '?', n);
	if (mark != NULL) {
		path = (size_t)(mark - p);
		h->query = (struct http_span){(uint32_t)(off + path + 1), (uint32_t)(n - path - 1)};
	}
	h->path = (struct http_span){(uint32_t)off, (uint32_t)path};
	return STEP_ON;
}

/* method SP target SP version */
static enum step request_line(struct http *h, const struct input *in)
{
	const uint8_t *p = in->buf + h->pos, *sp1, *sp2;
	size_t n = 0, name;
	enum step s = whole_line(h, in, REQUEST_LINE_MAX, PB_URI_TOO_LONG, &n);

	if (s != STEP_ON)
		return s;
	if (n == 0 && h->pos == 0) { /* what some clients send behind a body */
		end_line(h, 0);
		return STEP_ON;
	}
	sp1 = memchr(p, ' ', n);
	sp2 = sp1 != NULL ? memchr(sp1 + 1, ' ', n - (size_t)(sp1 + 1 - p)) : NULL;
	if (sp2 == NULL || !is_version(sp2 + 1, n - (size_t)(sp2 + 1 - p)))
		return refuse(h, PB_HTTP_MALFORMED);
	name = (size_t)(sp1 - p);
	if (name == 0 || name > METHOD_LEN_MAX)
		return refuse(h, PB_HTTP_MALFORMED);
	for (size_t i = 0; i < name; i++)
		if (!hdr_is_tchar(p[i]))
			return refuse(h, PB_HTTP_MALFORMED);
	if (memcmp(sp2 + 1, "HTTP/1.1", 8) != 0)
		return refuse(h, PB_HTTP_VERSION);
	h->method = method_of(p, name);
	if (h->method == HTTP_M_NONE)
		return refuse(h, PB_METHOD_UNKNOWN);
	s = target(h, in->buf, h->pos + name + 1, (size_t)(sp2 - sp1 - 1));
	if (s != STEP_ON)
		return s;
	end_line(h, n);
	h->state = S_FIELDS;
	return STEP_ON;
}

static int field_of(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t len;
		const char *name;
	} names[HF_COUNT] = {
	    [HF_HOST] = {4, "host"},
	    [HF_AUTHORIZATION] = {13, "authorization"},
	    [HF_CONTENT_TYPE] = {12, "content-type"},
	    [HF_CONTENT_LENGTH] = {14, "content-length"},
	    [HF_CONTENT_ENCODING] = {16, "content-encoding"},
	    [HF_TRANSFER_ENCODING] = {17, "transfer-encoding"},
	    [HF_EXPECT] = {6, "expect"},
	    [HF_IDEMPOTENCY_KEY] = {15, "idempotency-key"},
	    [HF_IF_MATCH] = {8, "if-match"},
	    [HF_IF_NONE_MATCH] = {13, "if-none-match"},
	    [HF_ORIGIN] = {6, "origin"},
	    [HF_REQUEST_METHOD] = {29, "access-control-request-method"},
	    [HF_ACCEPT] = {6, "accept"},
	    [HF_CONNECTION] = {10, "connection"},
	};

	for (int i = 0; i < HF_COUNT; i++)
		if (names[i].len == n && hdr_equal(p, n, names[i].name))
			return i;
	return -1;
}

/* Splits "name: value" (n bytes at p); false when it is not exactly that. */
static bool split_field(const uint8_t *p, size_t n, size_t *name, size_t *value, size_t *value_len)
{
	size_t i = 0, end = n;

	while (i < n && hdr_is_tchar(p[i]))
		i++;
	if (i == 0 || i == n || p[i] != ':')
		return false; /* a folded line, a space before the colon, no colon */
	*name = i++;
	while (i < n && (p[i] == ' ' || p[i] == '\t'))
		i++;
	while (end > i && (p[end - 1] == ' ' || p[end - 1] == '\t'))
		end--;
	for (size_t k = i; k < end; k++)
		if (!hdr_is_value(p[k]))
			return false;
	*value = i;
	*value_len = end - i;
	return true;
}

/* Lists of which several lines are no contradiction. */
static bool may_repeat(int f)
{
	return f == HF_ACCEPT || f == HF_IF_NONE_MATCH;
}

static enum step keep_field(struct http *h, const uint8_t *buf, size_t name, size_t off, size_t len)
{
	int f = field_of(buf + h->pos, name);

	if (f < 0)
		return STEP_ON;
	if (f == HF_CONNECTION) { /* a list: may come in several lines */
		h->close = h->close || hdr_lists(buf + off, len, "close");
		return STEP_ON;
	}
	if (http_has(h, (enum http_field)f) && !may_repeat(f))
		return refuse(h, PB_HTTP_MALFORMED);
	/* of several such lines none is weighed: "accepts anything, has nothing" is a safe reading
	 */
	h->field[f] = (struct http_span){(uint32_t)off, (uint32_t)len};
	if (http_has(h, (enum http_field)f))
		h->field[f] = (struct http_span){0, 0};
	h->seen |= 1u << f;
	return STEP_ON;
}

static bool content_length(const struct http *h, const uint8_t *buf, uint64_t *v)
{
	const uint8_t *p = buf + h->field[HF_CONTENT_LENGTH].off;
	size_t n = h->field[HF_CONTENT_LENGTH].len;

	*v = 0;
	if (n == 0 || n > 18)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*v = *v * 10 + (uint64_t)(p[i] - '0');
	}
	return true;
}

/* RFC 9112 section 6, without its ambiguous cases: how long is the body? */
static enum step framing(struct http *h, const uint8_t *buf)
{
	const struct http_span te = h->field[HF_TRANSFER_ENCODING];
	uint64_t length;

	h->state = S_LENGTH;
	if (http_has(h, HF_TRANSFER_ENCODING)) {
		if (http_has(h, HF_CONTENT_LENGTH) || !hdr_equal(buf + te.off, te.len, "chunked"))
			return refuse(h, PB_HTTP_MALFORMED);
		h->chunked = true;
		h->state = S_CHUNK_SIZE;
	} else if (http_has(h, HF_CONTENT_LENGTH)) {
		if (!content_length(h, buf, &length))
			return refuse(h, PB_HTTP_MALFORMED);
		if (length > HTTP_BODY_MAX)
			return refuse(h, PB_TOO_LARGE);
		h->left = (uint32_t)length;
	}
	return STEP_ON;
}

/* There is a Host, and an absolute target names no other. */
static bool host_ok(const struct http *h, const uint8_t *buf)
{
	const struct http_span host = h->field[HF_HOST], named = h->authority;

	if (!http_has(h, HF_HOST) || !hdr_host_ok(buf + host.off, host.len))
		return false;
	return named.len == 0 || hdr_same(buf + host.off, host.len, buf + named.off, named.len);
}

/* The empty line after the fields. */
static enum step end_of_head(struct http *h, const uint8_t *buf)
{
	const struct http_span expect = h->field[HF_EXPECT];
	enum step s;

	if (!host_ok(h, buf))
		return refuse(h, PB_HTTP_MALFORMED);
	h->body = (struct http_span){h->pos, 0};
	s = framing(h, buf);
	if (s != STEP_ON)
		return s;
	if (http_has(h, HF_EXPECT)) {
		if (!hdr_equal(buf + expect.off, expect.len, "100-continue"))
			return refuse(h, PB_EXPECTATION);
		h->expect = h->chunked || h->left > 0;
	}
	return STEP_HEAD;
}

static enum step field_line(struct http *h, const struct input *in)
{
	size_t n = 0, name, value, len;
	enum step s = whole_line(h, in, HTTP_LINE_MAX, PB_HEADERS_TOO_LARGE, &n);

	if (s != STEP_ON)
		return s;
	if (n == 0) {
		end_line(h, 0);
		return end_of_head(h, in->buf);
	}
	if (++h->fields > HTTP_FIELDS_MAX)
		return refuse(h, PB_HEADERS_TOO_LARGE);
	if (!split_field(in->buf + h->pos, n, &name, &value, &len))
		return refuse(h, PB_HTTP_MALFORMED);
	s = keep_field(h, in->buf, name, h->pos + value, len);
	if (s == STEP_ON)
		end_line(h, n);
	return s;
}

/* Moves up to h->left bytes to the end of the body; STEP_ON when nothing is left to come. */
static enum step take_body(struct http *h, struct input *in)
{
	size_t n = in->len - h->pos;
	uint8_t *to = in->buf + h->body.off + h->body.len;

	if (n > h->left)
		n = h->left;
	if (n > 0 && to != in->buf + h->pos)
		memmove(to, in->buf + h->pos, n);
	h->body.len += (uint32_t)n;
	h->pos += (uint32_t)n;
	h->scan = h->pos;
	h->left -= (uint32_t)n;
	return h->left > 0 ? STEP_MORE : STEP_ON;
}

static enum step length_body(struct http *h, struct input *in)
{
	enum step s = take_body(h, in);

	if (s == STEP_ON)
		h->state = S_DONE;
	return s;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* *( ";" token [ "=" ( token / quoted-string without escapes ) ] ), RFC 9112 section 7.1.1 */
static bool extensions_ok(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t start;

		if (p[i++] != ';')
			return false;
		for (start = i; i < n && hdr_is_tchar(p[i]);)
			i++;
		if (i == start)
			return false;
		if (i == n || p[i] != '=')
			continue;
		if (++i < n && p[i] == '"') {
			for (i++; i < n && p[i] != '"' && p[i] != '\\' && hdr_is_value(p[i]);)
				i++;
			if (i == n || p[i++] != '"')
				return false;
			continue;
		}
		for (start = i; i < n && hdr_is_tchar(p[i]);)
			i++;
		if (i == start)
			return false;
	}
	return true;
}

static enum step chunk_size(struct http *h, struct input *in)
{
	const uint8_t *p = in->buf + h->pos;
	size_t n = 0, i;
	uint32_t size = 0;
	enum step s = whole_line(h, in, HTTP_CHUNK_MAX, PB_HTTP_MALFORMED, &n);

	if (s != STEP_ON)
		return s;
	for (i = 0; i < n && hex_digit(p[i]) >= 0; i++) {
		if (i == 8)
			return refuse(h, PB_HTTP_MALFORMED);
		size = size << 4 | (uint32_t)hex_digit(p[i]);
	}
	if (i == 0 || !extensions_ok(p + i, n - i))
		return refuse(h, PB_HTTP_MALFORMED);
	if (size > HTTP_BODY_MAX - h->body.len)
		return refuse(h, PB_TOO_LARGE);
	end_line(h, n);
	h->left = size;
	h->state = size > 0 ? S_CHUNK : S_TRAILERS;
	return STEP_ON;
}

static enum step chunk(struct http *h, struct input *in)
{
	enum step s = take_body(h, in);

	if (s == STEP_ON)
		h->state = S_CHUNK_END;
	return s;
}

static enum step chunk_end(struct http *h, struct input *in)
{
	size_t have = in->len - h->pos;

	if (have > 0 && in->buf[h->pos] != '\r')
		return refuse(h, PB_HTTP_MALFORMED);
	if (have > 1 && in->buf[h->pos + 1] != '\n')
		return refuse(h, PB_HTTP_MALFORMED);
	if (have < 2)
		return STEP_MORE;
	end_line(h, 0);
	h->state = S_CHUNK_SIZE;
	return STEP_ON;
}

/* Trailer fields are checked, bounded and forgotten: none of them means anything here. */
static enum step trailer_line(struct http *h, struct input *in)
{
	size_t n = 0, name, value, len;
	enum step s = whole_line(h, in, HTTP_TRAILER_MAX, PB_HEADERS_TOO_LARGE, &n);

	if (s != STEP_ON)
		return s;
	if (n == 0)
		h->state = S_DONE;
	else if (++h->trailers > HTTP_TRAILERS_MAX)
		return refuse(h, PB_HEADERS_TOO_LARGE);
	else if (!split_field(in->buf + h->pos, n, &name, &value, &len))
		return refuse(h, PB_HTTP_MALFORMED);
	end_line(h, n);
	return STEP_ON;
}

/* Closes the gap that decoded chunks leave, so that the buffer never needs more than its bound. */
static void compact(struct http *h, struct input *in)
{
	uint32_t end = h->body.off + h->body.len;
	uint32_t gap = h->pos - end;

	if (!http_in_body(h) || gap == 0)
		return;
	memmove(in->buf + end, in->buf + h->pos, in->len - h->pos);
	in->len -= gap;
	h->pos = end;
	h->scan -= gap;
}

static enum step step(struct http *h, struct input *in)
{
	switch (h->state) {
	case S_REQUEST:
		return request_line(h, in);
	case S_FIELDS:
		return field_line(h, in);
	case S_LENGTH:
		return length_body(h, in);
	case S_CHUNK_SIZE:
		return chunk_size(h, in);
	case S_CHUNK:
		return chunk(h, in);
	case S_CHUNK_END:
		return chunk_end(h, in);
	case S_TRAILERS:
		return trailer_line(h, in);
	case S_DONE:
		return STEP_DONE;
	default:
		return STEP_ERROR;
	}
}

enum http_event http_parse(struct http *h, uint8_t *buf, size_t *len)
{
	struct input in = {buf, *len};
	enum step s;

	do
		s = step(h, &in);
	while (s == STEP_ON);
	if (s == STEP_MORE)
		compact(h, &in);
	*len = in.len;
	switch (s) {
	case STEP_HEAD:
		return HTTP_HEAD;
	case STEP_DONE:
		return HTTP_DONE;
	case STEP_ERROR:
		return HTTP_ERROR;
	default:
		return HTTP_MORE;
	}
}
