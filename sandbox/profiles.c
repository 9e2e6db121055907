/*
 * The posture of every role on one screen: which system calls it may make once it has entered
 * its sandbox, under which condition, and why. Read once, in each child, by filter.c. What no row
 * names ends the process (filter.c); so a row here is a right, and each was seen in a trace on
 * Debian 12 or 13 or is a libc's other way to do the same.
 */
#include "sandbox/profiles.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>

#define NET    (1u << SANDBOX_NET)
#define TLSKEY (1u << SANDBOX_TLSKEY)
#define ENGINE (1u << SANDBOX_ENGINE)
#define HSM    (1u << SANDBOX_HSM)
#define WIDE   (1u << SANDBOX_HSM_WIDE)
#define KEYADM (1u << SANDBOX_KEYADM)
#define KDF    (1u << SANDBOX_KDF)
#define ALL    (NET | TLSKEY | ENGINE | HSM | WIDE | KEYADM | KDF)
#define CRYPTO (TLSKEY | HSM | WIDE | KEYADM) /* those with a PKCS#11 module inside */
#define CLOSED (TLSKEY | HSM)                 /* those of them that have closed the file system */
#define LOOP   (NET | ENGINE)                 /* those on libevent */

#define ANY                                                                                        \
	{                                                                                          \
		PROFILE_ALWAYS, 0, 0,                                                              \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define REFUSE                                                                                     \
	{                                                                                          \
		PROFILE_REFUSE, 0, 0,                                                              \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
/* mmap and mprotect take the protection as their third argument */
#define NO_EXEC                                                                                    \
	{                                                                                          \
		PROFILE_BITS_OFF, 2, 1,                                                            \
		{                                                                                  \
			PROT_EXEC                                                                  \
		}                                                                                  \
	}
/* openat takes the flags as its third argument */
#define READ_ONLY                                                                                  \
	{                                                                                          \
		PROFILE_BITS_OFF, 2, 1,                                                            \
		{                                                                                  \
			O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND                           \
		}                                                                                  \
	}
#define CHAN_FLAGS                                                                                 \
	{                                                                                          \
		PROFILE_ONE_OF, 1, 2,                                                              \
		{                                                                                  \
			F_SETFL, F_DUPFD_CLOEXEC                                                   \
		}                                                                                  \
	}
/* setsockopt takes the option as its third argument */
#define QUICK_ACK                                                                                  \
	{                                                                                          \
		PROFILE_ONE_OF, 2, 1,                                                              \
		{                                                                                  \
			TCP_QUICKACK                                                               \
		}                                                                                  \
	}
#define STORE_FLAGS                                                                                \
	{                                                                                          \
		PROFILE_ONE_OF, 1, 5,                                                              \
		{                                                                                  \
			F_SETFL, F_DUPFD_CLOEXEC, F_GETLK, F_SETLK, F_ADD_SEALS                    \
		}                                                                                  \
	}
#define TOKEN_FLAGS                                                                                \
	{                                                                                          \
		PROFILE_ONE_OF, 1, 5,                                                              \
		{                                                                                  \
			F_GETFD, F_SETFD, F_GETFL, F_SETLK, F_SETLKW                               \
		}                                                                                  \
	}

static const struct profile_call calls[] = {
    /* memory: never executable */
    {"mmap", ALL, NO_EXEC, "malloc, Argon2's blocks, SQLite's shared index"},
    {"munmap", ALL, ANY, "free"},
    {"brk", ALL, ANY, "malloc"},
    {"mremap", LOOP | CRYPTO, ANY, "realloc of large blocks"},
    {"mprotect", ENGINE | CRYPTO, NO_EXEC, "guard pages around secrets"},
    {"madvise", ENGINE | CRYPTO, ANY, "secrets stay out of core files"},
    {"mlock", ENGINE | CRYPTO, ANY, "secrets stay out of swap"},
    {"munlock", ENGINE | CRYPTO, ANY, "secrets are given back"},

    /* the channels to parent and to the peers, the log line, the end */
    {"recvmsg", ALL, ANY, "a message, with its descriptor"},
    {"sendmsg", ALL, ANY, "a message, with its descriptor"},
    {"write", ALL, ANY, "a log line; TLS records in net; files in engine and keyadm"},
    {"close", ALL, ANY, "a stale channel, a connection"},
    {"exit_group", ALL, ANY, "the end"},

    /* waiting, locks, time, randomness */
    {"poll", ALL, ANY, "the loop of the blocking roles; net waits for a signature, engine for hsm"},
    {"ppoll", ALL, ANY, "poll where the architecture has no poll"},
    {"restart_syscall", ALL, ANY, "the kernel goes on with a wait after SIGSTOP and SIGCONT"},
    {"getrandom", ALL, ANY, "salts; libcrypto's generator seeds itself again"},
    {"futex", LOOP | CRYPTO, ANY, "locks inside libraries"},
    {"clock_gettime", LOOP | CRYPTO, ANY, "time, where the kernel offers no vDSO"},
    {"gettimeofday", LOOP | CRYPTO, ANY, "time, where the kernel offers no vDSO"},
    {"time", LOOP | CRYPTO, ANY, "time, where the kernel offers no vDSO"},
    {"getpid", LOOP | CRYPTO, ANY, "SQLite and libcrypto: have we forked?"},
    {"epoll_wait", LOOP, ANY, "the loop of libevent"},
    {"epoll_pwait", LOOP, ANY, "epoll_wait where the architecture has none"},
    {"epoll_pwait2", LOOP, ANY, "a newer libevent's loop"},
    {"epoll_ctl", LOOP, ANY, "the loop of libevent"},

    /* net: clients */
    {"accept4", NET, ANY, "a client"},
    {"shutdown", NET, ANY, "a client's end"},
    {"setsockopt", NET, QUICK_ACK, "a handshake's last packet is acknowledged at once"},
    {"fcntl", NET, CHAN_FLAGS, "non-blocking channels, a descriptor kept in a queue"},
    {"read", LOOP | WIDE | KEYADM, ANY, "TLS records; files"},
    {"pread64", LOOP, ANY, "a piece of a large answer; a page of the store"},

    /* engine: the store, within the folder that Landlock leaves open */
    {"openat", ENGINE, ANY, "database, journal, proofs"},
    {"fcntl", ENGINE, STORE_FLAGS, "as in net; SQLite's locks; a large answer is sealed"},
    {"pwrite64", ENGINE, ANY, "a page of the store"},
    {"fdatasync", ENGINE, ANY, "durable"},
    {"fsync", ENGINE | KEYADM, ANY, "durable"},
    {"ftruncate", ENGINE | KEYADM, ANY, "journal, shared index; token objects"},
    {"fstat", ENGINE | WIDE | KEYADM, ANY, "the size of a file"},
    {"newfstatat", ENGINE | WIDE | KEYADM, ANY, "is the journal there? fstat of some libcs"},
    {"access", ENGINE | WIDE | KEYADM, ANY, "is the journal there?"},
    {"faccessat", ENGINE | WIDE | KEYADM, ANY, "access where the architecture has none"},
    {"faccessat2", ENGINE | WIDE | KEYADM, ANY, "access of a newer libc"},
    {"readlink", ENGINE, ANY, "SQLite resolves the path of the store"},
    {"readlinkat", ENGINE, ANY, "readlink where the architecture has none"},
    {"getcwd", ENGINE, ANY, "SQLite makes a path absolute"},
    {"unlink", ENGINE | KEYADM, ANY, "the journal's end; a lock file"},
    {"unlinkat", ENGINE | KEYADM, ANY, "unlink where the architecture has none; a half-made proof"},
    {"renameat", ENGINE, ANY, "a finished proof takes its name"},
    {"renameat2", ENGINE, ANY, "renameat of a newer libc"},
    {"mkdir", ENGINE, ANY, "the folder of proofs"},
    {"mkdirat", ENGINE, ANY, "mkdir where the architecture has none"},
    {"geteuid", ENGINE, ANY, "SQLite: may the journal's owner be set?"},
    {"fchmod", ENGINE, ANY, "SQLite gives the shared index the store's mode"},
    {"memfd_create", ENGINE, ANY, "a large answer"},

    /* the PKCS#11 module */
    {"openat", WIDE, READ_ONLY, "token objects, for reading"},
    {"openat", KEYADM, ANY, "token objects, within the folder that Landlock leaves open"},
    {"fcntl", WIDE | KEYADM, TOKEN_FLAGS, "the locks of token objects"},
    {"lseek", WIDE | KEYADM, ANY, "stdio"},
    {"getdents64", WIDE | KEYADM, ANY, "the objects of a token"},
    {"openat", CLOSED, REFUSE, "syslog and the time zone, after a bad ciphertext"},
    {"newfstatat", CLOSED, REFUSE, "the time zone again"},
    {"access", CLOSED, REFUSE, "a module looks for its files"},
    {"socket", CRYPTO, REFUSE, "syslog, after a bad ciphertext"},
    {"connect", CRYPTO, REFUSE, "syslog goes on"},
    {"sendto", CRYPTO, REFUSE, "syslog goes on"},
};

static const struct profile_limits limits[SANDBOX_PROFILES] = {
    [SANDBOX_NET] = {"net", 65536, false, false, false, RLIM_INFINITY},
    [SANDBOX_TLSKEY] = {"tlskey", 64, false, false, false, RLIM_INFINITY},
    [SANDBOX_ENGINE] = {"engine", 1024, true, false, false, RLIM_INFINITY},
    [SANDBOX_HSM] = {"hsm", 64, false, false, false, RLIM_INFINITY},
    [SANDBOX_HSM_WIDE] = {"hsm-wide", 256, false, true, false, RLIM_INFINITY},
    /* the token folder may lie where only root passes through, such as below /root */
    [SANDBOX_KEYADM] = {"keyadm", 256, true, true, true, RLIM_INFINITY},
    [SANDBOX_KDF] = {"kdf", 32, false, false, false, (rlim_t)512 << 20},
};

const struct profile_call *profile_calls(size_t *n)
{
	*n = sizeof calls / sizeof calls[0];
	return calls;
}

const struct profile_call *profile_find(enum sandbox_profile p, const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if ((calls[i].who & (1u << p)) != 0 && strcmp(calls[i].name, name) == 0)
			return &calls[i];
	return NULL;
}

const struct profile_limits *profile_limits(enum sandbox_profile p)
{
	return &limits[p];
}
