/*
 * Read before every file of the build for valgrind (tests/lint/analyse.sh), and of no other:
 * valgrind keeps descriptors above the limit for itself, writes its log when the role may write no
 * more file, and makes everything slow.
 */
#ifndef TESTS_LINT_MEMCHECK_H
#define TESTS_LINT_MEMCHECK_H

#include <sys/resource.h>

__attribute__((unused)) static int memcheck_setrlimit(
    __rlimit_resource_t what, const struct rlimit *want)
{
	return what == RLIMIT_NOFILE || what == RLIMIT_FSIZE ? 0 : setrlimit(what, want);
}

#define setrlimit memcheck_setrlimit

#define PARENT_START_MS 300000
#define PARENT_PONG_MS  300000

#endif
