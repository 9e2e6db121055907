/*
 * TLS 1.3 handshakes in memory: with a throw-away key, so that every algorithm has been fetched
 * and every table built before the sandbox closes; and with what everybody will be served with.
 * Part of the TLS files; runs in net.
 */
#ifndef DAEMON_NET_TLS_WARM_H
#define DAEMON_NET_TLS_WARM_H

#include <openssl/types.h>

#include "policy/ke.h"

/* server: as net uses it, but without certificate and key yet. */
int tls_warm(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server) KE_CHECK;
/* server: with them. Goes as far as its key lets it; who has the key knows whether it was asked. */
void tls_rehearse(OSSL_LIB_CTX *ctx, const char *query, SSL_CTX *server);

#endif
