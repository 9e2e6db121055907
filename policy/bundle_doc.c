/*
 * Reading proof bundles: see bundle_doc.h.
 */
#include "policy/bundle_doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/text.h"

int bundle_no(struct bundle_doc *d, int err, const char *fmt, ...)
{
	char *p = d->why;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p, BUNDLE_WHY_MAX, fmt, ap);
	va_end(ap);
	/* Names may come from the bundle: nothing in them may reach a terminal as a command. */
	for (; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return err;
}

static int not_json(struct bundle_doc *d, int err, size_t at)
{
	if (err == KE_NOMEM)
		return bundle_no_memory(d);
	if (err == KE_EXISTS)
		return bundle_no(d, KE_FORMAT, "the same member comes twice, at byte %zu", at);
	if (err == KE_LIMIT)
		return bundle_no(d, KE_FORMAT,
		    "deeper, longer or of more values than a bundle has, at byte %zu", at);
	if (at == d->n)
		return bundle_no(
		    d, KE_FORMAT, "the file ends in the middle of the JSON text: truncated");
	return bundle_no(d, KE_FORMAT, "not a JSON text in UTF-8, at byte %zu", at);
}

int bundle_tokens(struct bundle_doc *d, size_t max)
{
	size_t at;
	int r = json_check(d->text, d->n, max, &d->ntoks, &at);

	if (r != KE_OK)
		return not_json(d, r, at);
	d->toks = malloc(d->ntoks * sizeof(*d->toks));
	if (d->toks == NULL)
		return bundle_no_memory(d);
	if (json_split(d->text, d->n, d->toks, d->ntoks) != KE_OK)
		return bundle_no(d, KE_FORMAT, "not a JSON text");
	return KE_OK;
}

bool bundle_null(const struct bundle_doc *d, size_t i)
{
	return d->toks[i].type == JSON_NULL;
}

int bundle_members(
    struct bundle_doc *d, size_t i, const char *what, const struct bundle_member *m, size_t n)
{
	if (d->toks[i].type != JSON_OBJECT)
		return bundle_no(d, KE_FORMAT, "%s is not an object", what);
	for (size_t k = 0; k < n; k++) {
		*m[k].at = json_member(d->text, d->toks, d->ntoks, i, m[k].name);
		if (*m[k].at == 0)
			return bundle_no(d, KE_FORMAT, "%s has no member \"%s\"", what, m[k].name);
		if (d->toks[*m[k].at].type != (m[k].type & ~BUNDLE_OR_NULL) &&
		    !(m[k].type & BUNDLE_OR_NULL && bundle_null(d, *m[k].at)))
			return bundle_no(
			    d, KE_FORMAT, "\"%s\" of %s is of the wrong type", m[k].name, what);
	}
	/* Keys are distinct, so one more member is one that nobody knows. */
	if (d->toks[i].size != (int)n)
		return bundle_no(
		    d, KE_FORMAT, "%s has a member that this format does not know", what);
	return KE_OK;
}

bool bundle_is(const struct bundle_doc *d, size_t i, const char *s)
{
	char value[256];
	size_t n;

	return json_string(d->text, &d->toks[i], value, sizeof(value), &n) == KE_OK &&
	       n == strlen(s) && memcmp(value, s, n) == 0;
}

int bundle_string(struct bundle_doc *d, size_t i, char **s, size_t *n)
{
	size_t cap = (size_t)(d->toks[i].end - d->toks[i].start);

	*s = malloc(cap + 1);
	if (*s == NULL)
		return bundle_no_memory(d);
	if (json_string(d->text, &d->toks[i], *s, cap, n) != KE_OK)
		return bundle_no(d, KE_FORMAT, "a text that is not a string");
	(*s)[*n] = '\0';
	return KE_OK;
}

int bundle_hex(struct bundle_doc *d, size_t i, const char *what, void *dst, size_t n)
{
	const struct json_tok *t = &d->toks[i];

	if (t->type != JSON_STRING ||
	    text_unhex(dst, n, d->text + t->start, (size_t)(t->end - t->start)) != KE_OK)
		return bundle_no(d, KE_FORMAT, "%s is not %zu bytes in hex", what, n);
	return KE_OK;
}

int bundle_number(struct bundle_doc *d, size_t i, const char *what, uint64_t *v)
{
	int64_t value;

	if (json_int(d->text, &d->toks[i], &value) != KE_OK || value < 0)
		return bundle_no(d, KE_FORMAT, "%s is not a number from 0", what);
	*v = (uint64_t)value;
	return KE_OK;
}
