/*
 * The self-signed certificate of the TLS key, so that an appliance serves HTTPS before anybody
 * has bought it a certificate. Runs in klerod-keyadm.
 * Standards: RFC 5280 (X.509v3), RFC 5758 (ecdsa-with-SHA256), RFC 9525 (names).
 */
#ifndef HSM_KEYADM_CERT_H
#define HSM_KEYADM_CERT_H

#include "daemon/msg/rconf.h"
#include "hsm/p11/key.h"

#define CERT_DAYS 825

/*
 * A certificate for k, valid from now_s (Unix seconds) for CERT_DAYS: an end entity that is its own
 * issuer, so a client that is given it as its CA file accepts this one server and nothing else.
 * Names are c->host and c->names, DNS names or IP addresses. KE_FORMAT for a name that is neither,
 * KE_UNAVAIL when the token does not sign, KE_FULL; p->why.
 */
int cert_make(struct p11 *p, const struct key *k, const struct rconf_keyadm *c, int64_t now_s,
    char *pem, size_t cap) KE_CHECK;

/* A certificate request (RFC 2986) of k with the same names. Errors as of cert_make(). */
int cert_request(struct p11 *p, const struct key *k, const struct rconf_keyadm *c, char *pem,
    size_t cap) KE_CHECK;

/*
 * The version of the TLS key that the first certificate in a PEM text is for; 0 when it is for none
 * in the ring, or the text is no certificate.
 */
uint32_t cert_version(const char *pem, const struct key_ring *ring);

#endif
