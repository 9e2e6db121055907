/*
 * kleroctl setup: makes an appliance where there is none. Folders, SoftHSM's configuration, PINs,
 * tokens (hsm/setup), keys and officers (klerod-keyadm, once for each token), and last the files
 * that say that it is complete. Refuses an existing appliance; after a failure it takes back what
 * it has made and names what remains. Runs in kleroctl, as root or as the user who will start
 * klerod.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "daemon/cli/kleroctl_keyadm.h"
#include "daemon/cli/kleroctl_made.h"
#include "daemon/cli/kleroctl_officers.h"
#include "daemon/cli/kleroctl_wizard.h"
#include "hsm/setup/setup.h"
#include "policy/hash.h"
#include "policy/note.h"
#include "policy/origin.h"
#include "policy/text.h"

#define PIN_BYTES    15 /* 20 characters of base64url: 120 bits */
#define CODE_BYTES   PIN_BYTES
#define CODE_MAX     32
#define CODE_SECONDS 86400
#define NEXT_MAX     (MADE_PATH + 128)

struct setup {
	const struct ctl *ctl;
	const struct conf *conf;
	struct rconf_identity engine, keyadm;
	uint8_t appliance[16];
	char officers[RCONF_KEYADM_TEXT]; /* "" for none */
	char *code;                       /* of the first admin, in locked memory */
	struct rconf_keyadm_done keys, tls, request;
	enum signer signer; /* of the certificate that takes the self-signed one's place */
	struct made made;
	char why[512];
};

static int say(struct setup *s, int r, const char *what, const char *how)
{
	snprintf(s->why, sizeof s->why, "%s: %s", what, how);
	return r;
}

static void in_store(const struct setup *s, const char *name, char *path, size_t len)
{
	snprintf(path, len, "%s/%s", s->conf->store, name);
}

static void in_journal(const struct setup *s, char *path, size_t len)
{
	char folder[RCONF_PATH + 16];

	conf_journal_folder(s->conf, folder);
	snprintf(path, len, "%s/" CONF_JOURNAL, folder);
}

static int refuse_existing(struct setup *s)
{
	static const char *const names[] = {"klero.keys", "klero.db", "klero.new"};
	char path[MADE_PATH];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		in_store(s, names[i], path, sizeof path);
		if (access(path, F_OK) == 0)
			return say(s, KE_EXISTS, path, "is there already: nothing was changed");
	}
	if (access(s->conf->tls_certificate, F_OK) == 0)
		return say(s, KE_EXISTS, s->conf->tls_certificate,
		    "is there already: nothing was changed");
	in_journal(s, path, sizeof path);
	if (access(path, F_OK) == 0)
		return say(s, KE_EXISTS, path, "is there already: nothing was changed");
	return KE_OK;
}

static int find_users(struct setup *s)
{
	int r = conf_identity(s->conf, ROLE_ENGINE, &s->engine, s->why, sizeof s->why);

	if (r == KE_OK)
		r = conf_identity(s->conf, ROLE_KEYADM, &s->keyadm, s->why, sizeof s->why);
	return r;
}

/* What hsm must not forget, in a folder that engine has no way to. */
static int make_journal(struct setup *s)
{
	char folder[RCONF_PATH + 16], path[MADE_PATH];
	int r;

	conf_journal_folder(s->conf, folder);
	in_journal(s, path, sizeof path);
	r = made_folder(&s->made, folder, 0700, NULL, s->why, sizeof s->why);
	return r == KE_OK ? made_file(&s->made, path, 0600, NULL, "", 0, s->why, sizeof s->why) : r;
}

