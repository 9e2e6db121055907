/*
 * Client connections of net: accept, TLS, reading, writing, deadlines, back-pressure. A stranger
 * is at the other end. What a request means is decided in flow.h.
 *
 * A connection has one request in work at a time; while it waits for engine or for room to write,
 * nothing more is read from it. When max_connections are open, the connection that has been idle
 * longest is closed for a new one; when none is idle, new ones wait in the listening socket.
 */
#ifndef DAEMON_NET_CONN_H
#define DAEMON_NET_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/net/answer.h"
#include "daemon/net/fetch.h"
#include "daemon/net/http.h"

struct net;
struct sockaddr_storage;
struct ssl_st;

/* Each state but the last has a deadline of its own (conn.c). */
enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,    /* between requests */
	CONN_HEAD,    /* a head has begun */
	CONN_BODY,    /* the head is there, its body is coming */
	CONN_STALLED, /* a whole request is there, engine's queue is full */
	CONN_WAIT,    /* for engine's answer */
	CONN_WRITE,   /* for room to write */
	CONN_LINGER,  /* closed on our side; what still comes is thrown away */
	CONN_DEAD,    /* freed at the next tick */
	CONN_STATES
};

struct conn_buf {
	uint8_t *p;
	size_t len, cap, off; /* off: of output, what has left already */
};

struct conn {
	TAILQ_ENTRY(conn) link;    /* in the queue of its state */
	TAILQ_ENTRY(conn) waiting; /* in its fetch */
	struct fetch *fetch;
	struct net *net;
	struct ssl_st *tls;
	struct event readable, writable;
	enum conn_state state;
	int fd;
	uint32_t slot;
	bool reads;    /* the read event is on */
	bool admitted; /* counted against the limits already (100-continue) */
	bool interim;  /* what is being written is a 100, not the answer */
	int64_t due_ms;
	uint64_t id; /* of the request that engine has; 0: none */
	uint8_t address[16];
	struct http http;
	struct reply reply;
	struct conn_buf in, out;
	int file; /* -1: none */
	uint64_t file_off, file_left;
	size_t moved; /* bytes since the deadline was set: written, or thrown away */
};

struct conns {
	struct conn **slots; /* max of them, NULL: free */
	uint32_t *free;      /* a stack of free slots */
	uint32_t nfree, max;
	uint32_t serial;
	size_t buffered;                     /* bytes in the buffers of all connections */
	struct conn_list queue[CONN_STATES]; /* by deadline, next one first */
	int64_t patience_ms[CONN_STATES];
	struct event *listener;
	bool accepting;
	int64_t warned_ms; /* when it was last said that accepting fails */
};

/* --- conns.c: all of them --- */

/* Makes room for conf.max_connections and takes over the listening socket. */
void conns_init(struct net *n, int listen_fd);
/* Accepts, or leaves new connections in the socket: decides by what net can serve. */
void conns_accept(struct net *n);
/* Deadlines that have passed. */
void conns_tick(struct net *n);
/* No new connections; idle ones end now, the others with their answer. */
void conns_stop(struct net *n);
/* Goes on with connections that wait for room in engine's queue, while there is room. */
void conns_unstall(struct net *n);

/* A fresh request id for engine; the connection waits for its answer. */
uint64_t conn_wait(struct conn *c);
/* The connection waits together with others. */
void conn_join(struct conn *c, struct fetch *f);
/* The connection that waits for this request, NULL when it has gone. */
struct conn *conn_by_id(struct net *n, uint64_t id);
/* It waits no more. */
void conn_unwait(struct conn *c);

/* --- conn.c: one of them --- */

/* Takes over an accepted socket. There must be a free slot. */
void conn_open(struct net *n, int fd, const struct sockaddr_storage *ss);
/* The only way to change a state; a move that is not in the table is fatal. */
void conn_set_state(struct conn *c, enum conn_state to);

/*
 * Sends n bytes, then file_len bytes of the descriptor file (-1: none; taken over). What cannot
 * leave at once is kept. Called for the whole answer, or with interim for a 100.
 */
void conn_send(struct conn *c, const void *p, size_t n, int file, uint64_t file_len, bool interim);
/* Goes on reading after an answer that came from outside (engine, a deadline). */
void conn_resume(struct conn *c);
/* Ends it in order: close_notify, then a moment for what is still on its way. */
void conn_finish(struct conn *c);
/* Ends it at once; its memory goes at the next tick. */
void conn_drop(struct conn *c);
void conn_free(struct conn *c);

#endif
