/*
 * The posture of every role on one screen: which system calls it may make once it has entered
 * its sandbox, under which condition, and why. Read once, in each child, by filter.c. What no row
 * names ends the process (filter.c), so a row here is a right. Each is needed:
 * tests/escape/calls.py takes them away one by one, on Debian 12 and 13, and something breaks each
 * time. "as Debian 13 asks" is needed there and not on 12, "as Debian 12 asks" the other way round;
 * "kept" is not needed in any test.
 */
#include "sandbox/profiles.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define NET    (1u << SANDBOX_NET)
#define TLSKEY (1u << SANDBOX_TLSKEY)
#define ENGINE (1u << SANDBOX_ENGINE)
#define HSM    (1u << SANDBOX_HSM)
#define WIDE   (1u << SANDBOX_HSM_WIDE)
#define KEYADM (1u << SANDBOX_KEYADM)
#define BASE   (1u << SANDBOX_KEYADM_DB)
#define KDF    (1u << SANDBOX_KDF)
#define OUT    (1u << SANDBOX_OUT)
#define BEACON (1u << SANDBOX_BEACON)
#define ALL    (NET | TLSKEY | ENGINE | HSM | WIDE | WRITER | KDF | OUT | BEACON)
#define LOOP   (NET | ENGINE)        /* those on libevent */
#define SERVE  (TLSKEY | HSM | WIDE) /* those on serve() with a PKCS#11 module inside */
#define WRITER (KEYADM | BASE)       /* those that write the token */
#define TOKEN  (WIDE | WRITER)       /* those that touch the token's files */

/* Newer architectures lack the older one of two calls that do the same. */
#ifdef __x86_64__
#define CALL(older, newer) older
#else
#define CALL(older, newer) newer
#endif

/* Conditions on argument n, counted from 0. */
#define OFF(n, bits)      .when = PROFILE_BITS_OFF, .arg = (n), .count = 1, .values = {(bits)}
#define ONE_OF(n, k, ...) .when = PROFILE_ONE_OF, .arg = (n), .count = (k), .values = {__VA_ARGS__}
#define TIE(v, n, to)     .tie = {.tied = true, .value = (v), .arg = (n), .only = (to)}
#define WRITING           (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)

static const struct profile_cond always = {.when = PROFILE_ALWAYS};
static const struct profile_cond refused = {.when = PROFILE_REFUSE};
/* mmap and mprotect take the protection as their third argument, openat the flags */
static const struct profile_cond no_exec = {OFF(2, PROT_EXEC)};
static const struct profile_cond read_only = {OFF(2, WRITING)};
/* descriptors may be shared, such as the listening socket: nobody may make it block */
static const struct profile_cond chan_flags = {
    ONE_OF(1, 2, F_SETFL, F_DUPFD_CLOEXEC), TIE(F_SETFL, 2, O_NONBLOCK)};
static const struct profile_cond store_flags = {
    ONE_OF(1, 5, F_SETFL, F_DUPFD_CLOEXEC, F_GETLK, F_SETLK, F_ADD_SEALS),
    TIE(F_SETFL, 2, O_NONBLOCK)};
static const struct profile_cond lock_flags = {ONE_OF(1, 3, F_GETFL, F_SETLK, F_SETLKW)};
static const struct profile_cond token_flags = {ONE_OF(1, 4, F_SETFD, F_GETFL, F_SETLK, F_SETLKW)};
static const struct profile_cond base_flags = {ONE_OF(1, 4, F_SETFD, F_GETFL, F_GETLK, F_SETLK)};
/* the other direction would end the listening socket for all net processes */
static const struct profile_cond own_end = {ONE_OF(1, 1, SHUT_WR)};
static const struct profile_cond internet = {ONE_OF(0, 2, AF_INET, AF_INET6)};
static const struct profile_cond no_delay = {
    ONE_OF(2, 3, TCP_NODELAY, IP_RECVERR, IPV6_RECVERR), TIE(TCP_NODELAY, 1, IPPROTO_TCP)};
/* libcurl sets what it reads and O_NONBLOCK; our channel is set to the same */
static const struct profile_cond client_flags = {
    ONE_OF(1, 2, F_GETFL, F_SETFL), TIE(F_SETFL, 2, O_RDWR | O_NONBLOCK)};
static const struct profile_cond quick_ack = {
    ONE_OF(2, 1, TCP_QUICKACK), TIE(TCP_QUICKACK, 1, IPPROTO_TCP)};

