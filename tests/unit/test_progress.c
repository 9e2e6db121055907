/*
 * What long work says of itself: on a terminal often and in place, elsewhere now and then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/cli/kleroctl_progress.h"

#define MIB ((uint64_t)1 << 20)

static void when_it_is_due(void **state)
{
	struct progress p = {.what = "backup", .of = 200 * MIB, .next_ms = 10000};
	char line[128] = "";

	(void)state;
	p.done = 50 * MIB;
	assert_false(progress_line(&p, 9999, line, sizeof line));
	assert_true(progress_line(&p, 10000, line, sizeof line));
	assert_string_equal(line, "backup: 25 % of 200 MiB");
	assert_false(progress_line(&p, 10000 + PROGRESS_PLAIN_MS - 1, line, sizeof line));
	p.terminal = true;
	assert_true(progress_line(&p, 10000 + PROGRESS_PLAIN_MS, line, sizeof line));
	assert_true(
	    progress_line(&p, 10000 + PROGRESS_PLAIN_MS + PROGRESS_TERMINAL_MS, line, sizeof line));
}

static void never_more_than_all(void **state)
{
	struct progress p = {.what = "backup", .of = 3, .done = 9};
	char line[128] = "";

	(void)state;
	assert_true(progress_line(&p, 1, line, sizeof line));
	assert_string_equal(line, "backup: 100 % of 0 MiB");
	p = (struct progress){.what = "unpacking", .done = UINT64_MAX};
	assert_true(progress_line(&p, 1, line, sizeof line));
	assert_string_equal(line, "unpacking: 17592186044415 MiB");
}

static void nothing_beside_json(void **state)
{
	struct progress p = {.what = "backup", .quiet = true};
	char line[8];

	(void)state;
	assert_false(progress_line(&p, INT64_MAX / 2, line, sizeof line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(when_it_is_due),
	    cmocka_unit_test(never_more_than_all),
	    cmocka_unit_test(nothing_beside_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
