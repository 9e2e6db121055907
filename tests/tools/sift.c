/*
 * Starts a command, usually klerod or kleroctl, and follows it and its children by ptrace to where
 *a role loads its seccomp filter. There it can
 *
 *	--filters FILE       write the filter's program down as the kernel is given it
 *	--without ROW        first load one that forbids that row's call, as if the profile lacked
 *it
 *	--trace FILE         from there on note which calls the role makes, with the argument that
 *its profile looks at; when all is over they stand in FILE.PID, PID the command's
 *	--no-vdso            hide the kernel's vDSO from the roles: as on a machine without
 *	--later              from there on time(2) says two hours more, for what is done by the hour
 *	                     (with --no-vdso)
 *	--wide               hsm and tlskey have entered the profile hsm-wide
 *	--database           keyadm has entered the profile keyadm-db
 *
 * The programs are the product's own: nothing in them knows of this. For the tests of the sandbox,
 * which run as root. A ROW is "profile call" or "profile call value", as `sift --list` prints them
 * (TAB-separated, with the kind of the row and the words of profiles.c).
 *
 * The command keeps its process id: the tracer is a process beside it. Any other program that
 * loads a seccomp filter can be looked at too: --filters writes "NAME[number] HEX" for it.
 * Sources: ptrace(2), seccomp(2), vdso(7).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/filter.h"
#include "sandbox/profiles.h"

#define TRACEES  512
#define SEEN     65536
#define RED_ZONE 128
#define LATER    7200
#define NO_VALUE UINT64_MAX

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "sift: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int number_of(const char *name)
{
	char known[FILTER_NAME];

	for (int nr = 0; nr < FILTER_NUMBERS; nr++)
		if (filter_name(nr, known) == KE_OK && strcmp(known, name) == 0)
			return nr;
	return -1;
}

/* --- the rows of the profiles --- */

static const char *kind_of(const struct profile_cond *c)
{
	static const char *const words[] = {
	    [PROFILE_ALWAYS] = "always",
	    [PROFILE_BITS_OFF] = "bits-off",
	    [PROFILE_ONE_OF] = "one-of",
	    [PROFILE_REFUSE] = "refuse",
	};

	return words[c->when];
}

static void print_row(enum sandbox_profile p, const struct profile_call *c)
{
	const char *profile = sandbox_profile_name(p), *kind = kind_of(c->cond);

	if (c->cond->when != PROFILE_ONE_OF)
		printf("%s %s\t%s\t%s\n", profile, c->name, kind, c->why);
	for (size_t i = 0; c->cond->when == PROFILE_ONE_OF && i < c->cond->count; i++)
		printf("%s %s %u\t%s\t%s\n", profile, c->name, c->cond->values[i], kind, c->why);
}

static int list(void)
{
	size_t n;
	const struct profile_call *c = profile_calls(&n);

	for (int p = 0; p < SANDBOX_PROFILES; p++)
		for (size_t i = 0; i < n; i++)
			if ((c[i].who & (1u << p)) != 0 && number_of(c[i].name) >= 0)
				print_row((enum sandbox_profile)p, &c[i]);
	return 0;
}

/* --- what is asked for, and what was seen --- */

struct row {
	char profile[32], call[FILTER_NAME];
	uint64_t value;
};

struct tracee {
	pid_t pid;
	int profile; /* -1: none of ours */
	char name[32];
	unsigned filters;
	bool inside, injecting, asks_time;
	struct user_regs_struct regs; /* of the call that is put off while injecting */
};

static struct {
	const char *trace, *filters;
	struct row without;
	bool lessen, no_vdso, later, wide, database;
	struct tracee tracees[TRACEES];
	struct seen {
		int profile, nr;
		uint64_t value;
	} seen[SEEN];
	size_t nseen;
} sift;

static bool parse_row(const char *text, struct row *r)
{
	int n;

	r->value = NO_VALUE;
	n = sscanf(text, "%31s %47s %lu", r->profile, r->call, &r->value);
	return n >= 2 && number_of(r->call) >= 0;
}

static struct tracee *find(pid_t pid, bool make)
{
	struct tracee *room = NULL;

