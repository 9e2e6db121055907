/*
 * Makes a running process, inside its real sandbox, attempt a system call: attaches by ptrace, puts
 * the call into the registers, lets it run to its end, and puts back what was there. For the escape
 * tests; runs as root, which may trace the roles though they are not dumpable.
 *
 *	inject --list             the names of the attempts
 *	inject PID ATTEMPT        one line: "killed", "refused ERRNO", or "ALLOWED RESULT"
 *	inject PID garbage FD     what is no message, written to one of its channels
 *	inject PID send FD HEX    this packet, written to one of its channels
 *
 * The arguments are such that the kernel would do as told: a failure for another reason than a
 * refusal is "UNCLEAR", and does not pass for one. Exit status 0 when it was killed or refused.
 * Sources: ptrace(2), seccomp(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__

#define SYSCALL_INSN 0x050f /* little-endian "syscall" */
#define RED_ZONE     128
#define SCRATCH      512 /* bytes below the stack that an attempt may use */

/* Placeholders in the arguments, far from any real value. */
enum { A_TEXT = 0x7ee10001, A_BUFFER, A_SELF, A_PARENT, A_STACK_PAGE };

static const struct attempt {
	const char *name;
	long nr;
	long arg[6];
	const char *text; /* what A_TEXT points to */
} attempts[] = {
    {"read-file", SYS_openat, {AT_FDCWD, A_TEXT, O_RDONLY}, "/etc/passwd"},
    {"read-file-old", SYS_open, {A_TEXT, O_RDONLY}, "/etc/passwd"},
    {"read-proc", SYS_openat, {AT_FDCWD, A_TEXT, O_RDONLY}, "/proc/self/mem"},
    {"write-file", SYS_openat, {AT_FDCWD, A_TEXT, O_WRONLY | O_CREAT, 0600}, "/tmp/klero-escape"},
    {"openat2", SYS_openat2, {AT_FDCWD, A_TEXT, A_BUFFER, 24}, "/etc/passwd"},
    {"creat", SYS_creat, {A_TEXT, 0600}, "/tmp/klero-escape"},
    {"link", SYS_link, {A_TEXT, A_TEXT}, "/etc/passwd"},
    {"symlink", SYS_symlink, {A_TEXT, A_TEXT}, "/tmp/klero-escape"},
    {"mknod", SYS_mknod, {A_TEXT, 0020600, 0x101}, "/tmp/klero-escape"},
    {"chown", SYS_chown, {A_TEXT, 0, 0}, "/"},
    {"truncate", SYS_truncate, {A_TEXT, 0}, "/etc/passwd"},
    {"chdir", SYS_chdir, {A_TEXT}, "/"},
    {"socket-inet", SYS_socket, {AF_INET, SOCK_STREAM, 0}, NULL},
    {"socket-unix", SYS_socket, {AF_UNIX, SOCK_DGRAM, 0}, NULL},
    {"socket-netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, NULL},
    {"socket-packet", SYS_socket, {AF_PACKET, SOCK_RAW, 0}, NULL},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_DGRAM, 0, A_BUFFER}, NULL},
    {"bind", SYS_bind, {3, A_BUFFER, 16}, NULL},
    {"listen", SYS_listen, {3, 1}, NULL},
    {"execve", SYS_execve, {A_TEXT, 0, 0}, "/bin/true"},
    {"execveat", SYS_execveat, {AT_FDCWD, A_TEXT, 0, 0, 0}, "/bin/true"},
    {"fork", SYS_fork, {0}, NULL},
    {"vfork", SYS_vfork, {0}, NULL},
    {"clone", SYS_clone, {SIGCHLD}, NULL},
    {"clone-thread", SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}, NULL},
    {"clone3", SYS_clone3, {A_BUFFER, 64}, NULL},
    {"mmap-exec", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0},
	NULL},
    {"mmap-write-exec", SYS_mmap,
	{0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, NULL},
    {"mprotect-exec", SYS_mprotect, {A_STACK_PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}, NULL},
    {"pkey-mprotect", SYS_pkey_mprotect,
	{A_STACK_PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, -1}, NULL},
    {"personality", SYS_personality, {0x0400000}, NULL}, /* READ_IMPLIES_EXEC */
    {"ptrace-parent", SYS_ptrace, {PTRACE_SEIZE, A_PARENT, 0, 0}, NULL},
    {"ptrace-traceme", SYS_ptrace, {PTRACE_TRACEME, 0, 0, 0}, NULL},
    {"kill-parent", SYS_kill, {A_PARENT, 0}, NULL},
    {"kill-everyone", SYS_kill, {-1, 0}, NULL},
    {"kill-self", SYS_kill, {A_SELF, 0}, NULL},
    {"tgkill-parent", SYS_tgkill, {A_PARENT, A_PARENT, 0}, NULL},
    {"pidfd-open-parent", SYS_pidfd_open, {A_PARENT, 0}, NULL},
    {"pidfd-getfd", SYS_pidfd_getfd, {3, 3, 0}, NULL},
    {"process-vm-readv", SYS_process_vm_readv, {A_PARENT, A_BUFFER, 1, A_BUFFER, 1, 0}, NULL},
    {"process-vm-writev", SYS_process_vm_writev, {A_SELF, A_BUFFER, 1, A_BUFFER, 1, 0}, NULL},
    {"io-uring-setup", SYS_io_uring_setup, {4, A_BUFFER}, NULL},
    {"io-uring-enter", SYS_io_uring_enter, {3, 0, 0, 0, 0, 0}, NULL},
    {"aio", SYS_io_setup, {1, A_BUFFER}, NULL},
    {"userfaultfd", SYS_userfaultfd, {O_CLOEXEC}, NULL},
    {"bpf", SYS_bpf, {0, A_BUFFER, 32}, NULL},
    {"perf-event-open", SYS_perf_event_open, {A_BUFFER, 0, -1, -1, 0}, NULL},
    {"unshare-user", SYS_unshare, {CLONE_NEWUSER}, NULL},
    {"unshare-mount", SYS_unshare, {CLONE_NEWNS}, NULL},
    {"setns", SYS_setns, {3, 0}, NULL},
    {"setuid-root", SYS_setuid, {0}, NULL},
    {"setresuid-root", SYS_setresuid, {0, 0, 0}, NULL},
    {"setgid-root", SYS_setgid, {0}, NULL},
    {"setgroups", SYS_setgroups, {0, 0}, NULL},
    {"capset", SYS_capset, {A_BUFFER, A_BUFFER}, NULL},
    {"chroot", SYS_chroot, {A_TEXT}, "/"},
    {"pivot-root", SYS_pivot_root, {A_TEXT, A_TEXT}, "/"},
    {"mount", SYS_mount, {A_TEXT, A_TEXT, A_TEXT, 0, 0}, "/"},
    {"umount", SYS_umount2, {A_TEXT, 0}, "/"},
    {"open-by-handle", SYS_open_by_handle_at, {AT_FDCWD, A_BUFFER, 0}, NULL},
    {"keyctl", SYS_keyctl, {0, -3, 0}, NULL},
    {"add-key", SYS_add_key, {A_TEXT, A_TEXT, 0, 0, -3}, "user"},
    {"prctl-dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}, NULL},
    {"prctl-name", SYS_prctl, {PR_SET_NAME, A_TEXT, 0, 0, 0}, "other"},
    {"prctl-no-death", SYS_prctl, {PR_SET_PDEATHSIG, 0, 0, 0, 0}, NULL},
    {"prlimit", SYS_prlimit64, {0, 7, 0, A_BUFFER}, NULL},
    {"setrlimit", SYS_setrlimit, {7, A_BUFFER}, NULL},
    {"sigaction", SYS_rt_sigaction, {SIGSYS, 0, A_BUFFER, 8}, NULL},
    {"sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, 0, A_BUFFER, 8}, NULL},
    {"sigaltstack", SYS_sigaltstack, {0, A_BUFFER}, NULL},
    {"sigreturn", SYS_rt_sigreturn, {0}, NULL},
    {"seccomp", SYS_seccomp, {1, 0, A_BUFFER}, NULL},
    {"modify-ldt", SYS_modify_ldt, {0, A_BUFFER, 16}, NULL},
    {"arch-prctl", SYS_arch_prctl, {0x1003, A_BUFFER}, NULL}, /* ARCH_GET_FS */
    {"shmget", SYS_shmget, {0, 4096, 01600}, NULL},
    {"msgget", SYS_msgget, {0, 01600}, NULL},
    {"inotify", SYS_inotify_init1, {0}, NULL},
    {"signalfd", SYS_signalfd4, {-1, A_BUFFER, 8, 0}, NULL},
    {"timer", SYS_setitimer, {0, A_BUFFER, 0}, NULL},
    {"settime", SYS_clock_settime, {CLOCK_REALTIME, A_BUFFER}, NULL},
    {"sethostname", SYS_sethostname, {A_TEXT, 5}, "other"},
    {"reboot", SYS_reboot, {0, 0, 0, 0}, NULL},
    {"kexec", SYS_kexec_load, {0, 0, 0, 0}, NULL},
    {"init-module", SYS_init_module, {A_BUFFER, 16, A_TEXT}, ""},
    {"iopl", SYS_iopl, {3}, NULL},
    {"ioctl-tty", SYS_ioctl, {0, 0x5412, A_TEXT}, "x"}, /* TIOCSTI */
    {"fcntl-owner", SYS_fcntl, {3, F_SETOWN, A_PARENT}, NULL},
    {"dup", SYS_dup2, {3, 2}, NULL},
    {"pipe", SYS_pipe2, {A_BUFFER, 0}, NULL},
    {"landlock", SYS_landlock_create_ruleset, {0, 0, 1}, NULL},
    /* descriptors that others share: the listening socket, a log */
    {"fcntl-blocking", SYS_fcntl, {3, F_SETFL, 0}, NULL},
    {"fcntl-async", SYS_fcntl, {3, F_SETFL, O_NONBLOCK | O_ASYNC}, NULL},
    {"shutdown-both", SYS_shutdown, {3, SHUT_RDWR}, NULL},
    {"setsockopt-other-level", SYS_setsockopt, {3, SOL_SOCKET, 12, A_BUFFER, 4}, NULL},
    {"splice", SYS_splice, {3, 0, 2, 0, 16, 0}, NULL},
    {"sendfile", SYS_sendfile, {2, 3, 0, 16}, NULL},
    /* files by other ways */
    {"name-to-handle", SYS_name_to_handle_at, {AT_FDCWD, A_TEXT, A_BUFFER, A_BUFFER, 0}, "/"},
    {"statx", SYS_statx, {AT_FDCWD, A_TEXT, 0, 0x7ff, A_BUFFER}, "/etc/passwd"},
    {"statfs", SYS_statfs, {A_TEXT, A_BUFFER}, "/"},
    {"chmod", SYS_chmod, {A_TEXT, 0777}, "/"},
    {"setxattr", SYS_setxattr, {A_TEXT, A_TEXT, A_BUFFER, 1, 0}, "user.a"},
    {"rename", SYS_rename, {A_TEXT, A_TEXT}, "/etc/passwd"},
    {"fsopen", SYS_fsopen, {A_TEXT, 0}, "tmpfs"},
    {"open-tree", SYS_open_tree, {AT_FDCWD, A_TEXT, 1}, "/"},
    {"move-mount", SYS_move_mount, {3, A_TEXT, AT_FDCWD, A_TEXT, 0}, "/"},
    {"mount-setattr", SYS_mount_setattr, {AT_FDCWD, A_TEXT, 0, A_BUFFER, 32}, "/"},
    {"fanotify", SYS_fanotify_init, {0, 0}, NULL},
    {"swapon", SYS_swapon, {A_TEXT, 0}, "/dev/null"},
    {"quotactl", SYS_quotactl, {0x80000100, 0, 0, 0}, NULL},
    {"acct", SYS_acct, {A_TEXT}, "/dev/null"},
    /* memory that runs, or is not what it seems */
    {"memfd-secret", SYS_memfd_secret, {0}, NULL},
    {"mmap-file-exec", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0}, NULL},
    {"remap-file-pages", SYS_remap_file_pages, {A_STACK_PAGE, 4096, 0, 0, 0}, NULL},
    {"process-madvise", SYS_process_madvise, {3, A_BUFFER, 1, 4, 0}, NULL},
    {"mincore", SYS_mincore, {A_STACK_PAGE, 4096, A_BUFFER}, NULL},
    {"move-pages", SYS_move_pages, {A_PARENT, 0, 0, 0, 0, 0}, NULL},
    {"uselib", SYS_uselib, {A_TEXT}, "/lib/x86_64-linux-gnu/libc.so.6"},
    /* other processes by other ways */
    {"tkill", SYS_tkill, {A_PARENT, 0}, NULL},
    {"sigqueue", SYS_rt_sigqueueinfo, {A_PARENT, 0, A_BUFFER}, NULL},
    {"pidfd-send-signal", SYS_pidfd_send_signal, {3, 0, 0, 0}, NULL},
    {"process-mrelease", SYS_process_mrelease, {3, 0}, NULL},
    {"kcmp", SYS_kcmp, {A_PARENT, A_SELF, 0, 0, 0}, NULL},
    {"setpgid", SYS_setpgid, {0, 0}, NULL},
    {"sched-affinity", SYS_sched_setaffinity, {A_PARENT, 8, A_BUFFER}, NULL},
    {"sched-scheduler", SYS_sched_setscheduler, {A_PARENT, 1, A_BUFFER}, NULL},
    {"setpriority", SYS_setpriority, {0, A_PARENT, -20}, NULL},
    {"ioprio", SYS_ioprio_set, {1, A_PARENT, 0}, NULL},
    {"wait4", SYS_wait4, {-1, 0, 1, 0}, NULL},
    /* the kernel's less trodden parts */
    {"socket-alg", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}, NULL},
    {"socket-vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}, NULL},
    {"connect", SYS_connect, {3, A_BUFFER, 16}, NULL},
    {"shmat", SYS_shmat, {0, 0, 0}, NULL},
    {"semget", SYS_semget, {0, 1, 01600}, NULL},
    {"mq-open", SYS_mq_open, {A_TEXT, O_CREAT | O_RDWR, 0600, 0}, "klero"},
    {"eventfd", SYS_eventfd2, {0, 0}, NULL},
    {"timerfd", SYS_timerfd_create, {CLOCK_MONOTONIC, 0}, NULL},
    {"clock-adjtime", SYS_clock_adjtime, {CLOCK_REALTIME, A_BUFFER}, NULL},
    {"kernel-log", SYS_syslog, {3, A_BUFFER, 64}, NULL},
    {"ioperm", SYS_ioperm, {0x80, 1, 1}, NULL},
    {"delete-module", SYS_delete_module, {A_TEXT, 0}, "klero"},
    {"request-key", SYS_request_key, {A_TEXT, A_TEXT, 0, 0}, "user"},
    {"futex-waitv", SYS_futex_waitv, {A_BUFFER, 1, 0, 0, 0}, NULL},
    {"rseq", SYS_rseq, {A_BUFFER, 32, 0, 0}, NULL},
    /* a number of another architecture: killed at once, without a word */
    {"x32-getpid", 0x40000000 + SYS_getpid, {0}, NULL},
};

#define ATTEMPTS (sizeof attempts / sizeof attempts[0])

static void cannot(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void ask(long request, pid_t pid, void *addr, void *data, const char *what)
{
	if (ptrace((enum __ptrace_request)request, pid, addr, data) != 0)
		cannot(what);
}

/* Waits until it stops or ends; 0 when it has ended. */
static int wait_stop(pid_t pid, int *status)
{
	if (waitpid(pid, status, __WALL) != pid)
		cannot("waitpid");
	return WIFSTOPPED(*status);
}

/* Stopped in a system call, so that the instruction for one stands just before its next one. */
static void stop_in_call(pid_t pid, struct user_regs_struct *regs)
{
	const struct timespec pause = {0, 2000000};
	int status;

	ask(PTRACE_SEIZE, pid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD, "seize");
	for (int tries = 0; tries < 1000; tries++) {
		long insn;

		ask(PTRACE_INTERRUPT, pid, NULL, NULL, "interrupt");
		if (!wait_stop(pid, &status)) {
			errno = ESRCH;
			cannot("it has ended");
		}
		ask(PTRACE_GETREGS, pid, NULL, regs, "registers");
		errno = 0;
		insn = ptrace(PTRACE_PEEKTEXT, pid, (void *)(regs->rip - 2), NULL);
		if (errno == 0 && (insn & 0xffff) == SYSCALL_INSN && (long)regs->orig_rax >= 0)
			return;
		ask(PTRACE_CONT, pid, NULL, NULL, "continue");
		nanosleep(&pause, NULL);
	}
	errno = EBUSY;
	cannot("it never waits");
}

static void poke(pid_t pid, uint64_t at, const void *bytes, size_t n)
{
	uint64_t words[SCRATCH / 8] = {0};

	memcpy(words, bytes, n);
	for (size_t i = 0; i < (n + 7) / 8; i++)
		ask(PTRACE_POKEDATA, pid, (void *)(at + i * 8), (void *)words[i], "write");
}

static unsigned long value(long arg, pid_t pid, pid_t parent, uint64_t scratch)
{
	switch (arg) {
	case A_TEXT:
		return scratch;
	case A_BUFFER:
		return scratch + SCRATCH / 2;
	case A_SELF:
		return (unsigned long)pid;
	case A_PARENT:
		return (unsigned long)parent;
	case A_STACK_PAGE:
		return scratch & ~4095ul;
	default:
		return (unsigned long)arg;
	}
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *end;
	FILE *f;
	int parent = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL || fgets(line, sizeof line, f) == NULL)
		cannot(path);
	fclose(f);
	end = strrchr(line, ')');
	if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1)
		cannot(path);
	return parent;
}

