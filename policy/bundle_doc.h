/*
 * Reading proof bundles: a JSON document whose members are all known and all there, and one line
 * that says what does not agree. Pure; shared by the formats, on files from strangers.
 */
#ifndef POLICY_BUNDLE_DOC_H
#define POLICY_BUNDLE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/json.h"
#include "policy/ke.h"

#define BUNDLE_WHY_MAX 200

struct bundle_doc {
	const char *text;
	size_t n;
	struct json_tok *toks;
	size_t ntoks;
	char *why; /* BUNDLE_WHY_MAX bytes */
};

/* Says why the current step failed; returns err. */
int bundle_no(struct bundle_doc *d, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static inline int bundle_no_memory(struct bundle_doc *d)
{
	(void)bundle_no(d, KE_NOMEM, "out of memory");
	return KE_NOMEM;
}

/* Checks and splits the text, which has at most max tokens; d->toks is the caller's to free. */
int bundle_tokens(struct bundle_doc *d, size_t max) KE_CHECK;

#define BUNDLE_OR_NULL 0x80U
struct bundle_member {
	const char *name;
	unsigned type; /* enum json_type, BUNDLE_OR_NULL with it where null will do, too */
	size_t *at;    /* where its value's token goes */
};
/* Finds all members of the object at token i; none may be missing, none unknown. */
int bundle_members(struct bundle_doc *d, size_t i, const char *what, const struct bundle_member *m,
    size_t n) KE_CHECK;

bool bundle_is(const struct bundle_doc *d, size_t i, const char *s);
bool bundle_null(const struct bundle_doc *d, size_t i);
/* The string at token i, unescaped, with a NUL behind it; the caller's to free. */
int bundle_string(struct bundle_doc *d, size_t i, char **s, size_t *n) KE_CHECK;
/* Exactly n bytes in hex. */
int bundle_hex(struct bundle_doc *d, size_t i, const char *what, void *dst, size_t n) KE_CHECK;
/* From 0. */
int bundle_number(struct bundle_doc *d, size_t i, const char *what, uint64_t *v) KE_CHECK;

#endif
