/*
 * The seccomp filter of a role, made from the table in profiles.c. Runs in every child as the
 * last step of its sandbox. Source: seccomp(2), libseccomp's manual.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <linux/filter.h>

#include "policy/ke.h"
#include "sandbox/sandbox.h"

/*
 * The filter of p as a program of *n instructions: all of it, or KE_NOMEM, or KE_INTERNAL when
 * libseccomp refuses. Compiled to nothing in sanitizer builds, as is the next.
 */
int filter_make(
    enum sandbox_profile p, struct sock_filter code[BPF_MAXINSNS], unsigned short *n) KE_CHECK;
/* Installs it for good; KE_INTERNAL when the kernel refuses. */
int filter_load(enum sandbox_profile p) KE_CHECK;

/* Above the highest system call number that libseccomp can know. */
#define FILTER_NUMBERS 1024
#define FILTER_NAME    48

/* The name of a system call of this architecture; KE_NOTFOUND when libseccomp knows none, or
 * KE_NOMEM. */
int filter_name(int nr, char name[FILTER_NAME]) KE_CHECK;

#endif
