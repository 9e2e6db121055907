/*
 * SSH public keys and SSH signatures (OpenSSH PROTOCOL.sshsig, PROTOCOL.u2f; RFC 4251, 5656, 8709),
 * verification only: how security officers approve (KEYS.md section 5). Pure; hsm and keyadm verify
 * with it, kleroctl shows with it. Keys and signatures come from strangers.
 *
 * Accepted: ssh-ed25519, ecdsa-sha2-nistp256 and their sk- forms (FIDO), the latter only when the
 * authenticator says that a person touched it.
 */
#ifndef POLICY_SSHSIG_H
#define POLICY_SSHSIG_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/p256.h"

/* kind, is it a FIDO key?, its name in a key blob */
#define SSH_KINDS(X)                                                                               \
	X(SSH_ED25519, 0, "ssh-ed25519")                                                           \
	X(SSH_P256, 0, "ecdsa-sha2-nistp256")                                                      \
	X(SSH_SK_ED25519, 1, "sk-ssh-ed25519@openssh.com")                                         \
	X(SSH_SK_P256, 1, "sk-ecdsa-sha2-nistp256@openssh.com")

enum ssh_kind {
#define X(name, sk, word) name,
	SSH_KINDS(X)
#undef X
};

#define SSH_BLOB_MAX  256 /* a key blob; the largest kind has 127 bytes and its application */
#define SSH_ARMOR_MAX 2048
#define SSH_ARMOR_END "-----END SSH SIGNATURE-----"
#define SSH_PRINT_LEN 50 /* "SHA256:" and 43 characters */

struct ssh_key {
	enum ssh_kind kind;
	uint8_t blob[SSH_BLOB_MAX]; /* as RFC 4253 section 6.6 writes it; equal blobs, equal keys */
	size_t blob_len;
	uint8_t
	    pub[P256_POINT];  /* 32 bytes of Ed25519, or an uncompressed point that is on P-256 */
	uint8_t app_hash[32]; /* FIDO: SHA-256 of the application */
};

/* KE_FORMAT, or KE_VERSION for a kind that is not accepted. */
int ssh_key_blob(struct ssh_key *k, const uint8_t *blob, size_t n) KE_CHECK;
/* "<kind> <base64>[ comment]", a line of an SSH .pub file without its LF. Errors as above. */
int ssh_key_line(struct ssh_key *k, const char *line, size_t n) KE_CHECK;
/* "SHA256:<base64 without padding>", as ssh-keygen -l prints it, with a NUL. */
void ssh_key_print(char out[SSH_PRINT_LEN + 1], const struct ssh_key *k);

/*
 * Verifies an armored signature over msg, made for the namespace ns, and tells the key that made
 * it; whether that key counts is the caller's to decide. KE_FORMAT: no signature; KE_VERSION: of an
 * unknown kind; KE_DENIED: for another namespace, or nobody touched the authenticator; KE_CRYPTO.
 */
int sshsig_verify(struct ssh_key *signer, const char *ns, const char *armor, size_t n,
    const void *msg, size_t msg_len) KE_CHECK;

#endif