static void load(pid_t pid, const struct attempt *a, const struct user_regs_struct *old)
{
	struct user_regs_struct regs = *old;
	uint64_t scratch = (old->rsp - RED_ZONE - SCRATCH) & ~15ul;
	uint8_t zero[SCRATCH / 2] = {0};
	pid_t parent = parent_of(pid);

	if (a->text != NULL)
		poke(pid, scratch, a->text,
		    a->nr == SYS_write ? (size_t)a->arg[2] : strlen(a->text) + 1);
	poke(pid, scratch + SCRATCH / 2, zero, sizeof zero);
	regs.rip = old->rip - 2;
	regs.rax = (unsigned long)a->nr;
	regs.orig_rax = -1ul; /* the interrupted call is not restarted by the kernel */
	regs.rdi = value(a->arg[0], pid, parent, scratch);
	regs.rsi = value(a->arg[1], pid, parent, scratch);
	regs.rdx = value(a->arg[2], pid, parent, scratch);
	regs.r10 = value(a->arg[3], pid, parent, scratch);
	regs.r8 = value(a->arg[4], pid, parent, scratch);
	regs.r9 = value(a->arg[5], pid, parent, scratch);
	ask(PTRACE_SETREGS, pid, NULL, &regs, "set registers");
}

/* The state before, arranged so that the interrupted call is simply made again. */
static void restore(pid_t pid, const struct user_regs_struct *old)
{
	struct user_regs_struct regs = *old;

	regs.rip = old->rip - 2;
	regs.rax = old->orig_rax;
	regs.orig_rax = -1ul;
	ask(PTRACE_SETREGS, pid, NULL, &regs, "restore registers");
}

