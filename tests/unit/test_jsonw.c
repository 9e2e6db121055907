/*
 * The JSON writer: what it writes is what json_check() accepts, and its errors stick.
 */
#include "tests/unit/vectors.h"

#include "policy/json.h"
#include "policy/jsonw.h"

static void write_all(struct jsonw *w)
{
	static const uint8_t id[16] = {1, 0x7f, 0x22};

	jsonw_object(w);
	jsonw_kcstr(w, "s", "a\"\\\b\f\n\r\t\x01/\x7f\xc3\xa9");
	jsonw_kint(w, "i", INT64_MIN);
	jsonw_kint(w, "z", 0);
	jsonw_kbool(w, "b", true);
	jsonw_khex(w, "h", "\x01\xff", 2);
	jsonw_kuuid(w, "u", id);
	jsonw_ktime(w, "t", 1);
	jsonw_kmoney(w, "m", -5, "EUR");
	jsonw_key(w, "a");
	jsonw_array(w);
	jsonw_null(w);
	jsonw_bool(w, false);
	jsonw_array(w);
	jsonw_array_end(w);
	jsonw_object(w);
	jsonw_object_end(w);
	jsonw_raw(w, "[1,2]", 5);
	jsonw_b64(w, "foob", 4);
	jsonw_cstr(w, "");
	jsonw_array_end(w);
	jsonw_object_end(w);
}

static const char written[] =
    "{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\x7f\xc3\xa9\",\"i\":-9223372036854775808,\"z\":0,"
    "\"b\":true,\"h\":\"01ff\",\"u\":\"017f2200-0000-0000-0000-000000000000\","
    "\"t\":\"1970-01-01T00:00:00.001Z\",\"m\":{\"amount\":-5,\"currency\":\"EUR\"},"
    "\"a\":[null,false,[],{},[1,2],\"Zm9vYg==\",\"\"]}";

static void test_all(void **state)
{
	char buf[512];
	struct jsonw w;
	size_t tokens;

	(void)state;
	jsonw_init(&w, buf, sizeof(buf));
	write_all(&w);
	assert_int_equal(jsonw_end(&w), KE_OK);
	assert_int_equal(w.len, sizeof(written) - 1);
	assert_memory_equal(buf, written, w.len);
	assert_int_equal(json_check(buf, w.len, 100, &tokens, NULL), KE_OK);
}

/* In any smaller buffer it fails, and writes nothing beyond. */
static void test_full(void **state)
{
	char buf[sizeof(written) + 1];
	struct jsonw w;

	(void)state;
	for (size_t cap = 0; cap < sizeof(written) - 1; cap++) {
		memset(buf, '#', sizeof(buf));
		jsonw_init(&w, buf, cap);
		write_all(&w);
		assert_int_equal(jsonw_end(&w), KE_FULL);
		assert_int_equal(buf[cap], '#');
	}
	jsonw_init(&w, buf, sizeof(written) - 1);
	write_all(&w);
	assert_int_equal(jsonw_end(&w), KE_OK);
}

static void test_long_binary(void **state)
{
	uint8_t bin[200];
	char buf[1024], want[1024];
	struct jsonw w;

	(void)state;
	for (size_t i = 0; i < sizeof(bin); i++)
		bin[i] = (uint8_t)(i * 37);
	for (size_t n = 0; n <= sizeof(bin); n++) {
		jsonw_init(&w, buf, sizeof(buf));
		jsonw_b64(&w, bin, n);
		text_b64(want, bin, n);
		assert_int_equal(w.len, strlen(want) + 2);
		assert_memory_equal(buf + 1, want, strlen(want));
		jsonw_init(&w, buf, sizeof(buf));
		jsonw_hex(&w, bin, n);
		text_hex(want, bin, n);
		assert_int_equal(w.len, strlen(want) + 2);
		assert_memory_equal(buf + 1, want, strlen(want));
	}
}

static void test_bad_text(void **state)
{
	char buf[64];
	struct jsonw w;

	(void)state;
	jsonw_init(&w, buf, sizeof(buf));
	jsonw_cstr(&w, "a\xff");
	assert_int_equal(jsonw_end(&w), KE_FORMAT);
	jsonw_init(&w, buf, sizeof(buf));
	jsonw_str(&w, "\xe2\x82\xac", 2);
	assert_int_equal(jsonw_end(&w), KE_FORMAT);
}

/* Calls in an order that makes no JSON; each letter is one call. */
static int play(const char *calls)
{
	char buf[256];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof(buf));
	for (; *calls != '\0'; calls++)
		switch (*calls) {
		case '{':
			jsonw_object(&w);
			break;
		case '}':
			jsonw_object_end(&w);
			break;
		case '[':
			jsonw_array(&w);
			break;
		case ']':
			jsonw_array_end(&w);
			break;
		case 'k':
			jsonw_key(&w, "k");
			break;
		default:
			jsonw_int(&w, 1);
			break;
		}
	return jsonw_end(&w);
}

static void test_order(void **state)
{
	static const char *const good[] = {
	    "1", "[]", "{}", "[11]", "{k1}", "{k[1{k1}]k1}", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"};
	static const char *const bad[] = {"", "[", "{", "]", "}", "[}", "{]", "11", "[]1", "{1}",
	    "{k}", "{kk1}", "[k1]", "k1", "{k1", "{k[}]", "{}{}"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (play(good[i]) != KE_OK)
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (play(bad[i]) != KE_FORMAT)
			fail_msg("%s", bad[i]);
	assert_int_equal(play("[[[[[[[[[[[[[[[[["), KE_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_long_binary),
	    cmocka_unit_test(test_bad_text),
	    cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
