/*
 * The message layer: one message is one packet of an AF_UNIX SOCK_SEQPACKET socket, a 16-byte
 * little-endian header (u16 version, u16 type, u32 length, u64 request id), a body of at most
 * 64 KiB and at most one descriptor (DESIGN.md section 3). daemon/msg.def lists the messages.
 * Compiled into every process. Trusts no peer: whatever the table does not allow is KE_PEER.
 */
#ifndef DAEMON_MSG_MSG_H
#define DAEMON_MSG_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/msg/role.h"
#include "policy/ke.h"

#define MSG_VERSION  1
#define MSG_HDR      16
#define MSG_BODY_MAX 65536
#define MSG_MAX      (MSG_HDR + MSG_BODY_MAX)
#define MSG_CTL_FD   3 /* the channel to the parent, in every child */

/* States of a receiver, bits of msg.def's column "when". */
enum msg_when { PRE = 1, RUN = 2 };

enum msg_type {
#define MSG(name, number, from, to, min, max, fd, when, what) name = (number),
#include "daemon/msg.def"
#undef MSG
};

struct msg_rule {
	const char *name;
	uint16_t type;
	enum role from, to;
	uint32_t min, max;
	uint8_t fd, when;
};

struct msg {
	uint16_t type;
	uint64_t id;
	const uint8_t *body; /* inside the buffer given to msg_recv */
	size_t len;
	int fd; /* -1, or a descriptor that the receiver now owns (close-on-exec) */
};

/* The rule of a type, NULL for an unknown one. */
const struct msg_rule *msg_rule(uint16_t type);
/* All rules, in msg.def's order; *n is their number. */
const struct msg_rule *msg_rules(size_t *n);

/* The messages that every child has, by their use; 0 where the role has none. */
struct msg_of_role {
	uint16_t conf, ready, peer, ping, pong, stop, blame;
};

/* Never NULL; all zeros for who is nobody's child. */
const struct msg_of_role *msg_of_role(enum role role);

/*
 * Sends one message. fd is -1 or a descriptor to duplicate into the receiver; it stays the
 * caller's. KE_FULL when a non-blocking socket has no room, KE_CLOSED when the peer is gone,
 * KE_LONG, KE_IO. Never raises SIGPIPE.
 */
int msg_send(int sock, uint16_t type, uint64_t id, const void *body, size_t len, int fd) KE_CHECK;

/*
 * Receives one message that `peer` may send to `self` in state `when`: known type, legal from
 * this peer, permitted now, length, descriptor, in this order. KE_AGAIN when a non-blocking
 * socket is empty, KE_CLOSED at end, KE_PEER when the peer broke a rule (anything it sent with
 * it is closed), KE_IO. buf holds MSG_MAX bytes.
 */
int msg_recv(int sock, enum role self, enum role peer, enum msg_when when, uint8_t *buf,
    struct msg *m) KE_CHECK;

/* The checks of msg_recv on bytes already there: for fuzzing and for tests. fd as in msg. */
int msg_check(const uint8_t *packet, size_t n, int fd, enum role self, enum role peer,
    enum msg_when when, struct msg *m) KE_CHECK;

/* A fresh pair of close-on-exec SOCK_SEQPACKET sockets. */
int msg_pair(int sv[2]) KE_CHECK;

#endif
