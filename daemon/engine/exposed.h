/*
 * What a compromised key version has touched, for officers who must tell somebody (KEYS.md section
 * 4). By its time of use, and by what the store still knows of that time. Runs in engine.
 */
#ifndef DAEMON_ENGINE_EXPOSED_H
#define DAEMON_ENGINE_EXPOSED_H

#include "policy/anchor.h"
#include "policy/jsonw.h"

struct engine;

/* The member "exposed" of a version that is marked as compromised; nothing for another. */
int exposed_put(struct engine *e, struct jsonw *w, const struct anchor_key *k) KE_CHECK;

#endif
