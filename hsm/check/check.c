/*
 * The order of things in hsm check: see check.h. Runs in a child of kleroctl.
 */
#include "hsm/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hsm/p11/ckr.h"

static int enter(struct p11 *p, const struct check_token *t)
{
	int r;

	p->params = t->params;
	r = p11_load(p, t->module, t->env, t->nenv);
	if (r == KE_OK)
		r = p11_open(p, t->label, false);
	return r == KE_OK ? p11_login(p, t->pin) : r;
}

/* A process that has logged in, as the outgoing hsm has while the fresh one starts. */
struct second {
	pid_t pid;
	int ready, leave; /* pipes */
};

static void second_life(const struct check_token *t, int ready, int leave)
{
	static struct p11 p;
	int r = enter(&p, t);
	char c = r == KE_OK ? 'y' : 'n';

	if (write(ready, &c, 1) != 1 || read(leave, &c, 1) != 0)
		_exit(1);
	p11_close(&p);
	_exit(0);
}

static int second_start(struct second *s, const struct check_token *t)
{
	int ready[2], leave[2];

	*s = (struct second){-1, -1, -1};
	if (pipe(ready) != 0)
		return KE_IO;
	if (pipe(leave) != 0) {
		close(ready[0]);
		close(ready[1]);
		return KE_IO;
	}
	s->pid = fork();
	if (s->pid == 0) {
		close(ready[0]);
		close(leave[1]);
		second_life(t, ready[1], leave[0]);
	}
	close(ready[1]);
	close(leave[0]);
	s->ready = ready[0];
	s->leave = leave[1];
	return s->pid > 0 ? KE_OK : KE_IO;
}

/* Its answer, while it is still there. */
static bool second_is_in(const struct second *s)
{
	char c = 'n';

	return read(s->ready, &c, 1) == 1 && c == 'y';
}

static void second_end(struct second *s)
{
	close(s->leave);
	close(s->ready);
	if (s->pid > 0)
		(void)waitpid(s->pid, NULL, 0);
}

static void set(struct check *c, enum need n, bool has, const char *how)
{
	c->results[n].state = has ? CHECK_HAS : CHECK_LACKS;
	snprintf(c->results[n].how, sizeof c->results[n].how, "%s", how);
}

static unsigned threads(void)
{
	char line[128];
	unsigned n = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "Threads: %u", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

static void describe(struct check *c)
{
	CK_INFO info;
	size_t n = sizeof info.libraryDescription;

	if (c->p.f->C_GetInfo(&info) != CKR_OK)
		return;
	while (n > 0 &&
	       (info.libraryDescription[n - 1] == ' ' || info.libraryDescription[n - 1] == '\0'))
		n--;
	snprintf(
	    c->library, sizeof c->library, "%.*s", (int)n, (const char *)info.libraryDescription);
}

static void try_one(struct check *c, enum need n)
{
	struct check_result *r = &c->results[n];
	int e;

	if (check_probes[n] == NULL || !need_is_for(&need_rows[n], c->what))
		return;
	c->p.rv = CKR_OK;
	c->p.why[0] = '\0';
	e = check_probes[n](c, r);
	r->state = e == KE_OK ? CHECK_HAS : CHECK_LACKS;
	if (e != KE_OK && r->how[0] == '\0')
		snprintf(r->how, sizeof r->how, "%.*s", (int)sizeof r->how - 1,
		    c->p.why[0] != '\0' ? c->p.why : ke_words(e));
	if (e != KE_OK)
		r->us = 0;
}

static int look(struct check *c, const struct check_token *t, const struct second *s)
{
	int r;

	c->p.params = t->params;
	r = p11_load(&c->p, t->module, t->env, t->nenv);
	if (r != KE_OK)
		return r;
	describe(c);
	r = p11_open(&c->p, t->label, false);
	set(c, NEED_TOKEN, r == KE_OK, c->p.why);
	if (r != KE_OK)
		return KE_OK;
	r = p11_login(&c->p, t->pin);
	set(c, NEED_LOGIN, r == KE_OK, r == KE_OK ? "" : c->p.why);
	if (r != KE_OK)
		return KE_OK;
	set(c, NEED_TWICE, second_is_in(s), "");
	for (unsigned n = 0; n < NEEDS; n++)
		try_one(c, (enum need)n);
	r = (int)threads();
	set(c, NEED_THREADS, r == 1, "");
	if (r != 1)
		snprintf(c->results[NEED_THREADS].how, sizeof c->results[0].how,
		    "%d threads are running", r);
	return KE_OK;
}

int check_run(struct check *c, const struct check_token *t)
{
	struct second s;
	int r;

	c->what = t->what;
	r = second_start(&s, t);
	if (r == KE_OK)
		r = look(c, t, &s);
	second_end(&s);
	if (c->p.f != NULL)
		p11_close(&c->p);
	return r;
}

bool check_usable(const struct check *c)
{
	for (unsigned n = 0; n < NEEDS; n++)
		if (need_rows[n].must && need_is_for(&need_rows[n], c->what) &&
		    c->results[n].state != CHECK_HAS)
			return false;
	return true;
}
