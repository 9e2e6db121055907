/*
 * The proof bundle of a v2 raffle, written piece by piece (policy/bundle2_write.h) once every
 * record and ticket that it shows is under a published checkpoint. Runs in engine: proof.c keeps
 * the file.
 */
#ifndef DAEMON_ENGINE_PROOF2_H
#define DAEMON_ENGINE_PROOF2_H

#include <stdbool.h>
#include <stddef.h>

#include "db/db_raffle.h"

#define PROOF2_CAP ((size_t)4 << 20) /* room that one step needs */

struct engine;
struct proof2;

/*
 * KE_NOTFOUND: a checkpoint is missing yet, or its witnesses are; KE_STATE: it is neither drawn nor
 * aborted. *out (NULL unless KE_OK) is proof2_free()'s.
 */
int proof2_begin(struct engine *e, const struct db_raffle *r, struct proof2 **out) KE_CHECK;
/* The next piece, *len bytes into out: KE_AGAIN when more follow. */
int proof2_step(struct engine *e, struct proof2 *p, char *out, size_t cap, size_t *len) KE_CHECK;
/* Is it shown without witnesses that its policy wants, and so to be written again? */
bool proof2_lacks(const struct proof2 *p);
/* The file of a draw whose record names one, *n 0: there is none. Until proof2_free(). */
const char *proof2_winners(const struct proof2 *p, size_t *n);
void proof2_free(struct proof2 *p);

#endif
