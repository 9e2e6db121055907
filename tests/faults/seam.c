/*
 * The seam between the product and the machine, for fault injection: this object is linked into
 * the product's own programs (make faults) and takes the place of libc's functions for them and
 * for every library that they load. Each call is counted by role and kind (seam.def); the Nth
 * fails when the harness (seam.py) has asked for that; and the wall clock can be moved.
 *
 * The orders stand in a file beside the program, mapped before main() and so before the sandbox
 * closes. Where there is no such file, nothing is changed. Test builds only; trusts the harness.
 */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"

enum kind {
#define SEAM_KIND(name, error) KIND_##name,
#include "tests/faults/seam.def"
#undef SEAM_KIND
	KINDS
};

/* The file's layout; seam.py has it as format strings. All of it written by one side at a time. */
#define ROLES     10
#define KINDS_MAX 32
#define TRACE_MAX 65536
#define FRAMES    32
#define WHO_MAX   4096

struct order {
	uint64_t calls, first, last; /* calls first to last fail; first 0: none */
	uint64_t fired;
	uint64_t error;
};

struct orders {
	struct order order[ROLES][KINDS_MAX];
	int64_t clock_ms[ROLES]; /* added to the wall clock */
	uint64_t trace_role;     /* plus one; 0: nobody's calls are traced */
	uint64_t trace_kind;
	uint64_t trace_depth;      /* so many callers tell one call from another */
	uint64_t trace[TRACE_MAX]; /* call n: a hash of who called */
	char who[WHO_MAX];         /* who met the last failure, innermost first */
};

static const char *const roles[ROLES] = {
    "parent", "net", "tlskey", "engine", "hsm", "kdf", "keyadm", "out", "beacon", "kleroctl"};

static struct orders *orders;
static unsigned role;
static __thread bool inside; /* what unwinding allocates does not count */

/* --- counting --- */

static void trace(enum kind kind, uint64_t n)
{
	void *frame[FRAMES];
	uint64_t h = UINT64_C(14695981039346656037);
	int got;

	if (orders->trace_role != role + 1 || orders->trace_kind != kind || n >= TRACE_MAX)
		return;
	inside = true;
	got = backtrace(frame, FRAMES);
	inside = false;
	for (int i = 2; i < got && (uint64_t)i < 2 + orders->trace_depth; i++)
		h = (h ^ (uint64_t)(uintptr_t)frame[i]) * UINT64_C(1099511628211);
	orders->trace[n] = h;
}

/* Kept for the harness's reader. */
static void tell(void)
{
	void *frame[FRAMES];
	size_t n = 0;
	int got;

	inside = true;
	got = backtrace(frame, FRAMES);
	for (int i = 2; i < got && n < WHO_MAX - 200; i++) {
		Dl_info at = {0};
		const char *file = dladdr(frame[i], &at) != 0 ? strrchr(at.dli_fname, '/') : NULL;

		n += (size_t)snprintf(orders->who + n, 200, "%.60s+0x%lx %.80s\n",
		    file == NULL ? "?" : file + 1,
		    (unsigned long)((char *)frame[i] - (char *)at.dli_fbase),
		    at.dli_sname == NULL ? "" : at.dli_sname);
	}
	inside = false;
}

/* Counts a call; true: it is to fail, and errno is set. */
static bool fails(enum kind kind)
{
	struct order *o;
	uint64_t n;

	if (orders == NULL || inside)
		return false;
	o = &orders->order[role][kind];
	n = __atomic_add_fetch(&o->calls, 1, __ATOMIC_SEQ_CST);
	if (orders->trace_role != 0)
		trace(kind, n);
	if (o->first == 0 || n < o->first || n > o->last)
		return false;
	__atomic_add_fetch(&o->fired, 1, __ATOMIC_SEQ_CST);
	tell();
	errno = (int)o->error;
	return true;
}

