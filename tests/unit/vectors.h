/*
 * Reads the vector files of tests/vectors: a vector a line, words with single spaces between them,
 * # comments. Includes cmocka for the tests that use it.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/text.h"

#define VECTOR_WORDS 80

struct vectors {
	FILE *f;
	char line[8192];
	char *word[VECTOR_WORDS];
	size_t words, seen;
};

/* Tests run in the root of the source tree. */
static inline FILE *vectors_stream(const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "tests/vectors/%s", name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s cannot be read", path);
	return f;
}

static inline void vectors_open(struct vectors *v, const char *name)
{
	memset(v, 0, sizeof(*v));
	v->f = vectors_stream(name);
}

/* A whole file of tests/vectors, shorter than cap, with a NUL behind it. Its length, from 1. */
static inline size_t vectors_file(const char *name, char *text, size_t cap)
{
	FILE *f = vectors_stream(name);
	size_t n = fread(text, 1, cap - 1, f);

	fclose(f);
	assert_true(n > 0 && n < cap - 1);
	text[n] = '\0';
	return n;
}

/* The next vector; closes the file at its end. */
static inline bool vectors_next(struct vectors *v)
{
	while (fgets(v->line, sizeof(v->line), v->f) != NULL) {
		char *save = NULL;

		if (v->line[0] == '#' || v->line[0] == '\n')
			continue;
		v->words = 0;
		for (char *w = strtok_r(v->line, " \n", &save); w != NULL;
		     w = strtok_r(NULL, " \n", &save)) {
			assert_true(v->words < VECTOR_WORDS);
			v->word[v->words++] = w;
		}
		v->seen++;
		return true;
	}
	fclose(v->f);
	assert_true(v->seen > 0);
	return false;
}

static inline bool vectors_is(const struct vectors *v, const char *name)
{
	return strcmp(v->word[0], name) == 0;
}

/* The bytes of a hex word ("-": none), at most cap of them; SIZE_MAX when it is no such word. */
static inline size_t vectors_hex(const char *word, void *dst, size_t cap)
{
	size_t n = strlen(word) / 2;

	if (strcmp(word, "-") == 0)
		return 0;
	if (n > cap || text_unhex(dst, n, word, strlen(word)) != KE_OK)
		return SIZE_MAX;
	return n;
}

static inline void vectors_hex32(const char *word, uint8_t dst[32])
{
	assert_int_equal(vectors_hex(word, dst, 32), 32);
}

static inline uint64_t vectors_u64(const char *word)
{
	uint64_t x = 0;

	assert_int_equal(text_unu64(&x, word, strlen(word)), KE_OK);
	return x;
}

/* Compares n bytes with hex. */
static inline void assert_hex(const void *p, size_t n, const char *hex)
{
	char *have = malloc(2 * n + 1);

	assert_non_null(have);
	text_hex(have, p, n);
	assert_string_equal(have, hex);
	free(have);
}

#endif