	for (size_t i = 0; i < TRACEES; i++) {
		if (sift.tracees[i].pid == pid)
			return &sift.tracees[i];
		if (sift.tracees[i].pid == 0 && room == NULL)
			room = &sift.tracees[i];
	}
	if (make && room == NULL)
		die("too many processes");
	if (make)
		*room = (struct tracee){.pid = pid, .profile = -1};
	return make ? room : NULL;
}

static void note_call(int profile, int nr, const uint64_t args[6])
{
	const struct profile_call *row;
	struct seen s = {profile, nr, NO_VALUE};
	char name[FILTER_NAME];

	if (filter_name(nr, name) != KE_OK)
		return;
	row = profile_find((enum sandbox_profile)profile, name);
	if (row != NULL && row->cond->when == PROFILE_ONE_OF)
		s.value = (uint32_t)args[row->cond->arg];
	for (size_t i = 0; i < sift.nseen; i++)
		if (sift.seen[i].profile == profile && sift.seen[i].nr == nr &&
		    sift.seen[i].value == s.value)
			return;
	if (sift.nseen == SEEN)
		die("too many kinds of calls");
	sift.seen[sift.nseen++] = s;
}

static void write_trace(pid_t command)
{
	char name[FILTER_NAME], unfinished[4096], path[4096];
	FILE *f;

	if (sift.trace == NULL)
		return;
	snprintf(path, sizeof path, "%s.%d", sift.trace, (int)command);
	snprintf(unfinished, sizeof unfinished, "%s.%d.new", sift.trace, (int)command);
	f = fopen(unfinished, "we");
	if (f == NULL)
		die(unfinished);
	for (size_t i = 0; i < sift.nseen; i++) {
		const struct seen *s = &sift.seen[i];

		if (filter_name(s->nr, name) != KE_OK)
			continue;
		fprintf(f, "%s %s", sandbox_profile_name((enum sandbox_profile)s->profile), name);
		if (s->value != NO_VALUE)
			fprintf(f, " %lu", s->value);
		fprintf(f, "\n");
	}
	if (fclose(f) != 0 || rename(unfinished, path) != 0)
		die(path);
}

/* --- the other's memory --- */

static void peek(pid_t pid, uint64_t at, void *to, size_t n)
{
	struct iovec here = {to, n}, there = {.iov_len = n};

	memcpy(&there.iov_base, &at, sizeof at);
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)n)
		die("read its memory");
}

static void poke(pid_t pid, uint64_t at, void *from, size_t n)
{
	struct iovec here = {from, n}, there = {.iov_len = n};

	memcpy(&there.iov_base, &at, sizeof at);
	if (process_vm_writev(pid, &here, 1, &there, 1, 0) != (ssize_t)n)
		die("write its memory");
}

static void registers(const struct tracee *t, struct user_regs_struct *r, bool set)
{
	struct iovec v = {r, sizeof *r};
	long nt = NT_PRSTATUS;

	if (ptrace(set ? PTRACE_SETREGSET : PTRACE_GETREGSET, t->pid, (void *)nt, &v) != 0)
		die("registers");
}

/* On the stack of a new program: argc, argv, 0, environment, 0, and the auxiliary vector. */
static void hide_vdso(const struct tracee *t)
{
	struct user_regs_struct r;
	uint64_t at, word, pair[2];

	registers(t, &r, false);
	peek(t->pid, r.rsp, &word, sizeof word);
	at = r.rsp + 8 * (word + 2);
	do {
		peek(t->pid, at, &word, sizeof word);
		at += 8;
	} while (word != 0);
	for (;; at += 16) {
		peek(t->pid, at, pair, sizeof pair);
		if (pair[0] == AT_NULL)
			return;
		if (pair[0] == AT_SYSINFO_EHDR) {
			pair[0] = AT_IGNORE;
			poke(t->pid, at, pair, sizeof pair);
		}
	}
}

/* --- the filters --- */

/* Of a process that has not exec'd since it was forked: what the kernel calls it. */
static void name_of(struct tracee *t)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)t->pid);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%31s", t->name) != 1)
		snprintf(t->name, sizeof t->name, "?");
	if (f != NULL)
		fclose(f);
}

