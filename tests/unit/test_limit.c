/*
 * Limits per address: windows, classes, IPv4 and IPv6, stale and full tables, two processes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/net/limit.h"

#define COUNT  5
#define WINDOW 900

static struct limit l;
static int memory;

static int setup(void **state)
{
	(void)state;
	memory = memfd_create("limits", MFD_CLOEXEC);
	if (sodium_init() < 0 || memory < 0 || ftruncate(memory, LIMIT_BYTES) != 0)
		return -1;
	return limit_open(&l, memory);
}

static int teardown(void **state)
{
	(void)state;
	limit_close(&l);
	close(memory);
	return 0;
}

/* The n-th IPv4 address, mapped. */
static const uint8_t *v4(uint32_t n)
{
	static uint8_t a[16] = {[10] = 0xff, [11] = 0xff};

	memcpy(a + 12, &n, 4);
	return a;
}

static const uint8_t *v6(uint8_t net, uint8_t host)
{
	static uint8_t a[16] = {0x20, 0x01, 0x0d, 0xb8};

	a[7] = net;
	a[15] = host;
	return a;
}

static struct limit_state hit(enum limit_class c, const uint8_t *address, uint32_t now)
{
	struct limit_state st;

	limit_hit(&l, c, address, COUNT, WINDOW, now, &st);
	return st;
}

static void test_window(void **state)
{
	struct limit_state st;

	(void)state;
	for (uint32_t i = 1; i <= COUNT; i++) {
		st = hit(LIMIT_ANONYMOUS, v4(1), 1000 + i);
		assert_false(st.over);
		assert_int_equal(st.remaining, COUNT - i);
		assert_int_equal(st.reset_s, WINDOW - (i - 1));
	}
	st = hit(LIMIT_ANONYMOUS, v4(1), 1100);
	assert_true(st.over);
	assert_int_equal(st.remaining, 0);
	assert_true(hit(LIMIT_ANONYMOUS, v4(1), 1000 + WINDOW).over);
	st = hit(LIMIT_ANONYMOUS, v4(1), 1001 + WINDOW);
	assert_false(st.over);
	assert_int_equal(st.remaining, COUNT - 1);
	assert_int_equal(st.reset_s, WINDOW);
}

static void test_apart(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++)
		hit(LIMIT_ANONYMOUS, v4(1), 1000);
	assert_true(hit(LIMIT_ANONYMOUS, v4(1), 1000).over);
	assert_false(hit(LIMIT_ANONYMOUS, v4(2), 1000).over);
	assert_false(hit(LIMIT_AUTH, v4(1), 1000).over);
	assert_false(hit(LIMIT_BADTOKEN, v4(1), 1000).over);
}

static void test_ipv6_by_64(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < COUNT; i++)
		hit(LIMIT_AUTH, v6(1, i), 1000);
	assert_true(hit(LIMIT_AUTH, v6(1, 200), 1000).over);
	assert_false(hit(LIMIT_AUTH, v6(2, 200), 1000).over);
}

static void test_look(void **state)
{
	struct limit_state st;

	(void)state;
	limit_look(&l, LIMIT_BADTOKEN, v4(1), COUNT, 1000, &st);
	assert_false(st.over);
	assert_int_equal(st.remaining, COUNT);
	for (int i = 0; i <= COUNT; i++)
		hit(LIMIT_BADTOKEN, v4(1), 1000);
	for (int i = 0; i < 3; i++) {
		limit_look(&l, LIMIT_BADTOKEN, v4(1), COUNT, 1100, &st);
		assert_true(st.over);
		assert_int_equal(st.reset_s, WINDOW - 100);
	}
	limit_look(&l, LIMIT_BADTOKEN, v4(1), COUNT, 1000 + WINDOW, &st);
	assert_false(st.over);
}

static void test_no_limit(void **state)
{
	struct limit_state st;

	(void)state;
	for (int i = 0; i < 100; i++) {
		limit_hit(&l, LIMIT_ANONYMOUS, v4(1), 0, WINDOW, 1000, &st);
		assert_false(st.over);
	}
}

/* A flood of addresses must not free one that is near its limit. */
static void test_full_table(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++)
		hit(LIMIT_ANONYMOUS, v4(0), 1000);
	for (uint32_t i = 1; i <= 4 * LIMIT_SLOTS; i++)
		hit(LIMIT_ANONYMOUS, v4(i), 1000);
	assert_true(hit(LIMIT_ANONYMOUS, v4(0), 1000).over);
	/* who takes the place of another does not take over its count */
	assert_int_equal(hit(LIMIT_ANONYMOUS, v4(UINT32_MAX), 1000).remaining, COUNT - 1);
	/* later the flood is stale, and newcomers have room and clean counters */
	for (uint32_t i = 1; i <= 100; i++) {
		struct limit_state st = hit(LIMIT_ANONYMOUS, v4(i << 24), 1000 + WINDOW);

		assert_false(st.over);
		assert_int_equal(st.remaining, COUNT - 1);
	}
}

/* Another process with the same memory counts on, under the same key. */
static void test_shared(void **state)
{
	struct limit_state st;
	int status;

	(void)state;
	hit(LIMIT_AUTH, v4(7), 1000);
	if (fork() == 0) {
		struct limit mine = {0};
		int r = limit_open(&mine, memory);

		if (r == KE_OK)
			for (int i = 0; i < 2; i++)
				limit_hit(&mine, LIMIT_AUTH, v4(7), COUNT, WINDOW, 1001, &st);
		_exit(r == KE_OK && st.remaining == COUNT - 3 ? 0 : 1);
	}
	wait(&status);
	assert_int_equal(status, 0);
	assert_int_equal(hit(LIMIT_AUTH, v4(7), 1002).remaining, COUNT - 4);
}

/* Counting by several processes at once loses nothing. */
static void test_at_once(void **state)
{
	enum { PROCESSES = 4, EACH = 400000 };
	struct limit_state st;

	(void)state;
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			for (int i = 0; i < EACH; i++)
				limit_hit(&l, LIMIT_AUTH, v4(9), 10000000, WINDOW, 1000, &st);
			_exit(0);
		}
	for (int p = 0; p < PROCESSES; p++)
		wait(NULL);
	limit_look(&l, LIMIT_AUTH, v4(9), 10000000, 1000, &st);
	assert_int_equal(st.remaining, 10000000 - PROCESSES * EACH);
}

static void test_too_small(void **state)
{
	struct limit mine = {0};
	int fd = memfd_create("small", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, LIMIT_BYTES - 1), 0);
	assert_int_equal(limit_open(&mine, fd), KE_FORMAT);
	close(fd);
	assert_int_equal(limit_open(&mine, -1), KE_IO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_window),
	    TEST(test_apart),
	    TEST(test_ipv6_by_64),
	    TEST(test_look),
	    TEST(test_no_limit),
	    TEST(test_full_table),
	    TEST(test_shared),
	    TEST(test_at_once),
	    TEST(test_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
