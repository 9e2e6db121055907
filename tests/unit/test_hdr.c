/*
 * The values of single header fields, asked directly: each form that must pass, and each way in
 * which a value can be almost right.
 */
#include "tests/unit/vectors.h"

#include "daemon/net/hdr.h"

struct row {
	const char *text;
	bool want;
};

#define EACH(rows, call)                                                                           \
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {                                \
		const uint8_t *p = (const uint8_t *)rows[i].text;                                  \
		size_t n = strlen(rows[i].text);                                                   \
                                                                                                   \
		if ((call) != rows[i].want)                                                        \
			fail_msg("%s: not %d", rows[i].text, rows[i].want);                        \
	}

static void test_lists(void **state)
{
	static const struct row rows[] = {
	    {"close", true},
	    {"Close", true},
	    {"keep-alive,close", true},
	    {"keep-alive ,\tclose\t, x", true},
	    {",,close,,", true},
	    {"closed", false},
	    {"clos", false},
	    {"", false},
	    {" , \t,", false},
	};

	(void)state;
	EACH(rows, hdr_lists(p, n, "close"));
}

static void test_json_type(void **state)
{
	static const struct row rows[] = {
	    {"application/json", true},
	    {"Application/JSON ; Charset=UTF-8", true},
	    {"application/json;charset=\"utf-8\"", true},
	    {"application/json;", true}, /* an empty parameter is none */
	    {"application/json ; ;charset=utf-8;", true},
	    {"application/json;;version=1", false},
	    {"application/json,", false},
	    {"application/json; charset=utf-16", false},
	    {"application/json; version=1", false},
	    {"application/jsonx", false},
	    {"application/x", false},
	    {"", false},
	};

	(void)state;
	EACH(rows, hdr_is_json(p, n));
}

static void test_accept(void **state)
{
	static const struct row rows[] = {
	    {"text/plain", true},
	    {"*/*", true},
	    {"text/*", true},
	    {"TEXT/PLAIN", true},
	    {"image/png, text/plain;q=0.1", true},
	    {"text/plain;version=1;q=1", true},
	    {"text/plain;q=0.001", true},
	    {"text/plain;Q=0", false},
	    {"text/plain;q=0", false},
	    {"text/plain;q=0.0", false},
	    {"text/plain;q=0.000;x=1", false},
	    {"text/plain;q=0;q=1", false},
	    {"text/plain;q=", true}, /* no weight at all counts as none */
	    {"text/plain;x=0.0", true},
	    {"text/plain;q:0.0", true},
	    {"text/html", false},
	    {"text/x", false},
	    {"texs/*", false},
	    {"image/*", false},
	    {",;,;;q=1,", false},
	    {"", false},
	    /* the closest range decides, wherever it stands */
	    {"*/*, text/plain;q=0", false},
	    {"text/plain;q=0, */*", false},
	    {"text/*;q=0, */*", false},
	    {"TEXT/*;q=0, */*;q=0.1", false},
	    {"text/*;q=0.0, text/plain", true},
	    {"*/*;q=0, text/*", true},
	    {"text/plain, text/plain;q=0", true},
	    {"text/plain;q=0, text/plain", true},
	};

	(void)state;
	EACH(rows, hdr_accepts(p, n, "text/plain") == HDR_ACCEPTED);
	assert_int_equal(hdr_accepts((const uint8_t *)"image/*", 7, "text/plain"), HDR_UNNAMED);
	assert_int_equal(hdr_accepts((const uint8_t *)"*/*;q=0", 7, "text/plain"), HDR_REFUSED);
}

static void test_version(void **state)
{
	static const struct row rows[] = {
	    {"\"v1\"", true},
	    {"\"v9007199254740991\"", true},
	    {"\"v12345678901234567\"", false},
	    {"\"v0\"", false},
	    {"\"v01\"", false},
	    {"\"v\"", false},
	    {"\"w1\"", false},
	    {"\"v1 ", false},
	    {"xv1\"", false},
	    {"\"v1x\"", false},
	    {"\"v-1\"", false},
	    {"W/\"v1\"", false},
	    {"*", false},
	    {"", false},
	};
	int64_t v;

	(void)state;
	EACH(rows, hdr_version(p, n, &v) == KE_OK);
	assert_int_equal(hdr_version((const uint8_t *)"\"v42\"", 5, &v), KE_OK);
	assert_true(v == 42);
}

static void test_host(void **state)
{
	char host[300];
	static const struct row rows[] = {
	    {"a", true},
	    {"a:1", true},
	    {"a:65535", true},
	    {"[::1]:443", true},
	    {"[::1]", true},
	    {"a:", false},
	    {"a:123456", false},
	    {"a:1x", false},
	    {":1", false},
	    {"", false},
	    {"[::1]x", false},
	    {"[::1", false},
	    {"[::g]", false},
	    {"a b", false},
	    {"a@b", false},
	};

	(void)state;
	EACH(rows, hdr_host_ok(p, n));
	memset(host, 'h', sizeof host);
	assert_true(hdr_host_ok((uint8_t *)host, 253));
	assert_false(hdr_host_ok((uint8_t *)host, 254));
}

static void test_idempotency_key(void **state)
{
	static const struct row rows[] = {
	    {"k", true},
	    {"\"k y\"", true},
	    {"k y", false},
	    {"\"\"", false},
	    {"", false},
	    {"\"", false},
	    {"k\"", false},
	    {"\"k", false},
	    {"k\\", false},
	    {"k\x7f", false},
	};
	const uint8_t *key;
	size_t len;

	(void)state;
	EACH(rows, hdr_idem(p, n, &key, &len) == KE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_json_type),
	    cmocka_unit_test(test_accept),
	    cmocka_unit_test(test_version),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_idempotency_key),
	};

	return cmocka_run_group_tests_name("hdr", tests, NULL, NULL);
}
