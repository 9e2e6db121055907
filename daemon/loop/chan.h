/*
 * A message channel on libevent, for net and engine: receives checked messages, queues outgoing
 * ones within a bound, and gives back-pressure. Blame as DESIGN.md section 2: garbage from a less
 * trusted peer closes the channel and tells parent; from a more trusted one it is fatal.
 */
#ifndef DAEMON_LOOP_CHAN_H
#define DAEMON_LOOP_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/msg/start.h"

struct chan;
struct event_base;

/*
 * A message arrived. m->body is valid during the call; m->fd is the callee's to close.
 * Returns KE_OK, or KE_PEER for a body that does not decode: the channel then blames the peer.
 */
typedef int chan_message_cb(void *arg, struct chan *c, const struct msg *m);
/* The peer is gone or was closed for blame; the channel is freed after this call. */
typedef void chan_closed_cb(void *arg, struct chan *c);

/* Takes over fd (made non-blocking). queue: at most that many unsent messages. */
struct chan *chan_new(struct event_base *base, int fd, enum role self,
    const struct start_peer *peer, size_t queue, chan_message_cb *on_message,
    chan_closed_cb *on_closed, void *arg);
void chan_free(struct chan *c); /* closes; no callback */

/* Sends or queues; KE_FULL when the queue is full. fd is duplicated when queued. */
int chan_send(
    struct chan *c, uint16_t type, uint64_t id, const void *body, size_t len, int fd) KE_CHECK;
/* Messages waiting for room. */
size_t chan_queued(const struct chan *c);
/* Back-pressure: stop or go on reading from this peer. */
void chan_pause(struct chan *c, bool pause);

const struct start_peer *chan_peer(const struct chan *c);
void *chan_arg(const struct chan *c);

#endif
