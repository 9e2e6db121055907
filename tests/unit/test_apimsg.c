/*
 * The route table and the messages between net and engine: every row routes to itself, every
 * field's bounds hold on both sides, every cut and every changed byte is refused or harmless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/api/apimsg.h"
#include "daemon/api/problem.h"
#include "policy/jsonw.h"

static void test_every_row_routes_to_itself(void **state)
{
	struct route_param params[ROUTE_PARAMS];
	unsigned allow;

	(void)state;
	for (int i = 0; i < ROUTE_COUNT; i++) {
		const struct route *row = &route_table[i];
		char path[256];
		size_t n = 0, holes = 0;

		for (const char *p = row->path; *p != '\0'; p++) {
			if (*p == '{') {
				path[n++] = 'X';
				holes++;
				p = strchr(p, '}');
				continue;
			}
			path[n++] = *p;
		}
		assert_null(row->fields[ROUTE_FIELDS].name); /* the list ends */
		assert_int_equal(route_match((int)row->method, path, n, params, &allow), i);
		for (size_t k = 0; k < holes; k++)
			assert_true(params[k].n == 1 && params[k].p[0] == 'X');
		/* one that takes the rest takes this too */
		path[n] = '/';
		assert_int_equal(route_match((int)row->method, path, n + 1, params, &allow),
		    strstr(row->path, "{+") != NULL ? i : -1);
	}
}

/* A parameter that takes the rest of the path, slashes and all, but not nothing. */
static void test_rest_of_path(void **state)
{
	static const char path[] = "/r/X/tile/0/x001/000.p/5";
	struct route_param params[ROUTE_PARAMS];
	unsigned allow;

	(void)state;
	assert_int_equal(route_match(GET, path, strlen(path), params, &allow), RT_raffle_tile);
	assert_true(params[0].n == 1 && params[1].n == 14 &&
		    memcmp(params[1].p, "0/x001/000.p/5", 14) == 0);
	assert_int_equal(route_match(GET, path, 10, params, &allow), -1);
	assert_int_equal(route_match(GET, "/tile/", 6, params, &allow), -1);
	assert_int_equal(route_match(POST, path, strlen(path), params, &allow), -2);
}

static void test_methods(void **state)
{
	struct route_param params[ROUTE_PARAMS];
	unsigned allow;
	static const char me[] = "/api/v1/me";

	(void)state;
	assert_int_equal(route_match(DELETE, me, strlen(me), params, &allow), -2);
	assert_int_equal(allow, 1u << GET | 1u << PATCH);
	assert_int_equal(route_match(GET, "/api/v1/m", 9, params, &allow), -1);
	assert_int_equal(route_match(GET, "", 0, params, &allow), -1);
	assert_int_equal(route_match(GET, "/api/v1/raffles/", 16, params, &allow), -1);
}

static void test_old_paths_move(void **state)
{
	char out[256];

	(void)state;
	assert_string_equal(route_moved("/auth/login", 11, out, sizeof out), "/api/v1/auth/login");
	assert_string_equal(
	    route_moved("/api/raffles/7/buy", 18, out, sizeof out), "/api/v1/raffles/7/buy");
	assert_string_equal(route_moved("/api/users/me", 13, out, sizeof out), "/api/v1/me");
	assert_null(route_moved("/api/v1/raffles", 15, out, sizeof out));
	assert_null(route_moved("/api/nothing", 12, out, sizeof out));
	assert_null(route_moved("/auth/login", 11, out, 8));
}

/* Every {x} of a path is an IN_PATH field and the other way round; names are unique. */
static void test_rows_are_whole(void **state)
{
	(void)state;
	for (int i = 0; i < ROUTE_COUNT; i++) {
		const struct route *row = &route_table[i];
		size_t holes = 0, fields = 0;

		for (const char *p = row->path; *p != '\0'; p++)
			holes += *p == '{';
		for (const struct field *f = row->fields; f->name != NULL; f++) {
			char hole[64];

			snprintf(
			    hole, sizeof hole, "{%s%s}", f->type == FIELD_TILE ? "+" : "", f->name);
			fields += f->in == IN_PATH;
			if (f->in == IN_PATH)
				assert_non_null(strstr(row->path, hole));
			if (f->in == IN_BODY)
				assert_true(row->method != GET);
			for (const struct field *g = row->fields; g < f; g++)
				assert_string_not_equal(f->name, g->name);
		}
		assert_int_equal(holes, fields);
		if (row->method == GET)
			assert_int_equal(row->idem, IDEM_NONE);
	}
}

