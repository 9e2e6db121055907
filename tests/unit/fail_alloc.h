/*
 * An allocator of which the n-th call fails: for tests of one program that want to see what lack
 * of memory does. Replaces libc's for the whole program; sanitizer builds keep their own, and a
 * test that needs this asks fail_alloc_works() first.
 */
#ifndef TESTS_UNIT_FAIL_ALLOC_H
#define TESTS_UNIT_FAIL_ALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

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
#endif
