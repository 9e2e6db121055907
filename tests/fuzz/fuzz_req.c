/*
 * Fuzz target: a JSON body or a query against every row of the route table. What net lets pass,
 * engine's own check must let pass too, with the same values; what it refuses must make a problem
 * document that is valid JSON. The first byte chooses the row, the second the place.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/wire.h"
#include "daemon/net/req.h"
#include "policy/jsonw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* The row's path with an id in the place of its parameters. */
static size_t put_path(char *out, size_t cap, const struct route *row)
{
	size_t n = 0;

	for (const char *p = row->path; *p != '\0';) {
		if (*p != '{') {
			must(n < cap);
			out[n++] = *p++;
			continue;
		}
		n += (size_t)snprintf(
		    out + n, cap - n, "%s", "01a1fd91-adfe-7ba8-bb4c-1989f82f2715");
		p = strchr(p, '}') + 1;
	}
	return n;
}

static size_t put_request(
    char *out, size_t cap, const struct route *row, int in_query, const uint8_t *data, size_t size)
{
	size_t n = (size_t)snprintf(out, cap, "%s ", route_method_name(row->method));

	n += put_path(out + n, cap - n, row);
	if (in_query) {
		out[n++] = '?';
		memcpy(out + n, data, size);
		n += size;
		size = 0;
	}
	n += (size_t)snprintf(out + n, cap - n,
	    " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nIdempotency-Key: k\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	    size);
	memcpy(out + n, data, size);
	return n + size;
}

static void check_passed(const struct req *q)
{
	static uint8_t msg[1 << 18];
	static struct api_req again;
	struct wire_out w;
	struct wire_in r;

	wire_out_init(&w, msg, sizeof msg);
	apimsg_put_req(&w, &q->api);
	must(w.err == KE_OK);
	wire_in_init(&r, msg, w.len);
	must(apimsg_get_req(&r, &again) == KE_OK);
	for (size_t i = 0; i < ROUTE_FIELDS; i++) {
		const struct api_value *a = &q->api.v[i], *b = &again.v[i];

		must(a->present == b->present);
		if (a->present)
			must(a->i == b->i && a->n == b->n &&
			     (a->n == 0 || memcmp(a->p, b->p, a->n) == 0));
	}
}

static void check_refused(const struct req *q)
{
	static const uint8_t id[16];
	static char text[16384];
	struct jsonw w;
	size_t tokens;

	must(q->nerrors <= REQ_ERRORS);
	jsonw_init(&w, text, sizeof text);
	problem_write(&w, q->problem, "h", q->detail, id, q->errors, q->nerrors);
	must(jsonw_end(&w) == KE_OK);
	must(json_check(text, w.len, JSON_TOKENS, &tokens, NULL) == KE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct req q;
	static struct http h;
	static uint8_t buf[HTTP_BUF_MAX];
	enum http_event ev;
	const struct route *row;
	size_t len;
	int in_query, r;

	if (size < 2 || size > HTTP_BODY_MAX)
		return 0;
	row = &route_table[data[0] % ROUTE_COUNT];
	in_query = data[1] & 1;
	if (in_query && size > 1000)
		return 0;
	len = put_request((char *)buf, sizeof buf, row, in_query, data + 2, size - 2);
	http_init(&h);
	do
		ev = http_parse(&h, buf, &len);
	while (ev == HTTP_HEAD);
	if (ev != HTTP_DONE)
		return 0; /* a query that is none, or that ended the request line */
	r = req_route(&q, &h, buf);
	if (r == KE_OK)
		r = req_head(&q, &h, buf);
	if (r == KE_OK)
		r = req_body(&q, &h, buf);
	if (r == KE_OK)
		check_passed(&q);
	else
		check_refused(&q);
	req_wipe(&q);
	return 0;
}
