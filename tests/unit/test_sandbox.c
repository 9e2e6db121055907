/*
 * The sandbox for real: every system call that libseccomp knows is made once in every profile, in
 * a child that has entered it, and must be carried out, refused or deadly as profiles.c says; the
 * deadly ones must leave their name. Then what the other steps take away. Runs as root and not.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/filter.h"
#include "sandbox/profiles.h"
#include "sandbox/sandbox.h"
#include "tests/unit/under_memcheck.h"

#define TEST_UID 64999
/* exit codes of a child */
#define SURVIVED 0
#define REFUSED  7
#define NO_ENTRY 9

struct outcome {
	int status;
	char said[256];
};

/* What a child does once inside; returns its exit code. */
typedef int inside(const void *arg);

static struct sandbox_params params_of(enum sandbox_profile p)
{
	return (struct sandbox_params){
	    .profile = p,
	    .drop = getuid() == 0,
	    .uid = TEST_UID,
	    .gid = TEST_UID,
	};
}

static void child(const struct sandbox_params *p, inside *act, const void *arg, int err)
{
	char note[160], why[160] = "";

	dup2(err, STDERR_FILENO);
	if (sandbox_early(3, why, sizeof why) != KE_OK ||
	    sandbox_enter(p, note, sizeof note, why, sizeof why) != KE_OK) {
		dprintf(STDERR_FILENO, "%s\n", why);
		_exit(NO_ENTRY);
	}
	_exit(act(arg));
}

static struct outcome run(const struct sandbox_params *p, inside *act, const void *arg)
{
	struct outcome o = {0};
	size_t n = 0;
	ssize_t got;
	int err[2];
	pid_t pid;

	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(p, act, arg, err[1]);
	close(err[1]);
	/* gcc 14 has to be told that n stays within */
	while (n < sizeof o.said - 1 && (got = read(err[0], o.said + n, sizeof o.said - 1 - n)) > 0)
		n += (size_t)got;
	close(err[0]);
	assert_int_equal(waitpid(pid, &o.status, 0), pid);
	return o;
}

struct call {
	long nr;
	long arg[6];
};

static int make_call(const void *arg)
{
	const struct call *c = arg;
	long r = syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);

	return r == -1 && errno == EACCES ? REFUSED : SURVIVED;
}

enum want { WANT_SURVIVE, WANT_REFUSED, WANT_DEADLY };

static void check_call(
    enum sandbox_profile p, const char *name, const struct call *c, enum want want)
{
	struct sandbox_params params = params_of(p);
	struct outcome o = run(&params, make_call, c);
	int ok = 0;

	switch (want) {
	case WANT_SURVIVE: /* exit_group cannot say so */
		ok = WIFEXITED(o.status) && WEXITSTATUS(o.status) != NO_ENTRY &&
		     (WEXITSTATUS(o.status) == SURVIVED || c->nr == SYS_exit_group);
		break;
	case WANT_REFUSED:
		ok = WIFEXITED(o.status) && WEXITSTATUS(o.status) == REFUSED;
		break;
	case WANT_DEADLY:
		ok = WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS &&
		     strstr(o.said, "security forbidden system call") == o.said &&
		     strstr(o.said, name) != NULL;
		break;
	}
	if (!ok)
		fail_msg("%s: %s(%lx, %lx, %lx): status %x, said \"%s\"", sandbox_profile_name(p),
		    name, c->arg[0], c->arg[1], c->arg[2], (unsigned)o.status, o.said);
}

/* Arguments that no call can do anything with. */
static struct call harmless(long nr)
{
	return (struct call){nr, {-1, -1, -1, -1, -1, -1}};
}

static int listed(const struct profile_cond *c, uint32_t v)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->values[i] == v)
			return 1;
	return 0;
}

/* Every number that differs from the other argument's value in one bit; leaves the right one. */
static void check_tie(
    enum sandbox_profile p, const char *name, struct call *call, const struct profile_tie *t)
{
	for (unsigned bit = 0; bit < 34; bit++) {
		call->arg[t->arg] = (long)(t->only ^ (UINT64_C(1) << bit));
		check_call(p, name, call, WANT_DEADLY);
	}
	call->arg[t->arg] = 0;
	check_call(p, name, call, WANT_DEADLY);
	call->arg[t->arg] = t->only;
}

