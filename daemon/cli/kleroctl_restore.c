/*
 * kleroctl restore: from a backup to a store that can serve, or a reason why not. The file is
 * unpacked beside its place and compared with its manifest; hsm and engine look at it there (is it
 * this token's, is it signed, does all of it agree); a proof is verified here by klero-verify's
 * code; then it takes its place. Runs in kleroctl, as root or as the user who starts klerod; trusts
 * the configuration and the token, and nothing in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "daemon/cli/kleroctl_check.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/cli/kleroctl_stage.h"
#include "hsm/setup/setup.h"
#include "policy/bundle.h"
#include "policy/jsonw.h"
#include "policy/text.h"

struct restoring {
	const struct ctl *ctl;
	bool json, check, replace, any_signer;
	const char *path;
	struct stage stage;
	struct jsonw w;
	char report[65536];
	char why[640];
};

static int say(struct restoring *t, int status, const char *what, const char *how)
{
	snprintf(t->why, sizeof t->why, "%s: %s", what, how);
	return status;
}

/* --- findings --- */

static void report(struct restoring *t, int r, const char *what, const char *words)
{
	if (!t->json) {
		printf("%-4s %-11s %s\n", r == KE_OK ? "ok" : "FAIL", what, words);
		fflush(stdout);
		return;
	}
	jsonw_object(&t->w);
	jsonw_kcstr(&t->w, "what", what);
	jsonw_kbool(&t->w, "ok", r == KE_OK);
	jsonw_kcstr(&t->w, "words", words);
	jsonw_object_end(&t->w);
}

static char *slurp(const char *path, size_t *n)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	char *p = NULL;

	if (f == NULL)
		return NULL;
	if (fstat(fileno(f), &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= BUNDLE_MAX)
		p = malloc((size_t)st.st_size);
	if (p != NULL)
		*n = fread(p, 1, (size_t)st.st_size, f);
	fclose(f);
	return p;
}

/* engine has written it; what it says is checked as an auditor would, and not by engine. */
static int verify(struct restoring *t, const char *raffle)
{
	char path[2 * MADE_PATH], words[512];
	struct bundle_result res;
	size_t n;
	char *text;
	int r = KE_IO;

	snprintf(path, sizeof path, "%s/proofs/%s.json", t->stage.folder, raffle);
	text = slurp(path, &n);
	if (text != NULL)
		r = bundle_check(text, n, NULL, NULL, &res);
	free(text);
	if (r == KE_OK)
		snprintf(words, sizeof words, "raffle %s: verified, %llu tickets, signed by %.120s",
		    raffle, (unsigned long long)res.tickets, res.vkey);
	else
		snprintf(words, sizeof words, "raffle %s: not verified: %.200s", raffle,
		    r != KE_IO ? res.why : "it cannot be read");
	report(t, r, "proof", words);
	return r;
}

static int each(void *arg, int r, const char *what, const char *words)
{
	struct restoring *t = arg;

	if (r == KE_OK && strcmp(what, "proof of") == 0)
		return verify(t, words);
	report(t, r, what, words);
	if (r != KE_OK)
		say(t, r, what, words);
	return r;
}

/* --- the steps --- */

static int status_of(int r)
{
	switch (r) {
	case KE_OK:
		return CTL_OK;
	case KE_FORMAT:
	case KE_SHORT:
	case KE_CRYPTO:
	case KE_DAMAGED:
		return CTL_DAMAGED;
	default:
		return CTL_REFUSED;
	}
}

