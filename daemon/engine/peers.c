/*
 * Engine's channels: see peers.h. Runs in engine. One dispatch function per kind of peer, each
 * with the few messages that msg.def lets that peer send.
 */
#include "daemon/engine/peers.h"

#include <string.h>
#include <unistd.h>

#include "daemon/engine/api.h"
#include "daemon/engine/engine.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"

#define NET_QUEUE    2048 /* unsent answers; beyond NET_HIGH the net is not read from */
#define NET_HIGH     256
#define NET_LOW      64
#define HSM_QUEUE    JOBS_MAX
#define KDF_QUEUE    4
#define HELPER_QUEUE 64

static struct peer *peer_of(struct engine *e, const struct start_peer *who)
{
	enum role role = who->role;
	uint8_t index = who->index;

	if (role == ROLE_HSM)
		return &e->peers.hsm; /* whichever of the two it is */
	if (role == ROLE_OUT)
		return &e->peers.out;
	if (role == ROLE_BEACON)
		return &e->peers.beacon;
	if (role == ROLE_NET && index < PEERS_NETS)
		return &e->peers.net[index];
	if (role == ROLE_KDF && index < PEERS_KDFS)
		return &e->peers.kdf[index];
	return NULL;
}

static int from_net(void *arg, struct chan *c, const struct msg *m)
{
	struct engine *e = arg;
	uint8_t index = chan_peer(c)->index;
	struct wire_in in;

	if (m->type == MSG_API_REQ)
		return api_request(e, index, m);
	wire_in_init(&in, m->body, m->len);
	return apimsg_get_stats(&in, &e->peers.stats[index]);
}

static int from_hsm(void *arg, struct chan *c, const struct msg *m)
{
	(void)c;
	return hsm_answer(arg, m);
}

static int from_kdf(void *arg, struct chan *c, const struct msg *m)
{
	return kdf_answer(arg, chan_peer(c)->index, m);
}

/* out and beacon: a result, and what a job reads behind it. */
static int from_helper(void *arg, struct chan *c, const struct msg *m)
{
	struct wire_in in;
	int r;

	(void)c;
	wire_in_init(&in, m->body, m->len);
	r = wire_get_i32(&in);
	return job_answer(arg, m->id, m->type, r, &in);
}

static bool waits_on(const struct job *j, uint64_t chan)
{
	return j->chan == chan;
}

static void on_closed(void *arg, struct chan *c)
{
	struct engine *e = arg;
	const struct start_peer *who = chan_peer(c);
	struct peer *p = peer_of(e, who);

	if (c == e->peers.former.chan) {
		e->peers.former.chan = NULL;
		hsm_gone(e, e->peers.former.serial);
		return;
	}
	if (p->chan != c)
		return; /* its successor is here already */
	p->chan = NULL;
	if (e->stopping)
		return;
	log_warn("%s %u is gone", role_word(who->role), who->index);
	if (who->role == ROLE_HSM)
		hsm_gone(e, p->serial);
	if (who->role == ROLE_OUT || who->role == ROLE_BEACON)
		job_fail_all(e, waits_on, p->serial, KE_UNAVAIL);
	if (who->role == ROLE_KDF)
		kdf_gone(e, who->index);
}

/* Who sends what, and how many of ours may wait for it. */
static const struct handling {
	chan_message_cb *cb;
	size_t queue;
} handlings[ROLE_COUNT] = {
    [ROLE_NET] = {from_net, NET_QUEUE},
    [ROLE_HSM] = {from_hsm, HSM_QUEUE},
    [ROLE_KDF] = {from_kdf, KDF_QUEUE},
    [ROLE_OUT] = {from_helper, HELPER_QUEUE},
    [ROLE_BEACON] = {from_helper, HELPER_QUEUE},
};

static void forget(struct engine *e, struct chan *c)
{
	on_closed(e, c);
	chan_free(c);
}

/* The successor is here: the former one only answers. One of them is enough. */
static void keep_former(struct engine *e)
{
	if (e->peers.former.chan != NULL)
		forget(e, e->peers.former.chan);
	e->peers.former = e->peers.hsm;
}

void peers_drain(struct engine *e)
{
	struct peer *p = &e->peers.former;

	if (p->chan == NULL || job_waits_on(e, p->serial))
		return;
	chan_free(p->chan);
	p->chan = NULL;
}

