/*
 * hsm and engine, started for one look at a store: see kleroctl_check.h. Each enters its own
 * sandbox as it does under parent.
 */
#include "daemon/cli/kleroctl_check.h"

#include <errno.h>
#include <fcntl.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_keyadm.h"
#include "daemon/conf/spawn.h"
#include "daemon/msg/start.h"
#include "daemon/parent/parent.h"
#include "daemon/parent/roles.h"
#include "hsm/role/exit.h"

#define START_MS 60000
#define LOOK_MS  (3600 * 1000) /* between two findings: a large store takes its time */

struct look {
	const struct ctl *ctl;
	struct parent p; /* what roles_configure() reads of it */
	struct child hsm, engine;
	const struct check *what;
	char *why;
	size_t whylen;
};

static int say(struct look *l, int r, const char *what, const char *how)
{
	snprintf(l->why, l->whylen, "%s: %s", what, how);
	return r;
}

static int receive(struct look *l, struct child *c, int ms, struct msg *m)
{
	struct pollfd p = {.fd = c->ctl, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return say(l, KE_TIMEOUT, role_word(c->role), "does not answer");
	r = msg_recv(c->ctl, ROLE_PARENT, c->role, RUN, l->p.buf, m);
	if (r != KE_OK)
		return say(l, r, role_word(c->role), "has ended; its own words stand above");
	if (m->fd >= 0)
		close(m->fd);
	return KE_OK;
}

static int start(struct look *l, struct child *c, enum role role)
{
	int r;

	c->role = role;
	r = spawn_role(l->ctl->libexec, role, 0, l->ctl->null, STDERR_FILENO, &c->pid, &c->ctl);
	if (r != KE_OK) {
		c->pid = 0;
		return say(l, r, role_binary(role), "cannot be started");
	}
	r = roles_configure(&l->p, c, l->why, l->whylen);
	if (r == KE_OK)
		l->why[0] = '\0'; /* it prepares for the worst */
	return r;
}

/* Both ends of a fresh channel between the two. */
static int introduce(struct look *l, struct child *to, const struct child *peer, int fd)
{
	const struct start_peer who = {.role = peer->role, .life = 1};
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, &who);
	if (msg_send(to->ctl, msg_of_role(to->role)->peer, 0, body, w.len, fd) != KE_OK)
		return say(l, KE_CLOSED, role_word(to->role), "has ended");
	return KE_OK;
}

static int join(struct look *l)
{
	int sv[2], r = msg_pair(sv);

	if (r != KE_OK)
		return say(l, r, "socketpair", strerror(errno));
	r = introduce(l, &l->hsm, &l->engine, sv[0]);
	if (r == KE_OK)
		r = introduce(l, &l->engine, &l->hsm, sv[1]);
	close(sv[0]);
	close(sv[1]);
	return r;
}

/* One finding; *last when it was the end. */
static int take(struct look *l, const struct msg *m, bool *last)
{
	char what[64], words[768];
	struct wire_in in;
	int32_t r;

	wire_in_init(&in, m->body, m->len);
	*last = wire_get_u8(&in) != 0;
	r = wire_get_i32(&in);
	wire_get_cstr(&in, what, sizeof what);
	wire_get_cstr(&in, words, sizeof words);
	if (m->type != MSG_ENGINE_FOUND || wire_end(&in) != KE_OK)
		return say(l, KE_PEER, "engine", "its finding cannot be read");
	if (*last)
		return r;
	return l->what->each(l->what->arg, r, what, words);
}

static int listen_to(struct look *l)
{
	bool last = false;
	int r = KE_OK, bad = KE_OK;

	while (!last && r == KE_OK) {
		struct msg m;

		r = receive(l, &l->engine, LOOK_MS, &m);
		if (r == KE_OK)
			r = take(l, &m, &last);
		if (r != KE_OK && bad == KE_OK)
			bad = r;
		/* after a bad finding only the end is left */
		if (r != KE_OK && !last && l->why[0] == '\0')
			r = KE_OK;
	}
	return bad;
}

