/*
 * Fuzz target: the JSON check, the split and the getters. What the check accepts must be split into
 * as many tokens as it counted; strings and keys must come out valid; written again they must be
 * accepted again. The first byte limits the tokens.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/json.h"
#include "policy/jsonw.h"
#include "policy/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* An unescaped string, written by the writer, is the same string again. */
static void check_string(const char *text, const struct json_tok *t)
{
	size_t n, again_n, tokens, cap = (size_t)(t->end - t->start);
	char *s = malloc(cap + 1), *json = malloc(6 * cap + 2), *again = malloc(cap + 1);
	struct json_tok tok;
	struct jsonw w;

	must(s != NULL && json != NULL && again != NULL);
	must(json_string(text, t, s, cap, &n) == KE_OK);
	must(text_utf8(s, n) == KE_OK && memchr(s, '\0', n) == NULL);
	jsonw_init(&w, json, 6 * cap + 2);
	jsonw_str(&w, s, n);
	must(jsonw_end(&w) == KE_OK);
	must(json_check(json, w.len, 1, &tokens, NULL) == KE_OK);
	must(json_split(json, w.len, &tok, 1) == KE_OK);
	must(json_string(json, &tok, again, cap, &again_n) == KE_OK);
	must(n == again_n && memcmp(s, again, n) == 0);
	free(s);
	free(json);
	free(again);
}

static void check_token(
    const char *text, size_t n, const struct json_tok *toks, size_t tokens, size_t i)
{
	const struct json_tok *t = &toks[i];
	size_t next = json_next(toks, tokens, i);
	int64_t v;

	must(t->start >= 0 && t->end >= t->start && (size_t)t->end <= n);
	must(next > i && next <= tokens && t->parent < (int)i);
	switch ((enum json_type)t->type) {
	case JSON_STRING:
		check_string(text, t);
		break;
	case JSON_NUMBER:
		if (json_int(text, t, &v) == KE_OK)
			must(memchr(text + t->start, '.', (size_t)(t->end - t->start)) == NULL);
		break;
	case JSON_OBJECT:
		/* keys are distinct: at most one is found, and it is in here */
		must(json_member(text, toks, tokens, i, "a") < next);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	size_t tokens, at, n = size - 1;
	struct json_tok *toks;
	int r;

	if (size == 0)
		return 0;
	r = json_check(text, n, data[0] == 0 ? 100000 : data[0], &tokens, &at);
	must(at <= n);
	if (r != KE_OK)
		return 0;
	toks = calloc(tokens, sizeof(*toks));
	must(toks != NULL && json_split(text, n, toks, tokens) == KE_OK);
	must(json_next(toks, tokens, 0) == tokens);
	for (size_t i = 0; i < tokens && i < 300; i++)
		check_token(text, n, toks, tokens, i);
	free(toks);
	return 0;
}
