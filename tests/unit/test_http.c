/*
 * The HTTP parser: what it takes, what it refuses and why; and that it does not matter how the
 * bytes come: every case is fed whole, byte by byte and in two pieces at every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/http_feed.h"

#define HOST  "Host: a\r\n"
#define POST_ "POST /x HTTP/1.1\r\n" HOST

#define OK     ((enum problem) - 1)
#define MORE   ((enum problem) - 2)
#define BAD    PB_HTTP_MALFORMED
#define BIGHDR PB_HEADERS_TOO_LARGE

struct request {
	const char *text;
	size_t n; /* 0: strlen */
	enum problem want;
	const char *body; /* when OK */
};

struct cut {
	size_t at;
};

static struct fed whole, other;

static size_t step_cut(void *arg, size_t done)
{
	const struct cut *c = arg;

	return done < c->at ? c->at - done : SIZE_MAX;
}

static enum problem outcome(const struct fed *f)
{
	if (f->last == HTTP_ERROR)
		return f->h.error;
	return f->last == HTTP_DONE ? OK : MORE;
}

/* Feeds in all ways; the outcome of each must be the same. */
static enum problem run(const void *text, size_t n)
{
	size_t stride = n < 600 ? 1 : n / 97;

	feed(&whole, text, n, feed_all, NULL);
	assert_false(whole.full);
	feed(&other, text, n, feed_bytes, NULL);
	assert_true(fed_same(&whole, &other));
	for (size_t at = 1; at < n; at += stride) {
		struct cut c = {at};

		feed(&other, text, n, step_cut, &c);
		assert_true(fed_same(&whole, &other));
	}
	return outcome(&whole);
}

static void expect(const char *text, size_t n, enum problem want)
{
	enum problem got = run(text, n);

	if (got != want)
		fail_msg("outcome %d instead of %d for: %.*s", (int)got, (int)want,
		    (int)(n < 200 ? n : 200), text);
}

static void check_all(const struct request *r, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = r[i].n != 0 ? r[i].n : strlen(r[i].text);

		expect(r[i].text, n, r[i].want);
		if (r[i].want == OK && r[i].body != NULL) {
			assert_int_equal(whole.h.body.len, strlen(r[i].body));
			assert_memory_equal(
			    whole.buf + whole.h.body.off, r[i].body, whole.h.body.len);
		}
	}
}

#define CHECK_ALL(list) check_all(list, sizeof list / sizeof list[0])