/* hsm knows then what it must not do again; a mere look makes none where there is none. */
static int open_journal(struct look *l)
{
	char folder[RCONF_PATH + 16], path[RCONF_PATH + 32];

	l->p.journal = -1;
	if (l->what->journal[0] != '\0')
		l->p.journal = open(l->what->journal, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (l->p.journal >= 0)
		return KE_OK;
	conf_journal_folder(&l->ctl->conf, folder);
	snprintf(path, sizeof path, "%s/" CONF_JOURNAL, folder);
	if (access(path, F_OK) != 0)
		return KE_OK;
	l->p.journal = conf_journal(&l->ctl->conf, l->why, l->whylen);
	return l->p.journal >= 0 ? KE_OK : l->p.journal;
}

/* A folder with nothing in it, for hsm to be shut in. */
static int make_empty(struct look *l)
{
	struct parent *p = &l->p;

	if (snprintf(p->empty, sizeof p->empty, "%s/empty", p->conf.run_dir) >=
	    (int)sizeof p->empty)
		return say(l, KE_LONG, p->conf.run_dir, "the path is too long");
	if ((mkdir(p->conf.run_dir, 0755) != 0 && errno != EEXIST) ||
	    (mkdir(p->empty, 0555) != 0 && errno != EEXIST))
		return say(l, KE_IO, p->empty, strerror(errno));
	return KE_OK;
}

/* It has nothing more to do: it ends when its channel does. */
static void end(struct child *c)
{
	if (c->pid <= 0)
		return;
	(void)!msg_send(c->ctl, msg_of_role(c->role)->stop, 0, NULL, 0, -1);
	for (int ms = 0; ms < 5000; ms += 20) {
		if (waitpid(c->pid, NULL, WNOHANG) == c->pid) {
			c->pid = 0;
			break;
		}
		usleep(20000);
	}
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(c->ctl);
}

/* KE_AGAIN: the token is an older program's, and lacks keys. */
static int start_hsm(struct look *l)
{
	struct msg m;
	int status = 0, r = start(l, &l->hsm, ROLE_HSM);

	if (r == KE_OK)
		r = receive(l, &l->hsm, START_MS, &m);
	if (r == KE_OK && m.type != MSG_HSM_READY)
		return say(l, KE_PEER, "hsm", "says something else than that it is ready");
	if (r != KE_CLOSED)
		return r;
	while (waitpid(l->hsm.pid, &status, 0) < 0 && errno == EINTR)
		;
	close(l->hsm.ctl);
	l->hsm.pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == HSM_EXIT_OLD ? KE_AGAIN : r;
}

/* What klerod does at its start, which needs a store that is there. */
static int complete(struct look *l)
{
	static struct rconf_keyadm_done done;

	if ((l->what->orders & RCONF_RESTORE) == 0)
		return say(l, KE_STATE, "token", "an older klerod has made it, and it lacks keys");
	return keyadm_act(l->ctl, KEYADM_COMPLETE, &l->ctl->conf.keys, l->what->appliance, "",
	    &done, l->why, l->whylen);
}

static int run(struct look *l)
{
	int r = make_empty(l);

	if (r == KE_OK)
		r = open_journal(l);
	if (r == KE_OK)
		r = start_hsm(l);
	if (r == KE_AGAIN) {
		r = complete(l);
		if (r == KE_OK)
			r = start_hsm(l);
	}
	if (r == KE_OK)
		r = start(l, &l->engine, ROLE_ENGINE);
	if (r == KE_OK)
		r = join(l);
	if (r == KE_OK)
		r = listen_to(l);
	end(&l->engine);
	end(&l->hsm);
	if (l->p.journal >= 0)
		close(l->p.journal);
	return r;
}

int check_store(const struct ctl *ctl, const struct check *what, char *why, size_t whylen)
{
	static struct look l;

	l = (struct look){.ctl = ctl, .what = what, .why = why, .whylen = whylen};
	why[0] = '\0';
	l.p.conf = ctl->conf;
	l.p.restore = what->orders;
	if (snprintf(l.p.conf.store, sizeof l.p.conf.store, "%s", what->folder) >=
	    (int)sizeof l.p.conf.store)
		return say(&l, KE_LONG, what->folder, "the path is too long");
	return run(&l);
}
