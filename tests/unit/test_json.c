/*
 * The strict JSON check, jsmn's tokens behind it and the getters.
 */
#include "tests/unit/vectors.h"

#include "policy/jsondoc.h"

/* Undoes %XX in place. */
static size_t unpercent(char *s)
{
	char *out = s;
	const char *p = s;

	while (*p != '\0') {
		uint8_t c;

		if (*p == '%' && text_unhex(&c, 1, p + 1, 2) == KE_OK) {
			*out++ = (char)c;
			p += 3;
		} else {
			*out++ = *p++;
		}
	}
	return (size_t)(out - s);
}

/* A copy that ends exactly where the text ends, so that reading on is seen. */
static char *tight(const char *s, size_t n)
{
	char *p = malloc(n == 0 ? 1 : n);

	assert_non_null(p);
	memcpy(p, s, n);
	return p;
}

static int check(const char *s, size_t n, size_t *tokens)
{
	char *p = tight(s, n);
	size_t at = SIZE_MAX;
	int r = json_check(p, n, JSON_TOKENS, tokens, &at);

	assert_true(at <= n);
	if (r == KE_OK) {
		struct json_tok *toks = calloc(*tokens, sizeof(*toks));

		assert_non_null(toks);
		assert_int_equal(json_split(p, n, toks, *tokens), KE_OK);
		assert_int_equal(json_next(toks, *tokens, 0), *tokens);
		assert_int_equal(toks[0].parent, -1);
		free(toks);
	}
	free(p);
	return r;
}

static void test_vectors(void **state)
{
	struct vectors v;

	(void)state;
	vectors_open(&v, "json.txt");
	while (vectors_next(&v)) {
		char none[1] = "", *text = v.words > 1 ? v.word[1] : none;
		size_t n = unpercent(text), tokens;
		int want = vectors_is(&v, "ok")       ? KE_OK
			   : vectors_is(&v, "exists") ? KE_EXISTS
			   : vectors_is(&v, "limit")  ? KE_LIMIT
						      : KE_FORMAT;
		int r = check(text, n, &tokens);

		if (r != want)
			fail_msg("%.*s: %s", (int)n, text, ke_words(r));
	}
}

/* Any beginning of a valid text is refused, and so is any text with a byte flipped to garbage. */
static void test_truncated(void **state)
{
	static const char text[] =
	    "{\"a\":[1.5e3,true,\"\\u00e9\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":null}}";
	size_t tokens;

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, &tokens), KE_OK);
	assert_int_equal(tokens, 10);
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		assert_int_equal(check(text, n, &tokens), KE_FORMAT);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[i] = '\x01';
		assert_int_equal(check(copy, sizeof(text) - 1, &tokens), KE_FORMAT);
	}
}

/* Each place of a string's eight-byte steps sees every special byte. */
static void test_every_byte_everywhere(void **state)
{
	char text[32];

	(void)state;
	for (size_t at = 0; at < 20; at++)
		for (int c = 0; c < 256; c++) {
			size_t tokens;
			bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

			memset(text, 'a', sizeof(text));
			text[0] = '"';
			text[1 + at] = (char)c;
			text[21] = '"';
			if ((check(text, 22, &tokens) == KE_OK) != plain)
				fail_msg("byte %02x at %zu", (unsigned)c, at);
		}
}

static void test_token_limit(void **state)
{
	static const char text[] = "[1,{\"a\":\"b\"},null]";
	size_t tokens, at;

	(void)state;
	assert_int_equal(json_check(text, sizeof(text) - 1, 6, &tokens, NULL), KE_OK);
	assert_int_equal(tokens, 6);
	for (size_t max = 0; max < 6; max++)
		assert_int_equal(json_check(text, sizeof(text) - 1, max, &tokens, &at), KE_LIMIT);
	assert_int_equal(json_check(text, (size_t)INT32_MAX + 1, 6, NULL, NULL), KE_LIMIT);
}

/* Writes {"k0":0,"k1":0,…} with n members, the last one named after `last`. */
static size_t write_object(char *text, int n, int last)
{
	char *p = text;

	*p++ = '{';
	for (int i = 0; i < n; i++)
		p += sprintf(p, "%s\"k%d\":0", i == 0 ? "" : ",", i == n - 1 ? last : i);
	*p++ = '}';
	return (size_t)(p - text);
}

