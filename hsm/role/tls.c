/*
 * tlskey's one answer: the signature of a TLS 1.3 server CertificateVerify (RFC 8446 section
 * 4.4.3), and of nothing else. Whoever captures net can finish handshakes while it lasts; it cannot
 * have a certificate request, a client's CertificateVerify or anything of another protocol signed.
 * Which version of the key signs is said by the certificate in use, of which net names the public
 * point: after a rotation old and new certificate are in use beside each other for a moment.
 * Runs in tlskey: see hsm.h.
 */
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/op.h"
#include "hsm/role/hsm.h"
#include "policy/hash.h"

#define KEY_NAME 32 /* SHA-256 of the uncompressed point */
#define SPACES   64
/* With its terminating zero, which is the separator of the construction. */
static const char context[] = "TLS 1.3, server CertificateVerify";

/* A transcript hash is SHA-256's or SHA-384's: there is no other in TLS 1.3's suites. */
static bool is_length(size_t n)
{
	size_t fixed = SPACES + sizeof context;

	return n == fixed + 32 || n == fixed + 48;
}

static bool is_input(const uint8_t *p)
{
	for (size_t i = 0; i < SPACES; i++)
		if (p[i] != ' ')
			return false;
	return memcmp(p + SPACES, context, sizeof context) == 0;
}

/* The version that was named, whichever it is; NULL when the token does not hold it. */
static const struct key *named(const struct key_ring *ring, const uint8_t name[KEY_NAME])
{
	for (size_t i = 0; i < ring->n; i++) {
		const struct key *k = &ring->keys[i];
		uint8_t own[KEY_NAME];

		if (k->purpose != KEY_TLS)
			continue;
		hash_sha256(own, k->pub, KEY_PUB_MAX);
		if (memcmp(own, name, KEY_NAME) == 0)
			return k;
	}
	return NULL;
}

int hsm_answer_tls_sign(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const uint8_t *input = m->body + KEY_NAME;
	const struct key *k = named(&h->ring, m->body);
	size_t n = m->len - KEY_NAME;
	uint8_t digest[32], sig[64];
	int r = KE_DENIED;

	if (!is_length(n))
		return KE_PEER;
	if (is_input(input)) {
		hash_sha256(digest, input, n);
		r = k != NULL ? op_sign_ecdsa(&h->p, k->handle, digest, sig) : KE_NOTFOUND;
	} else {
		log_security("%s %u asked for a signature on something else than a handshake",
		    role_word(peer->who.role), peer->who.index);
	}
	if (hsm_result(h, w, r))
		wire_put_raw(w, sig, sizeof sig);
	return KE_OK;
}