/* Each value, and every number that differs from one of them in one bit. */
static void check_one_of(
    enum sandbox_profile p, const char *name, long nr, const struct profile_cond *c)
{
	struct call call = harmless(nr);

	for (size_t i = 0; i < c->count; i++) {
		call = harmless(nr);
		call.arg[c->arg] = c->values[i];
		if (c->tie.tied && c->tie.value == c->values[i])
			check_tie(p, name, &call, &c->tie);
		check_call(p, name, &call, WANT_SURVIVE);
		for (unsigned bit = 0; bit < 34; bit++) {
			uint64_t v = c->values[i] ^ (UINT64_C(1) << bit);

			call.arg[c->arg] = (long)v;
			if (v > UINT32_MAX || !listed(c, (uint32_t)v))
				check_call(p, name, &call, WANT_DEADLY);
		}
	}
	call.arg[c->arg] = -1;
	check_call(p, name, &call, WANT_DEADLY);
}

static void check_bits_off(
    enum sandbox_profile p, const char *name, long nr, const struct profile_cond *c)
{
	struct call call = harmless(nr);

	call.arg[c->arg] = (long)~(uint64_t)c->values[0];
	check_call(p, name, &call, WANT_SURVIVE);
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		if ((c->values[0] & bit) == 0)
			continue;
		call.arg[c->arg] = bit;
		check_call(p, name, &call, WANT_DEADLY);
	}
}

/*
 * Linux from 6.14 on lets the probes' own calls pass every filter (seccomp: passthrough uretprobe):
 * outside a probe's trampoline they do nothing but raise SIGILL.
 */
static int kernels_own(const char *name)
{
	return strcmp(name, "uretprobe") == 0 || strcmp(name, "uprobe") == 0;
}

static void check_every_call(enum sandbox_profile p)
{
	char name[FILTER_NAME];

	for (int nr = 0; nr < FILTER_NUMBERS; nr++) {
		const struct profile_call *row;
		struct call call = harmless(nr);

		if (filter_name(nr, name) != KE_OK || kernels_own(name))
			continue;
		row = profile_find(p, name);
		if (row == NULL)
			check_call(p, name, &call, WANT_DEADLY);
		else if (row->cond->when == PROFILE_ALWAYS)
			check_call(p, name, &call, WANT_SURVIVE);
		else if (row->cond->when == PROFILE_REFUSE)
			check_call(p, name, &call, WANT_REFUSED);
		else if (row->cond->when == PROFILE_ONE_OF)
			check_one_of(p, name, nr, row->cond);
		else
			check_bits_off(p, name, nr, row->cond);
	}
}

static void every_call_in_every_profile(void **state)
{
	(void)state;
	if (!sandbox_has_seccomp())
		skip();
	for (int p = 0; p < SANDBOX_PROFILES; p++)
		check_every_call((enum sandbox_profile)p);
}

/*
 * More than any heap has left when the sandbox closes; then what malloc serves with mmap once, and
 * from the heap after it was freed, as Argon2's 128 KiB.
 */
static int allocate(const void *arg)
{
	static char *block[64];

	(void)arg;
	for (size_t i = 0; i < 64; i++)
		if ((block[i] = malloc(65536)) == NULL)
			return 1;
	for (size_t i = 0; i < 64; i++)
		free(block[i]);
	for (size_t i = 0; i < 4; i++) {
		if ((block[0] = malloc(131072)) == NULL || (block[1] = malloc(131072)) == NULL)
			return 1;
		free(block[0]);
		free(block[1]);
	}
	return SURVIVED;
}

static void memory_in_every_profile(void **state)
{
	(void)state;
	for (int p = 0; p < SANDBOX_PROFILES; p++) {
		struct sandbox_params params = params_of((enum sandbox_profile)p);
		struct outcome o = run(&params, allocate, NULL);

		if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != SURVIVED)
			fail_msg("profile %d: status %#x: %s", p, (unsigned)o.status, o.said);
	}
}

/* A libc that tries a call which libseccomp does not know yet must be able to fall back. */
static int call_of_the_future(const void *arg)
{
	(void)arg;
	return syscall(1000) == -1 && errno == ENOSYS ? SURVIVED : 1;
}

