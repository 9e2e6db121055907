/*
 * Session tickets (RFC 8446 section 4.6.1): a client that has shaken hands may resume within the
 * hour, without a signature of tlskey and without looking at the certificate again. Part of the TLS
 * files; runs in net.
 *
 * The keys of the tickets are made in this process and die with it: no file, no message and no
 * other process ever holds them. Another net process does not know them, and shakes hands in full.
 * Each key seals for TICKET_PERIOD_MS and opens for as long again; then it is wiped. A chain of
 * resumptions ends TICKET_CHAIN_S after its full handshake. Each resumption makes new secrets by
 * Diffie-Hellman, so keys that are stolen open no recorded connection; early data, which could be
 * replayed, is never offered and never taken.
 */
#ifndef DAEMON_NET_TLS_TICKET_H
#define DAEMON_NET_TLS_TICKET_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/ke.h"

#define TICKET_PERIOD_MS (20 * 60 * 1000)
#define TICKET_CHAIN_S   3600

struct ticket_key {
	uint8_t name[16], cipher[32], mac[32];
};

struct tls_ticket {
	struct ticket_key now, before; /* before: opens only */
	bool has_before;
	int64_t changed_ms; /* on the caller's clock */
	int64_t now_s;      /* the caller's clock at the last tick */
	EVP_CIPHER *aes;
};

/* Makes the first key and has the context use it; t must outlive the context. */
int tls_ticket_init(struct tls_ticket *t, OSSL_LIB_CTX *lib, SSL_CTX *ctx, int64_t now_ms) KE_CHECK;

/* Changes the key when its time has come. now_ms is monotonic; call it every second or so. */
void tls_ticket_tick(struct tls_ticket *t, int64_t now_ms);

/* Wipes. */
void tls_ticket_free(struct tls_ticket *t);

#endif
