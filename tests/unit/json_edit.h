/*
 * For tests of what reads JSON: the same document with the value at a path replaced, so that a
 * table can name each thing that may be wrong in it.
 */
#ifndef TESTS_UNIT_JSON_EDIT_H
#define TESTS_UNIT_JSON_EDIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/json.h"

/* A value as it stands in the text, quotation marks included. */
struct json_place {
	size_t from, to;
};

/* Goes along "member/0/member"; fails the test where there is no such value. */
static inline struct json_place json_place(const char *text, size_t n, const char *path)
{
	struct json_tok *toks = NULL;
	struct json_place p = {0, 0};
	size_t ntoks, i = 0, at;
	char name[64];

	if (json_check(text, n, 1 << 20, &ntoks, &at) != KE_OK ||
	    (toks = calloc(ntoks, sizeof(*toks))) == NULL ||
	    json_split(text, n, toks, ntoks) != KE_OK)
		fail_msg("that is no JSON");
	for (; *path != '\0'; path += *path == '/') {
		size_t len = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		path += len;
		if (toks[i].type == JSON_ARRAY) {
			int k = atoi(name);

			assert_true(k < toks[i].size);
			for (i++; k > 0; k--)
				i = json_next(toks, ntoks, i);
		} else {
			i = json_member(text, toks, ntoks, i, name);
			if (i == 0)
				fail_msg("no member %s", name);
		}
	}
	p.from = (size_t)toks[i].start - (toks[i].type == JSON_STRING);
	p.to = (size_t)toks[i].end + (toks[i].type == JSON_STRING);
	free(toks);
	return p;
}

/*
 * The document with another value at that path; "@path" is the value at another one. The old text
 * is freed; *n follows.
 */
static inline char *json_edit(char *text, size_t *n, const char *path, const char *value)
{
	struct json_place p = json_place(text, *n, path), of = {0, 0};
	const char *from = value;
	size_t len = strlen(value);
	char *out;

	if (*value == '@') {
		of = json_place(text, *n, value + 1);
		from = text + of.from;
		len = of.to - of.from;
	}
	out = malloc(*n + len + 1);
	assert_non_null(out);
	memcpy(out, text, p.from);
	memcpy(out + p.from, from, len);
	memcpy(out + p.from + len, text + p.to, *n - p.to);
	*n = *n - (p.to - p.from) + len;
	out[*n] = '\0';
	free(text);
	return out;
}

#endif
