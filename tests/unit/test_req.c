/*
 * Requests against their route row: path, query, fields of the head, JSON body. What passes must
 * also pass engine's check of the same values (apimsg_get_req).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/wire.h"
#include "daemon/net/hdr.h"
#include "daemon/net/req.h"
#include "policy/text.h"

#define ID    "01a1fd91-adfe-7ba8-bb4c-1989f82f2715"
#define HEAD  " HTTP/1.1\r\nHost: a\r\n"
#define TOKEN "Authorization: Bearer t\r\n"
#define JSON  "Content-Type: application/json\r\n"
#define KEY   "Idempotency-Key: k\r\n"

static struct req q;
static struct http h;
static uint8_t buf[HTTP_BUF_MAX];

/* Parses and checks a whole request; KE_OK or KE_DENIED. */
static int check(const char *head, const char *body)
{
	size_t len;
	int r;

	if (body != NULL)
		len = (size_t)snprintf((char *)buf, sizeof buf, "%sContent-Length: %zu\r\n\r\n%s",
		    head, strlen(body), body);
	else
		len = (size_t)snprintf((char *)buf, sizeof buf, "%s\r\n", head);
	http_init(&h);
	assert_int_equal(http_parse(&h, buf, &len), HTTP_HEAD);
	assert_int_equal(http_parse(&h, buf, &len), HTTP_DONE);
	r = req_route(&q, &h, buf);
	if (r == KE_OK)
		r = req_head(&q, &h, buf);
	if (r == KE_OK)
		r = req_body(&q, &h, buf);
	return r;
}

/* Good, and good in engine's eyes too. */
static void good(const char *head, const char *body)
{
	static uint8_t msg[65536];
	struct wire_out w;
	struct wire_in r;
	struct api_req again;

	if (check(head, body) != KE_OK)
		fail_msg("refused (%s, %s): %s %s", problem_table[q.problem].code,
		    q.nerrors > 0 ? q.errors[0].pointer : "", head, body != NULL ? body : "");
	wire_out_init(&w, msg, sizeof msg);
	apimsg_put_req(&w, &q.api);
	assert_int_equal(w.err, KE_OK);
	wire_in_init(&r, msg, w.len);
	assert_int_equal(apimsg_get_req(&r, &again), KE_OK);
}

static void bad(const char *head, const char *body, enum problem want)
{
	if (check(head, body) != KE_DENIED)
		fail_msg("not refused: %s %s", head, body != NULL ? body : "");
	if (q.problem != want)
		fail_msg("%s instead of %s: %s %s", problem_table[q.problem].code,
		    problem_table[want].code, head, body != NULL ? body : "");
}

/* errors: "pointer code pointer code ..." in the order in which they are told */
static void wrong(const char *head, const char *body, const char *errors)
{
	char told[2048] = "";
	size_t n = 0;

	bad(head, body, PB_VALIDATION);
	for (size_t i = 0; i < q.nerrors; i++)
		n += (size_t)snprintf(told + n, sizeof told - n, "%s%s %s", i > 0 ? " " : "",
		    q.errors[i].pointer, q.errors[i].code);
	assert_string_equal(told, errors);
}

static const struct api_value *value(const char *name)
{
	for (size_t i = 0; q.row->fields[i].name != NULL; i++)
		if (strcmp(q.row->fields[i].name, name) == 0)
			return &q.api.v[i];
	fail_msg("no field %s", name);
	return NULL;
}

static void is_text(const char *name, const char *want)
{
	const struct api_value *v = value(name);

	assert_true(v->present);
	assert_int_equal(v->n, strlen(want));
	assert_memory_equal(v->p, want, v->n);
}

static void test_routes(void **state)
{
	(void)state;
	good("GET /health" HEAD, NULL);
	assert_int_equal(q.route, RT_health);
	good("HEAD /health" HEAD, NULL);
	assert_int_equal(q.route, RT_health);
	bad("GET /nothing" HEAD, NULL, PB_NOT_FOUND);
	bad("GET /health/" HEAD, NULL, PB_NOT_FOUND);
	bad("GET //health" HEAD, NULL, PB_NOT_FOUND);
	bad("GET /%68ealth" HEAD, NULL, PB_NOT_FOUND);
	bad("GET /../health" HEAD, NULL, PB_NOT_FOUND);
	bad("GET /api/v1/raffles/" HEAD, NULL, PB_NOT_FOUND);
	bad("DELETE /health" HEAD, NULL, PB_METHOD);
	assert_int_equal(q.allow, 1u << GET);
	bad("PUT /api/v1/me" HEAD, NULL, PB_METHOD);
	assert_int_equal(q.allow, 1u << GET | 1u << PATCH);
}

