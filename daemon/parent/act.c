/*
 * One approved action at a time: see act.h.
 */
#include "daemon/parent/act.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"

static struct child *find(struct parent *p, enum role role, bool idle)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == role && p->children[i].idle == idle)
			return &p->children[i];
	return NULL;
}

/* To engine, when it is there: a fresh one learns the outcome from the token's anchor. */
static void answer(struct parent *p, int result, const char *reason)
{
	struct child *engine = find(p, ROLE_ENGINE, false);
	uint8_t body[512];
	struct wire_out w;

	p->act.busy = false;
	logs_say(p, result == KE_OK ? LOGL_INFO : LOGL_WARN, "approved action: %s",
	    result == KE_OK ? "carried out" : reason);
	wire_out_init(&w, body, sizeof body);
	wire_put_i32(&w, result);
	wire_put_cstr(&w, reason);
	if (engine != NULL && engine->state == CHILD_READY)
		child_tell(p, engine, MSG_ENGINE_ACTED, body, w.len, -1);
}

static int decode(const struct msg *m, struct act *a)
{
	struct wire_in r;

	wire_in_init(&r, m->body, m->len);
	wire_get_cstr(&r, a->text, sizeof a->text);
	wire_get_cstr(&r, a->approvals, sizeof a->approvals);
	return wire_end(&r);
}

bool act_request(struct parent *p, const struct msg *m)
{
	struct child *keyadm = find(p, ROLE_KEYADM, true), *spare = find(p, ROLE_HSM, true);

	if (p->act.busy || p->phase != PHASE_RUNNING || keyadm->state != CHILD_NONE ||
	    spare == NULL || spare->state != CHILD_NONE) {
		bool busy = p->act.busy;

		answer(p, KE_AGAIN, "another action is being carried out: try again");
		p->act.busy = busy;
		return true;
	}
	if (decode(m, &p->act) != KE_OK)
		return false;
	p->act.busy = true;
	child_start(p, keyadm);
	return true;
}

/* The one that knows the new anchor: it gets its peers when it is ready. */
static void start_green(struct parent *p)
{
	struct child *green = find(p, ROLE_HSM, true);

	green->idle = false;
	green->held = true;
	child_start(p, green);
}

bool act_done(struct parent *p, const struct msg *m)
{
	struct rconf_keyadm_done done;
	struct wire_in r;

	wire_in_init(&r, m->body, m->len);
	if (rconf_get_keyadm_done(&r, &done) != KE_OK || !p->act.busy)
		return false;
	if (done.result != KE_OK)
		answer(p, done.result, done.reason);
	else
		start_green(p);
	return true;
}

/* Blue finishes what it was asked, and is not replaced. */
static void retire(struct parent *p, struct child *blue)
{
	blue->idle = true;
	if (blue->state == CHILD_READY)
		child_stop(p, blue);
	else if (blue->state == CHILD_STARTING)
		child_kill(p, blue, LOGL_INFO, "is not needed any more");
}

void act_ready(struct parent *p, struct child *c)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == ROLE_HSM && &p->children[i] != c)
			retire(p, &p->children[i]);
	answer(p, KE_OK, "");
}

void act_ended(struct parent *p, struct child *c)
{
	if (c->role == ROLE_KEYADM && p->act.busy && find(p, ROLE_HSM, true) != NULL)
		answer(p, KE_UNAVAIL, "keyadm ended without a word: see the log");
	if (c->role != ROLE_HSM || !c->held)
		return;
	/* the action is done; the old hsm serves on, and whoever comes after it knows more */
	c->idle = true;
	c->held = false;
	answer(p, KE_UNAVAIL,
	    "it was carried out, but a fresh hsm does not start: see the log; the old one serves");
}
