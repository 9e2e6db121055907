/*
 * How every child starts: descriptor 3, its configuration, its sandbox, "ready". One order for
 * all (DESIGN.md section 2, "Start"); a role's main reads top to bottom:
 *
 *	start_early(ROLE_X);                          nothing inherited, not dumpable, dies with
 *parent start_receive(ROLE_X, MSG_X_CONF, buf, &m);   configuration
 *	... warm up ...
 *	start_sandbox(ROLE_X, &conf.id, paths, n);    rlimits, chroot, uids, Landlock, seccomp
 *	start_ready(ROLE_X);
 *
 * Part of the message layer. Every failure is fatal.
 */
#ifndef DAEMON_MSG_START_H
#define DAEMON_MSG_START_H

#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"

struct sandbox_path;

/* A peer as parent introduces it, and as it is blamed. */
struct start_peer {
	enum role role;
	uint8_t index;
	uint32_t life; /* parent's count of its starts: a successor is not to blame */
};

#define START_PEER_BYTES 6
void start_put_peer(struct wire_out *w, const struct start_peer *p);
int start_get_peer(struct wire_in *r, struct start_peer *p) KE_CHECK;

/* Closes every descriptor but 0-3, sets no_new_privs, PDEATHSIG, not dumpable, no core. */
void start_early(enum role self);

/* Blocks for one message of the wanted type on descriptor 3. buf holds MSG_MAX bytes. */
void start_receive(enum role self, uint16_t type, uint8_t *buf, struct msg *m);

/* No file is changed from here on: before a warm-up that reads what it must not damage. */
void start_no_writes(enum role self);

/* Files are opened as the role's own user from here on, before it becomes that user. */
void start_files_as(enum role self, const struct rconf_identity *id);

/*
 * Enters the role's sandbox; the profile is the role's own. wide: hsm or tlskey on a module without
 * C_CopyObject, keyadm on one whose tokens are databases.
 */
void start_sandbox(enum role self, const struct rconf_identity *id,
    const struct sandbox_path *paths, unsigned n, bool wide);

/* The same for out, which reaches no file and may connect to these ports of TCP. */
void start_sandbox_ports(
    enum role self, const struct rconf_identity *id, const uint16_t *ports, unsigned n);

/* Sends the role's READY message. */
void start_ready(enum role self);
/* The same with the body that the role's READY has. */
void start_ready_with(enum role self, const void *body, size_t len);

/* Tells parent that a fresh hsm is wanted in this one's place. */
void start_worn(void);

/*
 * The control messages that every role answers alike: PING is answered by PONG, a PEER message
 * yields the peer (the descriptor stays in m->fd), STOP is reported.
 */
enum start_ctl { START_OTHER, START_PING, START_PEER, START_STOP };
enum start_ctl start_control(enum role self, const struct msg *m, struct start_peer *peer);

/* Tells parent that this peer broke the protocol; parent replaces it. The caller closes it. */
void start_blame(enum role self, const struct start_peer *peer);

#endif