/* Many members: found when the set has grown many times, and only a true duplicate is one. */
static void test_many_keys(void **state)
{
	static char text[3 * 1024 * 1024];
	size_t tokens, at;
	int n = 100000;

	(void)state;
	assert_int_equal(
	    json_check(text, write_object(text, n, n - 1), 200001, &tokens, &at), KE_OK);
	assert_int_equal(tokens, 200001);
	for (int dup = 0; dup < n - 1; dup += 9999)
		assert_int_equal(
		    json_check(text, write_object(text, n, dup), 200001, &tokens, &at), KE_EXISTS);
}

static void test_key_length(void **state)
{
	char text[JSON_KEY_MAX + 16];
	size_t tokens;

	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		int n = snprintf(text, sizeof(text), "{\"%0*d\":1}", JSON_KEY_MAX + extra, 0);

		assert_int_equal(check(text, (size_t)n, &tokens), extra == 0 ? KE_OK : KE_LIMIT);
	}
}

static size_t split(const char *text, struct json_tok *toks, size_t cap)
{
	size_t tokens;

	assert_int_equal(json_check(text, strlen(text), cap, &tokens, NULL), KE_OK);
	assert_int_equal(json_split(text, strlen(text), toks, tokens), KE_OK);
	return tokens;
}

static void test_tokens(void **state)
{
	static const char text[] = "{\"a\":[1,\"x\"],\"b\":true,\"c\":{}}";
	struct json_tok t[16];
	size_t n = split(text, t, 16);

	(void)state;
	assert_int_equal(n, 9);
	assert_int_equal(t[0].type, JSON_OBJECT);
	assert_int_equal(t[0].size, 3);
	assert_int_equal(t[2].type, JSON_ARRAY);
	assert_int_equal(t[2].size, 2);
	assert_int_equal(t[2].parent, 1);
	assert_int_equal(t[4].type, JSON_STRING);
	assert_int_equal(t[4].end - t[4].start, 1);
	assert_int_equal(json_next(t, n, 2), 5);
	assert_int_equal(t[6].type, JSON_TRUE);
	assert_int_equal(t[8].type, JSON_OBJECT);
	assert_int_equal(json_split(text, sizeof(text) - 1, t, n - 1), KE_FORMAT);
	assert_int_equal(json_split(text, 0, t, 1), KE_FORMAT);
}

static void test_member(void **state)
{
	static const char text[] =
	    "{\"ab\":{\"x\":1},\"\\u0061\":[2,3],\"abc\":4,\"\":5,\"a\\\"\":6}";
	struct json_tok t[32];
	size_t n = split(text, t, 32);
	int64_t v;

	(void)state;
	assert_int_equal(json_member(text, t, n, 0, "x"), 0);
	assert_int_equal(json_member(text, t, n, 0, "abcd"), 0);
	assert_int_equal(json_member(text, t, n, 0, "ab"), 2);
	assert_int_equal(json_member(text, t, n, 2, "x"), 4);
	assert_int_equal(t[json_member(text, t, n, 0, "a")].type, JSON_ARRAY);
	assert_int_equal(json_int(text, &t[json_member(text, t, n, 0, "abc")], &v), KE_OK);
	assert_true(v == 4);
	assert_int_equal(json_int(text, &t[json_member(text, t, n, 0, "")], &v), KE_OK);
	assert_true(v == 5);
	assert_int_equal(json_int(text, &t[json_member(text, t, n, 0, "a\"")], &v), KE_OK);
	assert_true(v == 6);
	/* no object, no member */
	assert_int_equal(json_member(text, t, n, json_member(text, t, n, 0, "a"), "2"), 0);
}

