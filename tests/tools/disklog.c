/*
 * Runs a command and records what it and its descendants do to the files below some folders, so
 * that the crash tests can build what a disk may show after a power cut. The programs are the
 * product's own, unchanged: the record is taken by ptrace, at their system calls.
 *
 *	disklog RECORD FOLDER... -- COMMAND...
 *
 * Recorded, each when it has succeeded: open that creates or empties, write, truncate, fsync,
 * unlink, rename, mkdir, rmdir, change of owner or mode; and, before it is made, each sendmsg of
 * an answer that engine gives (daemon/msg.def), because from then on the answer is true. A way of
 * changing a watched file that it does not know ends the run. SIGTERM kills the command, with all
 * its descendants, and completes the record. Needs root: the roles are not dumpable. ptrace(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/msg/msg.h"

#ifdef __x86_64__

#define TRACEES   256
#define ROOTS     8
#define DATA_MAX  (16u << 20)
#define IOVS      16
#define SYSTRAP   (SIGTRAP | 0x80)
#define NO_OFFSET (-1)

/* As tests/crash/disk.py reads it. */
enum kind {
	K_OPEN = 1, /* a: created, b: emptied; data: who */
	K_WRITE,    /* a: offset */
	K_TRUNC,    /* a: size */
	K_SYNC,     /* a: is a folder */
	K_UNLINK,
	K_RENAME, /* data: the new path */
	K_MKDIR,  /* data: who */
	K_RMDIR,
	K_ATTR, /* data: who */
	K_SEND, /* a: message type, b: request id; data: its body */
};

struct head {
	uint8_t kind, zero[3];
	uint32_t pid;
	uint64_t ino;
	int64_t a, b;
	uint32_t name_len, data_len;
};

struct who {
	uint32_t mode, uid, gid;
};

static struct tracee {
	pid_t pid;
	bool inside;  /* a system call, between its entry and its exit */
	bool existed; /* open: the file, before */
	uint64_t nr, arg[6];
} tracees[TRACEES];

static struct {
	FILE *out;
	const char *root[ROOTS];
	size_t roots;
	pid_t first;
	int status;
	uint8_t data[DATA_MAX];
} self;

static volatile sig_atomic_t ending;

static void on_term(int sig)
{
	(void)sig;
	ending = 1;
}

static _Noreturn void cannot(const char *what, const char *path)
{
	fprintf(stderr, "disklog: %s: %s: %s\n", what, path, strerror(errno));
	exit(2); /* the tracees are killed with their tracer */
}

/* --- reading a tracee --- */

static size_t peek(pid_t pid, uint64_t at, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)(uintptr_t)at, n};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return got < 0 ? 0 : (size_t)got;
}

/* Text of a tracee; it may end where its page does. */
static void peek_text(pid_t pid, uint64_t at, char text[PATH_MAX])
{
	size_t n = peek(pid, at, text, 4096 - at % 4096);

	if (memchr(text, '\0', n) == NULL)
		n += peek(pid, at + n, text + n, PATH_MAX - n);
	if (memchr(text, '\0', n) == NULL)
		text[0] = '\0';
}

