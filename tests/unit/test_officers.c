/*
 * Lists of officers as people write them: what is read fits the anchor, and each line that is not
 * a name and a key of an accepted kind is refused by its number.
 */
#include "tests/unit/ssh_sign.h"

#include "policy/officers.h"

static char text[65536];
static size_t len;

/* One more line: a fresh officer of that name. */
static void add(const char *name)
{
	struct signer s;
	char b64[TEXT_B64_LEN(SSH_BLOB_MAX) + 1];

	signer_make(&s);
	text_b64(b64, s.key.blob, s.key.blob_len);
	len += (size_t)snprintf(
	    text + len, sizeof text - len, "%s ssh-ed25519 %s a comment\n", name, b64);
}

static void add_raw(const char *line)
{
	len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", line);
}

static void begin(void)
{
	len = 0;
	add("alice");
	add("bob@example.org");
}

static struct officers read;

static void refused(uint64_t threshold, int why, size_t at)
{
	size_t line = 99;

	assert_int_equal(officers_read(&read, threshold, text, len, &line), why);
	assert_int_equal(line, at);
	assert_true(strlen(officers_why(why)) > 10);
}

static void test_good(void **state)
{
	char out[8192];
	size_t line, n;

	(void)state;
	begin();
	add_raw("");
	add_raw("# the third of them");
	add("carol");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(officers_read(&read, 2, text, len, &line), KE_OK);
		assert_int_equal(line, 0);
		assert_int_equal(read.n, 3);
		assert_int_equal(read.threshold, 2);
		assert_string_equal(read.officer[1].name, "bob@example.org");
		assert_int_equal(officers_text(&read, out, sizeof out, &n), KE_OK);
		len--; /* the last line need not end */
	}
	/* as many as there can be, and their text fits where it must */
	len = 0;
	for (int i = 0; i < ANCHOR_OFFICERS_MAX; i++) {
		char name[ANCHOR_NAME_MAX + 1];

		memset(name, 'a' + i, ANCHOR_NAME_MAX);
		name[ANCHOR_NAME_MAX] = '\0';
		add(name);
	}
	assert_int_equal(officers_read(&read, 16, text, len, &line), KE_OK);
	assert_int_equal(officers_text(&read, out, sizeof out, &n), KE_OK);
	add("last");
	refused(2, KE_FULL, 17);
}

static void test_lines(void **state)
{
	static const char *const bad[] = {"carol", "carol ssh-ed25519", " ssh-ed25519 AAAA",
	    "carol ssh-ed25519 AAAA", "carol\tx ssh-ed25519 AAAA",
	    "carol ssh-rsa AAAAB3NzaC1yc2E=", "carol  ssh-ed25519 AAAA"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		begin();
		add_raw(bad[i]);
		refused(2, KE_FORMAT, 3);
	}
	/* names that the anchor does not take, before a key that it does */
	for (const char *p = "\"\\\x01\x7f\xc3"; *p != '\0'; p++) {
		char name[] = {'e', *p, '\0'};

		len = 0;
		add(name);
		refused(1, KE_FORMAT, 1);
	}
	begin();
	text[2] = '\0';
	refused(2, KE_FORMAT, 1);
}

static void test_whole(void **state)
{
	(void)state;
	begin();
	refused(0, KE_RANGE, 0);
	refused(3, KE_RANGE, 0);
	add("alice");
	refused(2, KE_EXISTS, 0);
	/* one key under two names */
	len = 0;
	add("alice");
	memcpy(text + len, text, len);
	memcpy(text + len, "malic", 5);
	len *= 2;
	refused(1, KE_EXISTS, 0);
	len = 0;
	refused(1, KE_RANGE, 0);
	add_raw("# nobody");
	refused(1, KE_RANGE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_whole),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