static int report_end(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		printf("killed\n");
		return 0;
	}
	printf("UNCLEAR: it ended with status %x\n", (unsigned)status);
	return 1;
}

static int report_result(long result)
{
	/* ENOENT: the path does not exist in the empty root; ESRCH: nor does the process */
	if (result == -EACCES || result == -EPERM || result == -ENOSYS || result == -ENOENT) {
		printf("refused %s\n", strerrorname_np((int)-result));
		return 0;
	}
	if (result < 0 && result > -4096)
		printf("UNCLEAR: %s\n", strerrorname_np((int)-result));
	else
		printf("ALLOWED %lx\n", (unsigned long)result);
	return 1;
}

/* Runs to the end of the call, or of the process. */
static int attempt(pid_t pid, const struct attempt *a)
{
	struct user_regs_struct old, now;
	int status, stops = 0;
	long sig = 0;

	stop_in_call(pid, &old);
	load(pid, a, &old);
	for (;;) {
		ask(PTRACE_SYSCALL, pid, NULL, (void *)sig, "go on");
		if (!wait_stop(pid, &status))
			return report_end(status);
		sig = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			/* entry, exit; after a trap the handler's own calls follow */
			if (++stops == 2) {
				ask(PTRACE_GETREGS, pid, NULL, &now, "registers");
				restore(pid, &old);
			}
			if (stops == 3)
				break;
			continue;
		}
		if (status >> 16 == 0)
			sig = WSTOPSIG(status);
		if (sig == SIGSYS)
			break;
	}
	if (sig == SIGSYS) {
		ask(PTRACE_CONT, pid, NULL, (void *)sig, "let it die");
		while (wait_stop(pid, &status))
			ask(PTRACE_CONT, pid, NULL, (void *)(long)WSTOPSIG(status), "let it die");
		return report_end(status);
	}
	ask(PTRACE_DETACH, pid, NULL, NULL, "detach");
	return report_result((long)now.rax);
}