static int make_folders(struct setup *s)
{
	const struct rconf_identity self = {.uid = geteuid(), .gid = getegid()};
	int r = made_folder(&s->made, s->conf->store, 0700, &s->engine, s->why, sizeof s->why);

	if (r == KE_OK)
		r = made_folder(&s->made, s->conf->run_dir, 0755, &self, s->why, sizeof s->why);
	/* one that is there is the operator's: a disk of another machine, perhaps */
	if (r == KE_OK && s->conf->backup_folder[0] != '\0' &&
	    access(s->conf->backup_folder, F_OK) != 0)
		r = made_folder(
		    &s->made, s->conf->backup_folder, 0700, &self, s->why, sizeof s->why);
	return r == KE_OK ? make_journal(s) : r;
}

/* A private SoftHSM: its token folder is keyadm's, and its configuration file is ours. */
static int make_softhsm(struct setup *s)
{
	int r;

	if (s->conf->softhsm_conf[0] == '\0')
		return KE_OK;
	if (s->conf->module_folder[0] == '\0')
		return say(s, KE_FORMAT, s->ctl->conf_path,
		    "softhsm-conf needs pkcs11-folder, the folder of its tokens");
	r = made_folder(&s->made, s->conf->module_folder, 0700, &s->keyadm, s->why, sizeof s->why);
	if (r != KE_OK || access(s->conf->softhsm_conf, F_OK) == 0)
		return r;
	r = setup_softhsm_conf(
	    s->conf->softhsm_conf, s->conf->module_folder, s->why, sizeof s->why);
	if (r == KE_OK)
		r = made_note(&s->made, s->conf->softhsm_conf, s->why, sizeof s->why);
	return r;
}

/* A random PIN in its file, unless the operator has put one there. */
static int make_pin(struct setup *s, const char *path)
{
	uint8_t *rnd;
	char *pin;
	size_t n;
	int r = KE_NOMEM;

	if (access(path, F_OK) == 0)
		return KE_OK; /* read, and checked, where it is used */
	rnd = sodium_malloc(PIN_BYTES);
	pin = sodium_malloc(CONF_PIN_MAX + 1);
	if (rnd == NULL || pin == NULL) {
		say(s, r, path, "out of locked memory");
		goto out;
	}
	randombytes_buf(rnd, PIN_BYTES);
	sodium_bin2base64(
	    pin, CONF_PIN_MAX + 1, rnd, PIN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	n = strlen(pin);
	pin[n] = '\n';
	r = made_file(&s->made, path, 0400, NULL, pin, n + 1, s->why, sizeof s->why);
out:
	sodium_free(rnd);
	sodium_free(pin);
	return r;
}

/* The security officer's PIN stands beside the user's; it is needed to set that one anew. */
static int so_path(const struct conf_token *t, char *path, size_t len)
{
	return snprintf(path, len, "%s.so", t->pin_file) < (int)len ? KE_OK : KE_LONG;
}

static int make_pins(struct setup *s)
{
	const struct conf_token *const tokens[] = {&s->conf->keys, &s->conf->tls};
	char so[RCONF_PATH];
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < 2; i++) {
		r = make_pin(s, tokens[i]->pin_file);
		if (r == KE_OK && so_path(tokens[i], so, sizeof so) != KE_OK)
			r = say(s, KE_LONG, tokens[i]->pin_file, "the path is too long");
		if (r == KE_OK)
			r = make_pin(s, so);
	}
	return r;
}

static int make_token(struct setup *s, const struct conf_token *which)
{
	struct rconf_token *t = sodium_malloc(sizeof *t);
	char *so_pin = sodium_malloc(CONF_PIN_MAX + 1), so[RCONF_PATH];
	enum setup_what what;
	int r = KE_NOMEM;

	if (t == NULL || so_pin == NULL) {
		say(s, r, which->label, "out of locked memory");
		goto out;
	}
	r = conf_token(s->conf, which, t, s->why, sizeof s->why);
	if (r == KE_OK)
		r = conf_pin(which->pin_file, t->pin, s->why, sizeof s->why);
	if (r == KE_OK)
		r = so_path(which, so, sizeof so);
	if (r == KE_OK)
		r = conf_pin(so, so_pin, s->why, sizeof s->why);
	if (r == KE_OK)
		r = setup_token(t, so_pin, t->pin, &what, s->why, sizeof s->why);
	if (r != KE_OK)
		conf_blame(s->conf, conf_about(s->conf, which, s->why), s->why, sizeof s->why);
	if (r == KE_OK)
		ctl_print(s->ctl, "token %s: %s\n", which->label,
		    what == SETUP_INITIALISED ? "initialised" : "found");
out:
	sodium_free(t);
	sodium_free(so_pin);
	return r;
}

