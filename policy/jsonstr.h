/*
 * The inside of JSON strings (RFC 8259 section 7), for json.c alone: escapes and the closing quote.
 */
#ifndef POLICY_JSONSTR_H
#define POLICY_JSONSTR_H

#include <stddef.h>

/*
 * The bytes that the escape at s[0] (a backslash) stands for: their number, 0 when it is none,
 * stands for NUL or for half a surrogate pair. *used is how much of s it takes.
 */
size_t jsonstr_unescape(const char *s, size_t n, size_t *used, char out[4]);

/*
 * The closing quote of the string whose text begins at p; NULL when there is none before end or
 * the text is malformed. *at is where the trouble is.
 */
const char *jsonstr_end(const char *p, const char *end, const char **at);

#endif
