/*
 * An officer in software: an Ed25519 SSH key that signs as ssh-keygen -Y sign does (OpenSSH
 * PROTOCOL.sshsig), for the tests. Includes cmocka's asserts through vectors.h.
 */
#ifndef TESTS_SSH_SIGN_H
#define TESTS_SSH_SIGN_H

#include "tests/unit/vectors.h"

#include <sodium.h>

#include "policy/be.h"
#include "policy/sshsig.h"

/* A string of RFC 4251; returns its whole length. */
static inline size_t ssh_put(uint8_t *to, const void *p, size_t n)
{
	be_put32(to, (uint32_t)n);
	memcpy(to + 4, p, n);
	return 4 + n;
}

static inline size_t ssh_armor(char *armor, const uint8_t *raw, size_t n)
{
	char b64[SSH_ARMOR_MAX];

	text_b64(b64, raw, n);
	return (size_t)snprintf(armor, SSH_ARMOR_MAX,
	    "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n", b64);
}

/* What is signed for a text: the frame around its SHA-512. */
static inline size_t ssh_frame(uint8_t *tbs, const char *ns, const char *text, size_t len)
{
	uint8_t digest[64];
	size_t n = 6;

	crypto_hash_sha512(digest, (const uint8_t *)text, len);
	memcpy(tbs, "SSHSIG", 6);
	n += ssh_put(tbs + n, ns, strlen(ns));
	n += ssh_put(tbs + n, "", 0);
	n += ssh_put(tbs + n, "sha512", 6);
	return n + ssh_put(tbs + n, digest, 64);
}

/* The armored signature around an inner one; returns its length. */
static inline size_t ssh_envelope(
    char *armor, const struct ssh_key *k, const char *ns, const uint8_t *inner, size_t len)
{
	uint8_t raw[1024];
	size_t n = 10;

	memcpy(raw, "SSHSIG\0\0\0\1", 10);
	n += ssh_put(raw + n, k->blob, k->blob_len);
	n += ssh_put(raw + n, ns, strlen(ns));
	n += ssh_put(raw + n, "", 0);
	n += ssh_put(raw + n, "sha512", 6);
	n += ssh_put(raw + n, inner, len);
	return ssh_armor(armor, raw, n);
}

struct signer {
	struct ssh_key key;
	uint8_t secret[64];
};

static inline void signer_make(struct signer *s)
{
	uint8_t pub[32], blob[64];
	size_t n = ssh_put(blob, "ssh-ed25519", 11);

	crypto_sign_keypair(pub, s->secret);
	n += ssh_put(blob + n, pub, 32);
	assert_int_equal(ssh_key_blob(&s->key, blob, n), KE_OK);
}

static inline size_t signer_sign(
    const struct signer *s, const char *ns, const char *text, size_t len, char *armor)
{
	uint8_t tbs[256], sig[64], inner[128];
	size_t n = ssh_frame(tbs, ns, text, len), i;

	crypto_sign_detached(sig, NULL, tbs, n, s->secret);
	i = ssh_put(inner, "ssh-ed25519", 11);
	i += ssh_put(inner + i, sig, 64);
	return ssh_envelope(armor, &s->key, ns, inner, i);
}

#endif
