/*
 * A strict, incremental HTTP/1.1 request parser (RFC 9110, RFC 9112). It works on the caller's
 * buffer, allocates nothing and does no I/O, so it can be fuzzed. Runs in net on what strangers
 * send; whatever two readers could understand differently is refused (DESIGN.md section 4).
 *
 * Stricter than the RFCs ask: only HTTP/1.1 (505 for HTTP/1.0, which has neither Host nor chunks),
 * an absolute target only of https and only with the Host field's own words as its authority (where
 * the two differ, RFC 9112 lets the target win, and a proxy that reads the field would not), one
 * CRLF at most before a request (section 2.2; it belongs to no request for whoever reads it), no
 * space around what needs none, each singular field at most once.
 */
#ifndef DAEMON_NET_HTTP_H
#define DAEMON_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/api/problem.h"
#include "daemon/api/route.h"

#define HTTP_TARGET_MAX   2048
#define HTTP_LINE_MAX     4096 /* one field line without its CRLF */
#define HTTP_FIELDS_MAX   64
#define HTTP_HEAD_MAX     16384 /* request line and all field lines */
#define HTTP_BODY_MAX     65536
#define HTTP_CHUNK_MAX    256 /* one chunk-size line without its CRLF */
#define HTTP_TRAILER_MAX  1024
#define HTTP_TRAILERS_MAX 16
/* A buffer of this size never fills up before the parser has come to an end. */
#define HTTP_BUF_MAX (HTTP_HEAD_MAX + HTTP_BODY_MAX + HTTP_TRAILER_MAX + 8)

/* Methods are those of the route table and two that need no row. */
enum { HTTP_M_HEAD = METHOD_COUNT, HTTP_M_OPTIONS, HTTP_M_NONE };

/* The fields that mean something here; all others are checked and forgotten. */
enum http_field {
	HF_HOST,
	HF_AUTHORIZATION,
	HF_CONTENT_TYPE,
	HF_CONTENT_LENGTH,
	HF_CONTENT_ENCODING,
	HF_TRANSFER_ENCODING,
	HF_EXPECT,
	HF_IDEMPOTENCY_KEY,
	HF_IF_MATCH,
	HF_IF_NONE_MATCH,
	HF_ORIGIN,
	HF_REQUEST_METHOD, /* Access-Control-Request-Method */
	HF_ACCEPT,
	HF_CONNECTION,
	HF_COUNT
};

/* A part of the buffer. Offsets count from the first byte of the request. */
struct http_span {
	uint32_t off, len;
};

struct http {
	/* how far it is */
	uint8_t state;
	uint32_t pos;  /* first byte that is not consumed */
	uint32_t scan; /* no line feed between pos and here */
	uint32_t left; /* of the body or of the chunk */
	uint16_t fields, trailers;
	/* what it found; valid from HTTP_HEAD on */
	uint8_t method; /* enum route_method or HTTP_M_* */
	bool chunked, close, expect;
	uint32_t seen;                /* bits 1 << enum http_field */
	struct http_span path, query; /* query without '?'; "*" is a path of its own */
	struct http_span authority;   /* of an absolute target; empty for any other */
	struct http_span field[HF_COUNT];
	struct http_span body; /* decoded; whole from HTTP_DONE on */
	enum problem error;    /* after HTTP_ERROR */
};

enum http_event {
	HTTP_MORE,  /* needs more bytes */
	HTTP_HEAD,  /* the head is complete (told once); call again */
	HTTP_DONE,  /* the request is complete; the next one starts at pos */
	HTTP_ERROR, /* refused: error says why; the connection cannot go on */
};

void http_init(struct http *h);

/*
 * Goes on with the request that starts at buf, of which *len bytes are there (those of former
 * calls included, at the same offsets). Decodes chunks in place, for which it may shorten *len.
 * The outcome does not depend on how the bytes were split over the calls.
 */
enum http_event http_parse(struct http *h, uint8_t *buf, size_t *len);

/* Has the head been read, and is the body still coming? */
bool http_in_body(const struct http *h);

static inline bool http_has(const struct http *h, enum http_field f)
{
	return (h->seen >> f & 1) != 0;
}

#endif
