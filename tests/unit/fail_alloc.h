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

static bool fail_alloc_now(void)
{
	if (fail_alloc_at == 0 || --fail_alloc_at != 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fail_alloc_now() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fail_alloc_now() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fail_alloc_now() ? NULL : __libc_realloc(p, n);
}

#endif

/*
 * Fails the first allocation of an operation, the second … until it needs no more, and tells how
 * many it needs. Without one of them it answers want, or does without; with memory it works again.
 */
__attribute__((unused)) static unsigned fail_alloc_each(int (*run)(void), int want)
{
	for (unsigned n = 1; n < 10000; n++) {
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

#endif
