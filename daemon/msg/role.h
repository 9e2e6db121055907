/*
 * The roles: every process of the appliance that speaks the message layer, in one list.
 * Part of the message layer; compiled into every process. Trusts nobody.
 */
#ifndef DAEMON_MSG_ROLE_H
#define DAEMON_MSG_ROLE_H

/*
 * name, word used in logs, libexec binary ("" for none), rank.
 * Rank is how much trust the role carries: of two peers that disagree, the one with the lower
 * rank is to blame (DESIGN.md section 2, "Blame is asymmetric").
 */
#define ROLE_LIST(X)                                                                               \
	X(ROLE_PARENT, "parent", "", 9)                                                            \
	X(ROLE_NET, "net", "klerod-net", 1)                                                        \
	X(ROLE_TLSKEY, "tlskey", "klerod-hsm", 6)                                                  \
	X(ROLE_ENGINE, "engine", "klerod-engine", 4)                                               \
	X(ROLE_HSM, "hsm", "klerod-hsm", 7)                                                        \
	X(ROLE_KEYADM, "keyadm", "klerod-keyadm", 8)                                               \
	X(ROLE_KDF, "kdf", "klerod-kdf", 2)                                                        \
	X(ROLE_OUT, "out", "klerod-out", 1)                                                        \
	X(ROLE_BEACON, "beacon", "klerod-beacon", 3)                                               \
	X(ROLE_CTL, "ctl", "", 0)

enum role {
#define X(name, word, binary, rank) name,
	ROLE_LIST(X)
#undef X
	    ROLE_COUNT
};

/* The word for a log line; never NULL. */
const char *role_word(enum role r);

/* The file name of the role's program in the libexec folder, "" for none. */
const char *role_binary(enum role r);

/* 0 (a stranger) to 9 (parent). */
int role_rank(enum role r);

#endif
