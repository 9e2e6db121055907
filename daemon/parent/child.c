/*
 * The life of one child: see child.h.
 */
#include "daemon/parent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/conf/spawn.h"
#include "daemon/loop/backoff.h"
#include "daemon/msg/start.h"
#include "daemon/parent/act.h"
#include "daemon/parent/logs.h"
#include "daemon/parent/roles.h"
#include "daemon/parent/tokens.h"
#include "hsm/role/exit.h"

/* A role that ends with status 0 after so long has asked to be replaced (KEYS.md section 1). */
#define PLANNED_MS 1000
/* How long a child that has closed its control channel may take to end. */
#define CLOSED_MS 1000
/* Waiting before a role that has just died dies again: doubled each time. */
#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 30000
/* Who has served so many times as long as it had waited before begins anew. */
#define BACKOFF_RESET 10
/* A channel is blamed once, and few were open to those that are gone: more is noise. */
#define STALE_BLAMES 64

static void add(struct parent *p, enum role role, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		p->children[p->n++] =
		    (struct child){.role = role, .index = (uint8_t)i, .ctl = -1, .log = -1};
}

/* The order is that in which a role hears of its peers. */
void child_list(struct parent *p)
{
	add(p, ROLE_HSM, 2);
	p->children[p->n - 1].idle = true; /* the other one's successor */
	add(p, ROLE_TLSKEY, 2);
	p->children[p->n - 1].idle = true; /* likewise */
	add(p, ROLE_ENGINE, 1);
	add(p, ROLE_KDF, p->conf.kdfs);
	add(p, ROLE_OUT, conf_asks(&p->conf) || p->conf.witness_policy[0] != '\0');
	add(p, ROLE_BEACON, conf_asks(&p->conf));
	add(p, ROLE_NET, p->conf.nets);
	add(p, ROLE_KEYADM, 1);
	p->children[p->n - 1].idle = true;
}

static bool alive(const struct child *c)
{
	return c->state == CHILD_STARTING || c->state == CHILD_READY;
}

static void set_state(struct child *c, enum child_state to)
{
#define BIT(s) (1u << (s))
	static const unsigned from[CHILD_STATES] = {
	    [CHILD_NONE] =
		BIT(CHILD_STARTING) | BIT(CHILD_READY) | BIT(CHILD_STOPPING) | BIT(CHILD_DYING),
	    [CHILD_STARTING] = BIT(CHILD_NONE),
	    [CHILD_READY] = BIT(CHILD_STARTING),
	    [CHILD_STOPPING] = BIT(CHILD_READY),
	    [CHILD_DYING] = BIT(CHILD_STARTING) | BIT(CHILD_READY) | BIT(CHILD_STOPPING),
	};

	if ((from[to] & BIT(c->state)) == 0)
		fatal("%s.%u: state %d after %d", role_word(c->role), c->index, to, c->state);
#undef BIT
	c->state = to;
	c->since_ms = parent_now();
	c->deadline_ms = 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A process for c; our ends of its channel and of its log pipe do not block. */
static int spawn(struct parent *p, struct child *c)
{
	int log[2], r;

	if (pipe2(log, O_CLOEXEC) != 0)
		return KE_IO;
	r = fcntl(log[0], F_SETFL, O_NONBLOCK) == 0 ? KE_OK : KE_IO;
	if (r == KE_OK)
		r = spawn_role(p->libexec, c->role, c->index, p->null, log[1], &c->pid, &c->ctl);
	close(log[1]);
	if (r != KE_OK) {
		close(log[0]);
		return r;
	}
	c->life++;
	c->log = log[0];
	c->stale = 0;
	c->worn = false;
	c->spoke = false;
	logs_begin(c);
	return KE_OK;
}

/* A control channel is empty but for a few short messages; a full one is a sick child's. */
void child_tell(
    struct parent *p, struct child *c, uint16_t type, const void *body, size_t len, int fd)
{
	int r = msg_send(c->ctl, type, 0, body, len, fd);

	/* a closed one belongs to a child that has just ended: its death will be noticed */
	if (r != KE_OK && r != KE_CLOSED)
		child_kill(p, c, LOGL_ERROR, "does not read its control channel");
}

static void introduce(struct parent *p, struct child *to, const struct child *peer, int fd)
{
	const struct start_peer who = {peer->role, peer->index, peer->life};
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, &who);
	child_tell(p, to, msg_of_role(to->role)->peer, body, w.len, fd);
}