static int make_tokens(struct setup *s)
{
	int r = make_token(s, &s->conf->keys);

	if (r == KE_OK)
		r = make_token(s, &s->conf->tls);
	/* initialised by us, used by keyadm; another's token folder stays as it is */
	if (r == KE_OK && s->conf->softhsm_conf[0] != '\0')
		r = made_give(s->conf->module_folder, &s->keyadm, s->why, sizeof s->why);
	return r;
}

/* One run of klerod-keyadm. */
static int act(struct setup *s, enum keyadm_action action, const struct conf_token *which,
    const char *officers, struct rconf_keyadm_done *done)
{
	int r =
	    keyadm_act(s->ctl, action, which, s->appliance, officers, done, s->why, sizeof s->why);

	if (r != KE_OK)
		return r;
	ctl_print(s->ctl, "token %s: keys made\n", which->label);
	if (done->reason[0] != '\0')
		ctl_print(s->ctl, "token %s: note: %s\n", which->label, done->reason);
	return KE_OK;
}

static int make_keys(struct setup *s)
{
	randombytes_buf(s->appliance, sizeof s->appliance);
	return act(s, KEYADM_PROVISION_KEYS, &s->conf->keys, s->officers, &s->keys);
}

static int make_tls(struct setup *s)
{
	return act(s, KEYADM_PROVISION_TLS, &s->conf->tls, "", &s->tls);
}

/* For an authority; the self-signed certificate serves until its answer is installed. */
static int make_request(struct setup *s)
{
	if (s->signer != SIGNER_REQUEST)
		return KE_OK;
	return keyadm_act(s->ctl, KEYADM_REQUEST, &s->conf->tls, s->appliance, s->tls.cert_pem,
	    &s->request, s->why, sizeof s->why);
}

static void request_path(const struct setup *s, char path[MADE_PATH])
{
	snprintf(path, MADE_PATH, "%s.request", s->conf->tls_certificate);
}

/* Shown once and kept nowhere: the store gets its hash, and how long it is good. */
static void make_code(struct setup *s, char *text, size_t len)
{
	uint8_t rnd[CODE_BYTES], hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1];

	randombytes_buf(rnd, sizeof rnd);
	sodium_bin2base64(
	    s->code, CODE_MAX, rnd, sizeof rnd, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(rnd, sizeof rnd);
	hash_sha256(hash, s->code, strlen(s->code));
	text_hex(hex, hash, sizeof hash);
	snprintf(text, len, "code %s %lld\n", hex, (long long)time(NULL) + CODE_SECONDS);
}

/*
 * What auditors are given: under the operator log's own name, as any reader of such logs wants it.
 * klero-verify takes it for v1's notes, too.
 */
static int put_vkey(const struct setup *s, char *text, size_t cap)
{
	const char *made = s->keys.log_vkey;
	char vkey[NOTE_VKEY_MAX];
	struct note_key k;
	int r = note_vkey_parse(&k, made, strlen(made));

	if (r != KE_OK)
		return r;
	origin_oplog_key(&k);
	r = note_vkey(k.name, k.type, k.pub, vkey, sizeof vkey);
	if (r == KE_OK)
		snprintf(text, cap, "%s\n", vkey);
	return r;
}