static bool link_of(pid_t pid, const char *what, char path[PATH_MAX])
{
	char proc[64];
	ssize_t n;

	snprintf(proc, sizeof proc, "/proc/%d/%s", (int)pid, what);
	n = readlink(proc, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool path_of_fd(pid_t pid, uint64_t fd, char path[PATH_MAX])
{
	char what[32];

	snprintf(what, sizeof what, "fd/%d", (int)fd);
	return link_of(pid, what, path);
}

static bool stat_of_fd(pid_t pid, uint64_t fd, struct stat *st)
{
	char proc[64];

	snprintf(proc, sizeof proc, "/proc/%d/fd/%d", (int)pid, (int)fd);
	return stat(proc, st) == 0;
}

static int64_t position(pid_t pid, uint64_t fd)
{
	char proc[64];
	long long pos = NO_OFFSET;
	FILE *f;

	snprintf(proc, sizeof proc, "/proc/%d/fdinfo/%d", (int)pid, (int)fd);
	f = fopen(proc, "re");
	if (f == NULL || fscanf(f, "pos: %lld", &pos) != 1)
		cannot("position", proc);
	fclose(f);
	return pos;
}

/* Where a name begins: at the process's own root folder, at its working one, or at a descriptor. */
static bool base_of(pid_t pid, uint64_t dir, const char *name, char path[PATH_MAX])
{
	if (name[0] != '/' && (int)dir != AT_FDCWD)
		return path_of_fd(pid, dir, path);
	return link_of(pid, name[0] == '/' ? "root" : "cwd", path);
}

/* The path that a call names, as we see it; links are not followed. */
static void path_at(pid_t pid, uint64_t dir, uint64_t at, char path[PATH_MAX])
{
	char text[PATH_MAX];
	const char *name = text;
	bool ok;

	peek_text(pid, at, text);
	ok = base_of(pid, dir, text, path);
	name += strspn(name, "/");
	if (path[0] == '/' && path[1] == '\0')
		path[0] = '\0';
	if (ok && name[0] != '\0' && strcmp(name, ".") != 0)
		snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%s", name);
}

static bool watched(const char *path)
{
	for (size_t i = 0; i < self.roots; i++) {
		size_t n = strlen(self.root[i]);

		if (strncmp(path, self.root[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return false;
}

/* --- the record --- */

static void put(const struct tracee *t, enum kind kind, uint64_t ino, int64_t a, int64_t b,
    const char *name, const void *data, size_t n)
{
	const struct head h = {.kind = (uint8_t)kind,
	    .pid = (uint32_t)t->pid,
	    .ino = ino,
	    .a = a,
	    .b = b,
	    .name_len = (uint32_t)strlen(name),
	    .data_len = (uint32_t)n};

	if (fwrite(&h, sizeof h, 1, self.out) != 1 ||
	    fwrite(name, 1, h.name_len, self.out) != h.name_len ||
	    (n > 0 && fwrite(data, 1, n, self.out) != n))
		cannot("record", name);
}

/* Bytes that a call took from several places, as one. */
static size_t gather(pid_t pid, uint64_t at, uint64_t count, size_t limit)
{
	struct iovec iov[IOVS];
	size_t n = 0;

	if (count > IOVS || peek(pid, at, iov, count * sizeof iov[0]) != count * sizeof iov[0])
		cannot("vector", "too long");
	for (uint64_t i = 0; i < count && n < limit; i++) {
		size_t k = iov[i].iov_len < limit - n ? iov[i].iov_len : limit - n;

		if (peek(pid, (uint64_t)(uintptr_t)iov[i].iov_base, self.data + n, k) != k)
			cannot("vector", "unreadable");
		n += k;
	}
	return n;
}

/* What happened to a file, with its mode and owner. */
static void put_who(
    struct tracee *t, enum kind kind, const struct stat *st, int64_t a, int64_t b, const char *path)
{
	const struct who who = {st->st_mode & 07777, st->st_uid, st->st_gid};

	if (watched(path))
		put(t, kind, st->st_ino, a, b, path, &who, sizeof who);
}

static void opened(struct tracee *t, int64_t fd, uint64_t flags)
{
	char path[PATH_MAX];
	struct stat st;

	if (!path_of_fd(t->pid, (uint64_t)fd, path) || !watched(path))
		return;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		cannot("a file without a name", path);
	if (!stat_of_fd(t->pid, (uint64_t)fd, &st))
		cannot("stat", path);
	bool created = (flags & O_CREAT) != 0 && !t->existed, emptied = (flags & O_TRUNC) != 0;
	if (!S_ISREG(st.st_mode) || (!created && !emptied))
		return;
	put_who(t, K_OPEN, &st, created, emptied, path);
}

static void written(struct tracee *t, int64_t n, int64_t offset, bool vector)
{
	char path[PATH_MAX];
	struct stat st;

	if (n <= 0 || !path_of_fd(t->pid, t->arg[0], path) || !watched(path))
		return;
	if ((size_t)n > DATA_MAX || !stat_of_fd(t->pid, t->arg[0], &st))
		cannot("write", path);
	if (vector)
		(void)gather(t->pid, t->arg[1], t->arg[2], (size_t)n);
	else if (peek(t->pid, t->arg[1], self.data, (size_t)n) != (size_t)n)
		cannot("written bytes", path);
	if (offset == NO_OFFSET)
		offset = position(t->pid, t->arg[0]) - n;
	put(t, K_WRITE, st.st_ino, offset, 0, path, self.data, (size_t)n);
}

/* sync and truncate, which name a descriptor */
static void done_to_fd(struct tracee *t, enum kind kind, int64_t a)
{
	char path[PATH_MAX];
	struct stat st;

	if (!path_of_fd(t->pid, t->arg[0], path) || !watched(path))
		return;
	if (!stat_of_fd(t->pid, t->arg[0], &st))
		cannot("stat", path);
	put(t, kind, st.st_ino, kind == K_SYNC ? S_ISDIR(st.st_mode) : a, 0, path, NULL, 0);
}

static void done_to_path(struct tracee *t, enum kind kind, uint64_t dir, uint64_t at)
{
	char path[PATH_MAX];

	path_at(t->pid, dir, at, path);
	if (watched(path))
		put(t, kind, 0, 0, 0, path, NULL, 0);
}

static void renamed(struct tracee *t, uint64_t dir, uint64_t at, uint64_t dir2, uint64_t at2)
{
	char from[PATH_MAX], to[PATH_MAX];

	path_at(t->pid, dir, at, from);
	path_at(t->pid, dir2, at2, to);
	if (watched(from) != watched(to))
		cannot("rename across", from);
	if (watched(from))
		put(t, K_RENAME, 0, 0, 0, from, to, strlen(to));
}

static void changed_fd(struct tracee *t)
{
	char path[PATH_MAX];
	struct stat st;

	if (path_of_fd(t->pid, t->arg[0], path) && stat_of_fd(t->pid, t->arg[0], &st))
		put_who(t, K_ATTR, &st, 0, 0, path);
}

/* K_ATTR or K_MKDIR */
static void changed_path(struct tracee *t, enum kind kind, uint64_t dir, uint64_t at)
{
	char path[PATH_MAX];
	struct stat st;

	path_at(t->pid, dir, at, path);
	if (lstat(path, &st) == 0)
		put_who(t, kind, &st, 0, 0, path);
}

/* What would change a file behind the record's back. */
static void refuse(struct tracee *t, uint64_t fd)
{
	char path[PATH_MAX];

	if (path_of_fd(t->pid, fd, path) && watched(path)) {
		errno = ENOTSUP;
		cannot("a call that is not recorded", path);
	}
}

static void refuse_path(struct tracee *t, uint64_t dir, uint64_t at)
{
	char path[PATH_MAX];

	path_at(t->pid, dir, at, path);
	if (watched(path)) {
		errno = ENOTSUP;
		cannot("a call that is not recorded", path);
	}
}

/* --- system calls --- */

static void at_entry(struct tracee *t)
{
	struct msghdr mh;
	char path[PATH_MAX];
	struct stat st;
	size_t n;

	if (t->nr == SYS_openat || t->nr == SYS_open || t->nr == SYS_creat) {
		bool at = t->nr == SYS_openat;

		path_at(t->pid, at ? t->arg[0] : (uint64_t)AT_FDCWD, t->arg[at ? 1 : 0], path);
		t->existed = lstat(path, &st) == 0;
	}
	if (t->nr == SYS_sendmsg && peek(t->pid, t->arg[1], &mh, sizeof mh) == sizeof mh &&
	    mh.msg_iovlen <= 2) {
		uint16_t type = 0;
		uint64_t id = 0;

		n = gather(t->pid, (uint64_t)(uintptr_t)mh.msg_iov, mh.msg_iovlen, MSG_MAX);
		if (n < MSG_HDR)
			return;
		memcpy(&type, self.data + 2, sizeof type);
		memcpy(&id, self.data + 8, sizeof id);
		if (type == MSG_API_ANS || type == MSG_CTL_ADMIN_ANS || type == MSG_CTL_ROLES_ANS)
			put(t, K_SEND, 0, type, (int64_t)id, "", self.data + MSG_HDR, n - MSG_HDR);
	}
}

/* Calls that name what they change by a path. */
static bool exit_by_path(struct tracee *t)
{
	const uint64_t here = (uint64_t)AT_FDCWD, *a = t->arg;

	switch (t->nr) {
	case SYS_unlink:
		return done_to_path(t, K_UNLINK, here, a[0]), true;
	case SYS_unlinkat:
		done_to_path(t, (a[2] & AT_REMOVEDIR) != 0 ? K_RMDIR : K_UNLINK, a[0], a[1]);
		return true;
	case SYS_rmdir:
		return done_to_path(t, K_RMDIR, here, a[0]), true;
	case SYS_mkdir:
		return changed_path(t, K_MKDIR, here, a[0]), true;
	case SYS_mkdirat:
		return changed_path(t, K_MKDIR, a[0], a[1]), true;
	case SYS_rename:
		return renamed(t, here, a[0], here, a[1]), true;
	case SYS_renameat:
	case SYS_renameat2:
		return renamed(t, a[0], a[1], a[2], a[3]), true;
	case SYS_chmod:
	case SYS_chown:
	case SYS_lchown:
		return changed_path(t, K_ATTR, here, a[0]), true;
	case SYS_fchmodat:
	case SYS_fchownat:
		return changed_path(t, K_ATTR, a[0], a[1]), true;
	case SYS_truncate:
		return refuse_path(t, here, a[0]), true;
	case SYS_link:
	case SYS_symlink:
		return refuse_path(t, here, a[1]), true;
	case SYS_linkat:
		return refuse_path(t, a[2], a[3]), true;
	case SYS_symlinkat:
		return refuse_path(t, a[1], a[2]), true;
	default:
		return false;
	}
}

static void at_exit(struct tracee *t, int64_t r)
{
	const uint64_t *a = t->arg;

	if (r < 0 || exit_by_path(t))
		return;
	switch (t->nr) {
	case SYS_open:
		return opened(t, r, a[1]);
	case SYS_creat:
		return opened(t, r, O_CREAT | O_TRUNC);
	case SYS_openat:
		return opened(t, r, a[2]);
	case SYS_write:
		return written(t, r, NO_OFFSET, false);
	case SYS_writev:
		return written(t, r, NO_OFFSET, true);
	case SYS_pwrite64:
		return written(t, r, (int64_t)a[3], false);
	case SYS_fsync:
	case SYS_fdatasync:
		return done_to_fd(t, K_SYNC, 0);
	case SYS_ftruncate:
		return done_to_fd(t, K_TRUNC, (int64_t)a[1]);
	case SYS_fchmod:
	case SYS_fchown:
		return changed_fd(t);
	case SYS_fallocate:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_sendfile:
		return refuse(t, a[0]);
	case SYS_copy_file_range:
		return refuse(t, a[2]);
	case SYS_mmap:
		if ((a[3] & MAP_SHARED) != 0 && (a[2] & PROT_WRITE) != 0 && (int)a[4] >= 0)
			refuse(t, a[4]);
		return;
	default:
		return;
	}
}

/* --- tracing --- */

static struct tracee *tracee_of(pid_t pid)
{
	struct tracee *free_place = NULL;

	for (size_t i = 0; i < TRACEES; i++) {
		if (tracees[i].pid == pid)
			return &tracees[i];
		if (tracees[i].pid == 0 && free_place == NULL)
			free_place = &tracees[i];
	}
	if (free_place == NULL) {
		errno = EMFILE;
		cannot("too many processes", "disklog");
	}
	*free_place = (struct tracee){.pid = pid};
	return free_place;
}

static void at_call(struct tracee *t)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, (void *)sizeof info, &info) < 0)
		return; /* it has just been killed */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		t->inside = true;
		t->nr = info.entry.nr;
		memcpy(t->arg, info.entry.args, sizeof t->arg);
		at_entry(t);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->inside) {
		t->inside = false;
		at_exit(t, info.exit.rval);
	}
}

static void at_stop(pid_t pid, int status)
{
	struct tracee *t = tracee_of(pid);
	int sig = WSTOPSIG(status);
	enum __ptrace_request how = PTRACE_SYSCALL;

	if (sig == SYSTRAP) {
		at_call(t);
		sig = 0;
	} else if (status >> 16 == PTRACE_EVENT_STOP) {
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
			how = PTRACE_LISTEN; /* it stays stopped until SIGCONT */
		sig = 0;
	} else if (status >> 16 != 0) {
		sig = 0;
	}
	(void)ptrace(how, pid, NULL, (void *)(long)sig); /* fails when it is being killed */
}

static void follow(void)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR && !ending)
			continue;
		if (pid < 0 || ending)
			return;
		if (WIFSTOPPED(status)) {
			at_stop(pid, status);
			continue;
		}
		tracee_of(pid)->pid = 0;
		if (pid == self.first)
			self.status =
			    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static void start(char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;

	self.first = fork();
	if (self.first == 0) {
		raise(SIGSTOP);
		execvp(argv[0], argv);
		cannot("exec", argv[0]);
	}
	if (self.first < 0 || waitpid(self.first, &status, WUNTRACED) != self.first ||
	    ptrace(PTRACE_SEIZE, self.first, NULL, (void *)options) != 0 ||
	    kill(self.first, SIGCONT) != 0)
		cannot("trace", argv[0]);
}

int main(int argc, char **argv)
{
	const struct sigaction term = {.sa_handler = on_term}; /* interrupts waitpid */
	int i = 2;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (self.roots < ROOTS)
			self.root[self.roots++] = argv[i];
	if (i + 1 >= argc || self.roots == 0) {
		fprintf(stderr, "usage: disklog RECORD FOLDER... -- COMMAND...\n");
		return 2;
	}
	self.out = fopen(argv[1], "we");
	if (self.out == NULL)
		cannot("record", argv[1]);
	sigaction(SIGTERM, &term, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that is itself killed leaves nothing behind */
	start(argv + i + 1);
	follow();
	if (fclose(self.out) != 0)
		cannot("record", argv[1]);
	return self.status;
}

#else

int main(void)
{
	fprintf(stderr, "disklog: only for x86_64\n");
	return 2;
}

#endif