static int unpack(struct restoring *t)
{
	bool pipe = strcmp(t->path, "-") == 0;
	int fd = pipe ? STDIN_FILENO : open(t->path, O_RDONLY | O_CLOEXEC), r;
	struct progress progress;
	struct stat st;
	char made[25], words[128];

	if (fd < 0)
		return say(t, CTL_USAGE, t->path, strerror(errno));
	progress_begin(&progress, t->ctl, "unpacking",
	    fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	r = stage_read(&t->stage, fd, &progress);
	if (!pipe)
		close(fd);
	if (r != KE_OK) {
		snprintf(t->why, sizeof t->why, "%s", t->stage.why);
		return status_of(r);
	}
	text_time(made, (int64_t)t->stage.m.made_s * 1000);
	snprintf(words, sizeof words, "whole: the store as of %s, %zu sections as in its manifest",
	    made, t->stage.m.sections);
	report(t, KE_OK, "file", words);
	return CTL_OK;
}

static int look(struct restoring *t)
{
	struct check c = {.folder = t->stage.folder,
	    .journal = t->stage.journal,
	    .orders = RCONF_CHECK,
	    .each = each,
	    .arg = t};
	char why[512];
	int r;

	memcpy(c.appliance, t->stage.m.appliance, sizeof c.appliance);
	if (!t->check)
		c.orders |= RCONF_RESTORE;
	if (t->any_signer)
		c.orders |= RCONF_UNSIGNED;
	r = check_store(t->ctl, &c, why, sizeof why);
	if (r != KE_OK && why[0] != '\0')
		snprintf(t->why, sizeof t->why, "%s", why);
	return status_of(r);
}

/*
 * A software token's folder that was put back has whatever owner that left, and SoftHSM's own
 * configuration, which setup had written, is not there.
 */
static int prepare_token(struct restoring *t)
{
	const struct conf *c = &t->ctl->conf;
	struct rconf_identity keyadm;
	char why[512];
	int r;

	if (c->softhsm_conf[0] == '\0' || c->module_folder[0] == '\0')
		return CTL_OK;
	r = conf_identity(c, ROLE_KEYADM, &keyadm, why, sizeof why);
	if (r == KE_OK)
		r = made_give(c->module_folder, &keyadm, why, sizeof why);
	if (r == KE_OK && access(c->softhsm_conf, F_OK) != 0)
		r = setup_softhsm_conf(c->softhsm_conf, c->module_folder, why, sizeof why);
	return r == KE_OK ? CTL_OK : say(t, CTL_REFUSED, "token", why);
}

/* A machine that has one keeps it: it may be newer. */
static int place_certificate(struct restoring *t)
{
	const char *path = t->ctl->conf.tls_certificate;
	struct made made = {.n = 0};
	char why[512];

	if (t->stage.cert == NULL || access(path, F_OK) == 0)
		return CTL_OK;
	if (made_file(&made, path, 0644, NULL, t->stage.cert, t->stage.cert_len, why, sizeof why) !=
	    KE_OK)
		return say(t, CTL_REFUSED, "certificate", why);
	report(t, KE_OK, "certificate", path);
	return CTL_OK;
}

static int settle(struct restoring *t)
{
	char aside[MADE_PATH], words[MADE_PATH + 32];

	if (stage_settle(&t->stage, aside) != KE_OK) {
		snprintf(t->why, sizeof t->why, "%s", t->stage.why);
		return CTL_REFUSED;
	}
	if (aside[0] != '\0') {
		snprintf(words, sizeof words, "what was there is in %s", aside);
		report(t, KE_OK, "replaced", words);
	}
	report(t, KE_OK, "restored", "start klerod");
	return CTL_OK;
}

/* Before anything is read: is there room for it here? */
static int refuse(struct restoring *t)
{
	int fd = t->check ? -1 : live_reach(t->ctl);

	if (fd >= 0) {
		close(fd);
		return say(t, CTL_REFUSED, "klerod", "it runs: stop it first");
	}
	if (!t->check && !t->replace && stage_occupied(&t->stage))
		return say(t, CTL_REFUSED, t->stage.store,
		    "a store is there: --replace puts it aside; nothing was changed");
	return CTL_OK;
}

static int run(struct restoring *t)
{
	int status = CTL_REFUSED;

	memcpy(t->stage.store, t->ctl->conf.store, sizeof t->stage.store);
	status = refuse(t);
	if (status != CTL_OK)
		return status;
	if (stage_open(&t->stage, &t->ctl->conf, t->check) != KE_OK) {
		snprintf(t->why, sizeof t->why, "%s", t->stage.why);
		status = CTL_REFUSED;
	}
	if (status == CTL_OK)
		status = unpack(t);
	if (status == CTL_OK && !t->check)
		status = prepare_token(t);
	if (status == CTL_OK)
		status = look(t);
	if (status == CTL_OK && !t->check)
		status = place_certificate(t);
	if (status == CTL_OK && !t->check)
		status = settle(t);
	if (status != CTL_OK || t->check)
		stage_undo(&t->stage);
	return status;
}

static void begin_json(struct restoring *t)
{
	jsonw_init(&t->w, t->report, sizeof t->report);
	jsonw_object(&t->w);
	jsonw_key(&t->w, "findings");
	jsonw_array(&t->w);
}

static void end_json(struct restoring *t, int status)
{
	jsonw_array_end(&t->w);
	jsonw_kbool(&t->w, "ok", status == CTL_OK);
	if (status != CTL_OK)
		jsonw_kcstr(&t->w, "why", t->why);
	jsonw_object_end(&t->w);
	if (jsonw_end(&t->w) == KE_OK)
		printf("%.*s\n", (int)t->w.len, t->report);
}

int ctl_restore(struct ctl *ctl, int argc, char **argv)
{
	static struct restoring t;
	int status;

	(void)argc;
	t = (struct restoring){.ctl = ctl,
	    .path = argv[0],
	    .json = ctl->json,
	    .check = ctl_given(ctl, "check") != NULL,
	    .replace = ctl_given(ctl, "replace") != NULL,
	    .any_signer = ctl_given(ctl, "unsigned") != NULL};
	umask(077);
	begin_json(&t);
	status = run(&t);
	if (t.json)
		end_json(&t, status);
	ctl->told = t.json;
	if (status != CTL_OK)
		return ctl_fail(status, "%s", t.why);
	if (t.check && !t.json)
		printf("the backup is good\n");
	return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}
