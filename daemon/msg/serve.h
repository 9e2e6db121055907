/*
 * The whole event loop of the blocking roles (hsm, tlskey, kdf): poll descriptor 3 and the
 * peers' channels, one message at a time; answers that are made quickly may go out together, within
 * less than a millisecond, while more is asked. Part of the message layer. Blame as DESIGN.md
 * section 2: a less trusted peer's garbage closes its channel and is reported to parent, a more
 * trusted one's is fatal.
 */
#ifndef DAEMON_MSG_SERVE_H
#define DAEMON_MSG_SERVE_H

#include "daemon/msg/msg.h"
#include "daemon/msg/start.h"
#include "daemon/msg/wire.h"

#define SERVE_PEERS 16

struct serve_peer {
	int fd;    /* -1: free */
	bool full; /* it does not take its answers: not read from until it does */
	struct start_peer who;
	uint32_t uses; /* the handlers' own, for once-per-channel rules; 0 for a fresh channel */
};

/*
 * Handles one request of a peer and writes its answer's body to w (capacity MSG_BODY_MAX).
 * The answer's type is the request's plus one. KE_OK sends it; KE_CLOSED sends it and ends serve(),
 * for a process that must be replaced; KE_PEER blames the peer (malformed body); anything else is
 * a broken invariant and fatal.
 */
typedef int serve_handler(
    void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w);

/*
 * Serves until descriptor 3 closes, until the handler says KE_CLOSED, or after STOP until the
 * peers have closed their channels or have asked nothing for a second.
 */
void serve(enum role self, serve_handler *handler, void *ctx);

#endif
