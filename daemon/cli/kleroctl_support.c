/*
 * kleroctl support: a tar archive for who helps from outside: the configuration without what could
 * be a secret, versions, doctor's findings, the state, the end of the log. No key, no PIN and no
 * store is in it; addresses, ids and everything that looks like a token are taken out of every line
 * (policy/redact.h), and the PINs themselves wherever they should stand. Works whether klerod runs
 * or not, and with a configuration that is wrong. Runs in kleroctl.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_doctor.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/cli/kleroctl_tar.h"
#include "policy/redact.h"

#define LOG_BYTES  ((size_t)1 << 20) /* of the end of the log */
#define LOG_LINES  "--lines=2000"    /* of the journal's */
#define JOURNALCTL "/usr/bin/journalctl"
#define SECRETS    4

struct support {
	struct ctl *ctl;
	struct out out;
	int64_t now_s;
	unsigned files;
	char *secret; /* SECRETS of CONF_PIN_MAX + 1 bytes, in locked memory */
	char why[512];
};

static int say(struct support *s, const char *what, const char *how)
{
	snprintf(s->why, sizeof s->why, "%s: %s", what, how);
	return CTL_REFUSED;
}

/* --- what must not be in it --- */

/* What cannot be read cannot stand anywhere either. */
static void learn_secrets(struct support *s)
{
	const char *const pins[] = {s->ctl->conf.keys.pin_file, s->ctl->conf.tls.pin_file};
	char path[RCONF_PATH + 8], why[512];

	for (size_t i = 0; i < SECRETS; i++) {
		snprintf(path, sizeof path, "%s%s", pins[i / 2], i % 2 == 0 ? "" : ".so");
		if (conf_pin(path, s->secret + i * (CONF_PIN_MAX + 1), why, sizeof why) != KE_OK)
			s->secret[i * (CONF_PIN_MAX + 1)] = '\0';
	}
}

/* Blackens every PIN in a text, whatever it stands in. */
static void blacken(const struct support *s, char *text, size_t n)
{
	for (size_t i = 0; i < SECRETS; i++) {
		const char *pin = s->secret + i * (CONF_PIN_MAX + 1);
		size_t len = strlen(pin);
		char *at = text;

		while (len > 0 && (at = memmem(at, n - (size_t)(at - text), pin, len)) != NULL)
			memset(at, '#', len);
	}
}

