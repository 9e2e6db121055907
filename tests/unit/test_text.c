/*
 * Text forms: RFC 4648 and RFC 9562 examples, and what decoders must refuse.
 */
#include "tests/unit/vectors.h"

static void test_hex(void **state)
{
	uint8_t b[4] = {0, 0x7f, 0x80, 0xff};
	char s[9];

	(void)state;
	text_hex(s, b, 4);
	assert_string_equal(s, "007f80ff");
	assert_int_equal(text_unhex(b, 4, "01aB9f00", 8), KE_FORMAT);
	assert_int_equal(text_unhex(b, 4, "01ab9f0", 7), KE_FORMAT);
	assert_int_equal(text_unhex(b, 4, "01ab9f0000", 10), KE_FORMAT);
	assert_int_equal(text_unhex(b, 4, "01ab9fg0", 8), KE_FORMAT);
	assert_int_equal(text_unhex(b, 4, "01ab9f00", 8), KE_OK);
	assert_int_equal(b[1], 0xab);
	assert_int_equal(text_unhex(b, 0, "", 0), KE_OK);
}

/* RFC 4648 section 10 */
static const char *const rfc4648[][3] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

static void test_base64(void **state)
{
	char s[16], back[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
		const char *plain = rfc4648[i][0], *std = rfc4648[i][1], *url = rfc4648[i][2];
		size_t len = strlen(plain);

		text_b64(s, plain, len);
		assert_string_equal(s, std);
		assert_int_equal(text_unb64(back, sizeof(back), &n, std, strlen(std)), KE_OK);
		assert_int_equal(n, len);
		assert_memory_equal(back, plain, len);
		assert_int_equal(text_b64url(s, sizeof(s), plain, len), strlen(url));
		assert_string_equal(s, url);
		assert_int_equal(text_unb64url(back, sizeof(back), &n, url, strlen(url)), KE_OK);
		assert_int_equal(n, len);
		assert_memory_equal(back, plain, len);
	}
	text_b64(s, "\xfb\xff\xfe", 3);
	assert_string_equal(s, "+//+");
	assert_int_equal(text_b64url(s, sizeof(s), "\xfb\xff\xfe", 3), 4);
	assert_string_equal(s, "-__-");
}

static void test_base64_refused(void **state)
{
	static const char *const bad[] = {"Zg", "Zg=", "Zg===", "Z===", "====", "=",
	    "Zh==", "Zm9=", "Zm9vYg=\n", "Zm 9", "Zm9v\n", "-__-", "Zg==Zg==", "Zm9v=Zm9",
	    "\xffm9v", "Zm9vZm9"};
	static const char *const bad_url[] = {"Z", "Zg==", "Zh", "Zm9", "+//+", "Zm9vZ", "Zm9\x80"};
	uint8_t out[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(text_unb64(out, 16, &n, bad[i], strlen(bad[i])), KE_FORMAT);
		assert_int_equal(text_unb64(NULL, 0, &n, bad[i], strlen(bad[i])), KE_FORMAT);
	}
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		assert_int_equal(
		    text_unb64url(out, 16, &n, bad_url[i], strlen(bad_url[i])), KE_FORMAT);
	assert_int_equal(text_unb64(out, 2, &n, "Zm9v", 4), KE_FULL);
	assert_int_equal(text_unb64(NULL, 0, &n, "Zm9v", 4), KE_OK);
	assert_int_equal(n, 3);
	assert_int_equal(text_b64url((char *)out, 4, "foo", 3), KE_FULL);
	assert_int_equal(text_b64url((char *)out, 5, "foo", 3), 4);
}

