/*
 * kleroctl: what its commands share. Runs for an operator, as root or as the user who starts
 * klerod; trusts the configuration and the terminal.
 */
#ifndef DAEMON_CLI_KLEROCTL_H
#define DAEMON_CLI_KLEROCTL_H

#include <stdio.h>

#include "daemon/conf/conf.h"
#include "policy/jsonw.h"

/* Exit statuses; stable. */
enum ctl_status {
#define STATUS(name, number, code, what) name = (number),
#include "daemon/cli/status.def"
#undef STATUS
};

#define CTL_OPTIONS   6
#define CTL_ARGUMENTS 4

/* What stands at a place of the command line, for the completions. */
enum ctl_takes {
	TAKES_NOTHING,
	TAKES_WORD,
	TAKES_FILE,
	TAKES_FOLDER,
	TAKES_PURPOSE,
	TAKES_ROLE,
	TAKES_SECTION,
	TAKES_LAYOUT
};

/* An option, --name or --name VALUE. */
struct ctl_option {
	const char *name;  /* NULL ends the list */
	const char *value; /* NULL for a flag */
	enum ctl_takes takes;
	const char *what;
};

struct ctl_argument {
	const char *name; /* NULL ends the list */
	bool needed, many;
	enum ctl_takes takes;
};

struct ctl;

/* A row of daemon/cli/command.def. */
struct command {
	const char *first, *second; /* second: NULL for none */
	/* Its arguments are in argv[0..argc), as many as the row says. Returns an enum ctl_status.
	 */
	int (*run)(struct ctl *, int argc, char **argv);
	struct ctl_option options[CTL_OPTIONS + 1];
	struct ctl_argument arguments[CTL_ARGUMENTS + 1];
	const char *what;
};

extern const struct command commands[];
extern const size_t commands_n;

/* What every command gets. */
struct ctl {
	struct conf conf;
	const char *conf_path;
	char libexec[RCONF_PATH];
	int null; /* /dev/null */
	const struct command *command;
	bool json;
	const char *given[CTL_OPTIONS]; /* value of each option, "" of a flag; NULL: not given */
	bool bytes;    /* standard output carries bytes: JSON goes to standard error */
	bool told;     /* one JSON text is on standard output */
	char why[512]; /* the first thing that ctl_fail() said */
};

/* The value of an option of the command that runs, "" for a flag; NULL when it was not given. */
const char *ctl_given(const struct ctl *ctl, const char *name);

/*
 * The row that the words name, its words cut off and its options taken out of argv into ctl; its
 * arguments, *argc of them, are put at *argv. NULL for none, with ctl->why, or when *help is set:
 * its help was asked for.
 */
const struct command *command_parse(struct ctl *ctl, int *argc, char ***argv, bool *help);

/* One line without its end. */
void command_usage(FILE *to, const struct command *c);
/* --help: of everything, of one command, and --commands: the whole list for programs. */
void command_help(const struct command *c);
void command_help_all(void);
void command_list(void);

int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_setup(struct ctl *ctl, int argc, char **argv);
int ctl_admin_create(struct ctl *ctl, int argc, char **argv);
int ctl_user_roles(struct ctl *ctl, int argc, char **argv);
int ctl_key_list(struct ctl *ctl, int argc, char **argv);
int ctl_key_rotate(struct ctl *ctl, int argc, char **argv);
int ctl_key_roll_back(struct ctl *ctl, int argc, char **argv);
int ctl_key_destroy(struct ctl *ctl, int argc, char **argv);
int ctl_key_abandon(struct ctl *ctl, int argc, char **argv);
int ctl_key_compromise(struct ctl *ctl, int argc, char **argv);
int ctl_officer_enrol(struct ctl *ctl, int argc, char **argv);
int ctl_officer_propose(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_list(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_show(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_approve(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_reject(struct ctl *ctl, int argc, char **argv);
int ctl_backup(struct ctl *ctl, int argc, char **argv);
int ctl_restore(struct ctl *ctl, int argc, char **argv);
int ctl_unpack(struct ctl *ctl, int argc, char **argv);
int ctl_escrow_check(struct ctl *ctl, int argc, char **argv);
int ctl_escrow_open(struct ctl *ctl, int argc, char **argv);
int ctl_import_deposit_keys(struct ctl *ctl, int argc, char **argv);
int ctl_hsm_check(struct ctl *ctl, int argc, char **argv);
int ctl_tls_request(struct ctl *ctl, int argc, char **argv);
int ctl_tls_install(struct ctl *ctl, int argc, char **argv);
int ctl_doctor(struct ctl *ctl, int argc, char **argv);
int ctl_support(struct ctl *ctl, int argc, char **argv);

/* One line of what is done, for people: nothing with --json. */
void ctl_print(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What was asked for: with --json {"ok":true,"<key>":"<words>"}, else the words. An enum
 * ctl_status. */
int ctl_tell(struct ctl *ctl, const char *key, const char *words, size_t n);
/* A JSON text on standard output, the only one of this run. An enum ctl_status. */
int ctl_json(struct ctl *ctl, const struct jsonw *w);

/* "kleroctl: ..." on standard error; returns status. With --json, main tells it in JSON as well. */
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What an operator names to be read, "-" for standard input; NULL, having said why. */
FILE *ctl_open(const char *path);
void ctl_close(FILE *f);
/* A text of at most cap - 1 bytes and its NUL from a file, "-" for standard input. CTL_USAGE for
 * one that cannot be read, is empty or too long. */
int ctl_read_text(const char *path, char *buf, size_t cap);

#endif