static void test_request_lines(void **state)
{
	static const struct request list[] = {
	    {"GET / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"GET /a/b?c=d&e HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"HEAD / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"PATCH / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"PUT / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"DELETE / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"OPTIONS / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"GET /%41%fF HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"GET /? HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"", 1, MORE, NULL},
	    {"GET / HTTP/1.1", 0, MORE, NULL},
	    {"GET / HTTP/1.1\r\n" HOST, 0, MORE, NULL},
	    {"GET / HTTP/1.1\r\n" HOST "\r", 0, MORE, NULL},
	    {"GET / HTTP/1.0\r\n" HOST "\r\n", 0, PB_HTTP_VERSION, NULL},
	    {"GET / HTTP/1.2\r\n" HOST "\r\n", 0, PB_HTTP_VERSION, NULL},
	    {"GET / HTTP/2.0\r\n" HOST "\r\n", 0, PB_HTTP_VERSION, NULL},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, PB_HTTP_VERSION, NULL},
	    {"GET / HTTP/0.9\r\n" HOST "\r\n", 0, PB_HTTP_VERSION, NULL},
	    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTTP/1.10\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTTP/11\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTTP/1,1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / http/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / \r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, OK, ""},
	    {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"\r\n\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"\r\n", 0, MORE, NULL},
	    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {" GET / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /  HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTTP/1.1\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET / HTTP/1.1\r\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"get / HTTP/1.1\r\n" HOST "\r\n", 0, PB_METHOD_UNKNOWN, NULL},
	    {"TRACE / HTTP/1.1\r\n" HOST "\r\n", 0, PB_METHOD_UNKNOWN, NULL},
	    {"CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 0, PB_METHOD_UNKNOWN, NULL},
	    {"GETT / HTTP/1.1\r\n" HOST "\r\n", 0, PB_METHOD_UNKNOWN, NULL},
	    {"ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"G{T / HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET * HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET x HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, OK, ""},
	    {"GET HTTPS://A:443/x?y HTTP/1.1\r\nHost: a:443\r\n\r\n", 0, OK, ""},
	    {"GET https://[::1] HTTP/1.1\r\nHost: [::1]\r\n\r\n", 0, OK, ""},
	    {"GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https://a/ HTTP/1.1\r\n\r\n", 0, BAD, NULL},
	    {"GET https://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, BAD, NULL},
	    {"GET https:/// HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https:/// HTTP/1.1\r\nHost:\r\n\r\n", 0, BAD, NULL},
	    {"GET https:// HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https:/a HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https://a?x HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET https://a#x HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET httpss://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, BAD, NULL},
	    {"GET a:80 HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /#f HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /% HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /%4 HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /%4g HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /\\ HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /\"a\" HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 0, BAD, NULL},
	    {"GET /\0 HTTP/1.1\r\n" HOST "\r\n", 27, BAD, NULL},
	    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12, BAD, NULL},
	};

	(void)state;
	CHECK_ALL(list);
}

static void test_fields(void **state)
{
#define G(fields) "GET / HTTP/1.1\r\n" fields "\r\n"
	static const struct request list[] = {
	    {G("host:a\r\n"), 0, OK, ""},
	    {G("HOST: \t a \t\r\n"), 0, OK, ""},
	    {G(HOST "X:\r\n"), 0, OK, ""},
	    {G(HOST "X: a:b: c\r\n"), 0, OK, ""},
	    {G(HOST "X: \xc3\xa9\r\n"), 0, OK, ""},
	    {G(HOST "X: a\tb\r\n"), 0, OK, ""},
	    {G(HOST "X-1_2.3!#$%&'*+-^`|~: a\r\n"), 0, OK, ""},
	    {G(HOST "Cookie: a\r\nCookie: b\r\n"), 0, OK, ""},
	    {G(HOST "Connection: a\r\nConnection: b\r\n"), 0, OK, ""},
	    {G(HOST "Accept: a/b\r\nAccept: c/d\r\n"), 0, OK, ""},
	    {G("Host: a:80\r\n"), 0, OK, ""},
	    {G("Host: 127.0.0.1:8443\r\n"), 0, OK, ""},
	    {G("Host: [::1]\r\n"), 0, OK, ""},
	    {G("Host: [::ffff:1.2.3.4]:1\r\n"), 0, OK, ""},
	    {G(""), 0, BAD, NULL},
	    {G("Host:\r\n"), 0, BAD, NULL},
	    {G("Host: a b\r\n"), 0, BAD, NULL},
	    {G("Host: a/b\r\n"), 0, BAD, NULL},
	    {G("Host: a@b\r\n"), 0, BAD, NULL},
	    {G("Host: a, b\r\n"), 0, BAD, NULL},
	    {G("Host: a:\r\n"), 0, BAD, NULL},
	    {G("Host: a:x\r\n"), 0, BAD, NULL},
	    {G("Host: a:123456\r\n"), 0, BAD, NULL},
	    {G("Host: :80\r\n"), 0, BAD, NULL},
	    {G("Host: []\r\n"), 0, BAD, NULL},
	    {G("Host: [::1\r\n"), 0, BAD, NULL},
	    {G("Host: [::1]x\r\n"), 0, BAD, NULL},
	    {G("Host: [::g]\r\n"), 0, BAD, NULL},
	    {G(HOST HOST), 0, BAD, NULL},
	    {G(HOST "host: b\r\n"), 0, BAD, NULL},
	    {G(HOST "Authorization: a\r\nAuthorization: a\r\n"), 0, BAD, NULL},
	    {G(HOST "Content-Type: a\r\nContent-Type: a\r\n"), 0, BAD, NULL},
	    {G(HOST "If-Match: a\r\nIf-Match: a\r\n"), 0, BAD, NULL},
	    {G(HOST "Idempotency-Key: a\r\nIdempotency-Key: a\r\n"), 0, BAD, NULL},
	    {G(HOST "Origin: a\r\nOrigin: a\r\n"), 0, BAD, NULL},
	    {G(HOST "X : a\r\n"), 0, BAD, NULL},
	    {G(HOST "X\t: a\r\n"), 0, BAD, NULL},
	    {G(HOST " X: a\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\r\n b\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\r\n\tb\r\n"), 0, BAD, NULL},
	    {G(" " HOST), 0, BAD, NULL},
	    {G(HOST "X\r\n"), 0, BAD, NULL},
	    {G(HOST ": a\r\n"), 0, BAD, NULL},
	    {G(HOST ":\r\n"), 0, BAD, NULL},
	    {G(HOST "X(y): a\r\n"), 0, BAD, NULL},
	    {G(HOST "X\xc3\xa9: a\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\rb\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\r\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\n"), 0, BAD, NULL},
	    {G(HOST "X: a\nY: b\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\x7f\r\n"), 0, BAD, NULL},
	    {G(HOST "X: a\x01\r\n"), 0, BAD, NULL},
	    {"GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n", 36, BAD, NULL},
	    {"GET / HTTP/1.1\r\n" HOST "\n", 0, BAD, NULL},
	    {G(HOST "Expect: 100-continue\r\n"), 0, OK, ""},
	    {G(HOST "Expect: 200-maybe\r\n"), 0, PB_EXPECTATION, NULL},
	};

	(void)state;
	CHECK_ALL(list);
}

static void test_framing(void **state)
{
#define P(fields, body) POST_ fields "\r\n" body
#define TE              "Transfer-Encoding: chunked\r\n"
	static const struct request list[] = {
	    {P("Content-Length: 0\r\n", ""), 0, OK, ""},
	    {P("Content-Length: 3\r\n", "abc"), 0, OK, "abc"},
	    {P("Content-Length: 3\r\n", "abcd"), 0, OK, "abc"},
	    {P("Content-Length: 003\r\n", "abc"), 0, OK, "abc"},
	    {P("Content-Length: 3\r\n", "ab"), 0, MORE, NULL},
	    {P("", ""), 0, OK, ""},
	    {P("", "abc"), 0, OK, ""},
	    {P("Content-Length: -1\r\n", ""), 0, BAD, NULL},
	    {P("Content-Length: +3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 3 \r\n", "abc"), 0, OK, "abc"},
	    {P("Content-Length: 3, 3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 3 3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 3;a\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 0x3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 3.0\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length:\r\n", ""), 0, BAD, NULL},
	    {P("Content-Length: a\r\n", ""), 0, BAD, NULL},
	    {P("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 3\r\ncontent-length: 4\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length : 3\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 18446744073709551619\r\n", "abc"), 0, BAD, NULL},
	    {P("Content-Length: 999999999999999999\r\n", "abc"), 0, PB_TOO_LARGE, NULL},
	    {P("Content-Length: 65537\r\n", ""), 0, PB_TOO_LARGE, NULL},
	    {P("Content-Length: 65536\r\n", ""), 0, MORE, NULL},
	    {P(TE, "0\r\n\r\n"), 0, OK, ""},
	    {P(TE, "3\r\nabc\r\n0\r\n\r\n"), 0, OK, "abc"},
	    {P(TE, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET"), 0, OK, "abcde"},
	    {P(TE, "03\r\nabc\r\n00000000\r\n\r\n"), 0, OK, "abc"},
	    {P(TE, "A\r\n0123456789\r\n0\r\n\r\n"), 0, OK, "0123456789"},
	    {P(TE, "a\r\n0123456789\r\n0\r\n\r\n"), 0, OK, "0123456789"},
	    {P(TE, "3;x\r\nabc\r\n0;y=z;q=\"v w\"\r\n\r\n"), 0, OK, "abc"},
	    {P(TE, "3\r\nabc\r\n0\r\nX: y\r\nZ: w\r\n\r\n"), 0, OK, "abc"},
	    {P("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"), 0, OK, ""},
	    {P(TE, "3\r\nabc\r\n0\r\n"), 0, MORE, NULL},
	    {P(TE, "3\r\nabc\r\n"), 0, MORE, NULL},
	    {P(TE, "3\r\nabc"), 0, MORE, NULL},
	    {P(TE "Content-Length: 3\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Content-Length: 3\r\n" TE, "0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE TE, "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: chunked;a\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P("Transfer-Encoding: identity\r\n", ""), 0, BAD, NULL},
	    {P("Transfer-Encoding:\r\n", ""), 0, BAD, NULL},
	    {P("Transfer-Encoding:\x0b"
	       "chunked\r\n",
		 "0\r\n\r\n"),
		0, BAD, NULL},
	    {P("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "\r\n"), 0, BAD, NULL},
	    {P(TE, "g\r\n"), 0, BAD, NULL},
	    {P(TE, "-1\r\n"), 0, BAD, NULL},
	    {P(TE, "+1\r\n"), 0, BAD, NULL},
	    {P(TE, "0x1\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, " 1\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1 \r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1\ra\r\n"), 0, BAD, NULL},
	    {P(TE, "1\na\r\n0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "1\r\na\n0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "1\r\nab\r\n0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "1\r\na\r0\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "1;\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1 ;x\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1; x\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1;x=\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1;x=\"y\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1;x=\"\\\"\"\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "1;x\ny\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "000000001\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "ffffffffffffffff1\r\na\r\n"), 0, BAD, NULL},
	    {P(TE, "ffffffff\r\na\r\n"), 0, PB_TOO_LARGE, NULL},
	    {P(TE, "10001\r\na\r\n"), 0, PB_TOO_LARGE, NULL},
	    {P(TE, "1\r\na\r\n10000\r\n"), 0, PB_TOO_LARGE, NULL},
	    {P(TE, "10000\r\n"), 0, MORE, NULL},
	    {P(TE, "0\r\nX : y\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "0\r\nX: y\n\r\n"), 0, BAD, NULL},
	    {P(TE, "0\r\n X: y\r\n\r\n"), 0, BAD, NULL},
	    {P(TE, "0\r\nX\r\n\r\n"), 0, BAD, NULL},
	};

	(void)state;
	CHECK_ALL(list);
}

/* The character sets of the RFCs, written down a second time. */
static void test_every_character(void **state)
{
	static const char tchars[] = "!#$%&'*+-.^_`|~0123456789"
				     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char target[] = "/?:@-._~!$&'()*+,;=0123456789"
				     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[64];

	(void)state;
	for (int c = 0; c < 256; c++) {
		bool value = (c >= 0x20 && c != 0x7f) || c == '\t';
		int n = snprintf(text, sizeof text, "GET /a_b HTTP/1.1\r\n" HOST "X: y\r\n\r\n");

		text[6] = (char)c;
		expect(text, (size_t)n, c != 0 && strchr(target, c) != NULL ? OK : BAD);
		n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "X_Y: y\r\n\r\n");
		text[26] = (char)c;
		/* a colon there ends the name */
		expect(
		    text, (size_t)n, c == ':' || (c != 0 && strchr(tchars, c) != NULL) ? OK : BAD);
		n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "X: a_b\r\n\r\n");
		text[29] = (char)c;
		expect(text, (size_t)n, value ? OK : BAD);
		n = snprintf(text, sizeof text, "G_T / HTTP/1.1\r\n" HOST "\r\n");
		text[1] = (char)c;
		if (c == ' ')
			expect(text, (size_t)n, BAD);
		else if (c == 'E')
			expect(text, (size_t)n, OK);
		else
			expect(text, (size_t)n,
			    c != 0 && strchr(tchars, c) != NULL ? PB_METHOD_UNKNOWN : BAD);
	}
}

/* A request with one line of a given length, at its limit and one beyond. */
static void sized(const char *before, size_t fill, const char *after, enum problem want)
{
	size_t a = strlen(before), b = strlen(after);
	char *text = malloc(a + fill + b);

	assert_non_null(text);
	memcpy(text, before, a);
	memset(text + a, 'x', fill);
	memcpy(text + a + fill, after, b);
	expect(text, a + fill + b, want);
	free(text);
}

static void test_limits(void **state)
{
	static const char end[] = " HTTP/1.1\r\n" HOST "\r\n";

	(void)state;
	sized("GET /", HTTP_TARGET_MAX - 1, end, OK);
	sized("GET /", HTTP_TARGET_MAX, end, PB_URI_TOO_LONG);
	sized("GET /", 100000, end, PB_URI_TOO_LONG);
	sized("GET /", 100000, "", PB_URI_TOO_LONG);
	sized("", 100000, "", PB_URI_TOO_LONG);
	sized("GET / HTTP/1.1\r\n" HOST "X:", HTTP_LINE_MAX - 2, "\r\n\r\n", OK);
	sized("GET / HTTP/1.1\r\n" HOST "X:", HTTP_LINE_MAX - 1, "\r\n\r\n", BIGHDR);
	sized("GET / HTTP/1.1\r\n" HOST "X:", 100000, "", BIGHDR);
	sized("GET / HTTP/1.1\r\n" HOST, 100000, "", BIGHDR);
	sized(POST_ TE "\r\n1;", HTTP_CHUNK_MAX - 2, "\r\na\r\n0\r\n\r\n", OK);
	sized(POST_ TE "\r\n1;", HTTP_CHUNK_MAX - 1, "\r\na\r\n0\r\n\r\n", BAD);
	sized(POST_ TE "\r\n1;", 100000, "", BAD);
	sized(POST_ TE "\r\n0\r\nX:", HTTP_TRAILER_MAX - 2, "\r\n\r\n", OK);
	sized(POST_ TE "\r\n0\r\nX:", HTTP_TRAILER_MAX - 1, "\r\n\r\n", BIGHDR);
	sized(POST_ "Content-Length: 65536\r\n\r\n", 65536, "", OK);
	sized(POST_ TE "\r\n10000\r\n", 65536, "\r\n0\r\n\r\n", OK);
	assert_int_equal(whole.h.body.len, 65536);
}

/* count times the same line */
static void repeated(const char *before, const char *line, size_t count, enum problem want)
{
	size_t a = strlen(before), b = strlen(line), n = a + count * b;
	char *text = malloc(n + 2);

	assert_non_null(text);
	memcpy(text, before, a);
	for (size_t i = 0; i < count; i++)
		memcpy(text + a + i * b, line, b);
	memcpy(text + n, "\r\n", 2);
	expect(text, n + 2, want);
	free(text);
}

static void test_counts(void **state)
{
	char line[402];

	(void)state;
	repeated("GET / HTTP/1.1\r\n" HOST, "X: y\r\n", HTTP_FIELDS_MAX - 1, OK);
	repeated("GET / HTTP/1.1\r\n" HOST, "X: y\r\n", HTTP_FIELDS_MAX, BIGHDR);
	repeated(POST_ TE "\r\n0\r\n", "X: y\r\n", HTTP_TRAILERS_MAX, OK);
	repeated(POST_ TE "\r\n0\r\n", "X: y\r\n", HTTP_TRAILERS_MAX + 1, BIGHDR);
	memset(line, 'x', 400);
	line[1] = ':';
	strcpy(line + 398, "\r\n");
	/* 16 + 9 + 40 * 400 + 2 bytes fit, with one line more they do not */
	repeated("GET / HTTP/1.1\r\n" HOST, line, 40, OK);
	repeated("GET / HTTP/1.1\r\n" HOST, line, 41, BIGHDR);
	/* a body of one-byte chunks needs six times its size and still fits the buffer */
	repeated(POST_ TE "\r\n", "1\r\na\r\n", 4000, BAD);
	assert_int_equal(whole.h.body.len, 4000);
}

static void test_found(void **state)
{
	static const char text[] = "POST /p/a?q=1 HTTP/1.1\r\nhost: h.example:1\r\n"
				   "AUTHORIZATION:\tBearer abc \r\nContent-Type: t/u\r\n"
				   "Idempotency-Key: k\r\nIf-Match: \"v1\"\r\nOrigin: o\r\n"
				   "If-None-Match: W/\"x\"\r\n"
				   "Access-Control-Request-Method: GET\r\nAccept: x/y\r\n"
				   "Content-Encoding: gzip\r\nExpect: 100-CONTINUE\r\n"
				   "Connection: foo, Close\r\nContent-Length: 2\r\n\r\n{}REST";
	static const struct {
		enum http_field f;
		const char *value;
	} fields[] = {{HF_HOST, "h.example:1"}, {HF_AUTHORIZATION, "Bearer abc"},
	    {HF_CONTENT_TYPE, "t/u"}, {HF_IDEMPOTENCY_KEY, "k"}, {HF_IF_MATCH, "\"v1\""},
	    {HF_IF_NONE_MATCH, "W/\"x\""}, {HF_ORIGIN, "o"}, {HF_REQUEST_METHOD, "GET"},
	    {HF_ACCEPT, "x/y"}, {HF_CONTENT_ENCODING, "gzip"}, {HF_EXPECT, "100-CONTINUE"},
	    {HF_CONTENT_LENGTH, "2"}};

	(void)state;
	expect(text, sizeof text - 1, OK);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct http_span s = whole.h.field[fields[i].f];

		assert_true(http_has(&whole.h, fields[i].f));
		assert_int_equal(s.len, strlen(fields[i].value));
		assert_memory_equal(whole.buf + s.off, fields[i].value, s.len);
	}
	assert_int_equal(whole.h.method, POST);
	assert_memory_equal(whole.buf + whole.h.path.off, "/p/a", 4);
	assert_int_equal(whole.h.path.len, 4);
	assert_memory_equal(whole.buf + whole.h.query.off, "q=1", 3);
	assert_true(whole.h.close && whole.h.expect && !whole.h.chunked);
	assert_int_equal(whole.consumed, sizeof text - 1 - 4);
	assert_false(http_has(&whole.h, HF_TRANSFER_ENCODING));
}

/* Requests one after the other in one buffer, as conn.c takes them. */
static void test_pipeline(void **state)
{
	static const char text[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n"
				   "POST /2 HTTP/1.1\r\n" HOST TE "\r\n2\r\nab\r\n0\r\n\r\n"
				   "POST /3 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nc"
				   "GET /4 HTTP/1.1\r\n" HOST "\r\n";
	static const char *const bodies[] = {"", "ab", "c", ""};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		expect(text + at, sizeof text - 1 - at, OK);
		assert_int_equal(whole.buf[whole.h.path.off + 1], '1' + i);
		assert_int_equal(whole.h.body.len, strlen(bodies[i]));
		assert_memory_equal(whole.buf + whole.h.body.off, bodies[i], strlen(bodies[i]));
		at += whole.consumed;
	}
	assert_int_equal(at, sizeof text - 1);
}

/* Once refused, it stays refused; once done, it stays done. */
static void test_final(void **state)
{
	size_t len;

	(void)state;
	expect("GET /\r\n", 7, BAD);
	len = 7;
	assert_int_equal(http_parse(&whole.h, whole.buf, &len), HTTP_ERROR);
	expect("GET / HTTP/1.1\r\n" HOST "\r\n", 27, OK);
	len = 27;
	assert_int_equal(http_parse(&whole.h, whole.buf, &len), HTTP_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_lines),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_framing),
	    cmocka_unit_test(test_every_character),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_found),
	    cmocka_unit_test(test_pipeline),
	    cmocka_unit_test(test_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
