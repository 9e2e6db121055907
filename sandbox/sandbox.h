/*
 * What a process gives up before it meets input: rlimits, root folder, uids, Landlock, seccomp
 * (DESIGN.md section 2). Runs in every child, once, after its warm-up. Trusts nobody; includes
 * nothing of daemon/, so failures come back as words.
 * Sources: seccomp(2), landlock(7), libseccomp's manual.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/ke.h"

enum sandbox_profile {
	SANDBOX_NET,
	SANDBOX_TLSKEY,
	SANDBOX_ENGINE,
	SANDBOX_HSM,
	SANDBOX_HSM_WIDE, /* a module without C_CopyObject: may read its token folder */
	SANDBOX_KEYADM,
	SANDBOX_KEYADM_DB, /* a module whose tokens are SQLite databases: pkcs11-store database */
	SANDBOX_KDF,
	SANDBOX_OUT,
	SANDBOX_BEACON,
	SANDBOX_PROFILES
};

struct sandbox_path {
	const char *path;
	bool write;
};

struct sandbox_params {
	enum sandbox_profile profile;
	bool drop; /* false: started without root, uid and chroot are skipped */
	uid_t uid;
	gid_t gid;
	/* folder to chroot into, NULL or "" for none; hsm-wide and keyadm keep theirs */
	const char *root;
	const struct sandbox_path *paths; /* what Landlock leaves open */
	size_t npaths;
	const uint16_t *ports; /* of TCP, to which it may connect, where the kernel can tell */
	size_t nports;
};

/* no_new_privs, not dumpable, PDEATHSIG, no core, every descriptor from `first` on closed. */
int sandbox_early(int first, char *why, size_t whylen) KE_CHECK;

/*
 * A first step for a process that reads secrets from files which it must never change: from here
 * on no file can be written, made or removed (Landlock; nothing happens on a kernel without).
 */
int sandbox_no_writes(char *why, size_t whylen) KE_CHECK;

/*
 * For a process that is still root but must open files as who it is going to be: their owner. What
 * it may look into as root it still may, where it is allowed to keep that.
 */
int sandbox_files_as(uid_t uid, gid_t gid, char *why, size_t whylen) KE_CHECK;

/*
 * rlimits → chroot → setgroups/setresgid/setresuid, verified → Landlock → seccomp. On failure
 * why says which step and why; the caller must not go on. note receives what the kernel lacks
 * (Landlock ABI), "" when nothing.
 */
int sandbox_enter(
    const struct sandbox_params *p, char *note, size_t notelen, char *why, size_t whylen) KE_CHECK;

/*
 * The profile's name, and its i-th system call by name (conditional and refused ones included),
 * NULL when there are no more.
 */
const char *sandbox_profile_name(enum sandbox_profile p);
const char *sandbox_call(enum sandbox_profile p, size_t i);

/*
 * The least capability that this process has and that lets root look into folders of others:
 * CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container was given only that; -1 for none.
 */
int sandbox_search_capability(void);

/* False in sanitizer builds, which leave seccomp out at compile time. */
bool sandbox_has_seccomp(void);

#endif
