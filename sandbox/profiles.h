/*
 * The system calls of each role, as data: see profiles.c. Part of the sandbox; compiled into
 * every child, where it is read once, after the warm-up. Trusts nobody.
 */
#ifndef SANDBOX_PROFILES_H
#define SANDBOX_PROFILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "sandbox/sandbox.h"

#define PROFILE_VALUES 5

/* When a call is allowed; in any other case it is forbidden, which ends the process. */
enum profile_when {
	PROFILE_ALWAYS,
	PROFILE_BITS_OFF, /* no bit of values[0] is set in argument arg */
	PROFILE_ONE_OF,   /* argument arg is one of values[0..count) */
	PROFILE_REFUSE /* never done, answered with EACCES: a library asks and can live without */
};

/* One value may be allowed only together with another argument's. */
struct profile_tie {
	uint32_t value; /* one of values */
	uint8_t arg;
	uint32_t only;
	bool tied;
};

struct profile_cond {
	enum profile_when when;
	uint8_t arg, count;
	uint32_t values[PROFILE_VALUES];
	struct profile_tie tie;
};

struct profile_call {
	const char *name; /* as libseccomp knows it; skipped where the architecture lacks it */
	unsigned who;     /* bits 1 << enum sandbox_profile */
	const struct profile_cond *cond;
	const char *why;
};

/* What the steps before seccomp leave. */
struct profile_limits {
	const char *name;
	rlim_t files;    /* RLIMIT_NOFILE, or less where the hard limit is lower */
	rlim_t size;     /* RLIMIT_FSIZE in bytes: 0 for who writes no file */
	bool keeps_root; /* needs paths that start at the real root: no chroot */
	bool searches;   /* keeps CAP_DAC_READ_SEARCH, if Landlock is there to bound it */
	rlim_t memory;   /* RLIMIT_AS in bytes, RLIM_INFINITY for none */
};

/* All rows; *n is their number. A call has at most one row per profile. */
const struct profile_call *profile_calls(size_t *n);

/* The row of a call in a profile, NULL when it is forbidden there. */
const struct profile_call *profile_find(enum sandbox_profile p, const char *name);

const struct profile_limits *profile_limits(enum sandbox_profile p);

#endif