/* Keywords whose values are the operator's own words to a module, and may hold anything. */
static bool is_private(const char *line, size_t n)
{
	static const char *const words[] = {
	    "pkcs11-env", "pkcs11-parameters", "keys-parameters", "tls-parameters"};

	while (n > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		n--;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (n > strlen(words[i]) && strncmp(line, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* Every line of a text without what must not leave; the caller frees it. NULL without memory. */
static char *clean(const struct support *s, char *text, size_t n, size_t *len)
{
	char *out = malloc(REDACT_GROWS * n + 64);

	*len = 0;
	blacken(s, text, n);
	for (size_t at = 0; out != NULL && at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t line = end != NULL ? (size_t)(end - text) - at : n - at;

		if (is_private(text + at, line)) {
			size_t blank = strspn(text + at, " \t"),
			       word = blank + strcspn(text + at + blank, " \t");

			*len += redact_line(out + *len, text + at, word);
			memcpy(out + *len, " ~", 2);
			*len += 2;
		} else {
			*len += redact_line(out + *len, text + at, line);
		}
		out[(*len)++] = '\n';
		at += line + 1;
	}
	return out;
}

static int add_clean(struct support *s, const char *name, char *text, size_t n)
{
	size_t len = 0;
	char *out = clean(s, text, n, &len);
	int status = CTL_OK;

	if (out == NULL)
		return say(s, name, "out of memory");
	if (tar_file(&s->out, name, out, len, s->now_s) != KE_OK)
		status = say(s, s->out.path, strerror(errno));
	s->files += status == CTL_OK;
	sodium_memzero(out, len);
	free(out);
	return status;
}

/* --- what is in it --- */

/* The last bytes of a file, from a line's begin on; 0 when it cannot be read. */
static size_t tail(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;
	const char *lf;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = pread(fd, buf, cap, st.st_size > (off_t)cap ? st.st_size - (off_t)cap : 0);
	if (fd >= 0)
		close(fd);
	if (n == (ssize_t)cap && (lf = memchr(buf, '\n', cap)) != NULL) {
		n -= lf + 1 - buf;
		memmove(buf, lf + 1, (size_t)n);
	}
	return n > 0 ? (size_t)n : 0;
}

static size_t journal(const struct support *s, char *buf, size_t cap)
{
	const char *const argv[] = {
	    "journalctl", "--unit=klerod", LOG_LINES, "--no-pager", "--output=short-iso", NULL};
	const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
	size_t n = 0;
	ssize_t got;
	int sv[2];
	pid_t pid;

	if (pipe2(sv, O_CLOEXEC) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		if (dup2(sv[1], STDOUT_FILENO) >= 0 && dup2(s->ctl->null, STDERR_FILENO) >= 0 &&
		    dup2(s->ctl->null, STDIN_FILENO) >= 0)
			execve(JOURNALCTL, (char *const *)(uintptr_t)argv,
			    (char *const *)(uintptr_t)env);
		_exit(127);
	}
	close(sv[1]);
	while (n < cap && (got = read(sv[0], buf + n, cap - n)) > 0)
		n += (size_t)got;
	close(sv[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n;
}

static int add_log(struct support *s)
{
	char *buf = malloc(LOG_BYTES);
	size_t n;
	int status;

	if (buf == NULL)
		return say(s, "log", "out of memory");
	if (s->ctl->conf.log_file[0] != '\0')
		n = tail(s->ctl->conf.log_file, buf, LOG_BYTES);
	else
		n = journal(s, buf, LOG_BYTES);
	status = add_clean(s, "log", buf, n);
	sodium_memzero(buf, n);
	free(buf);
	return status;
}

/* As it stands, for it may be one that does not parse. */
static int add_configuration(struct support *s)
{
	static char text[CONF_FILE_MAX];
	char why[512];
	size_t n = 0;

	if (conf_file(s->ctl->conf_path, false, text, sizeof text, &n, why, sizeof why) != KE_OK)
		n = (size_t)snprintf(text, sizeof text, "%s\n", why);
	return add_clean(s, "klerod.conf", text, n);
}

static int add_doctor(struct support *s)
{
	static struct doctor d;

	(void)doctor_run(&d, s->ctl, false, false);
	if (jsonw_end(&d.w) != KE_OK)
		return say(s, "doctor", "its findings do not fit");
	return add_clean(s, "doctor.json", d.buf, d.w.len);
}

static int add_status(struct support *s)
{
	char text[4096];
	int r = live_status(s->ctl, text, sizeof text);

	if (r != KE_OK)
		snprintf(text, sizeof text, "klerod does not answer: %s", ke_words(r));
	return add_clean(s, "status.json", text, strlen(text));
}

static int add_versions(struct support *s)
{
	char text[8192], release[4096];
	struct utsname u = {.release = "?"};
	size_t n;

	(void)!uname(&u);
	n = tail("/usr/lib/os-release", release, sizeof release - 1);
	release[n] = '\0';
	snprintf(text, sizeof text, "kleroctl %s\nlinux %s %s\n%s\nlibsodium %s\n%s", KLERO_VERSION,
	    u.release, u.machine, OpenSSL_version(OPENSSL_VERSION), sodium_version_string(),
	    release);
	return add_clean(s, "versions", text, strlen(text));
}

static int add_all(struct support *s)
{
	static int (*const parts[])(struct support *) = {
	    add_versions, add_configuration, add_doctor, add_status, add_log};
	int status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < sizeof parts / sizeof parts[0]; i++)
		status = parts[i](s);
	if (status == CTL_OK && tar_end(&s->out) != KE_OK)
		status = say(s, s->out.path, strerror(errno));
	return status;
}

static int run(struct support *s, const char *path)
{
	int r = out_open(&s->out, path), status;

	if (r != KE_OK)
		return say(s, path, r == KE_EXISTS ? "is there already" : strerror(errno));
	learn_secrets(s);
	status = add_all(s);
	if (status == CTL_OK && out_commit(&s->out) != KE_OK)
		status = say(s, path, strerror(errno));
	out_abandon(&s->out);
	return status;
}

int ctl_support(struct ctl *ctl, int argc, char **argv)
{
	struct support s = {
	    .ctl = ctl, .now_s = time(NULL), .secret = sodium_malloc(SECRETS * (CONF_PIN_MAX + 1))};
	char why[512];
	int status;

	(void)argc;
	ctl->bytes = strcmp(argv[0], "-") == 0;
	if (s.secret == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	sodium_memzero(s.secret, SECRETS * (CONF_PIN_MAX + 1));
	/* a wrong one is told by doctor, and what could be read of it serves here */
	(void)!conf_read(&ctl->conf, ctl->conf_path, why, sizeof why);
	umask(077);
	status = run(&s, argv[0]);
	sodium_free(s.secret); /* wipes */
	if (status != CTL_OK)
		return ctl_fail(status, "%s", s.why);
	if (ctl->json)
		return ctl_tell(ctl, "file", argv[0], strlen(argv[0]));
	fprintf(ctl->bytes ? stderr : stdout,
	    "%s: %u files, without keys, PINs, addresses and ids: read it before you send it\n",
	    argv[0], s.files);
	return CTL_OK;
}
