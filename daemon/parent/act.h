/*
 * Carrying out what officers have approved: keyadm does it, then a fresh hsm (green) that knows the
 * new state of the token takes the place of the one that does not (blue), and no request is lost
 * (KEYS.md section 4); for the TLS key tlskey too, and then the nets get its certificate. Runs in
 * parent only. Parent understands nothing of a proposal: keyadm decides, and the old ones serve
 * until the new ones have shown that they can.
 */
#ifndef DAEMON_PARENT_ACT_H
#define DAEMON_PARENT_ACT_H

#include "daemon/parent/parent.h"

/* MSG_ENGINE_ACT; false when it does not decode. One action at a time. */
bool act_request(struct parent *p, const struct msg *m);

/*
 * hsm has found that its token was made by an older program, or it or tlskey that a writer died in
 * the middle: keyadm undoes that, and adds the first version of what the token lacks, without
 * anybody's approval, once until an hsm is ready. False when it cannot be tried.
 */
bool act_complete(struct parent *p);

/* MSG_KEYADM_DONE; false when it does not decode. */
bool act_done(struct parent *p, const struct msg *m);

/* A fresh hsm for one that is worn, when nothing else goes on. The time to look again. */
int64_t act_tick(struct parent *p, int64_t now);

/* A child that was started for an action is ready, */
void act_ready(struct parent *p, struct child *c);
/* or has ended. */
void act_ended(struct parent *p, struct child *c);

#endif
