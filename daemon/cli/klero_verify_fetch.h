/*
 * Reading a log's files for klero-verify, from a folder or over HTTPS: the paths are the same
 * (c2sp.org/tlog-tiles). What is read is trusted for nothing.
 */
#ifndef CLI_KLERO_VERIFY_FETCH_H
#define CLI_KLERO_VERIFY_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

struct fetch;

/* where: a URL that begins with https:// or http://, else a folder. ca: a file in PEM to trust
 * besides the system's, or NULL. NULL without memory. */
struct fetch *fetch_new(const char *where, const char *ca);
void fetch_free(struct fetch *f);

/*
 * The whole file at where/path, at most max bytes; *p is f's, until the next call. KE_NOTFOUND,
 * KE_LONG, KE_IO, KE_NOMEM; fetch_why() says more.
 */
int fetch_get(struct fetch *f, const char *path, size_t max, const uint8_t **p, size_t *n) KE_CHECK;
const char *fetch_why(const struct fetch *f);

#endif
