/*
 * The one context of klerod-engine: everything that the role holds hangs on it. Runs in engine,
 * which trusts hsm and parent, and neither net, kdf nor a client of the control socket.
 *
 * The order of things (DESIGN.md section 5): messages arrive (peers) → each becomes a request
 * (rq) that passes the gate (api) and runs its handler in its own savepoint → answers and
 * questions to hsm wait in the turn → one commit → they leave. What needs another process is a
 * job: named steps with an await between them.
 */
#ifndef DAEMON_ENGINE_ENGINE_H
#define DAEMON_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/engine/backup.h"
#include "daemon/engine/beacons.h"
#include "daemon/engine/ckpt.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/cosign.h"
#include "daemon/engine/ctl.h"
#include "daemon/engine/delay.h"
#include "daemon/engine/hsm.h"
#include "daemon/engine/job.h"
#include "daemon/engine/kdf.h"
#include "daemon/engine/life.h"
#include "daemon/engine/maint.h"
#include "daemon/engine/metrics.h"
#include "daemon/engine/opening.h"
#include "daemon/engine/payout.h"
#include "daemon/engine/peers.h"
#include "daemon/engine/quorum.h"
#include "daemon/engine/reseal.h"
#include "daemon/engine/rewrap.h"
#include "daemon/engine/software.h"
#include "daemon/engine/tokcache.h"
#include "daemon/engine/turn.h"
#include "daemon/engine/userlimit.h"
#include "daemon/engine/witness.h"
#include "daemon/msg/rconf.h"

struct event_base;
struct db;

/* The longest answer, an entry bundle of records; beyond 64 KiB it travels as a memfd. */
#define ENGINE_SCRATCH ((size_t)17 << 20)

struct engine {
	struct rconf_engine conf;
	struct event_base *base;
	struct db *db; /* NULL until it is open */
	struct opening opening;
	char issuer[RCONF_PATH + 8];    /* https://<host> */
	char log_name[RCONF_PATH + 16]; /* <host>/klero/log */
	char software[SOFTWARE_HASH];   /* of this executable */
	int proofs;                     /* folder of the finished proof bundles */
	struct peers peers;
	struct turn turn;
	struct ids ids;
	struct jobs jobs;
	struct hsm hsm;
	struct quorum quorum;
	struct rewrap rewrap;
	struct reseal reseal;
	struct payouts payouts;
	uint8_t appliance[16];
	char sealed[512]; /* the database key as klero.keys holds it */
	struct kdf kdf;
	struct maint maint;
	struct beacons beacons;
	struct lives lives;
	struct ctl ctl;
	struct backup backup;
	struct ckpt ckpt;
	struct metrics metrics;
	struct witness witness;
	struct cosign cosign;
	struct tokcache *tokens;
	struct userlimit *limits;
	struct delay *delays;
	char *scratch;   /* ENGINE_SCRATCH bytes in which answers are written, one at a time */
	uint8_t *stored; /* DB_ANSWER_MAX bytes for the stored form of one */
	uint8_t tokens_are[2]; /* enum token_state of klero-keys and klero-tls, as parent says */
	bool stopping;
};

#endif
