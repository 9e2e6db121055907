/*
 * Pulses of a NIST randomness beacon, version 2.0 (NISTIR 8213 draft; DRAW.md section 7): read from
 * their JSON, checked against the certificate that they name. Pure, with OpenSSL for RSA and X.509;
 * pulses and certificates come from strangers.
 */
#ifndef POLICY_PULSE_H
#define POLICY_PULSE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define PULSE_HASH       64  /* SHA-512 */
#define PULSE_SIG_MAX    512 /* RSA-4096 */
#define PULSE_TEXT_MAX   256
#define PULSE_JSON_MAX   16384
#define PULSE_SIGNED_MAX 4096
#define PULSE_CERT_MAX   16384 /* PEM */
#define PULSE_PACKED_MAX (PULSE_SIGNED_MAX + PULSE_SIG_MAX)

struct pulse {
	char uri[PULSE_TEXT_MAX + 1], version[PULSE_TEXT_MAX + 1], time[PULSE_TEXT_MAX + 1];
	uint32_t cipher_suite, period_ms, external_status, status;
	uint8_t certificate[PULSE_HASH]; /* SHA-512 of its DER */
	uint64_t chain, pulse;
	int64_t at_ms; /* time, in Unix milliseconds */
	uint8_t local[PULSE_HASH], source[PULSE_HASH], external[PULSE_HASH];
	/* outputs of earlier pulses */
	uint8_t previous[PULSE_HASH], hour[PULSE_HASH], day[PULSE_HASH], month[PULSE_HASH],
	    year[PULSE_HASH];
	uint8_t precommitment[PULSE_HASH], output[PULSE_HASH];
	uint8_t signature[PULSE_SIG_MAX];
	size_t signature_len;
};

/*
 * {"pulse": {…}} as the beacon serves it. Members that are not known are skipped: the signature
 * says what counts. KE_FORMAT; KE_VERSION for another version or cipher suite than 2.0 and 0;
 * KE_NOMEM.
 */
int pulse_parse(struct pulse *p, const char *json, size_t n) KE_CHECK;

/* What is signed, and with the signature behind it what the output is the hash of. Its length. */
size_t pulse_signed(const struct pulse *p, uint8_t out[PULSE_SIGNED_MAX]);

/*
 * The name by which pulses call a certificate: SHA-512 of its DER. KE_FORMAT: no certificate, or
 * its key is not RSA.
 */
int pulse_certificate(uint8_t id[PULSE_HASH], const char *pem, size_t n) KE_CHECK;

/*
 * KE_OK when the certificate (PEM) is the one that the pulse names, its key made the signature
 * (PKCS#1 v1.5, SHA-512), and the output follows. KE_WRONG_KEY for another certificate, KE_FORMAT
 * for none, KE_CRYPTO. Whose certificate it is, is not asked here: pin it, or ask its issuer.
 */
int pulse_verify(const struct pulse *p, const char *pem, size_t n) KE_CHECK;

/*
 * The whole of a pulse in one piece, for messages and the store: what is signed, then the
 * signature. The output is their SHA-512, so it is not in there. Returns the length.
 */
size_t pulse_pack(const struct pulse *p, uint8_t out[PULSE_PACKED_MAX]);
/* Strict: what pulse_pack() would not write is KE_FORMAT; KE_VERSION as pulse_parse(). */
int pulse_unpack(struct pulse *p, const uint8_t *in, size_t n) KE_CHECK;

#define PULSE_WRITTEN_MAX 8192
/*
 * A pulse as its beacon serves it, for proof bundles: pulse_parse() reads it back. Writes one value
 * to w; its errors stay there.
 */
struct jsonw;
void pulse_write(const struct pulse *p, struct jsonw *w);

/* Does b follow a, by index, by its previous value, and not before a in time? KE_CRYPTO. */
int pulse_follows(const struct pulse *b, const struct pulse *a) KE_CHECK;

/*
 * Is p its chain's first pulse from a moment on: of that very moment, or later and following one
 * from before it? before is p's predecessor, NULL when nobody has shown it. Signatures are the
 * caller's to have verified. KE_CRYPTO.
 */
int pulse_first(const struct pulse *p, const struct pulse *before, int64_t at_ms) KE_CHECK;

#endif
