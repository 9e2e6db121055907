/*
 * The channel to tlskey: one CertificateVerify input out, one P-256 signature back, waited for
 * with a deadline. Runs in net; trusts tlskey (garbage from it is fatal), and lives on without
 * it: then no handshake works until parent sends a fresh channel.
 */
#ifndef DAEMON_NET_TLSKEY_H
#define DAEMON_NET_TLSKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/msg/msg.h"
#include "policy/ke.h"

#define TLSKEY_WAIT_MS 1000
#define TLSKEY_NAME    32  /* a key's: SHA-256 of its uncompressed public point */
#define TLSKEY_TBS_MAX 146 /* 98 bytes that are fixed, and a transcript hash */

struct tlskey {
	int fd;               /* -1: none */
	bool gone;            /* the other end has closed; fd waits to be closed too */
	bool late;            /* an answer has not come in time: tlskey is stuck */
	uint64_t id;          /* of the last request */
	uint64_t signatures;  /* through this channel */
	bool told;            /* that its key is the wrong one */
	uint8_t buf[MSG_MAX]; /* answers are small, but msg_recv wants room for any message */
};

void tlskey_init(struct tlskey *k);
/* Takes over a fresh channel; the former one is closed. */
void tlskey_set(struct tlskey *k, int fd);
void tlskey_close(struct tlskey *k);

/* Can it be asked? */
bool tlskey_here(const struct tlskey *k);

/*
 * Has the channel something to say outside a request: its end, or a late answer? Call it when
 * the descriptor is readable. KE_OK while the channel lives, else KE_CLOSED.
 */
int tlskey_poke(struct tlskey *k) KE_CHECK;

/*
 * Signs by the key of that name; r and s, 32 bytes each, go to sig. KE_UNAVAIL, KE_TIMEOUT, or
 * tlskey's own refusal: KE_NOTFOUND when it does not hold the key.
 */
int tlskey_sign(struct tlskey *k, const uint8_t name[TLSKEY_NAME], const uint8_t *tbs, size_t n,
    uint8_t sig[64]) KE_CHECK;

#endif
