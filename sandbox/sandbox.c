/*
 * The order in which a process gives up what it has: see sandbox.h. Runs in every child, once,
 * after its warm-up; any failure is the end of that child.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/profiles.h"

/* Where a failure is put into words. */
struct words {
	char *why;
	size_t len;
};

static int failed(const struct words *w, const char *step)
{
	snprintf(w->why, w->len, "%s: %s", step, strerror(errno));
	return KE_INTERNAL;
}

static int limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit have, want = {value, value};

	if (getrlimit(what, &have) != 0)
		return KE_INTERNAL;
	if (have.rlim_max != RLIM_INFINITY && (value == RLIM_INFINITY || value > have.rlim_max))
		want.rlim_cur = want.rlim_max = have.rlim_max;
	return setrlimit(what, &want) == 0 ? KE_OK : KE_INTERNAL;
}

/* Nothing that is started from here on gets more rights than this process has. */
static int no_new_privs(const struct words *w)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? KE_OK : failed(w, "no_new_privs");
}

/* A change of identity undoes the last two, so this runs at the start and again after it. */
static int harden(const struct words *w)
{
	int r = no_new_privs(w);

	if (r != KE_OK)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return failed(w, "not dumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return failed(w, "death signal");
	return KE_OK;
}

/* Kernels before 5.9 have no close_range. */
static int close_from(int first)
{
	struct rlimit files;

	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
		return KE_OK;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return KE_INTERNAL;
	for (rlim_t fd = (rlim_t)first; fd < files.rlim_cur; fd++)
		close((int)fd);
	return KE_OK;
}

int sandbox_early(int first, char *why, size_t whylen)
{
	struct words w = {why, whylen};
	int r = harden(&w);

	if (r != KE_OK)
		return r;
	umask(077);
	if (limit(RLIMIT_CORE, 0) != KE_OK)
		return failed(&w, "no core");
	if (close_from(first) != KE_OK)
		return failed(&w, "closing inherited descriptors");
	return KE_OK;
}

static int set_limits(const struct profile_limits *l, const struct words *w)
{
	if (limit(RLIMIT_CORE, 0) != KE_OK || limit(RLIMIT_NPROC, 0) != KE_OK)
		return failed(w, "rlimit");
	if (limit(RLIMIT_NOFILE, l->files) != KE_OK)
		return failed(w, "rlimit of descriptors");
	if (limit(RLIMIT_FSIZE, l->size) != KE_OK)
		return failed(w, "rlimit of file size");
#ifndef KLERO_SANITIZE /* its shadow memory is terabytes of addresses */
	if (limit(RLIMIT_AS, l->memory) != KE_OK)
		return failed(w, "rlimit of memory");
#endif
	return KE_OK;
}

static int change_root(const char *root, const struct words *w)
{
	if (chroot(root) != 0 || chdir("/") != 0)
		return failed(w, "chroot");
	return KE_OK;
}

static int change_identity(uid_t uid, gid_t gid, bool keep_caps, const struct words *w)
{
	uid_t u[3];
	gid_t g[3];

	if (uid == 0 || gid == 0) {
		errno = EPERM;
		return failed(w, "uid and gid of a role must not be 0");
	}
	if (keep_caps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return failed(w, "keepcaps");
	if (setgroups(0, NULL) != 0)
		return failed(w, "setgroups");
	if (setresgid(gid, gid, gid) != 0)
		return failed(w, "setresgid");
	if (setresuid(uid, uid, uid) != 0)
		return failed(w, "setresuid");
	if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
		return failed(w, "getresuid");
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return failed(w, "uid and gid did not change");
	if (getgroups(0, NULL) != 0)
		return failed(w, "supplementary groups remain");
	return KE_OK;
}

static int stays_changed(const struct words *w)
{
	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		return failed(w, "root can be regained");
	return KE_OK;
}

int sandbox_search_capability(void)
{
	static const int candidates[] = {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];

	if (syscall(SYS_capget, &head, have) != 0)
		return -1;
	for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++)
		if ((have[0].permitted & (1u << candidates[i])) != 0)
			return candidates[i];
	return -1;
}

/* A change of uid has cleared them; a start with ambient capabilities has not. */
static int drop_capabilities(bool keep_search, const struct words *w)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int search = keep_search ? sandbox_search_capability() : -1;

	memset(data, 0, sizeof data);
	if (search >= 0)
		data[0].effective = data[0].permitted = 1u << search;
	if (syscall(SYS_capset, &head, data) != 0)
		return failed(w, "capset");
	return KE_OK;
}

