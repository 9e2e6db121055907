/*
 * A short JSON document with the members that one expects by name: what beacons answer, access
 * tokens, klerod's own status. Pure; runs wherever such a document is read. policy/bundle_doc.h
 * is for those of which a person must be told what is wrong with them.
 */
#ifndef POLICY_JSONDOC_H
#define POLICY_JSONDOC_H

#include "policy/json.h"

struct jsondoc {
	const char *text;
	struct json_tok *toks; /* the caller's */
	size_t n;
};

/* Checks and splits a text of at most max tokens, for which toks has room. KE_FORMAT, KE_NOMEM. */
int jsondoc_read(
    struct jsondoc *d, const char *text, size_t n, struct json_tok *toks, size_t max) KE_CHECK;

/* The value of a member of toks[object]; 0 when that is no object or has none of the name. */
size_t jsondoc_member(const struct jsondoc *d, size_t object, const char *name);

/* A member's string, terminated, in cap bytes. KE_FORMAT for everything else. */
int jsondoc_text(
    const struct jsondoc *d, size_t object, const char *name, char *dst, size_t cap) KE_CHECK;

/* A member's integer from least to most. KE_FORMAT for everything else. */
int jsondoc_int(const struct jsondoc *d, size_t object, const char *name, int64_t least,
    int64_t most, int64_t *v) KE_CHECK;

#endif
