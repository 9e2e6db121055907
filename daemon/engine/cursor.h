/*
 * Cursors: the base64url of the position behind a list's last item and of a check over the list it
 * belongs to. Another list's, an edited or a shortened one is refused. A cursor gives no right:
 * what a list shows is decided without it. Runs in engine; the text comes from a stranger.
 */
#ifndef DAEMON_ENGINE_CURSOR_H
#define DAEMON_ENGINE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/api/route.h"
#include "policy/ke.h"

#define CURSOR_POS   256 /* longest position: a number for each of 32 currencies */
#define CURSOR_CHECK 8
#define CURSOR_TEXT  (CURSOR_MAX + 1)
#define CURSOR_SCOPE 64 /* longest name of a list, with its NUL */

/* The text of a cursor with its NUL. n ≤ CURSOR_POS. */
void cursor_put(char out[CURSOR_TEXT], const char *scope, const void *pos, size_t n);
/* Exactly the position that cursor_put() wrote for this scope, of *n bytes; KE_FORMAT. */
int cursor_get(const char *scope, const uint8_t *text, size_t len, uint8_t pos[CURSOR_POS],
    size_t *n) KE_CHECK;

#endif
