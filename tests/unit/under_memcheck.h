/*
 * Is this the build for valgrind (tests/lint/memcheck.h)? Its setrlimit does nothing, and valgrind
 * does not know Landlock's calls: a test of either asks first, and is skipped.
 */
#ifndef TESTS_UNIT_UNDER_MEMCHECK_H
#define TESTS_UNIT_UNDER_MEMCHECK_H

#include <stdbool.h>

static inline bool under_memcheck(void)
{
#ifdef TESTS_LINT_MEMCHECK_H
	return true;
#else
	return false;
#endif
}

#endif
