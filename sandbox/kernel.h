/*
 * What this kernel can do for the sandbox, for who asks before a start. Changes nothing. In
 * kleroctl.
 */
#ifndef SANDBOX_KERNEL_H
#define SANDBOX_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

struct sandbox_kernel {
	long landlock_abi;    /* 0: none */
	char lacks[128];      /* what Landlock does not cover, "" when it covers all */
	bool seccomp;         /* filters, with an action that kills the process */
	bool seals;           /* memory that cannot be resized any more (memfd_create) */
	long user_namespaces; /* how many may be made, -1 where nobody says; none is needed */
};

void sandbox_kernel(struct sandbox_kernel *k);

#endif
