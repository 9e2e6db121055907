/*
 * Loading a PKCS#11 module, before there is any token: what is none, and the environment that
 * modules are given (hsm/p11/p11.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hsm/p11/p11.h"

static void test_missing_module(void **state)
{
	struct p11 p = {.dl = NULL};

	(void)state;
	assert_int_equal(p11_load(&p, "/nowhere/module.so", NULL, 0), KE_NOTFOUND);
	assert_non_null(strstr(p.why, "/nowhere/module.so"));
	assert_non_null(strstr(p.why, "check pkcs11-module"));
	assert_int_equal(p11_load(&p, "libm.so.6", NULL, 0), KE_FORMAT);
	assert_non_null(strstr(p.why, "libm.so.6 is not a PKCS#11"));
}

/* What it was read into may be wiped. */
static void test_environment_is_copied(void **state)
{
	char line[] = "KLERO_TEST_P11=here", *env[] = {line};
	struct p11 p = {.dl = NULL};

	(void)state;
	assert_int_equal(p11_load(&p, "/nowhere/module.so", env, 1), KE_NOTFOUND);
	memset(line, 'x', sizeof line - 1);
	assert_non_null(getenv("KLERO_TEST_P11"));
	assert_string_equal(getenv("KLERO_TEST_P11"), "here");
	assert_int_equal(p11_load(&p, "/nowhere/module.so", env, 1), KE_FORMAT);
	line[0] = '=';
	assert_int_equal(p11_load(&p, "/nowhere/module.so", env, 1), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_missing_module),
	    cmocka_unit_test(test_environment_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
