/*
 * The escrow of a raffle's seed, as engine keeps and serves it (policy/escrow.h). Runs in engine;
 * hsm makes the bundles, and agrees to no open record that promises another one.
 */
#ifndef DAEMON_ENGINE_ESCROW_H
#define DAEMON_ENGINE_ESCROW_H

#include "daemon/engine/rq.h"
#include "policy/record2.h"

/*
 * hsm's answer to eng_hsm_escrow(), its result r included: keeps the bundle and writes its lines of
 * the open record. Where no escrow is configured the record promises none. KE_PEER, KE_UNAVAIL.
 */
int escrow_take(struct rq *q, int r, struct wire_in *in, struct record2 *open) KE_CHECK;

#endif