/* klero.keys comes last: with it the appliance is there. */
static int write_files(struct setup *s)
{
	char path[MADE_PATH], hex[33], text[1024];
	int r = made_file(&s->made, s->conf->tls_certificate, 0644, NULL, s->tls.cert_pem,
	    strlen(s->tls.cert_pem), s->why, sizeof s->why);

	request_path(s, path);
	if (r == KE_OK && s->signer == SIGNER_REQUEST)
		r = made_file(&s->made, path, 0644, NULL, s->request.cert_pem,
		    strlen(s->request.cert_pem), s->why, sizeof s->why);
	in_store(s, "klero.vkey", path, sizeof path);
	if (r == KE_OK)
		r = put_vkey(s, text, sizeof text);
	if (r == KE_OK)
		r = made_file(
		    &s->made, path, 0644, &s->engine, text, strlen(text), s->why, sizeof s->why);
	in_store(s, "klero.new", path, sizeof path);
	make_code(s, text, sizeof text);
	if (r == KE_OK)
		r = made_file(
		    &s->made, path, 0600, &s->engine, text, strlen(text), s->why, sizeof s->why);
	text_hex(hex, s->appliance, sizeof s->appliance);
	snprintf(text, sizeof text, "appliance %s\ndbkey %s\n", hex, s->keys.sealed_dbkey);
	in_store(s, "klero.keys", path, sizeof path);
	if (r == KE_OK)
		r = made_file(
		    &s->made, path, 0600, &s->engine, text, strlen(text), s->why, sizeof s->why);
	return r;
}

/* What remains, and what may have been there before: each with what to do about it. */
static void say_rest(const struct setup *s, bool at_token)
{
	bool private = s->conf->softhsm_conf[0] != '\0';

	if (!private && s->keys.sealed_dbkey[0] != '\0')
		ctl_fail(CTL_REFUSED, "the keys in token %s remain: use another token",
		    s->conf->keys.label);
	if (private && at_token && access(s->conf->module_folder, F_OK) == 0)
		ctl_fail(CTL_REFUSED,
		    "%s was there before: if it is left from a setup that was cut short, remove it "
		    "and run this again; if a backup of the store belongs to it, restore that",
		    s->conf->module_folder);
}

/* What remains for the operator to do, i-th; false when there is no more. */
static bool next_step(const struct setup *s, size_t i, char text[NEXT_MAX])
{
	char path[MADE_PATH];
	size_t n = 0;

	text[0] = '\0';
	request_path(s, path);
	if (s->signer == SIGNER_REQUEST && i == n++)
		snprintf(text, NEXT_MAX,
		    "have an authority sign %s, and hand its answer to kleroctl tls install", path);
	if (s->signer == SIGNER_ACME && i == n++)
		snprintf(text, NEXT_MAX,
		    "for a certificate by ACME, now and when it is due: "
		    "systemctl enable --now klerod-acme.timer");
	if (s->conf->backup_folder[0] != '\0' && i == n++)
		snprintf(text, NEXT_MAX,
		    "for a backup each night: systemctl daemon-reload; "
		    "systemctl enable --now klerod-backup.timer");
	return text[0] != '\0';
}

static int tell_json(struct setup *s, struct ctl *ctl)
{
	char text[NEXT_MAX];
	static char buf[2 * MADE_MAX * MADE_PATH];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kbool(&w, "ok", true);
	jsonw_khex(&w, "appliance", s->appliance, sizeof s->appliance);
	jsonw_kcstr(&w, "admin_code", s->code);
	jsonw_kbool(&w, "officers_enrolled", s->officers[0] != '\0');
	jsonw_key(&w, "made");
	jsonw_array(&w);
	for (size_t i = 0; i < s->made.n; i++)
		jsonw_cstr(&w, s->made.path[i]);
	jsonw_array_end(&w);
	jsonw_key(&w, "next");
	jsonw_array(&w);
	for (size_t i = 0; next_step(s, i, text); i++)
		jsonw_cstr(&w, text);
	jsonw_array_end(&w);
	jsonw_object_end(&w);
	return ctl_json(ctl, &w);
}

