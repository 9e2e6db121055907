/*
 * The answers that setup starts from: see kleroctl_wizard.h. An answer becomes a line of the
 * configuration's text, the whole of which is parsed again; a line that is wrong is asked for
 * again.
 */
#include "daemon/cli/kleroctl_wizard.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_ask.h"
#include "daemon/cli/kleroctl_made.h"
#include "daemon/cli/kleroctl_officers.h"

#define ANSWER 512

/* acme.conf stands beside klerod.conf. */
static void name_acme(struct wizard *w)
{
	const char *conf = w->ctl->conf_path, *slash = strrchr(conf, '/');
	int folder = slash == NULL ? 0 : (int)(slash + 1 - conf);

	snprintf(w->acme_path, sizeof w->acme_path, "%.*sacme.conf", folder, conf);
}

struct wizard *wizard_new(struct ctl *ctl)
{
	struct wizard *w = malloc(sizeof *w);
	char why[512];

	if (w == NULL)
		return NULL;
	*w = (struct wizard){.ctl = ctl, .own = ctl->conf.softhsm_conf[0] != '\0'};
	for (size_t i = 0; i < 2; i++) {
		w->pin[i] = sodium_malloc(CONF_PIN_MAX + 1);
		if (w->pin[i] != NULL)
			w->pin[i][0] = '\0';
	}
	/* it was read a moment ago */
	if (w->pin[0] == NULL || w->pin[1] == NULL ||
	    conf_file(ctl->conf_path, false, w->before, sizeof w->before - ANSWER, &w->before_len,
		why, sizeof why) != KE_OK) {
		wizard_free(w);
		return NULL;
	}
	memcpy(w->text, w->before, w->before_len);
	w->len = w->before_len;
	name_acme(w);
	return w;
}

void wizard_free(struct wizard *w)
{
	if (w == NULL)
		return;
	sodium_free(w->pin[0]); /* these wipe */
	sodium_free(w->pin[1]);
	free(w);
}

/* --- lines of the text --- */

/* Where a keyword's line stands: its first byte, its length with the LF. False when it is absent.
 */
static bool find_line(const struct wizard *w, const char *keyword, size_t *at, size_t *n)
{
	size_t len = strlen(keyword);

	for (*at = 0; *at < w->len; *at += *n) {
		const char *line = w->text + *at, *end = memchr(line, '\n', w->len - *at);

		*n = end != NULL ? (size_t)(end - line) + 1 : w->len - *at;
		if (*n > len && memcmp(line, keyword, len) == 0 &&
		    strchr(" \t\n", line[len]) != NULL)
			return true;
	}
	return false;
}

static void drop_line(struct wizard *w, const char *keyword)
{
	size_t at, n;

	while (find_line(w, keyword, &at, &n)) {
		memmove(w->text + at, w->text + at + n, w->len - at - n);
		w->len -= n;
	}
}

/* Puts a line in the place of the keyword's, or behind all; "" takes it away. KE_FULL. */
static int put_line(struct wizard *w, const char *keyword, const char *value)
{
	char line[ANSWER + 64];
	size_t at = w->len, n = 0, len;

	if (value[0] == '\0') {
		drop_line(w, keyword);
		return KE_OK;
	}
	len = (size_t)snprintf(line, sizeof line, "%s %s\n", keyword, value);
	if (!find_line(w, keyword, &at, &n)) {
		at = w->len;
		n = 0;
	}
	if (len >= sizeof line || w->len - n + len > sizeof w->text)
		return KE_FULL;
	memmove(w->text + at + len, w->text + at + n, w->len - at - n);
	memcpy(w->text + at, line, len);
	w->len += len - n;
	return KE_OK;
}

/* A line goes in, and the whole is read again; KE_OK, or everything as it was, with why. */
static int answer(struct wizard *w, const char *keyword, const char *value, char *why, size_t len)
{
	static char before[CONF_FILE_MAX];
	static struct conf conf;
	size_t before_len = w->len;
	int r;

	memcpy(before, w->text, w->len);
	r = put_line(w, keyword, value);
	if (r == KE_OK)
		r = conf_parse(&conf, w->ctl->conf_path, w->text, w->len, why, len);
	else
		snprintf(why, len, "%s: %s", keyword, ke_words(r));
	if (r == KE_OK) {
		w->ctl->conf = conf;
		return KE_OK;
	}
	memcpy(w->text, before, before_len);
	w->len = before_len;
	return r;
}

