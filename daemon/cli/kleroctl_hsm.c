/*
 * kleroctl hsm check: can this token do what the keys need? Tries it (hsm/check/) and prints a
 * table, or --json. Each token is looked at in a child of its own, for a PKCS#11 module may crash
 * or hang, and SoftHSM crashes in exit handlers. Runs in kleroctl; trusts the module.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_hsm.h"
#include "daemon/conf/durable.h"
#include "hsm/check/check.h"
#include "policy/jsonw.h"
#include "sandbox/sandbox.h"

#define CHECK_S  120
#define JSON_MAX 16384

struct asked {
	const char *module, *label, *params, *pin_file;
	bool json;
	int line; /* a descriptor for one line instead of the table, -1 for none */
};

static void put_need(struct jsonw *w, const struct need_row *row, const struct check_result *r)
{
	jsonw_object(w);
	jsonw_kcstr(w, "need", row->name);
	jsonw_kcstr(w, "id", row->word);
	jsonw_kcstr(w, "mechanism", row->mech != 0 ? row->mech_name : "");
	jsonw_kbool(w, "must", row->must);
	if (r->state == CHECK_UNTRIED) {
		jsonw_key(w, "has");
		jsonw_null(w);
	} else
		jsonw_kbool(w, "has", r->state == CHECK_HAS);
	jsonw_kint(w, "ns", (int64_t)(r->us * 1000));
	jsonw_kcstr(w, "how", r->how);
	jsonw_kcstr(w, "gives", row->gives);
	jsonw_kcstr(w, "missing", row->missing);
	jsonw_object_end(w);
}

static int print_json(const struct check *c, const struct check_token *t)
{
	char *text = malloc(JSON_MAX);
	struct jsonw w;
	int r = KE_NOMEM;

	if (text == NULL)
		return r;
	jsonw_init(&w, text, JSON_MAX);
	jsonw_object(&w);
	jsonw_kcstr(&w, "module", t->module);
	jsonw_kcstr(&w, "library", c->library);
	jsonw_kcstr(&w, "token", t->label);
	jsonw_kcstr(&w, "for", t->what == P11_NEED_KEYS ? "keys" : "tls");
	jsonw_kbool(&w, "usable", check_usable(c));
	jsonw_key(&w, "needs");
	jsonw_array(&w);
	for (unsigned i = 0; i < NEEDS; i++)
		if (need_is_for(&need_rows[i], t->what))
			put_need(&w, &need_rows[i], &c->results[i]);
	jsonw_array_end(&w);
	jsonw_object_end(&w);
	r = jsonw_end(&w);
	if (r == KE_OK)
		printf("%.*s\n", (int)w.len, text);
	free(text);
	return r;
}

static void print_row(const struct need_row *row, const struct check_result *r)
{
	static const char *const words[] = {"not tried", "yes", "no"};
	char us[24] = "";

	if (r->us > 0)
		snprintf(us, sizeof us, "%.1f", r->us);
	printf("%-32s %-9s %9s  %s\n", row->name, words[r->state], us,
	    r->state == CHECK_HAS ? row->gives : row->missing);
	if (r->how[0] != '\0' && r->state != CHECK_UNTRIED)
		printf("%-53s%s%s\n", "", r->state == CHECK_HAS ? "" : "asked, it says: ", r->how);
}

static void print_table(const struct check *c, const struct check_token *t)
{
	printf("token %s, %s (%s)\n%-32s %-9s %9s  %s\n", t->label, c->library, t->module, "need",
	    "there", "µs", "what it gives, or what it means that it lacks");
	for (unsigned must = 1; must + 1 > 0 && must < 2; must--) {
		printf("%s:\n", must ? "must be there" : "better with");
		for (unsigned i = 0; i < NEEDS; i++)
			if (need_rows[i].must == (must != 0) && need_is_for(&need_rows[i], t->what))
				print_row(&need_rows[i], &c->results[i]);
	}
	printf("%s\n\n", check_usable(c) ? "this token can be used" : "this token cannot be used");
}

/* The one line that was asked for, or one on standard error. */
static int refuse(const struct asked *a, int status, const char *why)
{
	if (a->line < 0)
		return ctl_fail(status, "%s", why);
	return durable_write(a->line, why, strlen(why)) ? status : CTL_REFUSED;
}

