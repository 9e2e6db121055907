/*
 * What this kernel can do for the sandbox: see kernel.h.
 */
#include "sandbox/kernel.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/landlock.h"

static bool has_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static bool has_seals(void)
{
	int fd = memfd_create("klero-look", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok = fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static long user_namespaces(void)
{
	FILE *f = fopen("/proc/sys/user/max_user_namespaces", "re");
	long n = -1;

	if (f == NULL)
		return n;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

void sandbox_kernel(struct sandbox_kernel *k)
{
	k->landlock_abi = landlock_abi(k->lacks, sizeof k->lacks);
	k->seccomp = has_seccomp();
	k->seals = has_seals();
	k->user_namespaces = user_namespaces();
}