static size_t buy(uint8_t *buf, size_t cap, int64_t quantity, size_t seed_len)
{
	static const uint8_t raffle[16] = {1};
	static uint8_t seed[300];
	struct api_req q = {.route = RT_raffle_buy, .if_match = 0};
	struct wire_out w;

	memset(seed, 'x', sizeof seed);
	q.token = (const uint8_t *)"tok";
	q.token_len = 3;
	q.v[0] = (struct api_value){.present = true, .p = raffle, .n = 16};
	q.v[1] = (struct api_value){.present = true, .i = quantity};
	q.v[2] = (struct api_value){.present = seed_len > 0, .p = seed, .n = seed_len};
	wire_out_init(&w, buf, cap);
	apimsg_put_req(&w, &q);
	assert_int_equal(w.err, KE_OK);
	return w.len;
}

static int get(const uint8_t *buf, size_t n, struct api_req *q)
{
	struct wire_in r;

	wire_in_init(&r, buf, n);
	return apimsg_get_req(&r, q);
}

static void test_request_bounds(void **state)
{
	uint8_t buf[4096];
	struct api_req q;
	size_t n = buy(buf, sizeof buf, 100, 256);

	(void)state;
	assert_int_equal(get(buf, n, &q), KE_OK);
	assert_int_equal(q.v[1].i, 100);
	assert_int_equal(q.v[2].n, 256);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(get(buf, cut, &q), KE_PEER);
	buf[n] = 0;
	assert_int_equal(get(buf, n + 1, &q), KE_PEER);
	assert_int_equal(get(buf, buy(buf, sizeof buf, 101, 1), &q), KE_PEER);
	assert_int_equal(get(buf, buy(buf, sizeof buf, 0, 1), &q), KE_PEER);
	assert_int_equal(get(buf, buy(buf, sizeof buf, 1, 257), &q), KE_PEER);
	assert_int_equal(get(buf, buy(buf, sizeof buf, 1, 0), &q), KE_OK);
	assert_false(q.v[2].present);
	buf[0] = 0xff;
	assert_int_equal(get(buf, n, &q), KE_PEER);
}

static bool ok(const struct field *f, const char *s)
{
	struct api_value v = {.present = true, .p = (const uint8_t *)s, .n = strlen(s), .i = 1};

	return api_value_ok(f, &v);
}

static void test_values(void **state)
{
	const struct field email = {"e", IN_BODY, FIELD_EMAIL, true, 3, 254, {0}};
	const struct field text = {"t", IN_BODY, FIELD_TEXT, true, 1, 8, {0}};
	const struct field money = {"m", IN_BODY, FIELD_MONEY, true, 1, MONEY_MAX, {0}};
	const struct field cursor = {"c", IN_QUERY, FIELD_CURSOR, false, 1, 128, {0}};
	const struct field tile = {"t", IN_PATH, FIELD_TILE, true, 5, 47, {0}};
	const struct field decimal = {"d", IN_BODY, FIELD_DECIMAL, true, 1, 20, {0}};

	(void)state;
	assert_true(
	    ok(&decimal, "0") && ok(&decimal, "10") && ok(&decimal, "18446744073709551615"));
	assert_false(ok(&decimal, "") || ok(&decimal, "01") || ok(&decimal, "-1") ||
		     ok(&decimal, "1:") || ok(&decimal, "123456789012345678901"));
	assert_true(ok(&tile, "0/000") && ok(&tile, "entries/x001/000.p/255"));
	assert_false(ok(&tile, "0/0") || ok(&tile, "../000") || ok(&tile, "9/000"));
	assert_true(ok(&email, "a@b") && ok(&email, "j\xc3\xb6rg@example.org"));
	assert_false(ok(&email, "@b.c") || ok(&email, "a@") || ok(&email, "ab@") ||
		     ok(&email, "a\x7f@b.c") || ok(&email, "a@b@c") || ok(&email, "A@b.c") ||
		     ok(&email, "a b@c") || ok(&email, "abc") || ok(&email, "a@\xff\xfe"));
	assert_true(ok(&text, "a\n\tb") && ok(&text, "\xe2\x82\xac"));
	assert_false(ok(&text, "") || ok(&text, "123456789") || ok(&text, "a\x01") ||
		     ok(&text, "\xc0\x80") || ok(&text, "\x7f"));
	assert_true(ok(&money, "EUR") && ok(&money, "USDC2"));
	assert_false(
	    ok(&money, "E-R") || ok(&money, "eur") || ok(&money, "TOOLONGXX") || ok(&money, "E"));
	assert_true(ok(&cursor, "AZaz09-_"));
	assert_false(ok(&cursor, "a~b") || ok(&cursor, "a{b") || ok(&cursor, "a+b") ||
		     ok(&cursor, "a=") || ok(&cursor, ""));
}

