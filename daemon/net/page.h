/*
 * The page GET /verify, which checks proofs in the reader's browser: daemon/page, made into one
 * document and this data by its build.mjs. It is linked in, so that net needs no file to serve it.
 * Runs in net. Pure data.
 */
#ifndef DAEMON_NET_PAGE_H
#define DAEMON_NET_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const unsigned char page_html[];
extern const size_t page_html_len;
extern const char page_policy[]; /* Content-Security-Policy: hashes of its own script and style */
extern const char page_tag[];    /* its entity tag, in quotes: of the bytes above */

/* Does an If-None-Match field name it (RFC 9110 section 13.1.2, weakly compared)? */
bool page_is(const uint8_t *p, size_t n);

#endif