static void link_peers(struct parent *p, struct child *c)
{
	for (size_t i = 0; i < p->n; i++) {
		struct child *peer = &p->children[i];
		int sv[2];

		if (!alive(peer) || peer->held || !alive(c) || !roles_edge(c->role, peer->role))
			continue;
		if (msg_pair(sv) != KE_OK) {
			child_kill(p, c, LOGL_ERROR, "gets no channel to its peer");
			return;
		}
		introduce(p, c, peer, sv[0]);
		introduce(p, peer, c, sv[1]);
		close(sv[0]);
		close(sv[1]);
	}
}

/* Writes a death down; false when there were more than the budget allows. */
static bool within_budget(struct parent *p, enum role role, int64_t now)
{
	const struct rconf_limit *budget = &p->conf.death_budget;
	struct deaths *d = &p->deaths[role];
	uint32_t slot = d->n % budget->count;
	bool ok = d->n < budget->count || now - d->at_ms[slot] > (int64_t)budget->window_s * 1000;

	d->at_ms[slot] = now;
	d->n++;
	return ok;
}

/* The first replacement comes at once, then twice as late each time. */
static int64_t replaced_after_ms(const struct parent *p, enum role role, int64_t now)
{
	const struct rconf_limit *budget = &p->conf.death_budget;
	const struct deaths *d = &p->deaths[role];
	uint32_t back = 1;

	while (back < d->n && back < budget->count &&
	       now - d->at_ms[(d->n - 1 - back) % budget->count] < (int64_t)budget->window_s * 1000)
		back++;
	return back == 1 ? 0 : backoff_ms(BACKOFF_MS, back - 2, BACKOFF_MAX_MS);
}

/* What a death means (hsm/role/exit.h for the key holders' own words). */
enum fate {
	FATE_DIED,    /* counts against the budget */
	FATE_PLANNED, /* worn out: a fresh one at once */
	FATE_OLD,     /* its token is not whole: keyadm completes it, then again */
	FATE_LOST,    /* its device is away: again and again, later each time, no operator needed */
	FATE_NEVER    /* its PIN was refused: the token would lock */
};

/* It has served, and says itself that it has served enough. */
static bool planned(const struct child *c, int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == HSM_EXIT_PLANNED &&
	       c->state == CHILD_READY && parent_now() - c->since_ms >= PLANNED_MS;
}

static enum fate fate(const struct parent *p, const struct child *c, int status)
{
	bool starting = c->state == CHILD_STARTING;

	/* also one that got no configuration, for its PIN is known to be wrong */
	if (roles_hold_keys(c->role) && tokens_barred(p, c->role))
		return FATE_NEVER;
	/* whose device hangs */
	if (roles_hold_keys(c->role) && c->overdue)
		return FATE_LOST;
	if (c->again)
		return FATE_OLD;
	/* engine, whose hsm went away while it started */
	if (c->role == ROLE_ENGINE && starting && WIFEXITED(status) &&
	    WEXITSTATUS(status) == HSM_EXIT_LOST)
		return FATE_LOST;
	if (c->role == ROLE_BEACON)
		return planned(c, status) ? FATE_PLANNED : FATE_DIED;
	if (!WIFEXITED(status) || !roles_hold_keys(c->role))
		return FATE_DIED;
	switch (WEXITSTATUS(status)) {
	case HSM_EXIT_PLANNED:
		return planned(c, status) ? FATE_PLANNED : FATE_DIED;
	case HSM_EXIT_OLD:
		return starting ? FATE_OLD : FATE_DIED;
	case HSM_EXIT_LOST:
	case HSM_EXIT_OTHER:
		return FATE_LOST;
	default:
		return starting ? FATE_LOST : FATE_DIED;
	}
}

