/*
 * The way of a request: see flow.h. Runs in net. Nothing is read or written here: conn.c gives the
 * request and takes the answer.
 */
#include "daemon/net/flow.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/net/cache.h"
#include "daemon/net/hdr.h"
#include "daemon/net/net.h"
#include "daemon/net/page.h"
#include "daemon/net/upstream.h"
#include "policy/jsonw.h"
#include "policy/text.h"

#define JOIN_MS      5000 /* a fetch older than that is not joined any more */
#define ALL_METHODS  ((1u << METHOD_COUNT) - 1)
#define LOCATION_MAX (HTTP_TARGET_MAX + 64)

static const uint8_t *at(const uint8_t *buf, struct http_span s)
{
	return buf + s.off;
}

/* --- answers --- */

/* Time-ordered ids (RFC 9562 version 7); one seed from the kernel makes some hundred of them. */
static void new_request_id(struct net *n, uint8_t id[16])
{
	uint8_t seed[randombytes_SEEDBYTES];

	if (n->random_left < 10) {
		randombytes_buf(seed, sizeof seed);
		randombytes_buf_deterministic(n->random, sizeof n->random, seed);
		n->random_left = sizeof n->random;
	}
	n->random_left -= 10;
	text_uuid7(id, n->unix_ms, n->random + n->random_left);
}

static void begin_reply(struct conn *c)
{
	struct reply *r = &c->reply;

	r->head = c->http.method == HTTP_M_HEAD;
	r->close = c->http.close;
	r->origin = -1;
	r->open = r->fixed = false;
	if (!c->admitted) /* what was counted before a 100 is still to be told */
		r->policy = POLICY_NONE;
	new_request_id(c->net, r->request_id);
}

/* Head, and the body if it is inline, leave as one. */
static void send_answer(
    struct conn *c, const struct api_ans *a, const struct answer_extra *extra, int file)
{
	struct net *n = c->net;
	size_t len;

	if (n->stop_ms != 0)
		c->reply.close = true;
	len = answer_head(&n->env, &c->reply, a, extra, n->out, ANSWER_HEAD_MAX);
	c->admitted = false;
	if (file >= 0 && (len == 0 || c->reply.head || a->file_len == 0)) {
		close(file);
		file = -1;
	}
	if (len == 0) {
		log_error("the head of an answer is too long");
		conn_drop(c);
		return;
	}
	if (!c->reply.head && file < 0 && a->status != 204 && a->body_len > 0) {
		memcpy(n->out + len, a->body, a->body_len);
		len += a->body_len;
	}
	conn_send(c, n->out, len, file, file >= 0 ? a->file_len : 0, false);
	/* it may have carried tokens; what may be cached is everybody's */
	if ((a->flags & API_ANS_CACHE) == 0)
		sodium_memzero(n->out, len);
}

struct trouble {
	enum problem p;
	const char *detail;
	const struct problem_field *errors;
	size_t nerrors;
	uint32_t retry_s;
	uint8_t flags; /* API_ANS_AUTHBAD */
};

static void send_problem(struct conn *c, const struct trouble *t, const struct answer_extra *extra)
{
	struct net *n = c->net;
	struct jsonw w;
	struct api_ans a = {
	    .status = problem_table[t->p].status,
	    .type = API_PROBLEM,
	    .retry_after_s = t->retry_s,
	    .flags = t->flags,
	};

	jsonw_init(&w, n->problem, sizeof n->problem);
	problem_write(
	    &w, t->p, n->conf.host, t->detail, c->reply.request_id, t->errors, t->nerrors);
	if (jsonw_end(&w) == KE_OK) {
		a.body = (const uint8_t *)n->problem;
		a.body_len = w.len;
	}
	send_answer(c, &a, extra, -1);
}

static void fail(struct conn *c, enum problem p, uint32_t retry_s)
{
	struct trouble t = {.p = p, .retry_s = retry_s};

	send_problem(c, &t, NULL);
}