/* Another's token has neither a folder nor a configuration of ours. */
static int choose_hsm(struct wizard *w, bool own, char *why, size_t len)
{
	w->own = own;
	if (own)
		return w->ctl->conf.softhsm_conf[0] != '\0'
			   ? KE_OK
			   : (snprintf(why, len,
				  "klerod.conf names no softhsm-conf and "
				  "pkcs11-folder for a SoftHSM of its own"),
				 KE_FORMAT);
	drop_line(w, "softhsm-conf");
	return answer(w, "pkcs11-folder", "", why, len);
}

/* --- the dialogue --- */

/* One line from the terminal, the present value for an empty one. False at its end. */
static bool ask(const char *question, const char *now, char value[ANSWER])
{
	size_t n;

	printf(now[0] != '\0' ? "%s [%s]: " : "%s: ", question, now);
	fflush(stdout);
	if (fgets(value, ANSWER, stdin) == NULL)
		return false;
	n = strcspn(value, "\n");
	value[n] = '\0';
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		value[--n] = '\0';
	if (n == 0)
		snprintf(value, ANSWER, "%s", now);
	return true;
}

/* A keyword's value as it stands in the text. */
static void present(const struct wizard *w, const char *keyword, char value[ANSWER])
{
	size_t at, n, skip = strlen(keyword);

	value[0] = '\0';
	if (!find_line(w, keyword, &at, &n))
		return;
	skip += strspn(w->text + at + skip, " \t");
	snprintf(
	    value, ANSWER, "%.*s", (int)strcspn(w->text + at + skip, "\n"), w->text + at + skip);
}

static bool ask_keyword(struct wizard *w, const char *keyword, const char *question)
{
	char now[ANSWER], value[ANSWER], why[512];

	present(w, keyword, now);
	for (;;) {
		if (!ask(question, now, value))
			return false;
		if (answer(w, keyword, value, why, sizeof why) == KE_OK)
			return true;
		printf("  %s\n", why);
	}
}

static bool ask_hsm(struct wizard *w)
{
	char value[ANSWER], why[512];

	for (;;) {
		if (!ask("HSM: 1 a SoftHSM that is made here, 2 a PKCS#11 module that is there",
			w->own ? "1" : "2", value))
			return false;
		if (strcmp(value, "1") != 0 && strcmp(value, "2") != 0)
			continue;
		if (choose_hsm(w, value[0] == '1', why, sizeof why) == KE_OK)
			return true;
		printf("  %s\n", why);
	}
}

/* Typed without echo; kept in a file that only root, or the caller, can read. */
static bool ask_pin(struct wizard *w, size_t which, const char *file, const char *words)
{
	if (access(file, F_OK) == 0) {
		printf("  the PIN in %s is used\n", file);
		return true;
	}
	fflush(stdout);
	return ask_secret(words, w->pin[which], CONF_PIN_MAX + 1) == KE_OK;
}

static bool ask_token(struct wizard *w)
{
	if (w->own)
		return true;
	return ask_keyword(w, "pkcs11-module", "PKCS#11 module") &&
	       ask_keyword(w, "pkcs11-folder", "folder of its files (none: it is hardware)") &&
	       ask_keyword(w, "keys-token", "label of the token for the keys") &&
	       ask_keyword(w, "tls-token", "label of the token for the TLS key") &&
	       ask_pin(w, 0, w->ctl->conf.keys.pin_file, "PIN of the token for the keys: ") &&
	       ask_pin(w, 1, w->ctl->conf.tls.pin_file, "PIN of the token for the TLS key: ");
}

static bool ask_officers(struct wizard *w)
{
	static char text[RCONF_KEYADM_TEXT];
	char value[ANSWER];

	for (;;) {
		if (!ask("file with the security officers' names and SSH keys (none: enrol them "
			 "later)",
			"", value))
			return false;
		if (value[0] == '\0')
			return true;
		if (strlen(value) >= sizeof w->officers)
			continue;
		memcpy(w->officers, value, strlen(value) + 1);
		if (!ask("how many of them must agree", "2", value))
			return false;
		snprintf(w->threshold, sizeof w->threshold, "%.11s", value);
		if (officers_file(w->threshold, w->officers, text) == CTL_OK)
			return true;
		w->officers[0] = '\0';
	}
}

/*
 * A word for certbot's command line, which systemd takes apart at blanks: no quotes, nothing that
 * systemd or a shell would replace, and no option.
 */
