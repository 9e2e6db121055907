/*
 * The filter of a role where memory lacks (sandbox/filter.h): whichever allocation fails, it is the
 * whole filter or none. One that was short of a row would allow nothing more, but a call that the
 * role needs, or that is deadly, would be answered with ENOSYS for the process's whole life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "sandbox/filter.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/forked.h"

#define PROFILE SANDBOX_KDF /* every call that libseccomp knows has a rule in each of them */

enum end { WHOLE = 80, OTHER, REFUSED, NOT_REACHED };

static struct sock_filter whole[BPF_MAXINSNS];
static unsigned short whole_n;

/* In a child: libseccomp 2.5 itself does not survive some of them, or runs in circles. */
static void make(void *at)
{
	static struct sock_filter code[BPF_MAXINSNS];
	unsigned short n = 0;
	int r;

	alarm(1);
	fail_alloc_at = *(unsigned *)at;
	r = filter_make(PROFILE, code, &n);
	if (fail_alloc_at != 0)
		_exit(NOT_REACHED);
	if (r != KE_OK)
		_exit(REFUSED);
	_exit(n == whole_n && memcmp(code, whole, n * sizeof code[0]) == 0 ? WHOLE : OTHER);
}

static void test_whole_or_none(void **state)
{
	unsigned refused = 0;

	(void)state;
	if (!fail_alloc_works())
		skip();
	assert_int_equal(filter_make(PROFILE, whole, &whole_n), KE_OK);
	assert_true(whole_n > 300);
	for (unsigned n = 1;; n += n < 100 ? 1 : 101) {
		int status = forked_run(make, &n);

		if (status == NOT_REACHED)
			break;
		if (status == OTHER)
			fail_msg("without allocation %u the filter is another one", n);
		refused += status == REFUSED;
	}
	assert_true(refused > 10);
}

static void test_a_name_without_memory(void **state)
{
	char name[FILTER_NAME];

	(void)state;
	if (!fail_alloc_works())
		skip();
	fail_alloc_at = 1;
	assert_int_equal(filter_name(0, name), KE_NOMEM);
	assert_int_equal(filter_name(0, name), KE_OK);
	assert_string_equal(name, "read");
	assert_int_equal(filter_name(FILTER_NUMBERS, name), KE_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_or_none),
	    cmocka_unit_test(test_a_name_without_memory),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
