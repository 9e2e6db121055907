/*
 * How a forbidden system call ends a process and still leaves its name in the log. In every
 * child; runs when the kernel has refused a call, so perhaps in a captured process.
 *
 * SECCOMP_RET_KILL_PROCESS tells nobody which call it was: waitid does not carry it, and the
 * kernel's audit log is not ours to read. So the filter answers SECCOMP_RET_TRAP: the call is not
 * carried out, and the kernel runs the handler below, which writes one line and then makes a
 * forbidden call itself. SIGSYS is blocked inside its own handler, and a trap that meets a blocked
 * signal is an immediate kill by the kernel: the process dies of SIGSYS.
 *
 * A captured process cannot keep itself alive with this: rt_sigaction, rt_sigprocmask,
 * rt_sigreturn and sigaltstack are forbidden, so neither the handler nor its mask changes and
 * nothing returns from it; the handler calls no library, reads no pointer from writable memory
 * (its calls are instructions here, not jumps through a table) and uses only the stack frame
 * below the one that the kernel has just made, which no other thread or process can reach. A bad
 * stack pointer is a fault, and there is no handler for that. Only the words of the line are
 * under the control of a captured process, which could write a log line anyway.
 */
#include "sandbox/deadly.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS     512
#define NAME_SIZE 32

/* A signal handler has no argument of ours: this table is its context. */
static struct {
	char names[CALLS][NAME_SIZE];
} deadly;

/* A system call without a library. */
static inline long call3(long nr, long a, long b, long c)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#else
#error "the sandbox knows x86_64 and aarch64"
#endif
}

static inline size_t put(char *dst, size_t n, size_t cap, const char *s)
{
	while (n < cap && *s != '\0')
		dst[n++] = *s++;
	return n;
}

static inline size_t put_number(char *dst, size_t n, size_t cap, unsigned v)
{
	unsigned unit = 1;

	while (v / unit >= 10)
		unit *= 10;
	for (; unit > 0 && n < cap; unit /= 10)
		dst[n++] = (char)('0' + v / unit % 10);
	return n;
}

static void on_forbidden(int sig, siginfo_t *info, void *context)
{
	char line[128];
	unsigned nr = (unsigned)info->si_syscall;
	size_t n;

	(void)sig;
	(void)context;
	n = put(line, 0, sizeof line - 1, "security forbidden system call ");
	if (nr < CALLS)
		n = put(line, n, n + NAME_SIZE - 1, deadly.names[nr]);
	n = put(line, n, sizeof line - 1, " (number ");
	n = put_number(line, n, sizeof line - 1, nr);
	n = put(line, n, sizeof line - 1, ")");
	line[n++] = '\n';
	call3(SYS_write, STDERR_FILENO, (long)line, (long)n);
	/* forbidden in every profile; SIGSYS is blocked here, so this is the kernel's kill */
	call3(SYS_ptrace, -1, 0, 0);
	/* reached only when someone sent SIGSYS before the filter was there */
	for (;;)
		call3(SYS_exit_group, 1, 0, 0);
}

void deadly_name(int nr, const char *name)
{
	if (nr >= 0 && nr < CALLS)
		strncpy(deadly.names[nr], name, NAME_SIZE - 1);
}

int deadly_install(void)
{
	struct sigaction sa = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
	sigset_t set;

	sigfillset(&sa.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &sa, NULL) != 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) != 0)
		return KE_INTERNAL;
	return KE_OK;
}
