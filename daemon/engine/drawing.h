/*
 * Drawing a v2 raffle whose seed hsm has revealed (DRAW.md section 8), some positions of the
 * shuffle at a time: where holders win once only, it can take all tickets until enough of them are
 * found, and other people's sales must go on meanwhile. Nothing of it is in the store before the
 * end; an engine that dies begins anew, and comes to the same. Runs in engine.
 */
#ifndef DAEMON_ENGINE_DRAWING_H
#define DAEMON_ENGINE_DRAWING_H

#include "daemon/engine/life.h"

struct drawing;

/* *out (NULL unless KE_OK) is drawing_free()'s. */
int drawing_begin(struct engine *e, const struct life_file *f, const uint8_t seed[32],
    struct drawing **out) KE_CHECK;
/* At most so many positions more. KE_OK: everybody is found; KE_AGAIN: not yet. */
int drawing_more(struct engine *e, struct drawing *d, uint64_t positions) KE_CHECK;
/* The seed is wiped. */
void drawing_free(struct drawing *d);

/* Of a finished one: the record, and the file that it names; *n 0 when it lists its picks. */
const struct record2 *drawing_record(const struct drawing *d);
const char *drawing_file(const struct drawing *d, size_t *n);

#endif