static void write_filter(struct tracee *t, uint64_t at)
{
	struct sock_fprog prog;
	struct sock_filter code[BPF_MAXINSNS];
	const uint8_t *bytes = (const uint8_t *)code;
	uint64_t from;
	FILE *f;

	if (sift.filters == NULL)
		return;
	peek(t->pid, at, &prog, sizeof prog);
	memcpy(&from, &prog.filter, sizeof from);
	if (prog.len > BPF_MAXINSNS)
		return;
	peek(t->pid, from, code, prog.len * sizeof code[0]);
	if (t->name[0] == '\0')
		name_of(t);
	f = fopen(sift.filters, "ae");
	if (f == NULL)
		die(sift.filters);
	fprintf(f, "%s[%d] ", t->name, (int)t->pid);
	for (size_t i = 0; i < prog.len * sizeof code[0]; i++)
		fprintf(f, "%02x", bytes[i]);
	fprintf(f, "\n");
	fclose(f);
}

/* A filter that forbids one call, or one value of the argument that its row looks at. */
static size_t lesser(const struct tracee *t, struct sock_filter out[8])
{
	const struct profile_call *row =
	    profile_find((enum sandbox_profile)t->profile, sift.without.call);
	uint32_t nr = (uint32_t)number_of(sift.without.call);
	uint32_t arg = row == NULL ? 0 : row->cond->arg;
	bool valued = sift.without.value != NO_VALUE;
	size_t n = 0;

	out[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, valued ? 3 : 1);
	if (valued) {
		uint32_t at = (uint32_t)offsetof(struct seccomp_data, args) + 8 * arg;

		out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
		out[n++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)sift.without.value, 0, 1);
	}
	out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return n;
}

/* At the entry of the role's own call: ours goes first, with a program below the stack. */
static void inject(struct tracee *t)
{
	struct sock_filter code[8];
	struct sock_fprog prog = {.len = (unsigned short)lesser(t, code)};
	struct user_regs_struct r;
	uint64_t at;

	registers(t, &t->regs, false);
	r = t->regs;
	at = (r.rsp - RED_ZONE - 256) & ~15ul;
	memcpy(&prog.filter, &(uint64_t){at + 64}, sizeof prog.filter);
	poke(t->pid, at, &prog, sizeof prog);
	poke(t->pid, at + 64, code, prog.len * sizeof code[0]);
	r.rsi = 0;
	r.rdx = at;
	registers(t, &r, true);
	t->injecting = true;
}

/* At its exit: the role's own call again, as if nothing had been. */
static void injected(struct tracee *t, int64_t result)
{
	struct user_regs_struct r = t->regs;

	if (result != 0)
		die("the lesser filter is refused");
	r.rip -= 2;
	r.rax = r.orig_rax;
	r.orig_rax = -1ul;
	registers(t, &r, true);
	t->injecting = false;
	t->inside = true; /* but for the call itself */
}

static bool loads_filter(const struct __ptrace_syscall_info *s, uint64_t *prog)
{
	const uint64_t *a = s->entry.args;

	*prog = a[2];
	if (s->entry.nr == SYS_seccomp)
		return a[0] == SECCOMP_SET_MODE_FILTER && a[2] != 0;
	return s->entry.nr == SYS_prctl && a[0] == PR_SET_SECCOMP && a[1] == SECCOMP_MODE_FILTER;
}

/* --- following --- */

static void who_is_it(struct tracee *t)
{
	char path[64], line[512] = "";
	const char *program = line, *word;
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)t->pid);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	n = fread(line, 1, sizeof line - 2, f);
	fclose(f);
	word = program + strlen(program) + 1;
	t->profile = -1;
	if (strrchr(program, '/') != NULL)
		program = strrchr(program, '/') + 1;
	snprintf(t->name, sizeof t->name, "%.31s", program);
	if (n == 0 || strncmp(program, "klerod-", 7) != 0)
		return;
	if (sift.wide && (strcmp(word, "hsm") == 0 || strcmp(word, "tlskey") == 0))
		word = sandbox_profile_name(SANDBOX_HSM_WIDE);
	if (sift.database && strcmp(word, "keyadm") == 0)
		word = sandbox_profile_name(SANDBOX_KEYADM_DB);
	for (int p = 0; p < SANDBOX_PROFILES; p++)
		if (strcmp(word, sandbox_profile_name((enum sandbox_profile)p)) == 0)
			t->profile = p;
	snprintf(t->name, sizeof t->name, "%.31s", word);
}

static bool lessened(const struct tracee *t)
{
	return sift.lessen && t->profile >= 0 &&
	       strcmp(sift.without.profile,
		   sandbox_profile_name((enum sandbox_profile)t->profile)) == 0;
}