static unsigned role_of(int argc, char **argv, const char *self)
{
	const char *base = strrchr(self, '/');
	const char *word = argc > 1 ? argv[1] : "";

	base = base == NULL ? self : base + 1;
	if (strcmp(base, "klerod") == 0)
		return 0;
	for (unsigned i = 1; i < ROLES - 1; i++)
		if (strncmp(base, "klerod-", 7) == 0 && strcmp(word, roles[i]) == 0)
			return i;
	return ROLES - 1;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	char self[4096], path[4200];
	void *frame[2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;
	int fd;

	if (n <= 0)
		return;
	self[n] = '\0';
	role = role_of(argc, argv, self);
	slash = strrchr(self, '/');
	snprintf(path, sizeof path, "%.*s/seam.orders", (int)(slash - self), self);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)backtrace(frame, 2); /* loads what it needs, while it may */
	void *p = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (p != MAP_FAILED)
		orders = p;
}

/* --- memory: a sanitizer has an allocator of its own, which does not fail --- */

#ifndef KLERO_SANITIZE
#define ALLOCATOR(name) __libc_##name

extern void *ALLOCATOR(malloc)(size_t);
extern void *ALLOCATOR(calloc)(size_t, size_t);
extern void *ALLOCATOR(realloc)(void *, size_t);
extern void *ALLOCATOR(memalign)(size_t, size_t);