static int garbage(pid_t pid, const char *fd)
{
	const struct attempt a = {
	    "garbage", SYS_write, {strtol(fd, NULL, 10), A_TEXT, 18}, "this is no message"};

	return attempt(pid, &a);
}

static int send_packet(pid_t pid, const char *fd, const char *hex)
{
	char bytes[SCRATCH / 2];
	size_t n = strlen(hex) / 2;
	const struct attempt a = {
	    "send", SYS_write, {strtol(fd, NULL, 10), A_TEXT, (long)n}, bytes};

	for (size_t i = 0; i < n && i < sizeof bytes; i++)
		if (sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&bytes[i]) != 1)
			n = 0;
	if (n == 0 || n > sizeof bytes) {
		errno = EINVAL;
		cannot(hex);
	}
	return attempt(pid, &a);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[2], "garbage") == 0)
		return garbage((pid_t)strtol(argv[1], NULL, 10), argv[3]);
	if (argc == 5 && strcmp(argv[2], "send") == 0)
		return send_packet((pid_t)strtol(argv[1], NULL, 10), argv[3], argv[4]);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < ATTEMPTS; i++)
			printf("%s\n", attempts[i].name);
		return 0;
	}
	for (size_t i = 0; argc == 3 && i < ATTEMPTS; i++)
		if (strcmp(argv[2], attempts[i].name) == 0)
			return attempt((pid_t)strtol(argv[1], NULL, 10), &attempts[i]);
	fprintf(stderr, "usage: inject --list | inject PID ATTEMPT | inject PID garbage FD\n");
	return 2;
}

#else

int main(void)
{
	fprintf(stderr, "inject: only for x86_64\n");
	return 2;
}

#endif
