/*
 * Short JSON documents: see jsondoc.h. Pure.
 */
#include "policy/jsondoc.h"

int jsondoc_read(struct jsondoc *d, const char *text, size_t n, struct json_tok *toks, size_t max)
{
	int r;

	*d = (struct jsondoc){.text = text, .toks = toks};
	r = json_check(text, n, max, &d->n, NULL);
	if (r == KE_NOMEM)
		return r;
	if (r != KE_OK)
		return KE_FORMAT;
	return json_split(text, n, toks, d->n);
}

size_t jsondoc_member(const struct jsondoc *d, size_t object, const char *name)
{
	return json_member(d->text, d->toks, d->n, object, name);
}

int jsondoc_text(const struct jsondoc *d, size_t object, const char *name, char *dst, size_t cap)
{
	size_t i = jsondoc_member(d, object, name), n;

	if (i == 0 || json_string(d->text, &d->toks[i], dst, cap - 1, &n) != KE_OK)
		return KE_FORMAT;
	/* json_check lets no NUL into a string */
	dst[n] = '\0';
	return KE_OK;
}

int jsondoc_int(const struct jsondoc *d, size_t object, const char *name, int64_t least,
    int64_t most, int64_t *v)
{
	size_t i = jsondoc_member(d, object, name);

	if (i == 0 || json_int(d->text, &d->toks[i], v) != KE_OK || *v < least || *v > most)
		return KE_FORMAT;
	return KE_OK;
}
