/*
 * Heads of answers: see answer.h. Runs in net. No value of a client's is ever written here but an
 * origin that equals a configured one and a path whose characters the parser has checked.
 */
#include "daemon/net/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/text.h"

struct out {
	char *p;
	size_t len, cap;
	bool full;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (n > o->cap - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->len, s, n);
	o->len += n;
}

static void put_s(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void put_u(struct out *o, uint64_t v)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	put(o, digits + i, sizeof digits - i);
}

/* name, number, end of line */
static void put_line_u(struct out *o, const char *name, uint64_t v)
{
	put_s(o, name);
	put_u(o, v);
	put_s(o, "\r\n");
}

void answer_date(struct answer_env *env, int64_t unix_s)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)unix_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(env->date, sizeof env->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

bool answer_ok(const struct api_ans *a)
{
	for (size_t i = 0; i < a->location_len; i++)
		if (a->location[i] <= 0x20 || a->location[i] > 0x7e)
			return false;
	return true;
}

static const char *status_line(uint16_t status)
{
	static const struct {
		uint16_t status;
		const char *line;
	} lines[] = {
#define S(n, words) {n, "HTTP/1.1 " #n " " words "\r\n"}
	    S(200, "OK"),
	    S(201, "Created"),
	    S(202, "Accepted"),
	    S(204, "No Content"),
	    S(304, "Not Modified"),
	    S(308, "Permanent Redirect"),
	    S(400, "Bad Request"),
	    S(401, "Unauthorized"),
	    S(402, "Payment Required"),
	    S(403, "Forbidden"),
	    S(404, "Not Found"),
	    S(405, "Method Not Allowed"),
	    S(406, "Not Acceptable"),
	    S(408, "Request Timeout"),
	    S(409, "Conflict"),
	    S(413, "Content Too Large"),
	    S(414, "URI Too Long"),
	    S(415, "Unsupported Media Type"),
	    S(417, "Expectation Failed"),
	    S(422, "Unprocessable Content"),
	    S(428, "Precondition Required"),
	    S(429, "Too Many Requests"),
	    S(431, "Request Header Fields Too Large"),
	    S(500, "Internal Server Error"),
	    S(501, "Not Implemented"),
	    S(503, "Service Unavailable"),
	    S(505, "HTTP Version Not Supported"),
#undef S
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i].status == status)
			return lines[i].line;
	return NULL;
}

static void put_status(struct out *o, uint16_t status)
{
	const char *line = status_line(status);

	if (line != NULL) {
		put_s(o, line);
		return;
	}
	put_s(o, "HTTP/1.1 ");
	put_u(o, status);
	put_s(o, " \r\n"); /* a reason phrase may be empty */
}

static const char *content_type(uint8_t type)
{
	switch (type) {
	case API_JSON:
		return "Content-Type: application/json\r\n";
	case API_PROBLEM:
		return "Content-Type: application/problem+json\r\n";
	case API_TEXT_METRICS:
		return "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
	case API_TEXT:
		return "Content-Type: text/plain; charset=utf-8\r\n";
	case API_LOG_SIZE: /* c2sp.org/tlog-witness */
		return "Content-Type: text/x.tlog.size\r\n";
	case API_OCTETS:
		return "Content-Type: application/octet-stream\r\n";
	default:
		return "";
	}
}

/* "name";q=..;w=.. and "name";r=..;t=.. */
static void put_limit(struct out *o, const char *name, uint32_t quota, uint32_t window_s,
    uint32_t remaining, uint32_t reset_s)
{
	put_s(o, "RateLimit-Policy: \"");
	put_s(o, name);
	put_s(o, "\";q=");
	put_u(o, quota);
	put_line_u(o, ";w=", window_s);
	put_s(o, "RateLimit: \"");
	put_s(o, name);
	put_s(o, "\";r=");
	put_u(o, remaining);
	put_line_u(o, ";t=", reset_s);
}

static void put_limits(
    struct out *o, const struct answer_env *env, const struct reply *r, const struct api_ans *a)
{
	static const char *const words[] = {"", "anonymous", "auth", "approval", "logs"};
	const struct rconf_limit *const limits[] = {
	    NULL, &env->conf->anonymous, &env->conf->auth, &env->conf->approval, &env->conf->logs};
	const struct rconf_limit *l = limits[r->policy];

	if (a->limit > 0) {
		put_limit(o, "user", a->limit, a->window_s, a->remaining, a->reset_s);
		return;
	}
	if (l != NULL)
		put_limit(o, words[r->policy], l->count, l->window_s, r->remaining, r->reset_s);
}

static void put_methods(struct out *o, const char *name, unsigned allow)
{
	put_s(o, name);
	for (unsigned m = 0; m < METHOD_COUNT; m++) {
		if ((allow >> m & 1) == 0)
			continue;
		put_s(o, route_method_name((enum route_method)m));
		put_s(o, m == GET ? ", HEAD, " : ", ");
	}
	put_s(o, "OPTIONS\r\n");
}

