/*
 * kleroctl: a thin main over its commands (kleroctl_*.c). Runs for an operator; see kleroctl.h.
 */
#include "daemon/cli/kleroctl.h"

#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "daemon/conf/spawn.h"

static const struct command {
	const char *first, *second; /* second: NULL for none */
	int args;                   /* after them; -n: n or more */
	int (*run)(struct ctl *, int, char **);
	const char *usage;
} commands[] = {
    {"setup", NULL, 0, ctl_setup, "setup"},
    {"setup", NULL, 2, ctl_setup, "setup THRESHOLD FILE"},
    {"admin", "create", 1, ctl_admin_create, "admin create EMAIL"},
    {"user", "roles", -2, ctl_user_roles, "user roles EMAIL ROLE..."},
    {"status", NULL, 0, ctl_status, "status"},
    {"key", "list", 0, ctl_key_list, "key list"},
    {"key", "rotate", -1, ctl_key_rotate, "key rotate PURPOSE [OFFICER]"},
    {"key", "roll-back", -2, ctl_key_roll_back, "key roll-back PURPOSE VERSION [OFFICER]"},
    {"key", "destroy", -2, ctl_key_destroy, "key destroy PURPOSE VERSION [OFFICER]"},
    {"key", "abandon", -2, ctl_key_abandon, "key abandon PURPOSE VERSION [OFFICER]"},
    {"key", "compromise", -2, ctl_key_compromise, "key compromise PURPOSE VERSION [OFFICER]"},
    {"officer", "list", 0, ctl_key_list, "officer list"},
    {"officer", "enrol", 2, ctl_officer_enrol, "officer enrol THRESHOLD FILE"},
    {"officer", "propose", -2, ctl_officer_propose, "officer propose THRESHOLD FILE [OFFICER]"},
    {"proposal", "list", 0, ctl_proposal_list, "proposal list"},
    {"proposal", "list", 1, ctl_proposal_list, "proposal list BEFORE"},
    {"proposal", "show", 1, ctl_proposal_show, "proposal show ID"},
    {"proposal", "approve", -1, ctl_proposal_approve, "proposal approve ID [FILE]"},
    {"proposal", "reject", 1, ctl_proposal_reject, "proposal reject ID"},
    {"backup", NULL, -1, ctl_backup, "backup [--with-token] [--json] FILE"},
    {"restore", NULL, -1, ctl_restore, "restore [--check] [--replace] [--unsigned] [--json] FILE"},
    {"unpack", NULL, 2, ctl_unpack, "unpack SECTION FILE"},
    {"import", "deposit-keys", -1, ctl_import_deposit_keys,
	"import deposit-keys [--layout LAYOUT] [--chain CHAIN] [--key-file FILE] [--dry-run] "
	"[--json] FILE"},
    {"hsm", "check", 0, ctl_hsm_check, "hsm check"},
    {"hsm", "check", -1, ctl_hsm_check,
	"hsm check [--json] [--module FILE] [--parameters TEXT] [--token LABEL [--tls]] "
	"[--pin-file FILE]"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

int ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("kleroctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* On standard output for who asked for it, on standard error for who was wrong. */
static int usage(FILE *to)
{
	fputs("usage:", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "\tkleroctl [-c FILE] [-L FOLDER] %s\n", commands[i].usage);
	fputs("\tkleroctl --help | --version\n", to);
	return to == stdout ? CTL_OK : CTL_USAGE;
}

/* The command that the words name; NULL for none or for a wrong number of arguments. */
static const struct command *find(int argc, char **argv)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		int words = c->second == NULL ? 1 : 2, args = argc - words;

		if (args < 0 || strcmp(argv[0], c->first) != 0)
			continue;
		if (c->second != NULL && strcmp(argv[1], c->second) != 0)
			continue;
		if (c->args >= 0 ? args == c->args : args >= -c->args)
			return c;
	}
	return NULL;
}

/* Secrets pass through here: no core, no debugger, no swap for what is in sodium's memory. */
static int protect(struct ctl *ctl)
{
	struct rlimit none = {0, 0};

	ctl->null = spawn_reserve();
	if (ctl->null < 0 || sodium_init() < 0)
		return KE_INTERNAL;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return KE_INTERNAL;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? KE_INTERNAL : KE_OK;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {0}};
	static struct ctl ctl;
	const struct command *c;
	char why[512];
	int opt;

	ctl.conf_path = KLERO_SYSCONF "/klerod.conf";
	spawn_default_libexec(ctl.libexec, sizeof ctl.libexec);
	while ((opt = getopt_long(argc, argv, "+c:L:h", longs, NULL)) != -1) {
		if (opt == 'V') {
			printf("kleroctl %s\n", KLERO_VERSION);
			return CTL_OK;
		}
		if (opt == 'h')
			return usage(stdout);
		if (opt == 'c')
			ctl.conf_path = optarg;
		else if (opt == 'L' && strlen(optarg) < sizeof ctl.libexec)
			snprintf(ctl.libexec, sizeof ctl.libexec, "%s", optarg);
		else
			return usage(stderr);
	}
	c = find(argc - optind, argv + optind);
	if (c == NULL)
		return usage(stderr);
	if (protect(&ctl) != KE_OK)
		return ctl_fail(CTL_REFUSED, "cannot protect secrets in memory");
	/* on an empty machine the configuration itself comes out of a backup */
	if (c->run != ctl_unpack && conf_read(&ctl.conf, ctl.conf_path, why, sizeof why) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s", why);
	optind += c->second == NULL ? 1 : 2;
	return c->run(&ctl, argc - optind, argv + optind);
}
