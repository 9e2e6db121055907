/*
 * The commands of kleroctl as data, and what is made from it: the parser of the command line, the
 * help, and the list that packaging/completion.sh and the manual page are made from. Runs in
 * kleroctl; pure but for printing.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/kleroctl.h"
#include "policy/backup.h"
#include "policy/legacy.h"
#include "policy/purpose.h"
#include "policy/roles.h"

const struct command commands[] = {
#define OPTIONS(...)   __VA_ARGS__
#define ARGUMENTS(...) __VA_ARGS__
#define FLAG(name, what)                                                                           \
	{                                                                                          \
		name, NULL, TAKES_NOTHING, what                                                    \
	}
#define VALUE(name, v, kind, what)                                                                 \
	{                                                                                          \
		name, v, kind, what                                                                \
	}
#define ONE(name, kind)                                                                            \
	{                                                                                          \
		name, true, false, kind                                                            \
	}
#define MAYBE(name, kind)                                                                          \
	{                                                                                          \
		name, false, false, kind                                                           \
	}
#define MANY(name, kind)                                                                           \
	{                                                                                          \
		name, true, true, kind                                                             \
	}
#define COMMAND(first, second, run, options, arguments, what)                                      \
	{first, second, run, {options}, {arguments}, what},
#include "daemon/cli/command.def"
#undef COMMAND
};

const size_t commands_n = sizeof commands / sizeof commands[0];

static const struct ctl_option common[] = {
    {"json", NULL, TAKES_NOTHING, "print JSON, also of a failure"},
    {"help", NULL, TAKES_NOTHING, "print this"},
    {0},
};

/* --- the command line --- */

const char *ctl_given(const struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < CTL_OPTIONS && ctl->command->options[i].name != NULL; i++)
		if (strcmp(ctl->command->options[i].name, name) == 0)
			return ctl->given[i];
	return NULL;
}

static const struct command *named(int argc, char **argv)
{
	for (size_t i = 0; i < commands_n; i++) {
		const struct command *c = &commands[i];

		if (argc < 1 || strcmp(argv[0], c->first) != 0)
			continue;
		if (c->second == NULL || (argc > 1 && strcmp(argv[1], c->second) == 0))
			return c;
	}
	return NULL;
}

/* Whether word is --name, or --name=…, of which *value is the rest then, NULL otherwise. */
static bool is_option(const char *word, const char *name, char **value)
{
	size_t n = strlen(name);

	if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, n) != 0)
		return false;
	/* getopt's way: the text behind = is the value */
	*value = word[2 + n] == '=' ? strchr(word, '=') + 1 : NULL;
	return word[2 + n] == '\0' || word[2 + n] == '=';
}

static bool wrong(struct ctl *ctl, const char *word, const char *how)
{
	snprintf(ctl->why, sizeof ctl->why, "%.200s: %s", word, how);
	return false;
}

/* One option at argv[*i], and its value behind it. */
static bool take_option(struct ctl *ctl, int argc, char **argv, int *i)
{
	const struct ctl_option *o = ctl->command->options;
	char *word = argv[*i], *value;

	for (size_t k = 0; k < CTL_OPTIONS && o[k].name != NULL; k++) {
		if (!is_option(word, o[k].name, &value))
			continue;
		if (ctl->given[k] != NULL)
			return wrong(ctl, word, "stands twice");
		if (o[k].value == NULL && value != NULL)
			return wrong(ctl, word, "takes no value");
		if (o[k].value != NULL && value == NULL && ++*i < argc)
			value = argv[*i];
		if (o[k].value != NULL && value == NULL)
			return wrong(ctl, word, "wants a value");
		ctl->given[k] = value != NULL ? value : "";
		return true;
	}
	return wrong(ctl, word, "there is no such option");
}

/* Takes the options out; what remains is in argv[0..*argc). */
static bool take_options(struct ctl *ctl, int *argc, char **argv, bool *help)
{
	bool words_only = false;
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		const char *word = argv[i];

		if (words_only || word[0] != '-' || word[1] == '\0')
			argv[n++] = argv[i];
		else if (strcmp(word, "--") == 0)
			words_only = true;
		else if (strcmp(word, "--json") == 0)
			ctl->json = true;
		else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
			*help = true;
		else if (!take_option(ctl, *argc, argv, &i))
			return false;
	}
	*argc = n;
	return true;
}

static bool fits(struct ctl *ctl, int argc)
{
	const struct ctl_argument *a = ctl->command->arguments;
	int least = 0, most = 0;
	bool many = false;

	for (; a->name != NULL; a++) {
		least += a->needed;
		most++;
		many = a->many;
	}
	if (argc < least)
		return wrong(ctl, ctl->command->first, "an argument is missing");
	if (argc > most && !many)
		return wrong(ctl, ctl->command->first, "too many arguments");
	return true;
}