static void test_uuid(void **state)
{
	/* RFC 9562 appendix A.6: the version 7 example, 2022-02-22T19:22:22.000Z */
	static const char example[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
	uint8_t id[16], made[16];
	char s[37];

	(void)state;
	assert_int_equal(text_unuuid(id, example, 36), KE_OK);
	text_uuid(s, id);
	assert_string_equal(s, example);
	text_uuid7(made, 0x17f22e279b0, id + 6);
	assert_memory_equal(made, id, 16);
	text_uuid7(made, 1, (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	text_uuid(s, made);
	assert_string_equal(s, "00000000-0001-7fff-bfff-ffffffffffff");
	assert_int_equal(text_unuuid(id, "017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 36), KE_FORMAT);
	assert_int_equal(text_unuuid(id, "017f22e2079b0-7cc3-98c4-dc0c0c07398f", 36), KE_FORMAT);
	assert_int_equal(text_unuuid(id, "017f22e279b07cc398c4dc0c0c07398f", 32), KE_FORMAT);
	assert_int_equal(text_unuuid(id, example, 35), KE_FORMAT);
}

static void test_time(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} t[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {951782399999, "2000-02-28T23:59:59.999Z"},
	    {951782400000, "2000-02-29T00:00:00.000Z"},
	    {951868800000, "2000-03-01T00:00:00.000Z"},
	    {1795251600123, "2026-11-21T09:00:00.123Z"},
	    {4107542400000, "2100-03-01T00:00:00.000Z"},
	    {253402300799999, "9999-12-31T23:59:59.999Z"},
	    {INT64_MAX, "9999-12-31T23:59:59.999Z"},
	    {-1, "1970-01-01T00:00:00.000Z"},
	};
	char s[25];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		text_time(s, t[i].ms);
		assert_string_equal(s, t[i].text);
	}
}

static void test_untime(void **state)
{
	static const char *const bad[] = {"", "2026-11-21T09:00:00Z", "2026-11-21T09:00:00.123",
	    "2026-11-21T09:00:00.123z", "2026-11-21 09:00:00.123Z", "2026-02-29T00:00:00.000Z",
	    "2026-13-01T00:00:00.000Z", "2026-00-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z",
	    "2026-01-32T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z",
	    "2026-01-01T00:00:60.000Z", "1969-12-31T23:59:59.999Z", "2026-01-01T00:00:00.-01Z",
	    "2026-01-01T00:00:00.000ZZ", "2026-01-01T0x:00:00.000Z", "2100-02-29T00:00:00.000Z"};
	char s[25];
	int64_t ms;

	(void)state;
	/* a step of some 11 days and an odd part of a day, over all the years */
	for (int64_t t = 0; t < 253402300799999; t += 999999937) {
		text_time(s, t);
		assert_int_equal(text_untime(&ms, s, 24), KE_OK);
		assert_true(ms == t);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_untime(&ms, bad[i], strlen(bad[i])), KE_FORMAT);
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
	    "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2 ",
	    "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
	    "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf0\x90\x80 ", "\xf4\x90\x80\x80",
	    "\xf5\x80\x80\x80", "\xfe", "\xff", "a\xe2\x28\xa1", "\xf8\x88\x80\x80\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(text_utf8(good[i], strlen(good[i])), KE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_utf8(bad[i], strlen(bad[i])), KE_FORMAT);
	assert_int_equal(text_utf8_len("", 0), 0);
}

static void test_decimal(void **state)
{
	static const char *const bad[] = {"", "00", "01", "-1", "+1", "1 ", " 1", "1a", "0x1",
	    "18446744073709551616", "99999999999999999999", "184467440737095516150"};
	char s[TEXT_U64_MAX + 1];
	uint64_t v;

	(void)state;
	assert_int_equal(text_u64(s, UINT64_MAX), 20);
	assert_string_equal(s, "18446744073709551615");
	assert_int_equal(text_unu64(&v, s, 20), KE_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(text_u64(s, 0), 1);
	assert_int_equal(text_unu64(&v, s, 1), KE_OK);
	assert_true(v == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_unu64(&v, bad[i], strlen(bad[i])), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_base64_refused),
	    cmocka_unit_test(test_uuid),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_untime),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_decimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