static void unknown_calls_get_enosys(void **state)
{
	(void)state;
	for (int p = 0; p < SANDBOX_PROFILES; p++) {
		struct sandbox_params params = params_of((enum sandbox_profile)p);
		struct outcome o = run(&params, call_of_the_future, NULL);

		assert_true(WIFEXITED(o.status));
		assert_int_equal(WEXITSTATUS(o.status), SURVIVED);
	}
}

#ifdef __x86_64__
static int call_of_32_bit(const void *arg)
{
	long r;

	(void)arg;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); /* getpid there */
	return SURVIVED;
}

static int call_of_x32(const void *arg)
{
	(void)arg;
	syscall(0x40000000 + SYS_getpid);
	return SURVIVED;
}

static void foreign_architectures_kill(void **state)
{
	(void)state;
	if (!sandbox_has_seccomp())
		skip();
	for (int p = 0; p < SANDBOX_PROFILES; p++) {
		struct sandbox_params params = params_of((enum sandbox_profile)p);
		struct outcome o = run(&params, call_of_32_bit, NULL);

		assert_true(WIFSIGNALED(o.status));
		o = run(&params, call_of_x32, NULL);
		assert_true(WIFSIGNALED(o.status));
		assert_int_equal(WTERMSIG(o.status), SIGSYS);
	}
}
#endif

/* A captured process blocks SIGSYS first: it dies all the same. */
static int forbidden_with_sigsys_blocked(const void *arg)
{
	(void)arg;
	syscall(SYS_execve, NULL, NULL, NULL);
	return SURVIVED;
}

static void a_blocked_sigsys_kills(void **state)
{
	struct sandbox_params params = params_of(SANDBOX_KDF);
	sigset_t set, old;
	struct outcome o;

	(void)state;
	if (!sandbox_has_seccomp())
		skip();
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, &old);
	o = run(&params, forbidden_with_sigsys_blocked, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_true(WIFSIGNALED(o.status));
	assert_int_equal(WTERMSIG(o.status), SIGSYS);
}

/* Landlock, with seccomp's leave to open: inside the folder and nowhere else. */
static int open_in_and_out(const void *arg)
{
	const char *folder = arg;
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/inside", folder);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 1;
	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 2;
	if (open("/tmp/klero-test-outside", O_CREAT | O_RDWR | O_CLOEXEC, 0600) >= 0)
		return 3;
	return unlink(path) == 0 ? SURVIVED : 4;
}

static void landlock_leaves_only_the_folder(void **state)
{
	char folder[] = "/tmp/klero-sandbox-XXXXXX";
	struct sandbox_path path = {folder, true};
	struct sandbox_params params = params_of(SANDBOX_ENGINE);
	struct outcome o;

	(void)state;
	if (under_memcheck())
		skip();
	assert_non_null(mkdtemp(folder));
	if (params.drop)
		assert_int_equal(chown(folder, TEST_UID, TEST_UID), 0);
	params.paths = &path;
	params.npaths = 1;
	o = run(&params, open_in_and_out, folder);
	rmdir(folder);
	assert_true(WIFEXITED(o.status));
	assert_int_equal(WEXITSTATUS(o.status), SURVIVED);
}