static void lost(struct parent *p, struct child *c)
{
	c->waited_ms = backoff_ms(BACKOFF_MS, c->lost++, BACKOFF_MAX_MS);
	c->next_ms = parent_now() + c->waited_ms;
	logs_say(p, LOGL_WARN, "%s.%u is tried again in %lld ms", role_word(c->role), c->index,
	    (long long)(c->next_ms - parent_now()));
}

static void replace(struct parent *p, struct child *c, enum fate why)
{
	int64_t now = parent_now();

	c->next_ms = now;
	if (why == FATE_PLANNED)
		return;
	if (why == FATE_LOST || why == FATE_OLD) {
		lost(p, c);
		return;
	}
	if (why == FATE_NEVER) {
		c->next_ms = INT64_MAX;
		logs_say(p, LOGL_ERROR,
		    "%s is not started again: put the right PIN into its file, or unlock the "
		    "token, then send SIGHUP (systemctl reload klerod)",
		    role_word(c->role));
		return;
	}
	if (!within_budget(p, c->role, now)) {
		logs_say(p, LOGL_ERROR, "%s has died more than %u times in %u s: stopping",
		    role_word(c->role), p->conf.death_budget.count, p->conf.death_budget.window_s);
		parent_stop(p, 1);
		return;
	}
	c->next_ms += replaced_after_ms(p, c->role, now);
}

/* No process, for want of a descriptor or of memory: as bad as a death, and as often forgiven. */
static void stillborn(struct parent *p, struct child *c)
{
	if (p->phase == PHASE_RUNNING)
		replace(p, c, FATE_DIED);
	else
		parent_stop(p, 1);
}

void child_start(struct parent *p, struct child *c)
{
	char why[512] = "";

	if (spawn(p, c) != KE_OK) {
		logs_say(p, LOGL_ERROR, "%s.%u cannot be started: %s", role_word(c->role), c->index,
		    strerror(errno));
		stillborn(p, c);
		return;
	}
	set_state(c, CHILD_STARTING);
	c->deadline_ms = c->since_ms + (c->role == ROLE_KEYADM ? PARENT_ACT_MS : PARENT_START_MS);
	if (roles_configure(p, c, why, sizeof why) != KE_OK) {
		logs_say(p, LOGL_ERROR, "%s", why);
		c->spoke = true;
		child_kill(p, c, LOGL_WARN, "gets no configuration");
		return;
	}
	if (!c->held)
		link_peers(p, c);
	if (c->role == ROLE_ENGINE)
		tokens_tell(p, true);
}

/*
 * A role of another user is ended as that user, which setuid allows: CAP_KILL would reach every
 * process of the machine, this reaches those of one role. Real and saved ids stay root's, so that
 * the role cannot turn on parent meanwhile.
 */
static void end_process(const struct child *c)
{
	if (kill(c->pid, SIGKILL) == 0 || errno != EPERM)
		return;
	if (seteuid(c->uid) != 0 || kill(c->pid, SIGKILL) != 0)
		fatal("%s.%u[%d] cannot be ended: errno %d", role_word(c->role), c->index,
		    (int)c->pid, errno);
	if (seteuid(0) != 0)
		fatal("cannot become root again: errno %d", errno);
}

void child_kill(struct parent *p, struct child *c, enum log_level level, const char *why)
{
	if (c->state == CHILD_NONE || c->state == CHILD_DYING)
		return;
	logs_say(p, level, "%s.%u[%d] %s: killed", role_word(c->role), c->index, (int)c->pid, why);
	set_state(c, CHILD_DYING);
	close_fd(&c->ctl);
	end_process(c);
}

void child_stop(struct parent *p, struct child *c)
{
	set_state(c, CHILD_STOPPING);
	c->deadline_ms = c->since_ms + PARENT_STOP_MS;
	child_tell(p, c, msg_of_role(c->role)->stop, NULL, 0, -1);
}

