/*
 * One approved action at a time: see act.h.
 */
#include "daemon/parent/act.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/parent/cert.h"
#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"
#include "daemon/parent/roles.h"
#include "daemon/parent/tokens.h"

/* Between two fresh hsms for worn ones: one that is worn at once must not keep all others busy, and
 * one whose disk stays bad is worn at once. Who comes next so soon waits twice as long. */
#define RENEW_MS     1000
#define RENEW_MAX_MS 30000

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
	a->audit = wire_get_u64(&r);
	wire_get_raw(&r, a->audit_hash, sizeof a->audit_hash);
	wire_get_cstr(&r, a->text, sizeof a->text);
	wire_get_cstr(&r, a->approvals, sizeof a->approvals);
	/*
	 * keyadm understands the proposal; all that is read of it here is whether the second token
	 * and the certificate's file are needed. A lie about that costs a refusal.
	 */
	a->tls = strstr(a->text, "\npurpose tls\n") != NULL;
	return wire_end(&r);
}

static bool at_rest(struct parent *p, enum role role)
{
	const struct child *spare = find(p, role, true);

	return spare != NULL && spare->state == CHILD_NONE;
}

static void start_keyadm(struct parent *p)
{
	p->act.busy = true;
	p->act.made = false;
	child_start(p, find(p, ROLE_KEYADM, true));
}

bool act_request(struct parent *p, const struct msg *m)
{
	char why[512];

	if (p->act.busy || p->phase != PHASE_RUNNING || !at_rest(p, ROLE_KEYADM) ||
	    !at_rest(p, ROLE_HSM) || !at_rest(p, ROLE_TLSKEY)) {
		bool busy = p->act.busy;

		answer(p, KE_AGAIN, "another action is being carried out: try again");
		p->act.busy = busy;
		return true;
	}
	if (decode(m, &p->act) != KE_OK)
		return false;
	if (p->act.tls && cert_check(&p->conf, why, sizeof why) != KE_OK) {
		answer(p, KE_IO, why);
		return true;
	}
	/*
	 * Nets may still serve with what the file held before. A key that is destroyed is gone at
	 * once for a tlskey whose module cannot copy keys: by then nobody may be in need of it.
	 */
	if (p->act.tls)
		cert_tell(p);
	start_keyadm(p);
	return true;
}

/*
 * Whoever just reads its keys would find some of them before and others after what keyadm writes,
 * or a handle of neither.
 */
static void read_again(struct parent *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (!roles_hold_keys(c->role) || c->state != CHILD_STARTING)
			continue;
		c->again = true;
		child_kill(p, c, LOGL_INFO, "starts again when the token is whole");
	}
}

bool act_complete(struct parent *p)
{
	if (p->act.completing)
		return true;
	if (p->act.completed || p->act.busy || !at_rest(p, ROLE_KEYADM))
		return false;
	logs_say(p, LOGL_INFO, "keyadm completes the token");
	p->act.completing = true;
	p->act.completed = true;
	p->act.tls = false;
	read_again(p);
	start_keyadm(p);
	return true;
}

/* hsm is started again, and knows better whether the token is whole now. */
static void end_complete(struct parent *p, int result, const char *reason)
{
	p->act.busy = false;
	p->act.completing = false;
	if (result == KE_OK) {
		logs_say(p, LOGL_INFO, "the token is complete");
		return;
	}
	logs_say(p, LOGL_ERROR, "the token cannot be completed: %s", reason);
	if (p->phase == PHASE_BOOT)
		parent_stop(p, 1);
}

/* The one that knows what the token holds now: it gets its peers when it is ready. */
static void start_green(struct parent *p, enum role role)
{
	struct child *green = find(p, role, true);

	green->idle = false;
	green->held = true;
	child_start(p, green);
}

/*
 * A device that fails keyadm in the middle leaves it open whether the action was carried out. A
 * fresh hsm reads in the token what has become of it, and engine hears it from there.
 */
static bool look(struct parent *p, const char *reason)
{
	const struct child *blue = find(p, ROLE_HSM, false);

	if (blue == NULL || blue->state != CHILD_READY || !at_rest(p, ROLE_HSM))
		return false;
	p->act.made = true;
	p->act.result = KE_UNAVAIL;
	snprintf(p->act.reason, sizeof p->act.reason, "%s", reason);
	p->act.cert_pem[0] = '\0';
	start_green(p, ROLE_HSM);
	return true;
}

