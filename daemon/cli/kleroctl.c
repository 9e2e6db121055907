/*
 * kleroctl: a thin main over its commands (kleroctl_*.c). Runs for an operator; see kleroctl.h.
 */
#include "daemon/cli/kleroctl.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "daemon/conf/spawn.h"
#include "daemon/msg/msg.h"

static struct ctl ctl;

int ctl_fail(int status, const char *fmt, ...)
{
	char line[sizeof ctl.why];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fprintf(stderr, "kleroctl: %s\n", line);
	if (ctl.why[0] == '\0')
		memcpy(ctl.why, line, sizeof line);
	return status;
}

FILE *ctl_open(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (f == NULL)
		(void)ctl_fail(CTL_USAGE, "%s: %s", path, strerror(errno));
	return f;
}

void ctl_close(FILE *f)
{
	if (f != stdin)
		fclose(f);
}

int ctl_read_text(const char *path, char *buf, size_t cap)
{
	FILE *f = ctl_open(path);
	size_t n;

	if (f == NULL)
		return CTL_USAGE;
	n = fread(buf, 1, cap - 1, f);
	buf[n] = '\0';
	ctl_close(f);
	return n > 0 && n < cap - 1 ? CTL_OK : ctl_fail(CTL_USAGE, "%s: empty, or too long", path);
}

void ctl_print(const struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

int ctl_json(struct ctl *c, const struct jsonw *w)
{
	c->told = true;
	if (jsonw_end(w) != KE_OK)
		return ctl_fail(CTL_REFUSED, "what is to be told does not fit");
	fprintf(c->bytes ? stderr : stdout, "%.*s\n", (int)w->len, w->buf);
	return fflush(stdout) == 0 ? CTL_OK
				   : ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
}

int ctl_tell(struct ctl *c, const char *key, const char *words, size_t n)
{
	static char buf[2 * MSG_BODY_MAX];
	struct jsonw w;

	if (!c->json) {
		/* a text that is to be signed comes with its last LF */
		printf("%.*s%s", (int)n, words, n > 0 && words[n - 1] == '\n' ? "" : "\n");
		return fflush(stdout) == 0
			   ? CTL_OK
			   : ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
	}
	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kbool(&w, "ok", true);
	jsonw_kstr(&w, key, words, n);
	jsonw_object_end(&w);
	return ctl_json(c, &w);
}

/* What standard error says to people, for the program that asked for JSON. */
static void tell_failure(int status)
{
	static const char *const codes[] = {
#define STATUS(name, number, code, what) [number] = (code),
#include "daemon/cli/status.def"
#undef STATUS
	};
	static char buf[6 * sizeof ctl.why + 64];
	struct jsonw w;

	/* file names have whatever bytes they have */
	for (char *p = ctl.why; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kbool(&w, "ok", false);
	jsonw_kcstr(&w, "code", codes[status]);
	jsonw_kcstr(&w, "why", ctl.why);
	jsonw_object_end(&w);
	(void)ctl_json(&ctl, &w);
}

/* Secrets pass through here: no core, no debugger, no swap for what is in sodium's memory. */
static int protect(void)
{
	struct rlimit none = {0, 0};

	ctl.null = spawn_reserve();
	if (ctl.null < 0 || sodium_init() < 0)
		return KE_INTERNAL;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return KE_INTERNAL;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? KE_INTERNAL : KE_OK;
}

static int misused(void)
{
	fprintf(stderr, "kleroctl: %s; usage: kleroctl ", ctl.why);
	if (ctl.command != NULL)
		command_usage(stderr, ctl.command);
	fputs(ctl.command != NULL ? "\n" : "--help shows the commands\n", stderr);
	if (ctl.json)
		tell_failure(CTL_USAGE);
	return CTL_USAGE;
}

/* Options before the command; an enum ctl_status, or -1 to go on. */
static int options(int argc, char **argv)
{
	static const struct option longs[] = {{"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'}, {"commands", no_argument, NULL, 'l'}, {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "+c:L:h", longs, NULL)) != -1) {
		if (opt == 'V')
			printf("kleroctl %s\n", KLERO_VERSION);
		else if (opt == 'h')
			command_help_all();
		else if (opt == 'l')
			command_list();
		if (strchr("Vhl", opt) != NULL)
			return CTL_OK;
		if (opt == 'c')
			ctl.conf_path = optarg;
		else if (opt == 'L' && strlen(optarg) < sizeof ctl.libexec)
			snprintf(ctl.libexec, sizeof ctl.libexec, "%s", optarg);
		else
			return CTL_USAGE; /* getopt has said why */
	}
	return -1;
}

/* On an empty machine it comes out of a backup, and an officer has none; doctor looks at it, too.
 */
static bool without_conf(const struct command *c)
{
	return c->run == ctl_unpack || c->run == ctl_escrow_open || c->run == ctl_doctor ||
	       c->run == ctl_support;
}

static int run(const struct command *c, int argc, char **argv)
{
	char why[512];

	if (protect() != KE_OK)
		return ctl_fail(CTL_REFUSED, "cannot protect secrets in memory");
	if (!without_conf(c) && conf_read(&ctl.conf, ctl.conf_path, why, sizeof why) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s", why);
	return c->run(&ctl, argc, argv);
}

int main(int argc, char **argv)
{
	const struct command *c;
	bool help = false;
	int status;

	ctl.conf_path = KLERO_SYSCONF "/klerod.conf";
	spawn_default_libexec(ctl.libexec, sizeof ctl.libexec);
	status = options(argc, argv);
	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	c = command_parse(&ctl, &argc, &argv, &help);
	if (c == NULL)
		return misused();
	if (help) {
		command_help(c);
		return CTL_OK;
	}
	status = run(c, argc, argv);
	if (status != CTL_OK && ctl.json && !ctl.told && ctl.why[0] != '\0')
		tell_failure(status);
	return status;
}
