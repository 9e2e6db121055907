/*
 * One turn of the event loop is one transaction (DESIGN.md section 5): requests run inside it,
 * one commit makes them all durable, and only then do answers and questions to hsm leave. A
 * failed commit fails the jobs that began in the turn, and turns its answers into 503, but for
 * those that were made before anything was written: they say what was durable already. From then
 * on the store is only read, so that who reads meets no more of it, until a turn that stands alone
 * (maint.h: at once, then each second) could write again. Runs in engine.
 */
#ifndef DAEMON_ENGINE_TURN_H
#define DAEMON_ENGINE_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/engine/clock.h"
#include "policy/ke.h"

struct engine;

enum turn_kind { TURN_ANSWER, TURN_CTL, TURN_HSM, TURN_PARENT };

/* A message that leaves after the commit. */
struct turn_out {
	STAILQ_ENTRY(turn_out) link;
	enum turn_kind kind;
	uint8_t index; /* of the net, of the control client */
	uint64_t chan; /* the channel's serial number: a successor does not get it */
	uint16_t type;
	uint64_t id;
	int fd; /* -1, or a descriptor that the turn owns */
	/* answers: for metrics, and for the 503 that replaces one */
	uint16_t route, status;
	uint8_t request_id[16];
	int64_t began_us;
	bool loose;     /* true whatever becomes of the transaction: it rests on nothing new */
	bool cacheable; /* net may keep it: it must leave before the drop of this turn */
	size_t len;
	uint8_t body[];
};

struct turn {
	uint64_t number; /* of this turn, from 1 */
	int64_t now_ms;  /* unix time of this turn */
	bool timed;      /* now_ms was asked for already */
	struct clock_watch watch;
	bool open; /* a transaction is open */
	bool sick; /* the last transaction failed: the store is only read */
	uint32_t requests;
	uint64_t served; /* requests since start */
	uint32_t dirty;  /* cache tags whose answers this turn made stale */
	STAILQ_HEAD(turn_queue, turn_out) queue;
};

void turn_init(struct engine *e);
/* Unix time of this turn: the same for all of it. */
int64_t turn_now_ms(struct engine *e);
/* Opens the turn's transaction unless it is open; KE_IO when the store does not. */
int turn_begin(struct engine *e) KE_CHECK;
/* A fresh item with room for len bytes; fatal without memory. */
struct turn_out *turn_out_new(enum turn_kind kind, size_t len);
/* Takes over the item. */
void turn_send(struct engine *e, struct turn_out *o);
/* The answers under these cache tags are stale once this turn is committed. */
void turn_dirty(struct engine *e, uint32_t tags);
/* Commits, sends, and begins the next turn. */
void turn_end(struct engine *e);
/*
 * Ends the turn, and lets the next one write though the store is sick. It stands alone: who tries
 * this ends it, too, before anybody else is heard.
 */
void turn_try(struct engine *e);

#endif