bool act_done(struct parent *p, const struct msg *m)
{
	struct rconf_keyadm_done done;
	struct wire_in r;

	wire_in_init(&r, m->body, m->len);
	if (rconf_get_keyadm_done(&r, &done) != KE_OK || !p->act.busy || p->act.made)
		return false;
	if (p->act.completing) {
		end_complete(p, done.result, done.reason);
		return true;
	}
	if (done.result == KE_UNAVAIL && look(p, done.reason))
		return true;
	if (done.result != KE_OK) {
		answer(p, done.result, done.reason);
		return true;
	}
	p->act.made = true;
	p->act.result = KE_OK;
	p->act.reason[0] = '\0';
	memcpy(p->act.cert_pem, done.cert_pem, sizeof p->act.cert_pem);
	start_green(p, ROLE_HSM); /* the anchor has changed, whatever it was */
	if (!p->act.tls)
		return true;
	/* a version is gone: the file may have been changed since the nets were told */
	if (done.cert_pem[0] == '\0')
		cert_tell(p);
	start_green(p, ROLE_TLSKEY);
	return true;
}

int64_t act_tick(struct parent *p, int64_t now)
{
	struct child *blue = find(p, ROLE_HSM, false);
	struct act *a = &p->act;

	/* a refused PIN is not tried again and again */
	if (blue == NULL || !blue->worn || blue->state != CHILD_READY || a->busy ||
	    p->phase != PHASE_RUNNING || !at_rest(p, ROLE_HSM) || tokens_barred(p, ROLE_HSM))
		return INT64_MAX;
	if (now < a->renew_ms)
		return a->renew_ms;
	a->renew_wait_ms = now - a->renew_ms >= a->renew_wait_ms ? RENEW_MS
			   : a->renew_wait_ms < RENEW_MAX_MS / 2 ? 2 * a->renew_wait_ms
								 : RENEW_MAX_MS;
	a->renew_ms = now + a->renew_wait_ms;
	logs_say(p, LOGL_INFO, "hsm.%u is worn: a fresh one is started", blue->index);
	start_green(p, ROLE_HSM);
	return INT64_MAX;
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

/* The outcome, when the last of the fresh ones serves or has failed. */
static void finish(struct parent *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].held)
			return;
	/* and when it was for an action, not for a worn hsm */
	if (p->act.busy && p->act.made)
		answer(p, p->act.result, p->act.reason);
}

/*
 * Now that tlskey signs for it. The nets hear of it after they have heard of the fresh tlskey, and
 * the former certificate's key stands in the token too: no handshake is without its key.
 */
static void use_certificate(struct parent *p)
{
	char why[320];

	if (cert_replace(&p->conf, p->act.cert_pem, why, sizeof why) == KE_OK) {
		cert_tell(p);
		return;
	}
	p->act.result = KE_IO;
	snprintf(p->act.reason, sizeof p->act.reason,
	    "the key is made, but not in use: %s; mend that and rotate again", why);
}

void act_ready(struct parent *p, struct child *c)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == c->role && &p->children[i] != c)
			retire(p, &p->children[i]);
	if (c->role == ROLE_TLSKEY && p->act.cert_pem[0] != '\0')
		use_certificate(p);
	finish(p);
}

static bool barred(const struct parent *p)
{
	return tokens_barred(p, ROLE_HSM) || (p->act.tls && tokens_barred(p, ROLE_TLSKEY));
}

static const char *no_word(const struct parent *p)
{
	return barred(p) ? "the token does not take its PIN: see the log"
			 : "keyadm ended without a word: see the log";
}

void act_ended(struct parent *p, struct child *c)
{
	if (c->role == ROLE_KEYADM && p->act.completing)
		end_complete(p, KE_UNAVAIL, no_word(p));
	else if (c->role == ROLE_KEYADM && p->act.busy && !p->act.made &&
		 (barred(p) || !look(p, no_word(p))))
		answer(p, barred(p) ? KE_AUTH : KE_UNAVAIL, no_word(p));
	if (!c->held)
		return;
	/* the action is done; the old one serves on, and whoever comes after it knows more */
	c->idle = true;
	c->held = false;
	p->act.result = KE_UNAVAIL;
	snprintf(p->act.reason, sizeof p->act.reason,
	    "it was carried out, but a fresh %s does not start: see the log; the old one serves",
	    role_word(c->role));
	finish(p);
}