/* The refusal that req.c has found. */
static void send_refusal(struct conn *c)
{
	const struct req *q = &c->net->req;
	struct trouble t = {
	    .p = q->problem,
	    .detail = q->detail,
	    .errors = q->errors,
	    .nerrors = q->nerrors,
	    .flags = q->bad_token ? API_ANS_AUTHBAD : 0,
	};
	struct answer_extra extra = {.allow = t.p == PB_METHOD ? q->allow : 0};

	send_problem(c, &t, &extra);
}

void flow_refuse(struct conn *c, enum problem p)
{
	if (p != PB_TIMEOUT && p != PB_BUSY)
		c->net->stats.malformed++;
	begin_reply(c);
	c->reply.close = true;
	fail(c, p, problem_table[p].status == 503 ? 1 : 0);
}

/* --- limits per address --- */

static uint32_t seconds(const struct net *n)
{
	return (uint32_t)(n->now_ms / 1000) + 1;
}

static void count_bad_token(struct conn *c)
{
	struct net *n = c->net;
	struct limit_state st;

	limit_hit(&n->limit, LIMIT_BADTOKEN, c->address, n->conf.anonymous.count,
	    n->conf.anonymous.window_s, seconds(n), &st);
}

/* What the requests of one class of rows are counted by. */
struct counted {
	const struct rconf_limit *rule;
	enum limit_class class;
	enum answer_policy policy;
};

static struct counted counted_by(const struct net *n, enum route_rate rate)
{
	if (rate == RATE_AUTH)
		return (struct counted){&n->conf.auth, LIMIT_AUTH, POLICY_AUTH};
	if (rate == RATE_APPROVAL)
		return (struct counted){&n->conf.approval, LIMIT_APPROVAL, POLICY_APPROVAL};
	if (rate == RATE_LOGS)
		return (struct counted){&n->conf.logs, LIMIT_LOGS, POLICY_LOGS};
	return (struct counted){&n->conf.anonymous, LIMIT_ANONYMOUS, POLICY_ANONYMOUS};
}

/* Counts a request, once, by its row's class (NULL: no row fits). False: over the limit. */
static bool admit(struct conn *c, const struct route *row)
{
	struct net *n = c->net;
	bool token = http_has(&c->http, HF_AUTHORIZATION);
	enum route_rate rate = row != NULL ? row->rate : RATE_ANON;
	const struct counted by = counted_by(n, rate);
	struct limit_state st = {0};

	if (c->admitted || rate == RATE_FREE)
		return true;
	c->admitted = true;
	if (token)
		limit_look(&n->limit, LIMIT_BADTOKEN, c->address, n->conf.anonymous.count,
		    seconds(n), &st);
	if (!st.over && (by.class != LIMIT_ANONYMOUS || !token)) {
		limit_hit(&n->limit, by.class, c->address, by.rule->count, by.rule->window_s,
		    seconds(n), &st);
		if (by.rule->count > 0)
			c->reply.policy = (uint8_t)by.policy;
		c->reply.remaining = st.remaining;
		c->reply.reset_s = st.reset_s;
	}
	if (!st.over)
		return true;
	n->stats.refused_limit++;
	fail(c, PB_RATE_LIMITED, st.reset_s > 0 ? st.reset_s : 1);
	return false;
}

/* --- what net answers itself --- */

static void set_origin(struct conn *c, const uint8_t *buf)
{
	const struct http_span o = c->http.field[HF_ORIGIN];

	for (int i = 0; o.len > 0 && i < RCONF_ORIGINS && c->net->conf.origins[i][0] != '\0'; i++)
		if (strlen(c->net->conf.origins[i]) == o.len &&
		    memcmp(c->net->conf.origins[i], at(buf, o), o.len) == 0)
			c->reply.origin = (int8_t)i;
}

/* OPTIONS: a CORS preflight of an allowed origin (Fetch standard), 405 for all else. */
static void answer_options(struct conn *c, const uint8_t *buf)
{
	struct req *q = &c->net->req;
	struct api_ans a = {.status = 204, .type = API_EMPTY};
	struct answer_extra extra = {.preflight = true};
	struct trouble t = {.p = PB_METHOD};

	if (req_route(q, &c->http, buf) != KE_OK && q->problem == PB_NOT_FOUND) {
		q->allow = ALL_METHODS;
		if (at(buf, c->http.path)[0] != '*')
			t.p = PB_NOT_FOUND;
	}
	extra.allow = t.p == PB_METHOD ? q->allow : 0;
	if (t.p == PB_METHOD && c->reply.origin >= 0 && http_has(&c->http, HF_REQUEST_METHOD)) {
		send_answer(c, &a, &extra, -1);
		return;
	}
	extra.preflight = false;
	if (admit(c, NULL))
		send_problem(c, &t, &extra);
}