static void test_string(void **state)
{
	static const char text[] = "[\"plain\",\"a\\n\\u00e9\\ud83d\\ude00\\/b\",\"\",7]";
	struct json_tok t[8];
	size_t n = split(text, t, 8), len;
	char out[16];

	(void)state;
	assert_int_equal(n, 5);
	assert_int_equal(json_string(text, &t[1], out, 5, &len), KE_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(out, "plain", 5);
	assert_int_equal(json_string(text, &t[1], out, 4, &len), KE_LONG);
	assert_int_equal(json_string(text, &t[2], out, 10, &len), KE_OK);
	assert_int_equal(len, 10);
	assert_memory_equal(out, "a\n\xc3\xa9\xf0\x9f\x98\x80/b", 10);
	for (size_t cap = 0; cap < 10; cap++)
		assert_int_equal(json_string(text, &t[2], out, cap, &len), KE_LONG);
	assert_int_equal(json_string(text, &t[3], out, 0, &len), KE_OK);
	assert_int_equal(len, 0);
	assert_int_equal(json_string(text, &t[4], out, 16, &len), KE_FORMAT);
}

static void test_int(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t v;
	} cases[] = {
	    {"0", KE_OK, 0},
	    {"-0", KE_OK, 0},
	    {"-17", KE_OK, -17},
	    {"9223372036854775807", KE_OK, INT64_MAX},
	    {"-9223372036854775808", KE_OK, INT64_MIN},
	    {"9223372036854775808", KE_RANGE, 0},
	    {"-9223372036854775809", KE_RANGE, 0},
	    {"18446744073709551616", KE_RANGE, 0},
	    {"100000000000000000000000", KE_RANGE, 0},
	    {"1.0", KE_FORMAT, 0},
	    {"1e3", KE_FORMAT, 0},
	    {"\"1\"", KE_FORMAT, 0},
	    {"true", KE_FORMAT, 0},
	    {"[]", KE_FORMAT, 0},
	    {"\"\"", KE_FORMAT, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_tok t[1];
		int64_t v = 0;

		split(cases[i].text, t, 1);
		assert_int_equal(json_int(cases[i].text, t, &v), cases[i].r);
		assert_true(v == cases[i].v);
	}
}

static void test_document(void **state)
{
	static const char text[] = "{\"s\":\"a\\u00e9\",\"n\":7,\"o\":{\"n\":-1},\"l\":[1]}";
	struct json_tok toks[12];
	struct jsondoc d;
	size_t n = sizeof text - 1, o;
	char out[4];
	int64_t v;

	(void)state;
	assert_int_equal(jsondoc_read(&d, text, n, toks, 12), KE_OK);
	assert_int_equal(d.n, 12);
	/* too many for the room, or no JSON: the same to who only wants a member */
	assert_int_equal(jsondoc_read(&d, text, n, toks, 11), KE_FORMAT);
	assert_int_equal(jsondoc_read(&d, text, n - 1, toks, 12), KE_FORMAT);
	assert_int_equal(jsondoc_read(&d, text, n, toks, 12), KE_OK);
	o = jsondoc_member(&d, 0, "o");
	assert_true(o != 0);
	assert_int_equal(jsondoc_member(&d, jsondoc_member(&d, 0, "l"), "n"), 0);
	assert_int_equal(jsondoc_text(&d, 0, "s", out, 4), KE_OK);
	assert_string_equal(out, "a\xc3\xa9");
	assert_int_equal(jsondoc_text(&d, 0, "s", out, 3), KE_FORMAT);
	assert_int_equal(jsondoc_text(&d, 0, "n", out, 4), KE_FORMAT);
	assert_int_equal(jsondoc_text(&d, 0, "t", out, 4), KE_FORMAT);
	assert_int_equal(jsondoc_int(&d, 0, "n", 7, 7, &v), KE_OK);
	assert_int_equal(v, 7);
	assert_int_equal(jsondoc_int(&d, 0, "n", 8, 9, &v), KE_FORMAT);
	assert_int_equal(jsondoc_int(&d, 0, "n", 5, 6, &v), KE_FORMAT);
	assert_int_equal(jsondoc_int(&d, o, "n", INT64_MIN, 0, &v), KE_OK);
	assert_int_equal(v, -1);
	assert_int_equal(jsondoc_int(&d, 0, "s", 0, 9, &v), KE_FORMAT);
	assert_int_equal(jsondoc_int(&d, o, "s", 0, 9, &v), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_every_byte_everywhere),
	    cmocka_unit_test(test_token_limit),
	    cmocka_unit_test(test_many_keys),
	    cmocka_unit_test(test_key_length),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_member),
	    cmocka_unit_test(test_string),
	    cmocka_unit_test(test_int),
	    cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
