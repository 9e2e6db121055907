/*
 * kleroctl doctor: is this appliance well, and will it start? Looks at the machine, the files, the
 * token and the store, whether klerod runs or not, and changes nothing. While klerod runs it is
 * asked how its parts are; while it does not, hsm's own check logs in to the tokens once. With
 * --store all of the store is read as well: by hsm and engine in their sandboxes, from a backup
 * that goes through a pipe where klerod has the store open. Runs in kleroctl, as root or as the
 * user who starts klerod.
 */
#include "daemon/cli/kleroctl_doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_check.h"
#include "daemon/cli/kleroctl_hsm.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/conf/spawn.h"
#include "policy/text.h"

#define STATUS_MAX 4096

static const char *const levels[DOCTOR_LEVELS] = {"ok", "attention", "broken"};

void doctor_found(
    struct doctor *d, enum doctor_level level, const char *check, const char *fmt, ...)
{
	char words[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	/* names of files have whatever bytes they have */
	for (char *p = words; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	if (level > d->worst)
		d->worst = level;
	d->count[level]++;
	ctl_print(d->ctl, "%-9s %-14s %s\n", levels[level], check, words);
	jsonw_object(&d->w);
	jsonw_kcstr(&d->w, "check", check);
	jsonw_kcstr(&d->w, "level", levels[level]);
	jsonw_kcstr(&d->w, "words", words);
	jsonw_object_end(&d->w);
}

/* --- while klerod runs --- */

static void part(struct doctor *d, const char *status, const char *member, const char *check)
{
	char word[64];

	live_member(status, member, word, sizeof word);
	doctor_found(d, strcmp(word, "ok") == 0 ? DOCTOR_OK : DOCTOR_BROKEN, check,
	    "klerod says: %s", word[0] != '\0' ? word : "nothing");
}

/* A ledger that is still being added up is not broken. */
static void ledger(struct doctor *d, const char *status)
{
	char word[64];

	live_member(status, "ledger", word, sizeof word);
	doctor_found(d,
	    strcmp(word, "ok") == 0              ? DOCTOR_OK
	    : strcmp(word, "being checked") == 0 ? DOCTOR_ATTENTION
						 : DOCTOR_BROKEN,
	    "ledger", "klerod says: %s", word);
}

static void ask_running(struct doctor *d)
{
	char *status = malloc(STATUS_MAX), history[64];
	int r = status != NULL ? live_status(d->ctl, status, STATUS_MAX) : KE_NOMEM;

	if (r != KE_OK) {
		doctor_found(d, DOCTOR_BROKEN, "running",
		    "klerod has its control socket open and "
		    "does not answer: %s",
		    ke_words(r));
		free(status);
		return;
	}
	doctor_found(d, DOCTOR_OK, "running", "klerod answers");
	part(d, status, "database", "store");
	ledger(d, status);
	part(d, status, "hsm", "hsm-keys");
	part(d, status, "tls", "hsm-tls");
	part(d, status, "kdf", "passwords");
	live_member(status, "history", history, sizeof history);
	if (strcmp(history, "older-than-token") == 0)
		doctor_found(d, DOCTOR_ATTENTION, "history",
		    "the store is from before the officers' last action: see Back up in the "
		    "README");
	free(status);
}

/* --- while it does not --- */

static void look_at_token(struct doctor *d, enum p11_need what)
{
	const char *check = what == P11_NEED_KEYS ? "hsm-keys" : "hsm-tls";
	char why[512] = "";

	if (hsm_look(d->ctl, what, why, sizeof why) == CTL_OK)
		doctor_found(d, DOCTOR_OK, check, "%s", why);
	else
		doctor_found(d, DOCTOR_BROKEN, check, "%s", why);
}

static int finding(void *arg, int r, const char *what, const char *words)
{
	struct doctor *d = arg;
	char check[32];

	snprintf(check, sizeof check, "store-%s", what);
	doctor_found(d,
	    r == KE_OK      ? DOCTOR_OK
	    : r == KE_STATE ? DOCTOR_ATTENTION
			    : DOCTOR_BROKEN,
	    check, "%s", words);
	return r;
}

static void read_store(struct doctor *d)
{
	char path[RCONF_PATH + 16];
	struct check c = {.folder = d->ctl->conf.store,
	    .journal = "",
	    .orders = RCONF_DOCTOR,
	    .each = finding,
	    .arg = d};
	char why[512];

	snprintf(path, sizeof path, "%s/klero.new", d->ctl->conf.store);
	if (access(path, F_OK) == 0) {
		doctor_found(d, DOCTOR_OK, "store", "klerod makes it when it starts first");
		return;
	}
	if (check_store(d->ctl, &c, why, sizeof why) != KE_OK && why[0] != '\0')
		doctor_found(d, DOCTOR_BROKEN, "store-look", "%s", why);
}

/* --- all of the store of a running klerod: backup and restore --check, by this very program --- */

static pid_t run_self(
    struct doctor *d, const char *a, const char *b, const char *c, int in, int out)
{
	const char *const argv[] = {
	    "kleroctl", "-c", d->ctl->conf_path, "-L", d->ctl->libexec, a, b, c, NULL};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(d->ctl->null, STDERR_FILENO) < 0)
		_exit(CTL_REFUSED);
	/* execv() does not write to what it is given */
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(CTL_REFUSED);
}

static int ended(pid_t pid)
{
	int status = -1;

	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : CTL_REFUSED;
}

static void read_copy(struct doctor *d)
{
	pid_t take, look;
	int sv[2], took, looked;

	if (pipe(sv) != 0) {
		doctor_found(d, DOCTOR_BROKEN, "store-copy", "pipe: %s", strerror(errno));
		return;
	}
	take = run_self(d, "backup", "-", NULL, d->ctl->null, sv[1]);
	close(sv[1]);
	look = run_self(d, "restore", "--check", "-", sv[0], d->ctl->null);
	close(sv[0]);
	took = ended(take);
	looked = ended(look);
	if (took == CTL_OK && looked == CTL_OK)
		doctor_found(d, DOCTOR_OK, "store-copy",
		    "every page, the audit chain and every balance of a backup agree");
	else
		doctor_found(d, DOCTOR_BROKEN, "store-copy",
		    "a backup cannot be %s: kleroctl backup FILE; kleroctl restore --check FILE "
		    "says why",
		    took != CTL_OK ? "taken" : "restored");
}

/* --- the whole --- */

static bool has_config(struct doctor *d)
{
	char why[512];

	if (conf_read(&d->ctl->conf, d->ctl->conf_path, why, sizeof why) != KE_OK) {
		doctor_found(d, DOCTOR_BROKEN, "configuration", "%s", why);
		return false;
	}
	doctor_found(d, DOCTOR_OK, "configuration", "%s", d->ctl->conf_path);
	return true;
}

static bool is_set_up(struct doctor *d)
{
	char path[RCONF_PATH + 16];

	snprintf(path, sizeof path, "%s/klero.keys", d->ctl->conf.store);
	if (access(path, F_OK) == 0)
		return true;
	doctor_found(d, DOCTOR_BROKEN, "setup", "%s: %s: run kleroctl setup, or restore a backup",
	    path, strerror(errno));
	return false;
}

static void look_everywhere(struct doctor *d, bool store)
{
	int fd;

	doctor_kernel(d);
	if (!has_config(d))
		return;
	doctor_clock(d);
	doctor_disk(d);
	if (!is_set_up(d))
		return;
	doctor_files(d);
	doctor_journal(d);
	doctor_certificate(d);
	fd = live_reach(d->ctl);
	d->running = fd >= 0;
	if (d->running) {
		close(fd);
		ask_running(d);
		if (store)
			read_copy(d);
		return;
	}
	doctor_found(d, DOCTOR_OK, "running", "klerod does not run");
	look_at_token(d, P11_NEED_KEYS);
	look_at_token(d, P11_NEED_TLS);
	if (store)
		read_store(d);
}

int doctor_run(struct doctor *d, struct ctl *ctl, bool store, bool print)
{
	static const int statuses[DOCTOR_LEVELS] = {CTL_OK, CTL_ATTENTION, CTL_UNWELL};
	bool json = ctl->json;

	d->ctl = ctl;
	jsonw_init(&d->w, d->buf, sizeof d->buf);
	jsonw_object(&d->w);
	jsonw_kcstr(&d->w, "program", KLERO_VERSION);
	jsonw_key(&d->w, "findings");
	jsonw_array(&d->w);
	ctl->json = json || !print;
	look_everywhere(d, store);
	ctl->json = json;
	jsonw_array_end(&d->w);
	jsonw_kbool(&d->w, "running", d->running);
	jsonw_kcstr(&d->w, "level", levels[d->worst]);
	jsonw_kbool(&d->w, "ok", d->worst == DOCTOR_OK);
	jsonw_object_end(&d->w);
	return statuses[d->worst];
}

int ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
	static struct doctor d;
	int status = doctor_run(&d, ctl, ctl_given(ctl, "store") != NULL, true);

	(void)argc;
	(void)argv;
	if (ctl->json)
		return ctl_json(ctl, &d.w) == CTL_OK ? status : CTL_REFUSED;
	printf("%u ok, %u to look at, %u broken\n", d.count[DOCTOR_OK], d.count[DOCTOR_ATTENTION],
	    d.count[DOCTOR_BROKEN]);
	return fflush(stdout) == 0 ? status : CTL_REFUSED;
}