static bool is_plain(const char *word)
{
	return word[0] != '-' &&
	       word[strspn(word,
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._+:/~-")] ==
		   '\0';
}

/* One of the two words that acme.conf holds; "" for none. False leaves it as it was. */
static bool acme_word(char field[RCONF_PATH], const char *must, const char *value)
{
	if (strlen(value) >= RCONF_PATH || !is_plain(value) ||
	    (value[0] != '\0' && strstr(value, must) == NULL))
		return false;
	memcpy(field, value, strlen(value) + 1);
	return true;
}

static bool acme_mail(struct wizard *w, const char *value)
{
	return acme_word(w->acme_mail, "@", value);
}

static bool acme_server(struct wizard *w, const char *value)
{
	return (value[0] == '\0' || strncmp(value, "https://", 8) == 0) &&
	       acme_word(w->acme_server, "https://", value);
}

static bool ask_acme(struct wizard *w)
{
	char value[ANSWER];

	if (access(w->acme_path, F_OK) == 0) {
		printf("  the settings in %s are used\n", w->acme_path);
		return true;
	}
	do {
		if (!ask("e-mail address for that authority (none: it is told none)", "", value))
			return false;
	} while (!acme_mail(w, value));
	do {
		if (!ask("https:// address of its ACME directory (none: Let's Encrypt's)", "",
			value))
			return false;
	} while (!acme_server(w, value));
	return true;
}

static bool ask_signer(struct wizard *w)
{
	char value[ANSWER];

	for (;;) {
		if (!ask("certificate: 1 self-signed, 2 with a request for an authority, 3 by ACME "
			 "and certbot",
			"1", value))
			return false;
		if (value[0] < '1' || value[0] > '3' || value[1] != '\0')
			continue;
		w->signer = (enum signer)(value[0] - '1');
		return w->signer != SIGNER_ACME || ask_acme(w);
	}
}

static bool ask_backups(struct wizard *w)
{
	return ask_keyword(w, "backup-folder", "folder for backups (none: name one each time)") &&
	       (w->ctl->conf.backup_folder[0] == '\0' ||
		   ask_keyword(w, "backup-keep",
		       "how many of them remain there, by kleroctl backup --prune"));
}

static bool ask_all(struct wizard *w)
{
	char value[ANSWER];

	puts("An empty answer keeps what stands in [ ]. Nothing is made before the last question.");
	return ask_keyword(w, "host", "name of this appliance, for its certificate and its log") &&
	       ask_keyword(w, "tls-names", "names and addresses by which it is reached") &&
	       ask_keyword(w, "listen", "address and port to listen on ([::]:443: the world)") &&
	       ask_keyword(w, "currencies", "currencies of wallets") && ask_hsm(w) &&
	       ask_token(w) && ask_signer(w) && ask_officers(w) && ask_backups(w) &&
	       ask("make the appliance", "no", value) && strcmp(value, "yes") == 0;
}

int wizard_ask(struct wizard *w)
{
	return ask_all(w) ? CTL_OK : ctl_fail(CTL_REFUSED, "not made: nothing was changed");
}

/* --- the file --- */

static const char *const keywords[] = {"host", "tls-names", "listen", "currencies", "pkcs11-module",
    "pkcs11-folder", "pkcs11-parameters", "keys-token", "tls-token", "backup-folder",
    "backup-keep"};

static bool take_signer(struct wizard *w, const char *value)
{
	static const char *const words[] = {
	    [SIGNER_SELF] = "self-signed", [SIGNER_REQUEST] = "request", [SIGNER_ACME] = "acme"};

	for (int i = SIGNER_SELF; i <= SIGNER_ACME; i++)
		if (strcmp(value, words[i]) == 0) {
			w->signer = (enum signer)i;
			return true;
		}
	return false;
}

static int take(struct wizard *w, const char *keyword, const char *value, char *why, size_t len)
{
	if (strcmp(keyword, "hsm") == 0 && strcmp(value, "softhsm") == 0)
		return choose_hsm(w, true, why, len);
	if (strcmp(keyword, "hsm") == 0 && strcmp(value, "module") == 0)
		return choose_hsm(w, false, why, len);
	if (strcmp(keyword, "officers") == 0 && strlen(value) < sizeof w->officers) {
		memcpy(w->officers, value, strlen(value) + 1);
		return KE_OK;
	}
	if (strcmp(keyword, "threshold") == 0 && strlen(value) < sizeof w->threshold) {
		memcpy(w->threshold, value, strlen(value) + 1);
		return KE_OK;
	}
	if ((strcmp(keyword, "certificate") == 0 && take_signer(w, value)) ||
	    (strcmp(keyword, "acme-mail") == 0 && acme_mail(w, value)) ||
	    (strcmp(keyword, "acme-server") == 0 && acme_server(w, value)))
		return KE_OK;
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		if (strcmp(keyword, keywords[i]) == 0)
			return answer(w, keyword, value, why, len);
	snprintf(why, len, "setup asks for no such thing, or it has no such value");
	return KE_FORMAT;
}

/* One line of the file; empty ones and comments are passed over. */
static int take_line(struct wizard *w, char *line, char *why, size_t len)
{
	char *keyword = line + strspn(line, " \t"), *value;
	size_t n;

	keyword[strcspn(keyword, "\n")] = '\0';
	if (*keyword == '\0' || *keyword == '#')
		return KE_OK;
	value = keyword + strcspn(keyword, " \t");
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, " \t");
	n = strlen(value);
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		value[--n] = '\0';
	return take(w, keyword, value, why, len);
}

int wizard_read(struct wizard *w, const char *path)
{
	FILE *f = ctl_open(path);
	char line[ANSWER + 64], why[512] = "";
	unsigned n = 0;
	int r = KE_OK;

	if (f == NULL)
		return CTL_USAGE;
	while (r == KE_OK && fgets(line, sizeof line, f) != NULL) {
		n++;
		r = take_line(w, line, why, sizeof why);
	}
	ctl_close(f);
	if (r != KE_OK)
		return ctl_fail(CTL_USAGE, "%s:%u: %s", path, n, why);
	if ((w->officers[0] == '\0') != (w->threshold[0] == '\0'))
		return ctl_fail(CTL_USAGE, "%s: officers and threshold stand together", path);
	if (w->signer != SIGNER_ACME && (w->acme_mail[0] != '\0' || w->acme_server[0] != '\0'))
		return ctl_fail(
		    CTL_USAGE, "%s: acme-mail and acme-server are for certificate acme", path);
	return CTL_OK;
}

/* --- what it writes --- */

static int replace(struct wizard *w, const char *text, size_t n, char *why, size_t whylen)
{
	char made[RCONF_PATH + 8];
	struct made m = {.n = 0};
	int r;

	snprintf(made, sizeof made, "%s.new", w->ctl->conf_path);
	(void)unlink(made); /* a killed one's */
	r = made_file(&m, made, 0644, NULL, text, n, why, whylen);
	if (r == KE_OK && rename(made, w->ctl->conf_path) != 0) {
		snprintf(why, whylen, "%s: %s", w->ctl->conf_path, strerror(errno));
		r = KE_IO;
	}
	if (r != KE_OK)
		(void)unlink(made);
	return r;
}

/* What klerod-acme.service adds to certbot's command line. One that is there is its operator's. */
static int write_acme(struct wizard *w, struct made *m, char *why, size_t whylen)
{
	char text[4 * RCONF_PATH];
	int n, r;

	if (w->signer != SIGNER_ACME || access(w->acme_path, F_OK) == 0)
		return KE_OK;
	n = snprintf(text, sizeof text,
	    "# Made by kleroctl setup: how klerod-acme.service has certbot ask for a certificate.\n"
	    "CERTBOT_ARGUMENTS=--standalone --agree-tos %s%s%s%s\n",
	    w->acme_mail[0] != '\0' ? "-m " : "--register-unsafely-without-email", w->acme_mail,
	    w->acme_server[0] != '\0' ? " --server " : "", w->acme_server);
	r = made_file(m, w->acme_path, 0644, NULL, text, (size_t)n, why, whylen);
	w->acme_made = r == KE_OK;
	return r;
}

int wizard_write(struct wizard *w, char *why, size_t whylen)
{
	const char *const files[] = {w->ctl->conf.keys.pin_file, w->ctl->conf.tls.pin_file};
	struct made m = {.n = 0};
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < 2; i++)
		if (w->pin[i][0] != '\0')
			r = made_file(
			    &m, files[i], 0400, NULL, w->pin[i], strlen(w->pin[i]), why, whylen);
	if (r == KE_OK)
		r = write_acme(w, &m, why, whylen);
	if (r == KE_OK && (w->len != w->before_len || memcmp(w->text, w->before, w->len) != 0))
		r = replace(w, w->text, w->len, why, whylen);
	if (r != KE_OK)
		made_undo(&m, "");
	return r;
}

void wizard_undo(struct wizard *w)
{
	const char *const files[] = {w->ctl->conf.keys.pin_file, w->ctl->conf.tls.pin_file};
	char why[512];

	for (size_t i = 0; i < 2; i++)
		if (w->pin[i][0] != '\0')
			(void)unlink(files[i]);
	if (w->acme_made)
		(void)unlink(w->acme_path);
	if (w->len == w->before_len && memcmp(w->text, w->before, w->len) == 0)
		return;
	if (replace(w, w->before, w->before_len, why, sizeof why) != KE_OK)
		ctl_fail(CTL_REFUSED, "klerod.conf stays as it was answered: %s", why);
}
