/*
 * Clients of the control socket (kleroctl): parent has checked who they are (root or its own
 * uid) and hands their sockets over. Garbage closes that client and nothing else. Runs in engine.
 */
#ifndef DAEMON_ENGINE_CTL_H
#define DAEMON_ENGINE_CTL_H

#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/engine/pool.h"
#include "policy/jsonw.h"

#define CTL_CLIENTS 8

struct engine;
struct chan;
struct turn_out;

struct ctl_client {
	struct job job;    /* first member: a step finds its client by it */
	struct chan *chan; /* NULL: free */
	uint64_t serial, request;
	int64_t until_ms;
	char email[256];
	uint8_t user[16];    /* the id that an admin is going to have */
	struct db_pool pool; /* that is being imported */
	bool look_only;
};

struct ctl {
	uint64_t serial;
	struct jsonw w; /* an answer in the making */
	struct ctl_client client[CTL_CLIENTS];
};

/* The client that waits by this job. */
struct ctl_client *ctl_client_of(struct job *j);
/* An answer to its present request; it leaves with the turn. */
void ctl_send(struct engine *e, struct ctl_client *c, uint16_t type, const struct wire_out *w);
/* The usual one: i32 result, str words. */
void ctl_answer(
    struct engine *e, struct ctl_client *c, uint16_t type, int result, const char *words);
/* The same with engine's words for r where there are no others; KE_OK. */
int ctl_tell(struct engine *e, struct ctl_client *c, uint16_t type, int r, const char *why);
/* A change in a savepoint, so that a refusal leaves nothing. */
int ctl_guarded(struct engine *e, int (*change)(struct engine *, void *), void *arg) KE_CHECK;
/* ctl_import.c; KE_PEER. */
int ctl_import_key(struct engine *e, struct ctl_client *c) KE_CHECK;
int ctl_import(struct engine *e, struct ctl_client *c, struct wire_in *in) KE_CHECK;

/* A new client; owns fd. */
void ctl_attach(struct engine *e, int fd);
/* Closes those that have been there too long. */
void ctl_expire(struct engine *e, int64_t now_ms);
void ctl_deliver(struct engine *e, const struct turn_out *o);
/* The commit failed: another answer in the place of o. */
void ctl_replace(struct engine *e, const struct turn_out *o);

#endif
