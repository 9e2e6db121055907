/*
 * What engine may ask of out, a kind a row: a message that names rows of the configuration becomes
 * a URL, and what comes back becomes typed values, or a result that says why not. Runs in out;
 * apart from the loop, so that tests and the fuzzer reach both halves without a network. Trusts
 * engine with the choice among the configured targets and nothing else; trusts no reply.
 */
#ifndef DAEMON_OUT_WORK_H
#define DAEMON_OUT_WORK_H

#include "daemon/msg/msg.h"
#include "daemon/msg/wire.h"
#include "daemon/out/https.h"
#include "daemon/out/target.h"
#include "policy/tlog.h"

#define OUT_TARGETS (RCONF_RELAYS + RCONF_NISTS + RCONF_WITNESSES)

/* What out knows from its start on. */
struct out_conf {
	struct rconf_out conf;
	uint8_t chain_hash[RCONF_CHAINS][32];
	struct target relay[RCONF_RELAYS], nist[RCONF_NISTS];
	struct target witness[RCONF_WITNESSES]; /* url "": not asked */
	uint8_t nrelays, nnists;
};

/* KE_FORMAT: a URL that is none. */
int out_configure(struct out_conf *c) KE_CHECK;

struct work;
struct work_kind {
	uint16_t type; /* of the message */
	/* Decodes it, names the target and makes the question. KE_PEER. */
	int (*ask)(struct out_conf *c, struct work *w, struct wire_in *r);
	/* Reads a reply into the answer's fields. KE_FORMAT and the like: no fields are written. */
	int (*read)(const struct out_conf *c, const struct work *w, const char *body, size_t n,
	    struct wire_out *a);
	/* The same of a reply with status 409, when it says something; NULL: it does not. */
	int (*conflict)(const char *body, size_t n, struct wire_out *a);
};

/* One question of engine's. */
struct work {
	const struct work_kind *kind;
	uint64_t id;
	struct target *target;
	struct https_ask ask;
	uint8_t post[TLOG_SUBMISSION_MAX]; /* what ask.post points to */
};

/* A message that msg.def lets engine send; KE_PEER when it does not decode. */
int work_ask(struct out_conf *c, struct work *w, const struct msg *m) KE_CHECK;
/*
 * The answer's body: i32 result, and the fields when it is KE_OK. r: of the exchange; with KE_OK
 * the n bytes of body are read.
 */
void work_answer(const struct out_conf *c, const struct work *w, int r, const char *body, size_t n,
    struct wire_out *a);

#endif