static void test_path(void **state)
{
	static const uint8_t id[16] = {0x01, 0xa1, 0xfd, 0x91, 0xad, 0xfe, 0x7b, 0xa8, 0xbb, 0x4c,
	    0x19, 0x89, 0xf8, 0x2f, 0x27, 0x15};

	(void)state;
	good("GET /api/v1/raffles/" ID HEAD, NULL);
	assert_memory_equal(value("id")->p, id, 16);
	wrong("GET /api/v1/raffles/1" HEAD, NULL, "path/id format");
	wrong("GET /api/v1/raffles/01A1FD91-ADFE-7BA8-BB4C-1989F82F2715" HEAD, NULL,
	    "path/id format");
	wrong("GET /api/v1/raffles/" ID "0" HEAD, NULL, "path/id format");
	wrong("GET /api/v1/raffles/%30" HEAD, NULL, "path/id format");
}

static void test_query(void **state)
{
	(void)state;
	good("GET /api/v1/raffles" HEAD, NULL);
	assert_false(value("limit")->present);
	good("GET /api/v1/raffles?" HEAD, NULL);
	good("GET /api/v1/raffles?limit=1&state=open&cursor=Ab-_9" HEAD, NULL);
	assert_int_equal(value("limit")->i, 1);
	assert_int_equal(value("state")->i, 1);
	is_text("cursor", "Ab-_9");
	good("GET /api/v1/raffles?limit=%31%30%30&state=%6fpen" HEAD, NULL);
	assert_int_equal(value("limit")->i, 100);
	wrong("GET /api/v1/raffles?limit=0" HEAD, NULL, "query/limit range");
	wrong("GET /api/v1/raffles?limit=101" HEAD, NULL, "query/limit range");
	wrong("GET /api/v1/raffles?limit=-1" HEAD, NULL, "query/limit range");
	wrong("GET /api/v1/raffles?limit=01" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=%2B1" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=+1" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=1.0" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=1e1" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit=9999999999999999999" HEAD, NULL, "query/limit integer");
	wrong("GET /api/v1/raffles?limit" HEAD, NULL, "query/limit format");
	wrong("GET /api/v1/raffles?limit=1&limit=1" HEAD, NULL, "query/limit duplicate");
	wrong("GET /api/v1/raffles?limit=0&limit=1" HEAD, NULL,
	    "query/limit range query/limit duplicate");
	wrong("GET /api/v1/raffles?Limit=1" HEAD, NULL, "query/Limit unknown");
	wrong("GET /api/v1/raffles?%6cimit=1" HEAD, NULL, "query/%6cimit unknown");
	wrong("GET /api/v1/raffles?x" HEAD, NULL, "query/x unknown");
	wrong("GET /api/v1/raffles?limit=1&" HEAD, NULL, "query/ format");
	wrong("GET /api/v1/raffles?&limit=1" HEAD, NULL, "query/ unknown");
	wrong("GET /api/v1/raffles?=1" HEAD, NULL, "query/ unknown");
	wrong("GET /api/v1/raffles?state=OPEN" HEAD, NULL, "query/state unknown-value");
	wrong("GET /api/v1/raffles?cursor=a%00b" HEAD, NULL, "query/cursor format");
	wrong("GET /api/v1/raffles?cursor=" HEAD, NULL, "query/cursor format");
	wrong("GET /health?a=1" HEAD, NULL, "query/a unknown");
}

static void test_authorization(void **state)
{
	char long_token[4096], head[8192];

	(void)state;
	good("GET /api/v1/me" HEAD TOKEN, NULL);
	assert_int_equal(q.api.token_len, 1);
	good("GET /api/v1/me" HEAD "Authorization: bEARER a-._~+/b==\r\n", NULL);
	assert_int_equal(q.api.token_len, 10);
	good("GET /api/v1/raffles" HEAD TOKEN, NULL);
	bad("GET /api/v1/me" HEAD, NULL, PB_UNAUTHENTICATED);
	assert_false(q.bad_token);
	bad("GET /api/v1/me" HEAD "Authorization:\r\n", NULL, PB_TOKEN_INVALID);
	assert_true(q.bad_token);
	bad("GET /api/v1/me" HEAD "Authorization: Bearer\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/me" HEAD "Authorization: Bearer =\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/me" HEAD "Authorization: Bearer a b\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/me" HEAD "Authorization: Bearer  a\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/me" HEAD "Authorization: Bearer a=b\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/me" HEAD "Authorization: Basic YTpi\r\n", NULL, PB_TOKEN_INVALID);
	bad("GET /api/v1/raffles" HEAD "Authorization: Basic YTpi\r\n", NULL, PB_TOKEN_INVALID);
	memset(long_token, 'a', sizeof long_token);
	snprintf(head, sizeof head, "GET /api/v1/me" HEAD "Authorization: Bearer %.*s\r\n",
	    HDR_TOKEN_MAX, long_token);
	good(head, NULL);
	snprintf(head, sizeof head, "GET /api/v1/me" HEAD "Authorization: Bearer %.*s\r\n",
	    HDR_TOKEN_MAX + 1, long_token);
	bad(head, NULL, PB_TOKEN_INVALID);
}

static void test_head_fields(void **state)
{
	static const char login[] = "{\"email\":\"a@b\",\"password\":\"x\"}";

	(void)state;
	good("GET /health" HEAD "Accept: */*\r\n", NULL);
	good("GET /health" HEAD "Accept: application/*;q=0.5\r\n", NULL);
	good("GET /health" HEAD "Accept: text/html, Application/JSON;q=0.1\r\n", NULL);
	good("GET /health" HEAD "Accept: application/problem+json\r\n", NULL);
	good("GET /health" HEAD "Accept:\r\n", NULL);
	good("GET /metrics" HEAD TOKEN "Accept: text/plain\r\n", NULL);
	bad("GET /health" HEAD "Accept: text/plain\r\n", NULL, PB_NOT_ACCEPTABLE);
	bad("GET /health" HEAD "Accept: text/*\r\n", NULL, PB_NOT_ACCEPTABLE);
	bad("GET /health" HEAD "Accept: application/json;q=0\r\n", NULL, PB_NOT_ACCEPTABLE);
	bad("GET /health" HEAD "Accept: application/json;q=0, */*\r\n", NULL, PB_NOT_ACCEPTABLE);
	bad("GET /health" HEAD "Accept: */*;q=0, application/problem+json\r\n", NULL,
	    PB_NOT_ACCEPTABLE);
	bad("GET /metrics" HEAD TOKEN "Accept: text/plain;q=0, */*\r\n", NULL, PB_NOT_ACCEPTABLE);
	good("GET /metrics" HEAD TOKEN "Accept: application/json\r\n", NULL);
	good("POST /api/v1/auth/login" HEAD JSON, login);
	good("POST /api/v1/auth/login" HEAD "Content-Type: Application/JSON ; charset=UTF-8\r\n",
	    login);
	good("POST /api/v1/auth/login" HEAD "Content-Type: application/json;charset=\"utf-8\"\r\n",
	    login);
	bad("POST /api/v1/auth/login" HEAD, login, PB_MEDIA_TYPE);
	bad("POST /api/v1/auth/login" HEAD "Content-Type: text/plain\r\n", login, PB_MEDIA_TYPE);
	bad("POST /api/v1/auth/login" HEAD "Content-Type: application/jsonp\r\n", login,
	    PB_MEDIA_TYPE);
	bad("POST /api/v1/auth/login" HEAD "Content-Type: application/json; charset=latin1\r\n",
	    login, PB_MEDIA_TYPE);
	good("POST /api/v1/auth/login" HEAD "Content-Type: application/json;\r\n", login);
	bad("POST /api/v1/auth/login" HEAD "Content-Type: application/json; x\r\n", login,
	    PB_MEDIA_TYPE);
	bad("POST /api/v1/auth/login" HEAD JSON "Content-Encoding: gzip\r\n", login, PB_MEDIA_TYPE);
	good("POST /api/v1/auth/login" HEAD JSON "Content-Encoding: identity\r\n", login);
	good(
	    "PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: \"v12\"\r\n", "{\"display_name\":\"n\"}");
	assert_int_equal(q.api.if_match, 12);
	wrong("PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: *\r\n", "{\"display_name\":\"n\"}",
	    "header/If-Match format");
	wrong("PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: \"v0\"\r\n", "{\"display_name\":\"n\"}",
	    "header/If-Match format");
	wrong("PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: \"v01\"\r\n",
	    "{\"display_name\":\"n\"}", "header/If-Match format");
	wrong("PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: W/\"v1\"\r\n",
	    "{\"display_name\":\"n\"}", "header/If-Match format");
	wrong("PATCH /api/v1/me" HEAD TOKEN JSON "If-Match: \"v12345678901234567\"\r\n",
	    "{\"display_name\":\"n\"}", "header/If-Match format");
}

static void test_idempotency_key(void **state)
{
#define BUY          "POST /api/v1/raffles/" ID "/buy" HEAD TOKEN JSON
#define KEYED(value) BUY "Idempotency-Key: " value "\r\n", "{\"quantity\":1}"
	char key[300], head[600];

	(void)state;
	good(KEYED("abc-123"));
	assert_int_equal(q.api.idem_len, 7);
	good(KEYED("\"a b\""));
	assert_int_equal(q.api.idem_len, 3);
	assert_memory_equal(q.api.idem, "a b", 3);
	bad(BUY, "{\"quantity\":1}", PB_IDEM_REQUIRED);
	bad(KEYED(""), PB_IDEM_INVALID);
	bad(KEYED("\"\""), PB_IDEM_INVALID);
	bad(KEYED("\""), PB_IDEM_INVALID);
	bad(KEYED("a b"), PB_IDEM_INVALID);
	bad(KEYED("a\"b"), PB_IDEM_INVALID);
	bad(KEYED("\"a\\\"b\""), PB_IDEM_INVALID);
	bad(KEYED("\xc3\xa9"), PB_IDEM_INVALID);
	memset(key, 'k', sizeof key);
	snprintf(head, sizeof head, BUY "Idempotency-Key: %.255s\r\n", key);
	good(head, "{\"quantity\":1}");
	snprintf(head, sizeof head, BUY "Idempotency-Key: %.256s\r\n", key);
	bad(head, "{\"quantity\":1}", PB_IDEM_INVALID);
	/* where the row takes none, it means nothing */
	good("GET /health" HEAD "Idempotency-Key: a b c\r\n", NULL);
	assert_int_equal(q.api.idem_len, 0);
}

static void test_body_values(void **state)
{
#define LOGIN "POST /api/v1/auth/login" HEAD JSON
#define BUYK  BUY KEY
	(void)state;
	good(LOGIN, "{\"email\":\"A.B@Example.ORG\",\"password\":\"p\\u00e9\\n\\\"\"}");
	is_text("email", "a.b@example.org");
	is_text("password", "p\xc3\xa9\n\"");
	good(LOGIN, " { \"password\" : \"p\" , \"email\" : \"a@b\" } \r\n");
	good(LOGIN, "{\"em\\u0061il\":\"a@b\",\"password\":\"p\"}");
	wrong(LOGIN, "{\"email\":\"a@b\"}", "/password required");
	wrong(LOGIN, "{}", "/email required /password required");
	wrong(LOGIN, NULL, "/email required /password required");
	wrong(LOGIN, "{\"email\":\"ab\",\"password\":\"\"}", "/email format /password length");
	wrong(LOGIN, "{\"email\":\"a@b@c\",\"password\":1}", "/email format /password type");
	wrong(LOGIN, "{\"email\":null,\"password\":true}", "/email type /password type");
	wrong(LOGIN, "{\"email\":[\"a@b\"],\"password\":{}}", "/email type /password type");
	wrong(LOGIN, "{\"email\":\"a@b\",\"password\":\"a\\u0001\"}", "/password characters");
	wrong(LOGIN, "{\"email\":\"a@b\",\"password\":\"p\",\"Email\":1,\"x~/y\":{\"z\":[]}}",
	    "/Email unknown /x~0~1y unknown");
	wrong(LOGIN, "[]", " type");
	wrong(LOGIN, "1", " type");
	good(BUYK, "{\"quantity\":100}");
	assert_int_equal(value("quantity")->i, 100);
	wrong(BUYK, "{\"quantity\":0}", "/quantity range");
	wrong(BUYK, "{\"quantity\":101}", "/quantity range");
	wrong(BUYK, "{\"quantity\":-1}", "/quantity range");
	wrong(BUYK, "{\"quantity\":1.0}", "/quantity integer");
	wrong(BUYK, "{\"quantity\":1e0}", "/quantity integer");
	wrong(BUYK, "{\"quantity\":99999999999999999999}", "/quantity range");
	wrong(BUYK, "{\"quantity\":\"1\"}", "/quantity type");
	good(BUYK, "{\"quantity\":1,\"client_seed\":\"\"}");
	assert_true(value("client_seed")->present);
	assert_int_equal(value("client_seed")->n, 0);
}

static void test_money(void **state)
{
#define DEPOSIT(money)                                                                             \
	"POST /api/v1/wallet/deposit" HEAD TOKEN KEY JSON,                                         \
	    "{\"provider\":\"manual\",\"money\":" money "}"
	(void)state;
	good(DEPOSIT("{\"currency\":\"EUR\",\"amount\":9007199254740991}"));
	assert_int_equal(value("money")->i, INT64_C(9007199254740991));
	is_text("money", "EUR");
	wrong(DEPOSIT("{}"), "/money/amount required /money/currency required");
	wrong(DEPOSIT("{\"amount\":1}"), "/money/currency required");
	wrong(DEPOSIT("{\"currency\":\"EUR\"}"), "/money/amount required");
	wrong(DEPOSIT("{\"amount\":0,\"currency\":\"EUR\"}"), "/money/amount range");
	wrong(DEPOSIT("{\"amount\":9007199254740992,\"currency\":\"EUR\"}"), "/money/amount range");
	wrong(DEPOSIT("{\"amount\":1.5,\"currency\":\"eur\"}"),
	    "/money/amount integer /money/currency format");
	wrong(DEPOSIT("{\"amount\":\"1\",\"currency\":1}"),
	    "/money/amount type /money/currency type");
	wrong(DEPOSIT("{\"amount\":1,\"currency\":\"E\"}"), "/money/currency format");
	wrong(DEPOSIT("{\"amount\":1,\"currency\":\"EUR\",\"x\":1}"), "/money/x unknown");
	wrong(DEPOSIT("{\"Amount\":1,\"currency\":\"EUR\"}"),
	    "/money/Amount unknown /money/amount required");
	wrong(DEPOSIT("1"), "/money type");
	wrong(DEPOSIT("\"1 EUR\""), "/money type");
	wrong(DEPOSIT("[1,\"EUR\"]"), "/money type");
	wrong(DEPOSIT("null"), "/money type");
}

static void test_hex(void **state)
{
#define ENTROPY(hex)                                                                               \
	"POST /api/v1/admin/raffles/" ID "/entropy" HEAD TOKEN KEY JSON, "{\"entropy\":\"" hex "\"}"
	(void)state;
	good(ENTROPY("00ff"));
	assert_int_equal(value("entropy")->n, 2);
	assert_memory_equal(value("entropy")->p, "\x00\xff", 2);
	wrong(ENTROPY("0"), "/entropy format");
	wrong(ENTROPY("0x"), "/entropy format");
	wrong(ENTROPY("FF"), "/entropy format");
	wrong(ENTROPY(""), "/entropy length");
}

/* A log's name is a raffle's id as its origin has it, or as everything else does. */
static void test_log_names(void **state)
{
	static const uint8_t id[16] = {0x01, 0xa1, 0xfd, 0x91, 0xad, 0xfe, 0x7b, 0xa8, 0xbb, 0x4c,
	    0x19, 0x89, 0xf8, 0x2f, 0x27, 0x15};

	(void)state;
	good("GET /r/01a1fd91adfe7ba8bb4c1989f82f2715/checkpoint" HEAD, NULL);
	assert_memory_equal(value("raffle")->p, id, 16);
	good("GET /r/" ID "/checkpoint" HEAD, NULL);
	assert_memory_equal(value("raffle")->p, id, 16);
	wrong(
	    "GET /r/01A1fd91adfe7ba8bb4c1989f82f2715/checkpoint" HEAD, NULL, "path/raffle format");
	wrong("GET /r/01a1/checkpoint" HEAD, NULL, "path/raffle format");
	wrong("GET /api/v1/raffles/01a1fd91adfe7ba8bb4c1989f82f2715" HEAD, NULL, "path/id format");
}

/* A body of a length that nobody says is a body, too. */
static void test_chunked(void **state)
{
	static const char request[] = "POST /api/v1/auth/logout" HEAD TOKEN
				      "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
	size_t n = sizeof request - 1;

	(void)state;
	memcpy(buf, request, n);
	http_init(&h);
	assert_int_equal(http_parse(&h, buf, &n), HTTP_HEAD);
	assert_int_equal(req_route(&q, &h, buf), KE_OK);
	assert_int_equal(req_head(&q, &h, buf), KE_DENIED);
	assert_int_equal(q.problem, PB_MEDIA_TYPE);
}

static void test_json_refusals(void **state)
{
	char deep[200];

	(void)state;
	bad(LOGIN, "{", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"a@b\",\"password\":\"p\",}", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"a@b\" \"password\":\"p\"}", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"\xff@b\",\"password\":\"p\"}", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"a@b\",\"password\":\"\\u0000\"}", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"a@b\",\"email\":\"a@b\"}", PB_JSON_MALFORMED);
	bad(LOGIN, "{\"email\":\"a@b\",\"em\\u0061il\":\"a@b\"}", PB_JSON_MALFORMED);
	bad(LOGIN, "{} {}", PB_JSON_MALFORMED);
	bad(LOGIN, "\xef\xbb\xbf{}", PB_JSON_MALFORMED);
	bad(LOGIN, " ", PB_JSON_MALFORMED);
	snprintf(deep, sizeof deep, "{\"a\":%.*s%.*s}", 17, "[[[[[[[[[[[[[[[[[", 17,
	    "]]]]]]]]]]]]]]]]]");
	bad(LOGIN, deep, PB_JSON_MALFORMED);
}

static void test_bodies_without_fields(void **state)
{
	(void)state;
	good("POST /api/v1/auth/logout" HEAD TOKEN, NULL);
	good("POST /api/v1/auth/logout" HEAD TOKEN, "");
	good("POST /api/v1/auth/logout" HEAD TOKEN JSON, "{}");
	wrong("POST /api/v1/auth/logout" HEAD TOKEN JSON, "{\"a\":1}", "/a unknown");
	wrong("POST /api/v1/auth/logout" HEAD TOKEN JSON, "[]", " type");
	bad("POST /api/v1/auth/logout" HEAD TOKEN, "{}", PB_MEDIA_TYPE);
	wrong("GET /health" HEAD JSON, "{\"a\":1}", "/a unknown");
}

/* More errors than are told; long names; characters that a pointer must not be cut in. */
static void test_many_errors(void **state)
{
	char body[4096] = "{", name[400];
	size_t n = 1;

	(void)state;
	for (int i = 0; i < 40; i++)
		n +=
		    (size_t)snprintf(body + n, sizeof body - n, "%s\"k%d\":1", i > 0 ? "," : "", i);
	strcpy(body + n, "}");
	bad(LOGIN, body, PB_VALIDATION);
	assert_int_equal(q.nerrors, REQ_ERRORS);
	for (size_t i = 0; i < sizeof name - 3; i += 3)
		memcpy(name + i, "\xe2\x82\xac", 4);
	for (size_t skip = 0; skip < 4; skip++) {
		snprintf(body, sizeof body, "{\"%.*s%s\":1}", (int)skip, "xxx", name);
		bad(LOGIN, body, PB_VALIDATION);
		assert_int_equal(
		    text_utf8(q.errors[0].pointer, strlen(q.errors[0].pointer)), KE_OK);
		assert_true(strlen(q.errors[0].pointer) > 40);
	}
}

static void test_wipe(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	good(LOGIN, "{\"email\":\"a@b\",\"password\":\"hunter2hunter2\"}");
	assert_true(q.used > 14);
	req_wipe(&q);
	assert_memory_equal(q.arena, zeros, sizeof zeros);
	assert_int_equal(q.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_routes),
	    cmocka_unit_test(test_path),
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_authorization),
	    cmocka_unit_test(test_head_fields),
	    cmocka_unit_test(test_idempotency_key),
	    cmocka_unit_test(test_body_values),
	    cmocka_unit_test(test_money),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_log_names),
	    cmocka_unit_test(test_chunked),
	    cmocka_unit_test(test_json_refusals),
	    cmocka_unit_test(test_bodies_without_fields),
	    cmocka_unit_test(test_many_errors),
	    cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
