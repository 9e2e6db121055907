/*
 * The order of start and stop, stage by stage: see roles_stage(). Runs in parent only.
 */
#ifndef DAEMON_PARENT_STAGES_H
#define DAEMON_PARENT_STAGES_H

#include "daemon/parent/parent.h"

/* Goes as far as the children's states allow; called once a turn. */
void stages_step(struct parent *p);

#endif