static int tell(struct setup *s, struct ctl *ctl)
{
	char text[NEXT_MAX];

	if (ctl->json)
		return tell_json(s, ctl);
	made_list(&s->made);
	puts(s->officers[0] == '\0'
		 ? "no officers are enrolled, so no key can be rotated: kleroctl officer enrol"
		 : "the officers are enrolled: from now on only they change the list");
	printf("the first admin enrols within a day, once: POST https://%s/api/v1/auth/enrol with "
	       "email, password and code %s\n",
	    ctl->conf.host, s->code);
	for (size_t i = 0; next_step(s, i, text); i++)
		puts(text);
	printf("the appliance is ready: start klerod -c %s\n", ctl->conf_path);
	return CTL_OK;
}

/* All steps; on failure what was made is taken back, and what remains is named. */
static int make(struct setup *s)
{
	static int (*const steps[])(struct setup *) = {refuse_existing, find_users, make_folders,
	    make_softhsm, make_pins, make_tokens, make_keys, make_tls, make_request, write_files};
	bool private = s->conf->softhsm_conf[0] != '\0', at_token = false;
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < sizeof steps / sizeof steps[0]; i++) {
		r = steps[i](s);
		at_token = steps[i] == make_tokens || steps[i] == make_keys ||
			   steps[i] == make_tls || steps[i] == make_request;
	}
	if (r == KE_OK)
		return CTL_OK;
	ctl_fail(CTL_REFUSED, "%s", s->why[0] != '\0' ? s->why : ke_words(r));
	made_undo(&s->made, private ? s->conf->module_folder : "");
	say_rest(s, at_token);
	return CTL_REFUSED;
}

/* With answers from a terminal or a file; w NULL: klerod.conf as it stands. */
static int make_of(struct setup *s, struct wizard *w)
{
	int status;

	if (w == NULL)
		return make(s);
	/* before anything is written: an appliance that is there keeps its configuration */
	if (refuse_existing(s) != KE_OK || wizard_write(w, s->why, sizeof s->why) != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s", s->why);
	status = make(s);
	if (status != CTL_OK)
		wizard_undo(w);
	return status;
}

static int ask(struct wizard *w, const char *answers)
{
	return answers != NULL ? wizard_read(w, answers) : wizard_ask(w);
}

static int run(
    struct ctl *ctl, struct setup *s, struct wizard *w, const char *threshold, const char *officers)
{
	int status = CTL_OK;

	if (w != NULL)
		status = ask(w, ctl_given(ctl, "answers"));
	if (w != NULL)
		s->signer = w->signer;
	if (status == CTL_OK && w != NULL && w->officers[0] != '\0') {
		threshold = w->threshold;
		officers = w->officers;
	}
	if (status == CTL_OK && officers != NULL)
		status = officers_file(threshold, officers, s->officers);
	if (status == CTL_OK)
		status = make_of(s, w);
	return status == CTL_OK ? tell(s, ctl) : status;
}

int ctl_setup(struct ctl *ctl, int argc, char **argv)
{
	static struct setup s;
	bool asks =
	    ctl_given(ctl, "answers") != NULL ||
	    (argc == 0 && !ctl->json && ctl_given(ctl, "yes") == NULL && isatty(STDIN_FILENO) == 1);
	struct wizard *w = NULL;
	int status;

	s = (struct setup){.ctl = ctl, .conf = &ctl->conf};
	if (argc == 1)
		return ctl_fail(CTL_USAGE, "setup THRESHOLD OFFICERS, or neither");
	umask(077);
	s.code = sodium_malloc(CODE_MAX);
	if (s.code == NULL || (asks && (w = wizard_new(ctl)) == NULL))
		return ctl_fail(CTL_REFUSED, "out of memory");
	status = run(ctl, &s, w, argc == 2 ? argv[0] : NULL, argc == 2 ? argv[1] : NULL);
	wizard_free(w);
	sodium_free(s.code); /* wipes */
	return status;
}