/* A line for this token in any case. */
static int no_report(const struct asked *a, const struct check_token *t, const char *why)
{
	char buf[1024];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kcstr(&w, "token", t->label);
	jsonw_kbool(&w, "usable", false);
	jsonw_kcstr(&w, "why", why);
	jsonw_object_end(&w);
	if (a->json && jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
	fflush(stdout);
	return refuse(a, CTL_REFUSED, why);
}

static int one_line(const struct asked *a, const struct check *c, const struct check_token *t)
{
	const char *missing = NULL;
	char words[256];

	for (unsigned i = 0; i < NEEDS && missing == NULL; i++)
		if (need_rows[i].must && need_is_for(&need_rows[i], t->what) &&
		    c->results[i].state != CHECK_HAS)
			missing = need_rows[i].name;
	snprintf(words, sizeof words, "token %.64s, %.40s: %s%s", t->label, c->library,
	    missing == NULL ? "has all that is needed" : "lacks ", missing == NULL ? "" : missing);
	return refuse(a, missing == NULL ? CTL_OK : CTL_REFUSED, words);
}

/*
 * In the child. SoftHSM writes its token's file anew at every login, so here as in hsm no file can
 * be written where the token is a folder.
 */
static int report(const struct asked *a, const struct check_token *t, bool folder)
{
	static struct check c;
	int r = folder ? sandbox_no_writes(c.p.why, sizeof c.p.why) : KE_OK;

	if (r == KE_OK)
		r = check_run(&c, t);

	if (r != KE_OK)
		return no_report(a, t, c.p.why[0] != '\0' ? c.p.why : ke_words(r));
	if (a->line >= 0)
		return one_line(a, &c, t);
	if (!a->json)
		print_table(&c, t);
	else if (print_json(&c, t) != KE_OK)
		return ctl_fail(CTL_REFUSED, "the report does not fit");
	if (fflush(stdout) != 0)
		return CTL_REFUSED;
	return check_usable(&c) ? CTL_OK : CTL_REFUSED;
}

static int in_child(const struct asked *a, const struct check_token *t, bool folder)
{
	char words[160];
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return refuse(a, CTL_REFUSED, "no process can be started");
	if (pid == 0) {
		alarm(CHECK_S);
		_exit(report(a, t, folder));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	snprintf(words, sizeof words, "token %.64s: the module %s", t->label,
	    WTERMSIG(status) == SIGALRM ? "does not answer" : "crashed");
	return refuse(a, CTL_REFUSED, words);
}

/* One token of the configuration, as far as the command line does not say otherwise. */
static int check(const struct ctl *ctl, const struct asked *a, enum p11_need what)
{
	const struct conf_token *which = what == P11_NEED_KEYS ? &ctl->conf.keys : &ctl->conf.tls;
	struct rconf_token *t = sodium_malloc(sizeof *t);
	char *env[RCONF_ENVS], why[512];
	int status = CTL_USAGE;

	if (t == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	if (conf_token(&ctl->conf, which, t, why, sizeof why) != KE_OK ||
	    conf_pin(a->pin_file != NULL ? a->pin_file : which->pin_file, t->pin, why,
		sizeof why) != KE_OK) {
		refuse(a, status, why);
		goto out;
	}
	for (size_t i = 0; i < RCONF_ENVS; i++)
		env[i] = t->env[i];
	status = in_child(a,
	    &(struct check_token){
		.module = a->module != NULL ? a->module : t->module,
		.params = a->params != NULL          ? a->params
			  : which->params[0] != '\0' ? which->params
						     : t->params,
		.label = a->label != NULL ? a->label : t->label,
		.pin = t->pin,
		.env = env,
		.nenv = RCONF_ENVS,
		.what = what,
	    },
	    ctl->conf.module_folder[0] != '\0');
out:
	sodium_free(t);
	return status;
}

int hsm_look(struct ctl *ctl, enum p11_need what, char *words, size_t len)
{
	struct asked a = {.line = -1};
	int sv[2], status;
	ssize_t n;

	snprintf(words, len, "it was not looked at");
	if (pipe2(sv, O_CLOEXEC) != 0)
		return CTL_REFUSED;
	a.line = sv[1];
	status = check(ctl, &a, what);
	close(sv[1]);
	n = read(sv[0], words, len - 1);
	if (n > 0)
		words[n] = '\0';
	close(sv[0]);
	return status;
}

int ctl_hsm_check(struct ctl *ctl, int argc, char **argv)
{
	const struct asked a = {.module = ctl_given(ctl, "module"),
	    .label = ctl_given(ctl, "token"),
	    .params = ctl_given(ctl, "parameters"),
	    .pin_file = ctl_given(ctl, "pin-file"),
	    .json = ctl->json,
	    .line = -1};
	bool tls = ctl_given(ctl, "tls") != NULL;
	int keys;

	(void)argc;
	(void)argv;
	if (tls && a.label == NULL)
		return ctl_fail(CTL_USAGE, "--tls is about the token that --token names");
	if (a.label != NULL)
		return check(ctl, &a, tls ? P11_NEED_TLS : P11_NEED_KEYS);
	keys = check(ctl, &a, P11_NEED_KEYS);
	tls = check(ctl, &a, P11_NEED_TLS) == CTL_OK;
	return keys != CTL_OK ? keys : tls ? CTL_OK : CTL_REFUSED;
}
