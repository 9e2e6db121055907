/*
 * What the handlers of raffles share: finding one that the client may see, and its JSON.
 * Runs in engine.
 */
#ifndef DAEMON_ENGINE_RAFFLE_H
#define DAEMON_ENGINE_RAFFLE_H

#include "daemon/engine/rq.h"
#include "db/db_raffle.h"

/* The record of a drawn raffle, parsed; several 100 KiB, so it lives on the heap. */
struct drawn {
	struct record1 rec; /* v1 */
	uint32_t winners, reserves;
	/* v2 */
	bool filed;               /* more picks than the record lists: it names a file of them */
	uint8_t winners_file[32]; /* then its SHA-256, and picks has nothing */
	size_t forfeits;          /* how many; and after them: */
	size_t *standing;         /* policy/life.h life_standing(), one of each winner */
	struct record_pick picks[RECORD1_PICKS_MAX];
	char text[RECORD1_TEXT_MAX];
	size_t len;
};

/* May this client know of a raffle in this state? Drafts are for organisers and admins. */
bool raffle_visible(const struct rq *q, enum raffle_state state);
/* The raffle of the row's first field, a path id; RQ_REFUSED (404) when it is not to be seen. */
int raffle_find(struct rq *q, struct db_raffle *r) KE_CHECK;
/* The record of a drawn raffle, raffle_drawn_free()'s. KE_DAMAGED: the stored text is no record. */
int raffle_drawn(struct rq *q, const struct db_raffle *r, struct drawn **out) KE_CHECK;
void raffle_drawn_free(struct drawn *d);

/* daemon/engine/raffle_life.c: the same of a v2 raffle, into *d */
int raffle_drawn2(struct rq *q, const struct db_raffle *r, struct drawn *d) KE_CHECK;
/* And what v2 adds to its JSON. */
int raffle_put_life(
    struct rq *q, struct jsonw *w, const struct db_raffle *r, const struct drawn *d) KE_CHECK;
void raffle_put_pick(struct jsonw *w, uint64_t pos, const struct record_pick *p);

/* Officers must approve this draw: they are asked, once, and whoever draws comes again. */
int raffle_ask_officers(struct rq *q, const uint8_t raffle[16]) KE_CHECK;

/* One raffle in a list: without its description and picks, which can be long. */
void raffle_put_item(struct jsonw *w, const struct db_raffle *r);
/* One raffle as JSON; d (may be NULL) adds winners and reserves. */
int raffle_put(
    struct rq *q, struct jsonw *w, const struct db_raffle *r, const struct drawn *d) KE_CHECK;
/* Answers with the raffle as the store has it now, its version as ETag. */
int raffle_answer(struct rq *q) KE_CHECK;

#endif