/* What an answer is made of: its media type, and the members that its shape knows. */
static void test_shapes(void **state)
{
	const struct member *m;

	(void)state;
	assert_string_equal(shape_media(SHAPE_METRICS), "text/plain");
	assert_string_equal(shape_media(SHAPE_TEXT), "text/plain");
	assert_string_equal(shape_media(SHAPE_PAGE), "text/html");
	assert_string_equal(shape_media(SHAPE_OCTETS), "application/octet-stream");
	assert_string_equal(shape_media(SHAPE_RAFFLE), "application/json");
	m = shape_member(SHAPE_RAFFLE, "id");
	assert_non_null(m);
	assert_string_equal(m->name, "id");
	assert_null(shape_member(SHAPE_RAFFLE, "Id"));
}

/* As many words as a field has room for, and none beyond. */
static void test_many_words(void **state)
{
	struct field f = {"w", IN_BODY, FIELD_ENUM, true, 0, 0, {0}};
	struct api_value v = {.present = true};

	(void)state;
	for (size_t i = 0; i < FIELD_WORDS; i++)
		f.words[i] = "word";
	v.i = FIELD_WORDS - 1;
	assert_true(api_value_ok(&f, &v));
	v.i++;
	assert_false(api_value_ok(&f, &v));
}

/* Numbers that only net could have let through. */
static void test_numbers_are_checked_again(void **state)
{
	const struct field word = {"w", IN_BODY, FIELD_ENUM, true, 0, 0, {"one", "two"}};
	const struct field money = {"m", IN_BODY, FIELD_MONEY, true, 1, 1000, {0}};
	struct api_value v = {.present = true};

	(void)state;
	for (v.i = -1; v.i < 4; v.i++)
		assert_int_equal(api_value_ok(&word, &v), v.i == 0 || v.i == 1);
	v.p = (const uint8_t *)"EUR";
	v.n = 3;
	for (v.i = -1; v.i <= 1001; v.i++)
		assert_int_equal(api_value_ok(&money, &v), v.i >= 1 && v.i <= 1000);
}

/* The head of a request: what net checks first and engine once more. */
static void test_heads_are_checked_again(void **state)
{
	static const char *const bad[] = {"a\x1f", "a\x7f", "\x80"};
	uint8_t buf[4096];
	struct wire_out w;
	struct api_req q;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0] + 1; i++) {
		struct api_req in = {.route = RT_health};
		const char *text = bad[i / 2 % 3];

		if (i == 6)
			in.if_match = -1;
		else if (i % 2 == 0) {
			in.token = (const uint8_t *)text;
			in.token_len = strlen(text);
		} else {
			in.idem = (const uint8_t *)text;
			in.idem_len = strlen(text);
		}
		wire_out_init(&w, buf, sizeof buf);
		apimsg_put_req(&w, &in);
		assert_int_equal(w.err, KE_OK);
		assert_int_equal(get(buf, w.len, &q), KE_PEER);
	}
}