static struct child *find(struct parent *p, enum role role, uint8_t index)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == role && p->children[i].index == index)
			return &p->children[i];
	return NULL;
}

/*
 * Only a more trusted peer can blame, and only one that it has a channel to. A process that has
 * been replaced meanwhile is past blame, and its successor has done nothing.
 */
static bool blame(struct parent *p, struct child *c, const struct msg *m)
{
	struct start_peer who;
	struct child *peer;
	struct wire_in r;
	char why[64];

	wire_in_init(&r, m->body, m->len);
	if (start_get_peer(&r, &who) != KE_OK)
		return false;
	peer = find(p, who.role, who.index);
	if (peer == NULL || !roles_edge(c->role, peer->role) ||
	    role_rank(c->role) <= role_rank(peer->role) || who.life > peer->life)
		return false;
	if (who.life < peer->life) {
		if (++c->stale > STALE_BLAMES)
			return false;
		logs_say(p, LOGL_INFO, "%s blames %s.%u, which is gone", role_word(c->role),
		    role_word(peer->role), peer->index);
		return true;
	}
	snprintf(why, sizeof why, "broke the protocol towards %s", role_word(c->role));
	child_kill(p, peer, LOGL_SECURITY, why);
	return true;
}

static void ready(struct parent *p, struct child *c)
{
	logs_say(p, LOGL_INFO, "%s.%u[%d] is ready after %lld ms", role_word(c->role), c->index,
	    (int)c->pid, (long long)(parent_now() - c->since_ms));
	set_state(c, CHILD_READY);
	c->next_ms = c->since_ms + PARENT_PING_MS;
	tokens_tell(p, false);
	if (!c->held)
		return;
	c->held = false;
	link_peers(p, c);
	act_ready(p, c);
}

/* False when the child may not say this now. */
static bool handle(struct parent *p, struct child *c, const struct msg *m)
{
	const struct msg_of_role *own = msg_of_role(c->role);

	if (m->type == MSG_KEYADM_DONE)
		return act_done(p, m);
	if (c->state == CHILD_STARTING && m->type == own->ready) {
		if (roles_hold_keys(c->role) && !tokens_ready(p, c, m))
			return false;
		if (c->role == ROLE_HSM)
			p->act.completed = false;
		ready(p, c);
		return true;
	}
	if (c->state == CHILD_STARTING || m->type == own->ready)
		return false;
	if (m->type == own->pong) {
		/* one that nobody asked for is the begin of a flood */
		if (c->state == CHILD_READY && c->deadline_ms == 0)
			return false;
		if (c->state == CHILD_READY)
			c->deadline_ms = 0;
		return true;
	}
	if (m->type == MSG_ENGINE_ACT)
		return act_request(p, m);
	if (m->type == MSG_HSM_WORN) {
		bool again = c->worn;

		c->worn = true; /* seen to with the next tick */
		return !again;
	}
	return blame(p, c, m);
}

void child_message(struct parent *p, struct child *c)
{
	struct msg m;
	int r = msg_recv(c->ctl, ROLE_PARENT, c->role, RUN, p->buf, &m);

	if (r == KE_AGAIN)
		return;
	if (r == KE_CLOSED || r == KE_IO) {
		close_fd(&c->ctl);
		c->deadline_ms = parent_now() + CLOSED_MS;
		return;
	}
	if (r == KE_OK && m.fd >= 0)
		close(m.fd);
	if (r != KE_OK || !handle(p, c, &m))
		child_kill(p, c, LOGL_SECURITY, "broke the protocol towards parent");
}

static void ping(struct parent *p, struct child *c, int64_t now)
{
	c->next_ms = now + PARENT_PING_MS;
	if (c->deadline_ms != 0)
		return; /* the last one is still unanswered */
	c->deadline_ms = now + PARENT_PONG_MS;
	child_tell(p, c, msg_of_role(c->role)->ping, NULL, 0, -1);
}

