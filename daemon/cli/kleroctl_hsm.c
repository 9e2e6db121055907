/*
 * kleroctl hsm check: are the module and both tokens there, and can they do what the keys need?
 * Needs no PIN. Each token is looked at in a child of its own, for a PKCS#11 module may crash or
 * hang, and SoftHSM crashes in exit handlers. Runs in kleroctl; trusts the module.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "hsm/p11/p11.h"

#define CHECK_S 30

static int look(struct p11 *p, struct rconf_token *t, enum p11_need need)
{
	char *env[RCONF_ENVS];
	int r;

	for (size_t i = 0; i < RCONF_ENVS; i++)
		env[i] = t->env[i];
	p->params = t->params;
	r = p11_load(p, t->module, env, RCONF_ENVS);
	if (r == KE_OK)
		r = p11_open(p, t->label, false);
	return r == KE_OK ? p11_need(p, need) : r;
}

/* In the child. */
static int report(struct rconf_token *t, enum p11_need need)
{
	static struct p11 p;
	int r = look(&p, t, need);

	if (r != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s", p.why[0] != '\0' ? p.why : ke_words(r));
	printf("token %s: every mechanism is there%s\n", t->label,
	    p.has_digest_key ? "" : ", but the module lacks C_DigestKey: no v1 raffles");
	return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}

static int check(const struct conf *c, const struct conf_token *which, enum p11_need need)
{
	struct rconf_token t;
	char why[512];
	int status = 0;
	pid_t pid;

	if (conf_token(c, which, &t, why, sizeof why) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s", why);
	pid = fork();
	if (pid < 0)
		return ctl_fail(CTL_REFUSED, "fork: %s", strerror(errno));
	if (pid == 0) {
		alarm(CHECK_S);
		_exit(report(&t, need));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return ctl_fail(CTL_REFUSED, "token %s: the module %s", t.label,
	    WTERMSIG(status) == SIGALRM ? "does not answer" : "crashed");
}

int ctl_hsm_check(struct ctl *ctl, int argc, char **argv)
{
	int keys = check(&ctl->conf, &ctl->conf.keys, P11_NEED_KEYS);
	int tls = check(&ctl->conf, &ctl->conf.tls, P11_NEED_TLS);

	(void)argc;
	(void)argv;
	return keys != CTL_OK ? keys : tls;
}