static size_t target_len(const struct http *h)
{
	return h->query.off != 0 ? h->query.off + h->query.len - h->path.off : h->path.len;
}

/* A seed platform's path, which lives elsewhere now. */
static bool answer_moved(struct conn *c, const uint8_t *buf)
{
	const struct http *h = &c->http;
	char to[LOCATION_MAX];
	struct api_ans a = {.status = 308, .type = API_EMPTY};
	size_t len, rest = target_len(h) - h->path.len;

	if (route_moved((const char *)at(buf, h->path), h->path.len, to, sizeof to) == NULL)
		return false;
	len = strlen(to);
	if (rest > sizeof to - len)
		return false;
	memcpy(to + len, at(buf, h->path) + h->path.len, rest);
	a.location = (const uint8_t *)to;
	a.location_len = len + rest;
	send_answer(c, &a, NULL, -1);
	return true;
}

/* What of an answer's head follows from the request's row. */
static void set_row(struct conn *c, const struct route *row)
{
	c->reply.open = route_is_log(row);
	c->reply.fixed = row->cache == CACHE_TILES;
}

/* A public answer that is there already. Only for requests that are certain to be good. */
static bool answer_cached(struct conn *c, const uint8_t *buf)
{
	const struct http *h = &c->http;
	const struct http_span accept = h->field[HF_ACCEPT];
	const struct cache_entry *e;
	const struct route *row;

	if ((h->method != GET && h->method != HTTP_M_HEAD) || h->body.len > 0 ||
	    (h->seen & (1u << HF_AUTHORIZATION | 1u << HF_IF_MATCH)) != 0)
		return false;
	e = cache_get(c->net->cache, at(buf, h->path), target_len(h));
	if (e == NULL)
		return false;
	row = &route_table[e->route];
	if (accept.len > 0 &&
	    hdr_accepts(at(buf, accept), accept.len, shape_media(row->shape)) != HDR_ACCEPTED)
		return false;
	set_row(c, row);
	/* a log from memory costs no more than a refusal would */
	if (row->rate != RATE_LOGS && !admit(c, row))
		return true;
	c->net->stats.cache_hits++;
	send_answer(c, &e->ans, NULL, -1);
	return true;
}

/* One of the documents that net holds; extra says which, NULL for openapi.json. */
static void answer_document(struct conn *c, int held, size_t n, const struct answer_extra *extra)
{
	struct api_ans a = {.status = 200, .type = API_JSON, .flags = API_ANS_FILE, .file_len = n};
	int file = fcntl(held, F_DUPFD_CLOEXEC, 0);

	if (file < 0)
		fail(c, PB_BUSY, 1);
	else
		send_answer(c, &a, extra, file);
}

/* The page GET /verify; who names it as what he has is told so. */
static void answer_page(struct conn *c, const uint8_t *buf)
{
	const struct http_span has = c->http.field[HF_IF_NONE_MATCH];
	const struct answer_document page = {
	    .type = "text/html; charset=utf-8", .policy = page_policy, .tag = page_tag};
	const struct answer_extra extra = {.document = &page};
	const struct api_ans same = {.status = 304, .type = API_EMPTY};

	if (has.len > 0 && page_is(at(buf, has), has.len))
		send_answer(c, &same, &extra, -1);
	else
		answer_document(c, c->net->page, page_html_len, &extra);
}

/* --- to engine --- */

static void answer_unsent(struct conn *c, int r)
{
	conn_unwait(c);
	if (r == KE_LONG)
		fail(c, PB_TOO_LARGE, 0);
	else
		fail(c, r == KE_UNAVAIL ? PB_RESTARTING : PB_BUSY, 1);
}

