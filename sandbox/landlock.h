/*
 * What a process may still reach by path, by TCP and by signal: the Landlock step of the
 * sandbox. In every child. Source: landlock(7), Documentation/userspace-api/landlock.rst.
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stddef.h>

#include "policy/ke.h"
#include "sandbox/sandbox.h"

/*
 * Makes a ruleset that denies everything this kernel's Landlock can deny but the paths, and the
 * connections to the ports, of p. *fd is the caller's, -1 when the kernel has no Landlock at all.
 * note: what the kernel lacks, "" when nothing. On failure why names the path.
 */
int landlock_prepare(const struct sandbox_params *p, int *fd, char *note, size_t notelen, char *why,
    size_t whylen) KE_CHECK;

/* The version of this kernel's Landlock, 0 for none; note: what it lacks, "" when nothing. */
long landlock_abi(char *note, size_t notelen);

/* Puts the process under the ruleset for good. Needs no_new_privs. fd -1 does nothing. */
int landlock_enter(int fd) KE_CHECK;

/* Takes away every way to change the file system and nothing else. */
int landlock_no_writes(void) KE_CHECK;

#endif