static const struct profile_call calls[] = {
    /* memory: never executable */
    {"mmap", LOOP | SERVE | KDF | OUT | BEACON, &no_exec,
	"malloc, Argon2's blocks, SQLite's shared index"},
    {"munmap", LOOP | SERVE | KDF | OUT | BEACON, &always, "free"},
    {"brk", LOOP | SERVE | OUT | BEACON, &always, "malloc"},
    {"mremap", LOOP | SERVE | OUT | BEACON, &always, "realloc of large blocks"},
    {"brk", KDF, &always, "malloc; kept: whether Argon2's 128 KiB need it hangs on a few bytes"},
    {"brk", WRITER, &always, "malloc on Debian 13; kept: to die while it writes may cost a token"},
    {"mmap", WRITER, &no_exec, "malloc; kept, as brk"},
    {"munmap", WRITER, &always, "free; kept, as brk"},
    {"mremap", WRITER, &always, "realloc; kept, as brk"},
    {"mprotect", ENGINE, &no_exec, "guard pages around secrets"},
    {"madvise", ENGINE, &always, "secrets stay out of core files"},
    {"mlock", ENGINE, &always, "secrets stay out of swap"},
    {"munlock", ENGINE, &always, "secrets are given back"},

    /* the channels to parent and to the peers, the log line, the end */
    {"recvmsg", LOOP | SERVE | KDF | OUT | BEACON, &always, "a message, with its descriptor"},
    {"sendmsg", ALL, &always, "a message, with its descriptor"},
    {"write", ALL, &always,
	"a log line; TLS records in net; files in engine and keyadm; hsm's journal"},
    {"close", ALL, &always, "a stale channel, a connection, a file"},
    {"exit_group", ALL, &always, "the end"},

    /* waiting, locks, time, randomness */
    {CALL("poll", "ppoll"), NET | SERVE | KDF | OUT | BEACON, &always,
	"the loop of the blocking roles and of out; net waits for a signature"},
    {"restart_syscall", NET | SERVE | KDF | OUT | BEACON, &always,
	"the kernel goes on with a poll after SIGSTOP and SIGCONT"},
    {"getrandom", ALL & ~BEACON, &always,
	"salts; libcrypto's generator seeds itself again by the hour"},
    {"futex", NET | WRITER | OUT, &always, "locks inside libraries"},
    {"futex", ENGINE | BEACON, &always, "locks inside libraries, as Debian 12 asks"},
    {"clock_gettime", ALL & ~BASE, &always,
	"time, where the kernel offers no vDSO, or no quick clock"},
    {"gettimeofday", LOOP | BASE, &always, "time, where the kernel offers no vDSO"},
    {"gettimeofday", OUT, &always, "time, where there is no vDSO, as Debian 13 asks"},
    {"time", LOOP | SERVE | TOKEN | OUT, &always, "time, where the kernel offers no vDSO"},
    {"getpid", LOOP | SERVE | WRITER | OUT, &always, "SQLite and libcrypto: have we forked?"},
    {CALL("epoll_wait", "epoll_pwait"), LOOP, &always, "the loop of libevent"},
    {"epoll_ctl", LOOP, &always, "the loop of libevent"},

    /* net: clients */
    {"accept4", NET, &always, "a client"},
    {"shutdown", NET, &own_end, "a client's end"},
    {"setsockopt", NET, &quick_ack, "a handshake's last packet is acknowledged at once"},
    {"fcntl", NET, &chan_flags, "non-blocking channels, a descriptor kept in a queue"},
    {"read", LOOP | WIDE | KEYADM, &always, "TLS records; files"},
    {"pread64", LOOP, &always, "a piece of a large answer; a page of the store"},
    {"pread64", HSM | TOKEN, &always, "what another hsm has added to the journal; a token's page"},

    /* out: relays and hosts by HTTPS, names by DNS; to which ports of TCP is Landlock's to say */
    {"socket", OUT, &internet, "a connection, a question by DNS; of IPv6, too"},
    {"connect", OUT, &always, "a connection, a question by DNS"},
    {"fcntl", OUT, &client_flags, "non-blocking sockets and channels"},
    {"setsockopt", OUT, &no_delay,
	"no delay; errors of a DNS server are told at once, by IPv6, too"},
    {"getsockopt", OUT, &always, "did the connection come about?"},
    {"getpeername", OUT, &always, "libcurl notes whom it speaks to, as Debian 12 asks"},
    {"getsockname", OUT, &always, "libcurl notes as whom it speaks"},
    {"sendto", OUT, &always, "TLS records; a question by DNS"},
    {"recvfrom", OUT, &always, "TLS records; an answer by DNS"},
    {"writev", OUT, &always, "a question by DNS over TCP, after an answer that was cut"},
    {"read", OUT, &always, "its answer"},

    /* engine: the store, within the folder that Landlock leaves open */
    {"openat", ENGINE, &always, "database, journal, proofs"},
    {"fcntl", ENGINE, &store_flags, "as in net; SQLite's locks; a large answer is sealed"},
    {"pwrite64", ENGINE | BASE, &always, "a page of the store, of a token"},
    {"fdatasync", ENGINE | HSM | TOKEN, &always, "durable"},
    {"fsync", ENGINE | WRITER, &always, "durable"},
    {"ftruncate", ENGINE | KEYADM, &always, "journal, shared index; token objects"},
    {"ftruncate", BASE, &always, "SQLite undoes a change by which the token grew; kept, as brk"},
    {"newfstatat", ENGINE | WRITER, &always, "is the journal there?"},
    {"newfstatat", WIDE, &always, "how large is a file? as Debian 12 asks"},
    {"fstat", ENGINE | TOKEN, &always, "how large is a file? as Debian 13 asks"},
    {CALL("access", "faccessat"), ENGINE | BASE, &always, "is the journal there?"},
    {CALL("unlink", "unlinkat"), ENGINE | WRITER, &always, "the journal's end; a lock file"},
#ifdef __x86_64__
    {"unlinkat", ENGINE, &always, "a half-made proof"},
#endif
    {"renameat", ENGINE, &always, "a finished proof takes its name"},
    {CALL("mkdir", "mkdirat"), ENGINE, &always, "the folder of proofs"},
    {"geteuid", ENGINE | BASE, &always, "SQLite: may the journal's owner be set?"},
    {"fchmod", ENGINE | BASE, &always, "SQLite gives a journal the mode of its database"},
    {"memfd_create", ENGINE, &always, "a large answer"},

    /* the PKCS#11 module */
    {"openat", WIDE, &read_only, "token objects, for reading"},
    {"openat", WRITER, &always, "token objects, within the folder that Landlock leaves open"},
    {"fcntl", WIDE, &lock_flags, "the locks of token objects"},
    {"fcntl", KEYADM, &token_flags, "the locks of token objects"},
    {"fcntl", BASE, &base_flags, "SQLite's locks"},
    {"clock_nanosleep", BASE, &always, "SQLite waits for another process's lock"},
    {"lseek", KEYADM, &always, "stdio"},
    {"getdents64", TOKEN, &always, "the objects of a token, again after keyadm has written"},
    {"socket", HSM | WIDE | KEYADM, &refused, "syslog, after a bad ciphertext"},
};