static int answer_of(uint16_t status, uint8_t type)
{
	const struct api_ans a = {.status = status, .type = type, .body = (const uint8_t *)""};
	uint8_t buf[256];
	struct api_ans b;
	struct wire_out w;
	struct wire_in r;

	wire_out_init(&w, buf, sizeof buf);
	apimsg_put_ans(&w, &a);
	wire_in_init(&r, buf, w.len);
	return apimsg_get_ans(&r, &b);
}

static void test_answers_are_in_range(void **state)
{
	(void)state;
	assert_int_equal(answer_of(200, API_JSON), KE_OK);
	assert_int_equal(answer_of(599, API_EMPTY), KE_OK);
	assert_int_equal(answer_of(199, API_JSON), KE_PEER);
	assert_int_equal(answer_of(600, API_JSON), KE_PEER);
	assert_int_equal(answer_of(200, API_EMPTY + 1), KE_PEER);
}

static void test_answer(void **state)
{
	uint8_t buf[1024];
	struct api_ans a = {.status = 201,
			   .flags = API_ANS_CACHE,
			   .type = API_JSON,
			   .limit = 5,
			   .version = 3,
			   .body = (const uint8_t *)"{}",
			   .body_len = 2},
		       b;
	struct wire_out w;
	struct wire_in r;

	(void)state;
	wire_out_init(&w, buf, sizeof buf);
	apimsg_put_ans(&w, &a);
	wire_in_init(&r, buf, w.len);
	assert_int_equal(apimsg_get_ans(&r, &b), KE_OK);
	assert_int_equal(b.status, 201);
	assert_int_equal(b.version, 3);
	assert_memory_equal(b.body, "{}", 2);
	for (size_t cut = 0; cut < w.len; cut++) {
		wire_in_init(&r, buf, cut);
		assert_int_equal(apimsg_get_ans(&r, &b), KE_PEER);
	}
	buf[0] = buf[1] = 0;
	wire_in_init(&r, buf, w.len);
	assert_int_equal(apimsg_get_ans(&r, &b), KE_PEER);
}

static void test_stats(void **state)
{
	uint8_t buf[256];
	struct net_stats a = {.connections = 1, .open = 9, .timeouts = 8}, b;
	struct wire_out w;
	struct wire_in r;

	(void)state;
	wire_out_init(&w, buf, sizeof buf);
	apimsg_put_stats(&w, &a);
	wire_in_init(&r, buf, w.len);
	assert_int_equal(apimsg_get_stats(&r, &b), KE_OK);
	assert_memory_equal(&a, &b, sizeof a);
	wire_in_init(&r, buf, w.len - 1);
	assert_int_equal(apimsg_get_stats(&r, &b), KE_PEER);
}

static void test_problems(void **state)
{
	char buf[2048];
	const uint8_t id[16] = {1};
	struct problem_field f = {"/quantity", "out-of-range"};
	struct jsonw w;

	(void)state;
	for (int p = PROBLEM_NONE + 1; p < PROBLEM_COUNT; p++) {
		jsonw_init(&w, buf, sizeof buf);
		problem_write(&w, (enum problem)p, "draws.example.org", NULL, id, &f, 1);
		assert_int_equal(jsonw_end(&w), KE_OK);
		assert_true(problem_table[p].status >= 400 && problem_table[p].status <= 599);
		for (int q = PROBLEM_NONE + 1; q < p; q++)
			assert_string_not_equal(problem_table[p].code, problem_table[q].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row_routes_to_itself),
	    cmocka_unit_test(test_rest_of_path),
	    cmocka_unit_test(test_methods),
	    cmocka_unit_test(test_old_paths_move),
	    cmocka_unit_test(test_rows_are_whole),
	    cmocka_unit_test(test_request_bounds),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_shapes),
	    cmocka_unit_test(test_many_words),
	    cmocka_unit_test(test_numbers_are_checked_again),
	    cmocka_unit_test(test_heads_are_checked_again),
	    cmocka_unit_test(test_answers_are_in_range),
	    cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_stats),
	    cmocka_unit_test(test_problems),
	};

	return cmocka_run_group_tests_name("apimsg", tests, NULL, NULL);
}