/*
 * rlimits, root folder, user, capabilities. To look into others' folders is kept only where
 * Landlock says into which.
 */
static int drop(const struct sandbox_params *p, bool fenced, const struct words *w)
{
	const struct profile_limits *l = profile_limits(p->profile);
	bool searches = l->searches && fenced && p->drop;
	int r = set_limits(l, w);

	if (r == KE_OK && p->drop && !l->keeps_root && p->root != NULL && p->root[0] != '\0')
		r = change_root(p->root, w);
	if (r == KE_OK && p->drop)
		r = change_identity(p->uid, p->gid, searches, w);
	if (r == KE_OK)
		r = drop_capabilities(searches, w);
	if (r == KE_OK && p->drop)
		r = stays_changed(w);
	return r == KE_OK ? harden(w) : r;
}

int sandbox_no_writes(char *why, size_t whylen)
{
	struct words w = {why, whylen};
	/* Landlock asks for it of whoever is not root */
	int r = no_new_privs(&w);

	if (r != KE_OK)
		return r;
	return landlock_no_writes() == KE_OK ? KE_OK : failed(&w, "Landlock");
}

/* The kernel takes the rights over others' files away with the user; one of them comes back. */
static int raise_search(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int search = sandbox_search_capability();

	if (search < 0)
		return KE_OK;
	if (syscall(SYS_capget, &head, data) != 0)
		return KE_INTERNAL;
	data[0].effective |= 1u << search;
	return syscall(SYS_capset, &head, data) == 0 ? KE_OK : KE_INTERNAL;
}

int sandbox_files_as(uid_t uid, gid_t gid, char *why, size_t whylen)
{
	struct words w = {why, whylen};

	/* access(2) asks for the real user, every other call for the file system's */
	if (setresgid(gid, (gid_t)-1, (gid_t)-1) != 0 || setresuid(uid, (uid_t)-1, (uid_t)-1) != 0)
		return failed(&w, "real user");
	/* these two tell the former value, never whether it worked: ask again */
	setfsgid(gid);
	setfsuid(uid);
	if ((gid_t)setfsgid(gid) != gid || (uid_t)setfsuid(uid) != uid)
		return failed(&w, "setfsuid");
	return raise_search() == KE_OK ? KE_OK : failed(&w, "capset");
}

/* What follows binds this thread only: a library that has started others is not held by it. */
static int is_single(const struct words *w)
{
	struct stat st;

	/* a folder has two links and one for each folder in it: here, for each thread */
	if (stat("/proc/self/task", &st) != 0 || st.st_nlink <= 3)
		return KE_OK;
	errno = EPERM;
	return failed(w, "a library has started threads");
}

int sandbox_enter(
    const struct sandbox_params *p, char *note, size_t notelen, char *why, size_t whylen)
{
	struct words w = {why, whylen};
	int fd, r;

	r = is_single(&w);
	if (r != KE_OK)
		return r;
	/* the paths are opened before the root and the rights to reach them go */
	r = landlock_prepare(p, &fd, note, notelen, why, whylen);
	if (r != KE_OK)
		return r;
	r = drop(p, fd >= 0, &w);
	if (r == KE_OK && landlock_enter(fd) != KE_OK)
		r = failed(&w, "Landlock");
	if (fd >= 0)
		close(fd);
	if (r == KE_OK && filter_load(p->profile) != KE_OK)
		r = failed(&w, "seccomp");
	return r;
}

const char *sandbox_profile_name(enum sandbox_profile p)
{
	return profile_limits(p)->name;
}

const char *sandbox_call(enum sandbox_profile p, size_t i)
{
	size_t n;
	const struct profile_call *c = profile_calls(&n);

	for (size_t k = 0; k < n; k++)
		if ((c[k].who & (1u << p)) != 0 && i-- == 0)
			return c[k].name;
	return NULL;
}