/* hsm's journal holds a million records of 128 bytes, and some that were not finished */
#define JOURNAL_BYTES ((rlim_t)160 << 20)

static const struct profile_limits limits[SANDBOX_PROFILES] = {
    [SANDBOX_NET] = {"net", 65536, 0, false, false, RLIM_INFINITY},
    [SANDBOX_TLSKEY] = {"tlskey", 64, 0, false, false, RLIM_INFINITY},
    [SANDBOX_ENGINE] = {"engine", 1024, RLIM_INFINITY, false, false, RLIM_INFINITY},
    [SANDBOX_HSM] = {"hsm", 64, JOURNAL_BYTES, false, false, RLIM_INFINITY},
    /* the token's files are keyadm's; they may lie where only root passes through, as in /root */
    [SANDBOX_HSM_WIDE] = {"hsm-wide", 256, JOURNAL_BYTES, true, true, RLIM_INFINITY},
    [SANDBOX_KEYADM] = {"keyadm", 256, RLIM_INFINITY, true, true, RLIM_INFINITY},
    [SANDBOX_KEYADM_DB] = {"keyadm-db", 256, RLIM_INFINITY, true, true, RLIM_INFINITY},
    [SANDBOX_KDF] = {"kdf", 32, 0, false, false, (rlim_t)512 << 20},
    [SANDBOX_OUT] = {"out", 64, 0, false, false, (rlim_t)512 << 20},
    [SANDBOX_BEACON] = {"beacon", 32, 0, false, false, (rlim_t)256 << 20},
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