const struct command *command_parse(struct ctl *ctl, int *argc, char ***argv, bool *help)
{
	const struct command *c = named(*argc, *argv);
	int words = c != NULL && c->second != NULL ? 2 : 1;

	if (c == NULL) {
		snprintf(ctl->why, sizeof ctl->why, "there is no such command");
		return NULL;
	}
	*argc -= words;
	*argv += words;
	ctl->command = c;
	if (!take_options(ctl, argc, *argv, help))
		return NULL;
	return *help || fits(ctl, *argc) ? c : NULL;
}

/* --- help --- */

static void print_name(const struct command *c)
{
	printf(
	    "%s%s%s", c->first, c->second != NULL ? " " : "", c->second != NULL ? c->second : "");
}

void command_usage(FILE *to, const struct command *c)
{
	fprintf(to, "%s%s%s", c->first, c->second != NULL ? " " : "",
	    c->second != NULL ? c->second : "");
	for (const struct ctl_option *o = c->options; o->name != NULL; o++)
		fprintf(to, " [--%s%s%s]", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
	fputs(" [--json]", to);
	for (const struct ctl_argument *a = c->arguments; a->name != NULL; a++)
		fprintf(to, a->needed ? " %s%s" : " [%s%s]", a->name, a->many ? "..." : "");
}

static void print_options(const struct ctl_option *o)
{
	char name[48];

	for (; o->name != NULL; o++) {
		snprintf(name, sizeof name, "--%s%s%s", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		printf("  %-22s %s\n", name, o->what);
	}
}

static void print_statuses(void)
{
	puts("exit status:");
#define STATUS(name, number, code, what) printf("  %-22d %s\n", number, what);
#include "daemon/cli/status.def"
#undef STATUS
}

void command_help(const struct command *c)
{
	fputs("usage: kleroctl [-c FILE] [-L FOLDER] ", stdout);
	command_usage(stdout, c);
	printf("\n%s\noptions:\n", c->what);
	print_options(c->options);
	print_options(common);
	print_statuses();
	puts("kleroctl(8) says more.");
}

void command_help_all(void)
{
	puts("usage: kleroctl [-c FILE] [-L FOLDER] COMMAND [OPTION...] [ARGUMENT...]\n"
	     "       kleroctl --help | --version | --commands");
	for (size_t i = 0; i < commands_n; i++) {
		fputs("  ", stdout);
		command_usage(stdout, &commands[i]);
		printf("\n      %s\n", commands[i].what);
	}
	puts("options of every command:");
	print_options(common);
	print_statuses();
}

/* --- the list, a line for each thing, its fields parted by tabs --- */

static void print_words(const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s%s", i > 0 ? " " : "", words[i]);
}

/* Words that may stand there; file or folder; nothing where nobody can tell. */
static void print_takes(enum ctl_takes takes)
{
#define X(symbol, bit, word) word,
	static const char *const roles[] = {ROLES_LIST(X)};
#undef X

	putchar('\t');
	if (takes == TAKES_PURPOSE)
		print_words(purpose_words, KEY_PURPOSES);
	else if (takes == TAKES_ROLE)
		print_words(roles, sizeof roles / sizeof roles[0]);
	else if (takes == TAKES_SECTION)
		print_words(backup_words, BACKUP_NAMES);
	else if (takes == TAKES_LAYOUT)
		print_words(legacy_words, LEGACY_LAYOUT_COUNT);
	else if (takes == TAKES_FILE || takes == TAKES_FOLDER)
		fputs(takes == TAKES_FILE ? "<file>" : "<folder>", stdout);
}

static void list_one(const struct command *c)
{
	fputs("command\t", stdout);
	print_name(c);
	printf("\t%s\n", c->what);
	for (int k = 0; k < 2; k++)
		for (const struct ctl_option *o = k == 0 ? c->options : common; o->name != NULL;
		     o++) {
			fputs("option\t", stdout);
			print_name(c);
			printf("\t--%s\t%s", o->name, o->value != NULL ? o->value : "");
			print_takes(o->takes);
			printf("\t%s\n", o->what);
		}
	for (const struct ctl_argument *a = c->arguments; a->name != NULL; a++) {
		fputs("argument\t", stdout);
		print_name(c);
		printf("\t%s\t%s", a->name, a->many ? "many" : a->needed ? "one" : "maybe");
		print_takes(a->takes);
		putchar('\n');
	}
}

void command_list(void)
{
	for (size_t i = 0; i < commands_n; i++)
		list_one(&commands[i]);
#define STATUS(name, number, code, what) printf("status\t%d\t%s\t%s\n", number, code, what);
#include "daemon/cli/status.def"
#undef STATUS
}
