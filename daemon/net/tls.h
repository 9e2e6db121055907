/*
 * TLS 1.3 by OpenSSL, and nothing of OpenSSL's beyond this header: a context with the
 * certificate and the key of tlskey, and one object per connection. Runs in net.
 *
 * Only TLS 1.3 (RFC 8446), only P-256 certificates, session tickets for less than an hour
 * (tls_ticket.h), ALPN http/1.1. The context lives in a private library context that no
 * configuration file or environment reaches.
 */
#ifndef DAEMON_NET_TLS_H
#define DAEMON_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/net/tlskey.h"
#include "policy/ke.h"

struct tls;
struct ssl_st; /* OpenSSL's SSL */

/*
 * Everything that needs files, fetches or time is done here, before the sandbox, a handshake
 * with itself included. key must outlive the context. now_ms is monotonic, as for tls_tick(). why
 * receives the trouble. NULL on failure.
 */
struct tls *tls_new(
    const char *cert_pem, struct tlskey *key, int64_t now_ms, char *why, size_t whylen);
void tls_free(struct tls *t);
/*
 * Another certificate for the connections that are accepted from now on; those that exist go on
 * with theirs. Tickets that were given out under the former one are not taken any more: whoever
 * comes back shakes hands in full and sees the new one. Needs neither files nor fetches. When it
 * does not load, or tlskey does not hold its key, all stays as it was, and why receives the
 * trouble.
 */
int tls_renew(
    struct tls *t, const char *cert_pem, int64_t now_ms, char *why, size_t whylen) KE_CHECK;
/* Lets time pass: the keys of session tickets change. */
void tls_tick(struct tls *t, int64_t now_ms);

/* A server side connection over a non-blocking socket, which stays the caller's. NULL: no memory.
 */
struct ssl_st *tls_accept(struct tls *t, int fd);
/* Sends close_notify (when it can) and frees. */
void tls_close(struct ssl_st *s, bool notify);

/*
 * Each returns KE_OK, KE_AGAIN (call again when the socket is readable), KE_FULL (when it is
 * writable), KE_CLOSED (orderly end), or KE_CRYPTO (anything else; the connection is lost).
 */
int tls_handshake(struct ssl_st *s) KE_CHECK;
int tls_read(struct ssl_st *s, void *buf, size_t cap, size_t *n) KE_CHECK;
/* May write a part only; *n says how much. After KE_FULL the same bytes must be offered again. */
int tls_write(struct ssl_st *s, const void *buf, size_t len, size_t *n) KE_CHECK;
/* Has OpenSSL bytes that the socket will not announce any more? */
bool tls_pending(const struct ssl_st *s);

#endif
