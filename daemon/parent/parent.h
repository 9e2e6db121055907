/*
 * The parent's one context and what its parts offer each other. klerod's first process: root with
 * four capabilities, or the invoking user. It reads the configuration, opens what must be opened
 * by root, starts the roles, watches over them and replaces them. It decodes nothing but the fixed
 * control messages of its children, and it has no library in it that parses what clients send.
 */
#ifndef DAEMON_PARENT_PARENT_H
#define DAEMON_PARENT_PARENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/conf/conf.h"
#include "daemon/msg/log.h"
#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/role.h"
#include "daemon/parent/dgram.h"
#include "daemon/parent/sink.h"

#define PARENT_CHILDREN                                                                            \
	(8 + 2 * CONF_CHILD_MAX) /* two hsms, two tlskeys, engine, keyadm, out, beacon, kdfs,      \
				    nets */

#ifndef PARENT_START_MS       /* under valgrind all takes longer */
#define PARENT_START_MS 30000 /* from exec to READY; a network HSM takes its time */
#define PARENT_PONG_MS  15000 /* a role that is silent for so long is replaced */
#endif
#define PARENT_ACT_MS  120000 /* for one action of keyadm: so does making a key */
#define PARENT_PING_MS 5000   /* between two questions of the watchdog */
#define PARENT_STOP_MS 10000  /* to finish what is in flight */

enum child_state {
	CHILD_NONE,     /* no process; due at next_ms */
	CHILD_STARTING, /* has its configuration, not READY yet */
	CHILD_READY,
	CHILD_STOPPING, /* was told to finish */
	CHILD_DYING,    /* was killed, not yet reaped */
	CHILD_STATES
};

struct child {
	enum role role;
	uint8_t index;
	uint32_t life; /* the process is the one of the life-th start */
	enum child_state state;
	bool idle; /* started when it is asked for, and not replaced */
	bool held; /* introduced to its peers when it is ready, not before */
	pid_t pid;
	uid_t uid;           /* its role's, once it has given up root */
	int ctl, log;        /* our ends; -1 when closed */
	int64_t since_ms;    /* of the present state */
	int64_t deadline_ms; /* until it is killed: start, PONG or stop; 0: none */
	int64_t next_ms;     /* next PING, or next start */
	uint32_t lost;       /* starts without its device, one after the other */
	bool worn;           /* it has asked for a fresh one in its place */
	int64_t waited_ms;   /* before the last of them */
	bool overdue;        /* killed because it did not answer */
	bool again;          /* killed because it read what keyadm was about to write */
	bool spoke;          /* an error line of it has reached standard error */
	uint32_t stale;      /* blames of processes that were gone already */
	char line[1200];     /* of its log, unfinished */
	size_t line_len;
	int64_t log_ms;       /* when log_left was reckoned */
	size_t log_left;      /* bytes that it may still say */
	uint32_t log_dropped; /* lines that were too many */
};

/* When the last deaths of a role were: a ring of as many as the budget allows. */
struct deaths {
	int64_t *at_ms;
	uint32_t n;
};

/* A token as parent knows it: daemon/parent/tokens.c */
#define TOKEN_HASH 32
struct token {
	uint8_t given[TOKEN_HASH], bad[TOKEN_HASH]; /* the PIN given last, the one refused last */
	bool refused, locked, other;
	uint8_t nkeys; /* that served last */
	uint8_t keys[RCONF_KEYS][RCONF_KEY_NAME];
};

struct tokens {
	uint8_t key[32]; /* of the hashes */
	bool keyed;
	struct token of[2]; /* klero-keys, klero-tls */
	uint8_t told[2];    /* enum token_state, as engine knows it */
};

/* What officers have approved, while keyadm and fresh key holders are at it: daemon/parent/act.c */
struct act {
	int64_t renew_ms;      /* no fresh hsm for a worn one before, */
	int64_t renew_wait_ms; /* which is so long after the last */
	bool busy;
	bool tls;        /* it is about the TLS key */
	bool completing; /* nobody's approval: the token is not whole (act_complete) */
	bool completed;  /* that was done once since an hsm was ready */
	bool made;       /* keyadm is through, and this is what becomes of it: */
	int result;
	char reason[448];
	char
	    cert_pem[sizeof((struct rconf_keyadm_done *)0)->cert_pem]; /* "": no TLS key was made */
	uint64_t audit; /* the head of the store's audit chain, as engine tells it */
	uint8_t audit_hash[32];
	char text[RCONF_KEYADM_TEXT], approvals[RCONF_KEYADM_APPROVALS];
};

/* The service manager, when there is one: daemon/parent/service.c */
struct service {
	struct dgram to;
	bool on, stopping;
	int64_t watchdog_ms,
	    next_ms;             /* how long it waits for word (0: it does not); the next one */
	char url[96], told[400]; /* where klerod serves; the last state that it was told */
};

enum parent_phase {
	PHASE_BOOT,     /* any death is final */
	PHASE_RUNNING,  /* the dead are replaced */
	PHASE_STOPPING, /* stage by stage, downwards */
	PHASE_DONE
};

struct parent {
	struct conf conf;
	const char *conf_path;
	char libexec[RCONF_PATH];
	char empty[RCONF_PATH];                          /* the folder that the roles chroot into */
	int null, signals, listen, ctl, limits, journal; /* descriptors */
	struct sink log;
	struct service service;
	struct child children[PARENT_CHILDREN];
	size_t n;
	struct deaths deaths[ROLE_COUNT];
	enum parent_phase phase;
	struct act act;
	uint8_t restore; /* of engine's configuration: kleroctl restore alone sets it */
	struct tokens tokens;
	bool
	    told; /* why the start fails stands on standard error: one line, the log has the rest */
	int stage; /* of boot upwards, of the stop downwards: roles_stage() */
	int exit_code;
	uint8_t buf[MSG_MAX];
	struct pollfd poll[2 + 2 * PARENT_CHILDREN];
};

/* Monotonic milliseconds. */
int64_t parent_now(void);

/* Ends everything in order; code becomes the exit status. A second call kills. */
void parent_stop(struct parent *p, int code);

#endif