static void put_cors(struct out *o, const struct answer_env *env, const struct reply *r,
    const struct answer_extra *extra)
{
	if (r->open) {
		put_s(o, "Access-Control-Allow-Origin: *\r\n");
		return;
	}
	if (env->conf->origins[0][0] == '\0')
		return;
	put_s(o, "Vary: Origin\r\n");
	if (r->origin < 0)
		return;
	put_s(o, "Access-Control-Allow-Origin: ");
	put_s(o, env->conf->origins[r->origin]);
	put_s(o, "\r\n");
	if (extra == NULL || !extra->preflight) {
		put_s(o, "Access-Control-Expose-Headers: ETag, Idempotent-Replayed, Location, "
			 "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id\r\n");
		return;
	}
	put_methods(o, "Access-Control-Allow-Methods: ", extra->allow);
	put_s(o, "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
		 "If-Match\r\nAccess-Control-Max-Age: 600\r\n");
}

static void put_challenge(struct out *o, const struct api_ans *a)
{
	put_s(o, "WWW-Authenticate: Bearer realm=\"klero\"");
	if ((a->flags & API_ANS_AUTHBAD) != 0)
		put_s(o, ", error=\"invalid_token\"");
	put_s(o, "\r\n");
}

/* The fields that only some answers carry. */
static void put_rare(
    struct out *o, const struct reply *r, const struct api_ans *a, const struct answer_extra *extra)
{
	if (a->status == 401)
		put_challenge(o, a);
	if (a->retry_after_s > 0)
		put_line_u(o, "Retry-After: ", a->retry_after_s);
	if (a->version > 0) {
		put_s(o, "ETag: \"v");
		put_u(o, (uint64_t)a->version);
		put_s(o, "\"\r\n");
	}
	if (a->location_len > 0) {
		put_s(o, "Location: ");
		put(o, (const char *)a->location, a->location_len);
		put_s(o, "\r\n");
	}
	if ((a->flags & API_ANS_REPLAY) != 0)
		put_s(o, "Idempotent-Replayed: true\r\n");
	if (extra != NULL && extra->allow != 0 && !extra->preflight)
		put_methods(o, "Allow: ", extra->allow);
	if (r->close)
		put_s(o, "Connection: close\r\n");
}

static void put_line_s(struct out *o, const char *name, const char *value)
{
	put_s(o, name);
	put_s(o, value);
	put_s(o, "\r\n");
}

/* What of a log may be kept: its tiles. Of its errors it says nothing (DRAW.md section 3). */
static const char *log_cache_control(const struct reply *r, const struct api_ans *a)
{
	if (a->status != 200)
		return "";
	return r->fixed ? "Cache-Control: public, max-age=604800, immutable\r\n"
			: "Cache-Control: no-store\r\n";
}

/* Who may keep it, who may show it, and what it may do in a browser. */
static void put_policy(
    struct out *o, const struct reply *r, const struct api_ans *a, const struct answer_document *d)
{
	put_line_s(o, "Cross-Origin-Resource-Policy: ", r->open ? "cross-origin" : "same-origin");
	if (d == NULL) {
		put_s(o, r->open ? log_cache_control(r, a) : "Cache-Control: no-store\r\n");
		put_s(o, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
		return;
	}
	/* kept, but asked for again each time: the page of yesterday's version is not shown */
	put_line_s(o, "Cache-Control: ", "no-cache");
	put_line_s(o, "ETag: ", d->tag);
	put_line_s(o, "Content-Security-Policy: ", d->policy);
}

/* The same in every answer; the last lines of the head. */
static const char security[] = "Strict-Transport-Security: max-age=31536000\r\n"
			       "X-Content-Type-Options: nosniff\r\n"
			       "Referrer-Policy: no-referrer\r\n"
			       "Cross-Origin-Opener-Policy: same-origin\r\n"
			       "\r\n";

size_t answer_head(const struct answer_env *env, const struct reply *r, const struct api_ans *a,
    const struct answer_extra *extra, char *buf, size_t cap)
{
	const struct answer_document *document = extra != NULL ? extra->document : NULL;
	struct out o = {.p = buf, .cap = cap};
	bool file = (a->flags & API_ANS_FILE) != 0;
	char id[37];

	put_status(&o, a->status);
	put_s(&o, "Date: ");
	put_s(&o, env->date);
	put_s(&o, "\r\n");
	/* RFC 9110 section 8.6: no length where there can be no body */
	if (a->status != 204 && a->status != 304) {
		if (document != NULL)
			put_line_s(&o, "Content-Type: ", document->type);
		else
			put_s(&o, content_type(a->type));
		put_line_u(&o, "Content-Length: ", file ? a->file_len : a->body_len);
	}
	text_uuid(id, r->request_id);
	put_s(&o, "X-Request-Id: ");
	put(&o, id, 36);
	put_s(&o, "\r\n");
	put_limits(&o, env, r, a);
	put_rare(&o, r, a, extra);
	put_cors(&o, env, r, extra);
	put_policy(&o, r, a, document);
	put(&o, security, sizeof security - 1);
	return o.full ? 0 : o.len;
}