void peers_attach(struct engine *e, const struct start_peer *who, int fd)
{
	enum role role = who->role;
	struct peer *p = peer_of(e, who);
	const struct handling *h = &handlings[role];

	if (p == NULL)
		fatal(
		    "parent offers %s %u, which engine does not know", role_word(role), who->index);
	if (p->chan != NULL && role == ROLE_HSM)
		keep_former(e);
	else if (p->chan != NULL)
		forget(e, p->chan);
	p->chan = chan_new(e->base, fd, ROLE_ENGINE, who, h->queue, h->cb, on_closed, e);
	p->serial = ++e->peers.serial;
	p->paused = role == ROLE_NET && !opening_serves(e);
	if (p->paused)
		chan_pause(p->chan, true);
	if (role == ROLE_HSM)
		hsm_tick(e);
	if (role == ROLE_HSM && e->db != NULL)
		quorum_ask(e);
	if (role == ROLE_KDF)
		kdf_tick(e);
}

/* A net that does not take what it asked for: parent replaces it. */
static void give_up(struct engine *e, uint8_t index)
{
	struct chan *c = e->peers.net[index].chan;

	log_warn("net %u does not take its messages", index);
	e->peers.net[index].chan = NULL;
	start_blame(ROLE_ENGINE, chan_peer(c));
	chan_free(c);
}

/* What has happened must be said; a channel that has just closed reports its end by itself. */
static void must_leave(int r)
{
	if (r != KE_OK && r != KE_CLOSED)
		fatal("a message to net: %s", ke_words(r));
}

static void deliver_answer(struct engine *e, const struct turn_out *o)
{
	struct peer *p = &e->peers.net[o->index];
	int r;

	if (p->chan == NULL || p->serial != o->chan)
		return; /* the connection died with its net */
	r = chan_send(p->chan, o->type, o->id, o->body, o->len, o->fd);
	if (r == KE_FULL) {
		give_up(e, o->index);
		return;
	}
	must_leave(r);
	if (!p->paused && chan_queued(p->chan) > NET_HIGH) {
		p->paused = true;
		chan_pause(p->chan, true);
	}
}

static void deliver_question(struct engine *e, const struct turn_out *o)
{
	struct peer *p = &e->peers.hsm;

	if (!job_waits(e, o->id))
		return;
	if (p->chan == NULL || chan_send(p->chan, o->type, o->id, o->body, o->len, -1) != KE_OK)
		job_fail(e, o->id, KE_UNAVAIL);
	else
		job_sent(e, o->id, p->serial);
}

void peers_deliver(struct engine *e, const struct turn_out *o)
{
	switch (o->kind) {
	case TURN_ANSWER:
		deliver_answer(e, o);
		return;
	case TURN_HSM:
		deliver_question(e, o);
		return;
	case TURN_CTL:
		ctl_deliver(e, o);
		return;
	case TURN_PARENT:
		if (msg_send(MSG_CTL_FD, o->type, 0, o->body, o->len, -1) != KE_OK)
			fatal("parent does not take a message");
		return;
	}
}

void peers_drop_cache(struct engine *e, uint32_t tags)
{
	uint8_t body[4];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u32(&w, tags);
	for (uint8_t i = 0; i < PEERS_NETS; i++) {
		struct chan *c = e->peers.net[i].chan;
		int r = KE_OK;

		if (c != NULL)
			r = chan_send(c, MSG_CACHE_DROP, 0, body, sizeof body, -1);
		/* a net that cannot hear this would go on serving what is no longer true */
		if (r == KE_FULL)
			give_up(e, i);
		else
			must_leave(r);
	}
}

void peers_resume(struct engine *e)
{
	if (!opening_serves(e))
		return;
	for (unsigned i = 0; i < PEERS_NETS; i++) {
		struct peer *p = &e->peers.net[i];

		if (p->chan != NULL && p->paused && chan_queued(p->chan) < NET_LOW) {
			p->paused = false;
			chan_pause(p->chan, false);
		}
	}
}

unsigned peers_kdfs(const struct engine *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEERS_KDFS; i++)
		n += e->peers.kdf[i].chan != NULL;
	return n;
}