static void no_writes_leaves_reading(void **state)
{
	char why[160];
	int status, fd;
	pid_t pid;

	(void)state;
	if (under_memcheck())
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_early(64, why, sizeof why) != KE_OK ||
		    sandbox_no_writes(why, sizeof why) != KE_OK)
			_exit(1);
		fd = open("/etc/passwd", O_RDONLY);
		if (fd < 0)
			_exit(2);
		if (open("/tmp/klero-no-writes", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EACCES)
			_exit(3);
		if (open("/etc/passwd", O_RDWR) >= 0 || errno != EACCES)
			_exit(4);
		_exit(SURVIVED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SURVIVED);
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* A library's thread would stay outside: whoever has one does not get in. */
static void threads_are_refused(void **state)
{
	struct sandbox_params params = params_of(SANDBOX_KDF);
	char note[160], why[160] = "";
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		pthread_t t;

		if (sandbox_early(64, why, sizeof why) != KE_OK ||
		    pthread_create(&t, NULL, wait_for_ever, NULL) != 0)
			_exit(1);
		if (sandbox_enter(&params, note, sizeof note, why, sizeof why) == KE_OK)
			_exit(2);
		_exit(strstr(why, "threads") != NULL && getuid() == geteuid() ? REFUSED : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static void a_missing_path_is_refused(void **state)
{
	struct sandbox_path path = {"/nonexistent/folder", true};
	struct sandbox_params params = params_of(SANDBOX_ENGINE);
	struct outcome o;

	(void)state;
	if (under_memcheck())
		skip();
	params.paths = &path;
	params.npaths = 1;
	o = run(&params, call_of_the_future, NULL);
	assert_int_equal(WEXITSTATUS(o.status), NO_ENTRY);
	assert_non_null(strstr(o.said, "/nonexistent/folder"));
}

/* The inside of the sandbox reports itself: /proc is out of reach there. */
static int what_is_left(const void *arg)
{
	struct rlimit l;

	(void)arg;
	if (getrlimit(RLIMIT_CORE, &l) != 0 || l.rlim_max != 0)
		return 1;
	if (getrlimit(RLIMIT_NPROC, &l) != 0 || l.rlim_max != 0)
		return 2;
	if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (getuid() != TEST_UID || geteuid() != TEST_UID || getgid() != TEST_UID)
		return 4;
	if (getgroups(0, NULL) != 0 || setuid(0) == 0)
		return 5;
	return SURVIVED;
}

/* What the steps before seccomp leave, seen where seccomp still lets one look: without it. */
static void identity_and_limits(void **state)
{
	struct sandbox_params params = params_of(SANDBOX_ENGINE);
	struct outcome o;

	(void)state;
	if (!params.drop || sandbox_has_seccomp())
		skip();
	o = run(&params, what_is_left, NULL);
	assert_int_equal(WEXITSTATUS(o.status), SURVIVED);
}

static void root_is_never_kept(void **state)
{
	struct sandbox_params params = params_of(SANDBOX_KDF);
	struct outcome o;

	(void)state;
	if (!params.drop)
		skip();
	params.uid = 0;
	o = run(&params, call_of_the_future, NULL);
	assert_int_equal(WEXITSTATUS(o.status), NO_ENTRY);
	params.uid = TEST_UID;
	params.gid = 0;
	o = run(&params, call_of_the_future, NULL);
	assert_int_equal(WEXITSTATUS(o.status), NO_ENTRY);
}

/* Every row names a call that some architecture has and a profile uses it at most once. */
static void the_table_is_sound(void **state)
{
	size_t n;
	const struct profile_call *c = profile_calls(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_true(c[i].who != 0 && c[i].why[0] != '\0');
		assert_true(c[i].cond->count <= PROFILE_VALUES);
		for (size_t k = 0; k < i; k++)
			if (strcmp(c[i].name, c[k].name) == 0)
				assert_int_equal(c[i].who & c[k].who, 0);
	}
	for (int p = 0; p < SANDBOX_PROFILES; p++) {
		enum sandbox_profile prof = (enum sandbox_profile)p;

		for (size_t i = 0; sandbox_call(prof, i) != NULL; i++)
			assert_non_null(profile_find(prof, sandbox_call(prof, i)));
		assert_null(profile_find(prof, "execve"));
		assert_null(profile_find(prof, "ptrace"));
		assert_null(profile_find(prof, "rt_sigaction"));
		assert_null(profile_find(prof, "rt_sigreturn"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_is_sound),
	    cmocka_unit_test(every_call_in_every_profile),
	    cmocka_unit_test(memory_in_every_profile),
	    cmocka_unit_test(unknown_calls_get_enosys),
#ifdef __x86_64__
	    cmocka_unit_test(foreign_architectures_kill),
#endif
	    cmocka_unit_test(a_blocked_sigsys_kills),
	    cmocka_unit_test(landlock_leaves_only_the_folder),
	    cmocka_unit_test(no_writes_leaves_reading),
	    cmocka_unit_test(threads_are_refused),
	    cmocka_unit_test(a_missing_path_is_refused),
	    cmocka_unit_test(identity_and_limits),
	    cmocka_unit_test(root_is_never_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