static void two_hours_more(const struct tracee *t)
{
	struct user_regs_struct r;

	registers(t, &r, false);
	r.rax += LATER;
	registers(t, &r, true);
}

/* Is there more to be done with this process than to see it fork? */
static bool watched(const struct tracee *t)
{
	if (t->profile < 0)
		return sift.filters != NULL;
	return !t->inside || sift.trace != NULL || sift.later;
}

static void on_call(struct tracee *t)
{
	struct __ptrace_syscall_info s = {0};
	uint64_t prog;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof s, &s) <= 0)
		return;
	if (s.op == PTRACE_SYSCALL_INFO_EXIT && t->injecting)
		injected(t, s.exit.rval);
	if (s.op == PTRACE_SYSCALL_INFO_EXIT && t->asks_time)
		two_hours_more(t);
	t->asks_time = false;
	if (s.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	t->asks_time = sift.later && t->inside && s.entry.nr == SYS_time && s.entry.args[0] == 0;
	if (loads_filter(&s, &prog)) {
		if (lessened(t) && !t->inside && !t->injecting) {
			inject(t);
			return;
		}
		write_filter(t, prog);
		t->filters++;
		t->inside = true;
	} else if (t->inside && t->profile >= 0 && sift.trace != NULL) {
		note_call(t->profile, (int)s.entry.nr, s.entry.args);
	}
}

static void go_on(const struct tracee *t, int signal)
{
	long sig = signal;

	(void)ptrace(watched(t) ? PTRACE_SYSCALL : PTRACE_CONT, t->pid, NULL, (void *)sig);
}

static void on_stop(struct tracee *t, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (sig == (SIGTRAP | 0x80)) {
		on_call(t);
		sig = 0;
	} else if (event == PTRACE_EVENT_STOP && (sig == SIGSTOP || sig == SIGTSTP)) {
		(void)ptrace(PTRACE_LISTEN, t->pid, NULL, NULL); /* it is to stay stopped */
		return;
	} else if (event != 0) {
		if (event == PTRACE_EVENT_EXEC)
			who_is_it(t);
		if (event == PTRACE_EVENT_EXEC && sift.no_vdso && t->profile >= 0)
			hide_vdso(t);
		sig = 0;
	}
	go_on(t, sig);
}

static _Noreturn void follow(pid_t command, int seized)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		       PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;
	pid_t pid;

	if (ptrace(PTRACE_SEIZE, command, NULL, (void *)options) != 0)
		die("seize");
	close(seized);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		struct tracee *t = find(pid, true);

		if (WIFSTOPPED(status))
			on_stop(t, status);
		else
			t->pid = 0;
	}
	write_trace(command);
	exit(0);
}

static char **options(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--no-vdso") == 0)
			sift.no_vdso = true;
		else if (strcmp(argv[i], "--later") == 0)
			sift.later = true;
		else if (strcmp(argv[i], "--wide") == 0)
			sift.wide = true;
		else if (strcmp(argv[i], "--database") == 0)
			sift.database = true;
		else if (i + 1 < argc && strcmp(argv[i], "--trace") == 0)
			sift.trace = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--filters") == 0)
			sift.filters = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--without") == 0)
			sift.lessen = parse_row(argv[++i], &sift.without);
		else
			return NULL;
	}
	return i < argc ? argv + i : NULL;
}

int main(int argc, char **argv)
{
	char **command;
	pid_t own = getpid(), between;
	int status, seized[2];
	char none;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	command = options(argc, argv);
	if (command == NULL) {
		fprintf(stderr, "usage: sift --list | sift [OPTION...] COMMAND...\n");
		return 2;
	}
	/* the tracer is nobody's child, so that the command meets none that it does not know */
	if (pipe2(seized, O_CLOEXEC) != 0)
		die("pipe");
	between = fork();
	if (between == 0) {
		close(seized[0]);
		if (fork() == 0)
			follow(own, seized[1]);
		_exit(0);
	}
	if (between < 0 || waitpid(between, &status, 0) != between)
		die("fork");
	close(seized[1]);
	if (read(seized[0], &none, 1) != 0) /* its end comes when this process is seized */
		die("pipe");
	execvp(command[0], command);
	die(command[0]);
}