void *malloc(size_t n)
{
	return fails(KIND_malloc) ? NULL : ALLOCATOR(malloc)(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(KIND_malloc) ? NULL : ALLOCATOR(calloc)(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(KIND_malloc) ? NULL : ALLOCATOR(realloc)(p, n);
}

void *memalign(size_t align, size_t n)
{
	return fails(KIND_malloc) ? NULL : ALLOCATOR(memalign)(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return fails(KIND_malloc) ? NULL : ALLOCATOR(memalign)(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	void *got = fails(KIND_malloc) ? NULL : ALLOCATOR(memalign)(align, n);

	if (got == NULL)
		return ENOMEM;
	*p = got;
	return 0;
}

#endif

/* --- everything else: libc's own function behind a count --- */

#define REAL(name)                                                                                 \
	static __typeof__(&name) real;                                                             \
	if (real == NULL)                                                                          \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

/* A function that says -1 and errno when it fails. */
#define SEAM(kind, type, name, params, args)                                                       \
	type name params                                                                           \
	{                                                                                          \
		REAL(name);                                                                        \
		return fails(KIND_##kind) ? (type)-1 : real args;                                  \
	}

SEAM(mmap, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
    (p, n, prot, flags, fd, at))
SEAM(mmap, void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, off64_t at),
    (p, n, prot, flags, fd, at))
SEAM(lock, int, mlock, (const void *p, size_t n), (p, n))
SEAM(lock, int, mprotect, (void *p, size_t n, int prot), (p, n, prot))
SEAM(read, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
SEAM(pread, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
SEAM(pread, ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
SEAM(write, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
SEAM(pwrite, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SEAM(pwrite, ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
SEAM(fsync, int, fsync, (int fd), (fd))
SEAM(fsync, int, fdatasync, (int fd), (fd))
SEAM(ftruncate, int, ftruncate, (int fd, off_t n), (fd, n))
SEAM(ftruncate, int, ftruncate64, (int fd, off64_t n), (fd, n))
SEAM(stat, int, fstat, (int fd, struct stat *st), (fd, st))
SEAM(stat, int, fstat64, (int fd, struct stat64 *st), (fd, st))
SEAM(stat, int, stat, (const char *path, struct stat *st), (path, st))
SEAM(stat, int, stat64, (const char *path, struct stat64 *st), (path, st))
SEAM(stat, int, lstat, (const char *path, struct stat *st), (path, st))
SEAM(stat, int, access, (const char *path, int mode), (path, mode))
SEAM(unlink, int, unlink, (const char *path), (path))
SEAM(unlink, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
SEAM(rename, int, rename, (const char *from, const char *to), (from, to))
SEAM(rename, int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
    (from_dir, from, to_dir, to))
SEAM(memfd, int, memfd_create, (const char *name, unsigned flags), (name, flags))
SEAM(send, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
SEAM(recv, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
SEAM(socket, int, socketpair, (int domain, int type, int protocol, int sv[2]),
    (domain, type, protocol, sv))
SEAM(socket, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
SEAM(socket, int, pipe2, (int fd[2], int flags), (fd, flags))
SEAM(socket, int, shutdown, (int fd, int how), (fd, how))
SEAM(socket, int, setsockopt, (int fd, int level, int name, const void *v, socklen_t n),
    (fd, level, name, v, n))
SEAM(epoll, int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *ev), (ep, op, fd, ev))
SEAM(epoll, int, epoll_wait, (int ep, struct epoll_event *ev, int n, int ms), (ep, ev, n, ms))
SEAM(poll, int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
SEAM(getrandom, ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))
SEAM(process, pid_t, fork, (void), ())
SEAM(process, int, execve, (const char *path, char *const argv[], char *const envp[]),
    (path, argv, envp))
SEAM(process, int, dup2, (int from, int to), (from, to))
SEAM(sandbox, int, chroot, (const char *path), (path))
SEAM(sandbox, int, chdir, (const char *path), (path))
SEAM(sandbox, int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
SEAM(sandbox, int, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))

int setgroups(size_t n, const gid_t *list)
{
	static int (*real)(size_t, const gid_t *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "setgroups");
	return fails(KIND_sandbox) ? -1 : real(n, list);
}

int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
	static int (*real)(__rlimit_resource_t, const struct rlimit *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "setrlimit");
	return fails(KIND_sandbox) ? -1 : real(what, limit);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int (*real)(int, struct sockaddr *, socklen_t *, int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "accept4");
	return fails(KIND_accept) ? -1 : real(fd, addr, len, flags);
}

FILE *fopen(const char *path, const char *mode)
{
	REAL(fopen);
	return fails(KIND_stdio) ? NULL : real(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

FILE *fdopen(int fd, const char *mode)
{
	REAL(fdopen);
	return fails(KIND_stdio) ? NULL : real(fd, mode);
}

/* --- those with a variable number of arguments: as many as the kernel takes --- */

#define ARGUMENT(list, type)                                                                       \
	va_start(ap, list);                                                                        \
	a = va_arg(ap, type);                                                                      \
	va_end(ap)

int open(const char *path, int flags, ...)
{
	va_list ap;
	unsigned a;

	ARGUMENT(flags, unsigned);
	return fails(KIND_open) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, a);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	unsigned a;

	ARGUMENT(flags, unsigned);
	return open(path, flags, a);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	unsigned a;

	ARGUMENT(flags, unsigned);
	return fails(KIND_open) ? -1 : (int)syscall(SYS_openat, dir, path, flags, a);
}

int fcntl(int fd, int cmd, ...)
{
	REAL(fcntl);
	va_list ap;
	void *a;

	ARGUMENT(cmd, void *);
	return fails(KIND_fcntl) ? -1 : real(fd, cmd, a);
}

int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *a;

	ARGUMENT(cmd, void *);
	return fcntl(fd, cmd, a);
}

int prctl(int what, ...)
{
	REAL(prctl);
	unsigned long a[4];
	va_list ap;

	va_start(ap, what);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	return fails(KIND_sandbox) ? -1 : real(what, a[0], a[1], a[2], a[3]);
}

/* What libseccomp and Landlock are called by. */
long syscall(long number, ...)
{
	REAL(syscall);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number != SYS_openat && number != SYS_close && fails(KIND_sandbox))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- names that fortified objects call instead --- */

ssize_t __read_chk(int fd, void *p, size_t n, size_t cap)
{
	(void)cap;
	return read(fd, p, n);
}

ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t cap)
{
	(void)cap;
	return pread(fd, p, n, at);
}

ssize_t __pread64_chk(int fd, void *p, size_t n, off64_t at, size_t cap)
{
	(void)cap;
	return pread64(fd, p, n, at);
}

int __poll_chk(struct pollfd *p, nfds_t n, int ms, size_t cap)
{
	(void)cap;
	return poll(p, n, ms);
}

int __open_2(const char *path, int flags)
{
	return open(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open(path, flags, 0);
}

int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags, 0);
}

/* --- the wall clock --- */

static int64_t moved_ms(void)
{
	return orders == NULL ? 0 : __atomic_load_n(&orders->clock_ms[role], __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	REAL(clock_gettime);
	int r = real(id, ts);

	if (r == 0 && id == CLOCK_REALTIME) {
		int64_t ms = moved_ms() + ts->tv_nsec / 1000000;
		int64_t rest = ((ms % 1000) + 1000) % 1000;

		ts->tv_sec += (ms - rest) / 1000;
		ts->tv_nsec = (long)rest * 1000000 + ts->tv_nsec % 1000000;
	}
	return r;
}

time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
	return 0;
}