/* Public and cacheable: with those who ask the same, or as the first of them. */
static bool send_fetch(struct conn *c, const uint8_t *buf)
{
	struct net *n = c->net;
	const struct http *h = &c->http;
	const uint8_t *target = at(buf, h->path);
	size_t len = target_len(h);
	uint64_t hash;
	struct fetch *f;
	int r;

	if (n->req.row->cache == CACHE_NO || http_has(h, HF_AUTHORIZATION) || len > CACHE_KEY_MAX)
		return false;
	hash = cache_hash(n->cache, target, len);
	f = fetch_find(&n->fetches, hash, target, len, n->now_ms, JOIN_MS);
	if (f == NULL) {
		f = fetch_begin(&n->fetches, hash, target, len, n->req.api.route,
		    (uint32_t)n->req.row->cache, n->now_ms);
		if (f == NULL)
			return false;
		memcpy(f->request_id, c->reply.request_id, sizeof f->request_id);
		r = upstream_send(n, f->id, &n->req.api);
		if (r != KE_OK) {
			fetch_end(f);
			answer_unsent(c, r);
			return true;
		}
	}
	conn_join(c, f);
	return true;
}

static void send_request(struct conn *c, const uint8_t *buf)
{
	struct net *n = c->net;
	struct api_req *q = &n->req.api;
	int r;

	memcpy(q->request_id, c->reply.request_id, sizeof q->request_id);
	memcpy(q->address, c->address, sizeof q->address);
	if (send_fetch(c, buf))
		return;
	if (n->req.route == RT_metrics)
		upstream_stats(n); /* so that they are of now */
	r = upstream_send(n, conn_wait(c), q);
	if (r != KE_OK)
		answer_unsent(c, r);
}

/* --- requests --- */

/* Head checks that need no body. False: answered. */
static bool check_head(struct conn *c, const uint8_t *buf)
{
	struct req *q = &c->net->req;

	if (req_route(q, &c->http, buf) != KE_OK) {
		if (!admit(c, NULL))
			return false;
		if (q->problem != PB_NOT_FOUND || !answer_moved(c, buf))
			send_refusal(c);
		return false;
	}
	set_row(c, q->row);
	if (!admit(c, q->row))
		return false;
	if (req_head(q, &c->http, buf) == KE_OK)
		return true;
	if (q->bad_token)
		count_bad_token(c);
	send_refusal(c);
	return false;
}

void flow_expect(struct conn *c, const uint8_t *buf)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	begin_reply(c);
	set_origin(c, buf);
	/* the body is not wanted after a refusal, and what follows could be it: so this ends */
	c->reply.close = true;
	if (check_head(c, buf))
		conn_send(c, go_on, sizeof go_on - 1, -1, 0, true);
	else
		c->net->stats.requests++; /* which flow_request() will never see */
}

void flow_request(struct conn *c, const uint8_t *buf)
{
	struct net *n = c->net;
	struct req *q = &n->req;

	if (upstream_full(n)) {
		conn_set_state(c, CONN_STALLED);
		return;
	}
	n->stats.requests++;
	begin_reply(c);
	set_origin(c, buf);
	if (c->http.method == HTTP_M_OPTIONS) {
		answer_options(c, buf);
		return;
	}
	if (answer_cached(c, buf))
		return;
	if (check_head(c, buf)) {
		if (req_body(q, &c->http, buf) != KE_OK)
			send_refusal(c);
		else if (q->route == RT_openapi)
			answer_document(c, n->openapi, n->openapi_len, NULL);
		else if (q->route == RT_verify_page)
			answer_page(c, buf);
		else
			send_request(c, buf);
	}
	req_wipe(q);
}

/* --- from engine --- */

void flow_answer(struct conn *c, const struct api_ans *a, int file)
{
	conn_unwait(c);
	if ((a->flags & API_ANS_AUTHBAD) != 0)
		count_bad_token(c);
	send_answer(c, a, NULL, file);
	conn_resume(c);
}

void flow_failed(struct conn *c, enum problem p, uint32_t retry_s)
{
	conn_unwait(c);
	fail(c, p, retry_s);
	conn_resume(c);
}
