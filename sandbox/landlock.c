/*
 * Landlock by its raw system calls: see landlock.h. libc has no wrappers, and the distribution's
 * header may be older than the kernel, so what it lacks is defined here.
 */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                         \
	    LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_TRUNCATE)
/* what a rule on a single file may name */
#define FS_OF_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

#define NET_ALL     UINT64_C(3) /* ABI 4: bind and connect of TCP */
#define NET_CONNECT UINT64_C(2)
#define SCOPED_ALL  UINT64_C(3) /* ABI 6: abstract sockets and signals stay inside */

/* struct landlock_net_port_attr, and the rule of it */
struct port_rule {
	uint64_t allowed, port;
};
#define RULE_NET_PORT 2

/* struct landlock_ruleset_attr of ABI 6 */
struct ruleset {
	uint64_t fs, net, scoped;
};

/* What each ABI added: the size of the structure that it takes, and the rights. */
static const struct step {
	long abi;
	size_t size;
	struct ruleset adds;
	const char *what;
} steps[] = {
    {1, 8, {(UINT64_C(1) << 13) - 1, 0, 0}, "the file system"},
    {2, 8, {LANDLOCK_ACCESS_FS_REFER, 0, 0}, "moving files"},
    {3, 8, {FS_TRUNCATE, 0, 0}, "truncate"},
    {4, 16, {0, NET_ALL, 0}, "TCP"},
    {5, 16, {FS_IOCTL_DEV, 0, 0}, "device ioctl"},
    {6, 24, {0, 0, SCOPED_ALL}, "signals and abstract sockets"},
};

/* Collects what this kernel can deny; names the first thing that it cannot. */
static size_t what_it_can(struct ruleset *all, char *note, size_t notelen)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	size_t size = 0;

	memset(all, 0, sizeof *all);
	note[0] = '\0';
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		const struct step *s = &steps[i];

		if (abi < s->abi) {
			snprintf(note, notelen,
			    "this kernel's Landlock (ABI %ld) does not cover %s and what came "
			    "later",
			    abi < 0 ? 0 : abi, s->what);
			break;
		}
		size = s->size;
		all->fs |= s->adds.fs;
		all->net |= s->adds.net;
		all->scoped |= s->adds.scoped;
	}
	return size;
}

static int allow_path(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = {
	    .allowed_access = p->write ? FS_READ | FS_WRITE : FS_READ,
	    .parent_fd = open(p->path, O_PATH | O_CLOEXEC),
	};
	struct stat st;
	int r = KE_IO;

	if (rule.parent_fd < 0)
		return KE_NOTFOUND;
	if (fstat(rule.parent_fd, &st) != 0)
		goto out;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILE;
	rule.allowed_access &= handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		r = KE_OK;
out:
	close(rule.parent_fd);
	return r;
}

long landlock_abi(char *note, size_t notelen)
{
	struct ruleset all;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	(void)what_it_can(&all, note, notelen);
	return abi < 0 ? 0 : abi;
}

/* Before ABI 4 every port is open to who may make a socket at all. */
static int allow_port(int ruleset, uint16_t port, uint64_t handled)
{
	struct port_rule rule = {NET_CONNECT, port};

	if ((handled & NET_CONNECT) == 0)
		return KE_OK;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0 ? KE_OK
										     : KE_INTERNAL;
}

static int allow(int ruleset, const struct sandbox_params *p, const struct ruleset *all, char *why,
    size_t whylen)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < p->npaths; i++) {
		r = allow_path(ruleset, &p->paths[i], all->fs);
		if (r != KE_OK)
			snprintf(why, whylen, "Landlock rule for %s: %s", p->paths[i].path,
			    strerror(errno));
	}
	for (size_t i = 0; r == KE_OK && i < p->nports; i++) {
		r = allow_port(ruleset, p->ports[i], all->net);
		if (r != KE_OK)
			snprintf(why, whylen, "Landlock rule for port %u: %s", p->ports[i],
			    strerror(errno));
	}
	return r;
}

int landlock_prepare(
    const struct sandbox_params *p, int *fd, char *note, size_t notelen, char *why, size_t whylen)
{
	struct ruleset all;
	size_t size = what_it_can(&all, note, notelen);
	int r;

	*fd = -1;
	if (size == 0)
		return KE_OK;
	*fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (*fd < 0) {
		snprintf(why, whylen, "landlock_create_ruleset: errno %d", errno);
		return KE_INTERNAL;
	}
	r = allow(*fd, p, &all, why, whylen);
	if (r != KE_OK) {
		close(*fd);
		*fd = -1;
	}
	return r;
}

int landlock_no_writes(void)
{
	struct ruleset all;
	char note[1];
	size_t size = what_it_can(&all, note, sizeof note);
	int fd, r;

	if (size == 0)
		return KE_OK;
	/* reading and executing are not handled, so they stay as they are */
	all = (struct ruleset){.fs = all.fs & FS_WRITE};
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (fd < 0)
		return KE_INTERNAL;
	r = landlock_enter(fd);
	close(fd);
	return r;
}

int landlock_enter(int fd)
{
	if (fd < 0)
		return KE_OK;
	return syscall(SYS_landlock_restrict_self, fd, 0) == 0 ? KE_OK : KE_INTERNAL;
}
