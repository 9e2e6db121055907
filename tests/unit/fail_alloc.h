/*
 * An allocator of which the n-th call fails: for tests of one program that want to see what lack
 * of memory does. Replaces libc's for the whole program; sanitizer builds keep their own, and a
 * test that needs this asks fail_alloc_works() first.
 */
#ifndef TESTS_UNIT_FAIL_ALLOC_H
#define TESTS_UNIT_FAIL_ALLOC_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/ke.h"

/* Counts down; the call that finds 1 fails. 0: none. */
static volatile unsigned fail_alloc_at;
/* Of this program's own calls, and not of the libraries that it has loaded. */
static volatile bool fail_alloc_own;

#ifdef KLERO_SANITIZE

__attribute__((unused)) static bool fail_alloc_works(void)
{
	return false;
}

#else

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

__attribute__((unused)) static bool fail_alloc_works(void)
{
	return true;
}

extern const char __executable_start[], etext[];

static bool fail_alloc_now(const void *caller)
{
	bool own = (const char *)caller >= __executable_start && (const char *)caller < etext;

	if (fail_alloc_at == 0 || (fail_alloc_own && !own) || --fail_alloc_at != 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fail_alloc_now(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fail_alloc_now(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fail_alloc_now(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

#endif

/*
 * Fails the first allocation of an operation, one `step` calls later … until it needs no more, and
 * tells how many it needs. Without one of them it answers want, or does without; with memory it
 * works again.
 */
__attribute__((unused)) static unsigned fail_alloc_some(int (*run)(void), int want, unsigned step)
{
	for (unsigned n = 1; n < 1000000; n += step) {
		int r;

		fail_alloc_at = n;
		r = run();
		if (fail_alloc_at != 0) {
			fail_alloc_at = 0;
			assert_int_equal(r, KE_OK);
			return n - 1;
		}
		if (r != want && r != KE_OK)
			fail_msg("allocation %u: %s, not %s", n, ke_words(r), ke_words(want));
		assert_int_equal(run(), KE_OK);
	}
	fail_msg("it never ends");
	return 0;
}

__attribute__((unused)) static unsigned fail_alloc_each(int (*run)(void), int want)
{
	return fail_alloc_some(run, want, 1);
}

#endif