static const char *overdue(const struct child *c)
{
	if (c->state == CHILD_STARTING)
		return "was not ready in time";
	return c->state == CHILD_STOPPING ? "did not finish in time" : "does not answer";
}

/* An engine can start only with an hsm; that there is none is no fault of its own. */
static bool waits_for_hsm(const struct parent *p, const struct child *c)
{
	if (c->role != ROLE_ENGINE || c->state != CHILD_STARTING || p->phase != PHASE_RUNNING)
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == ROLE_HSM && p->children[i].state == CHILD_READY)
			return false;
	return true;
}

int64_t child_tick(struct parent *p, struct child *c, int64_t now)
{
	int64_t next = INT64_MAX;

	if (c->state == CHILD_NONE && c->idle)
		return next;
	if (c->state == CHILD_NONE && p->phase == PHASE_RUNNING) {
		if (c->next_ms > now)
			return c->next_ms;
		child_start(p, c);
		if (c->state == CHILD_NONE) /* it could not be, and is due again */
			return c->next_ms;
	}
	if (c->state == CHILD_NONE || c->state == CHILD_DYING)
		return next;
	if (c->deadline_ms != 0 && now >= c->deadline_ms && waits_for_hsm(p, c))
		c->deadline_ms = now + PARENT_START_MS;
	if (c->deadline_ms != 0 && now >= c->deadline_ms) {
		c->overdue = true;
		child_kill(p, c, LOGL_ERROR, overdue(c));
		return next;
	}
	if (c->state == CHILD_READY && c->ctl >= 0) {
		if (now >= c->next_ms)
			ping(p, c, now);
		next = c->next_ms;
	}
	return c->deadline_ms != 0 && c->deadline_ms < next ? c->deadline_ms : next;
}

static void report(struct parent *p, const struct child *c, int status, enum fate why)
{
	enum log_level level = c->spoke ? LOGL_WARN : LOGL_ERROR;
	const char *role = role_word(c->role);

	/* it was said why, or it is what an upgrade begins with */
	if (c->state == CHILD_DYING || (why == FATE_OLD && !p->act.completed))
		level = LOGL_INFO;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		logs_say(p, LOGL_SECURITY, "%s.%u[%d] was killed by its sandbox", role, c->index,
		    (int)c->pid);
	else if (WIFSIGNALED(status))
		logs_say(p, level, "%s.%u[%d] was killed by signal %d", role, c->index, (int)c->pid,
		    WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		logs_say(p, level, "%s.%u[%d] ended with status %d", role, c->index, (int)c->pid,
		    WEXITSTATUS(status));
	else
		logs_say(p, LOGL_INFO, "%s.%u[%d] ended", role, c->index, (int)c->pid);
}

static void died(struct parent *p, struct child *c, int status)
{
	bool again = c->again;
	enum fate why;

	if ((roles_hold_keys(c->role) || c->role == ROLE_KEYADM) && WIFEXITED(status))
		tokens_ended(p, c->role, WEXITSTATUS(status));
	why = fate(p, c, status);
	logs_read(p, c, true);
	report(p, c, status, why);
	if (c->state == CHILD_READY && parent_now() - c->since_ms >= BACKOFF_RESET * c->waited_ms)
		c->lost = 0;
	close_fd(&c->ctl);
	close_fd(&c->log);
	c->pid = 0;
	set_state(c, CHILD_NONE);
	c->overdue = false;
	c->again = false;
	tokens_tell(p, false);
	act_ended(p, c);
	if (c->idle)
		return;
	if (why == FATE_OLD && (again || act_complete(p)) && p->phase == PHASE_BOOT)
		return; /* stages.c starts it again */
	/* the same PIN would be refused again, and whoever starts klerod again must know that */
	if (p->phase == PHASE_BOOT)
		parent_stop(p, why == FATE_NEVER ? HSM_EXIT_PIN : 1);
	else if (p->phase == PHASE_RUNNING)
		replace(p, c, why);
}

void child_reap(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < p->n; i++)
			if (p->children[i].pid == pid)
				died(p, &p->children[i], status);
}
