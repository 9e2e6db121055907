/*
 * Self-tests of keys, and the canary: see prove.h. Runs in hsm, tlskey and keyadm.
 */
#include "hsm/p11/prove.h"

#include <sodium.h>
#include <string.h>

#include "hsm/p11/chainkey.h"
#include "policy/hash.h"

static const uint8_t sample[32] = "kleroterion/1/self-test";
static const char aad[] = "kleroterion/1/canary";

static int wrong(struct p11 *p, enum key_purpose purpose, const char *what)
{
	return p11_fail(p, KE_DAMAGED, "token %s: key klero/%s: %s; this HSM cannot be used",
	    p->label, purpose_words[purpose], what);
}

static int seal_sample(struct p11 *p, const struct key *k, uint8_t sealed[32 + OP_SEAL_EXTRA])
{
	return op_seal(p, k->handle, aad, sizeof aad, sample, sizeof sample, sealed);
}

static int open_sample(struct p11 *p, const struct key *k, const uint8_t *sealed)
{
	uint8_t plain[32 + OP_SEAL_EXTRA];
	size_t n;
	int r = op_open(p, k->handle, aad, sizeof aad, sealed, 32 + OP_SEAL_EXTRA, plain, &n);

	if (r == KE_OK && (n != 32 || memcmp(plain, sample, 32) != 0))
		return wrong(p, k->purpose, "GCM opens to something else");
	return r;
}

static int prove_master(struct p11 *p, const struct key *k)
{
	uint8_t sealed[32 + OP_SEAL_EXTRA];
	int r = seal_sample(p, k, sealed);

	if (r == KE_OK)
		r = open_sample(p, k, sealed);
	if (r != KE_OK)
		return r;
	sealed[20] ^= 1;
	if (open_sample(p, k, sealed) == KE_OK)
		return wrong(p, k->purpose, "GCM opens a changed value");
	return KE_OK;
}

/* What the token says of the seed against what software says of its value. */
static int compare_seed(struct p11 *p, CK_OBJECT_HANDLE inside, const uint8_t value[32])
{
	uint8_t got[32], want[32];
	int r = op_kdf(p, inside, "kleroterion/1/self-test", sample, sizeof sample, got);

	if (r != KE_OK)
		return r;
	hash_kdf(want, value, "kleroterion/1/self-test", sample, sizeof sample);
	if (memcmp(got, want, 32) != 0)
		return wrong(p, KEY_SEED, "HMAC-SHA256 gives a wrong answer");
	r = op_seed_digest(p, inside, got);
	if (r == KE_NOTFOUND)
		return KE_OK; /* C_DigestKey is not there: told elsewhere */
	hash_sha256(want, value, 32);
	if (r == KE_OK && memcmp(got, want, 32) != 0)
		return wrong(p, KEY_SEED, "C_DigestKey gives a wrong answer");
	return r;
}

/* Unwraps, reads and destroys. */
static int reveal(struct p11 *p, const struct key *k, const uint8_t *blob, uint8_t value[32])
{
	CK_OBJECT_HANDLE h;
	int r = op_seed_unwrap(p, k->handle, blob, true, &h), d;

	if (r != KE_OK)
		return r;
	r = op_seed_read(p, h, value);
	d = op_destroy(p, h);
	return r != KE_OK ? r : d;
}

static int prove_seed(struct p11 *p, const struct key *k)
{
	uint8_t blob[OP_SEED_BLOB], value[32];
	CK_OBJECT_HANDLE h;
	int r = op_seed_make(p, &h), d;

	if (r != KE_OK)
		return r;
	r = op_seed_read(p, h, value);
	if (r == KE_OK)
		r = wrong(p, k->purpose, "a sensitive seed can be read");
	else
		r = op_seed_wrap(p, k->handle, h, blob);
	if (r == KE_OK)
		r = reveal(p, k, blob, value);
	if (r == KE_OK)
		r = compare_seed(p, h, value);
	sodium_memzero(value, sizeof value);
	d = op_destroy(p, h);
	if (r != KE_OK || d != KE_OK)
		return r != KE_OK ? r : d;
	blob[3] ^= 1;
	if (reveal(p, k, blob, value) == KE_OK)
		return wrong(p, k->purpose, "a changed wrapping opens");
	return KE_OK;
}

static int prove_mac(struct p11 *p, const struct key *k)
{
	uint8_t a[32], b[32], c[32];
	int r = op_hmac(p, k->handle, sample, 32, a);

	if (r == KE_OK)
		r = op_hmac(p, k->handle, sample, 32, b);
	if (r == KE_OK)
		r = op_hmac(p, k->handle, sample, 31, c);
	if (r != KE_OK)
		return r;
	if (memcmp(a, b, 32) != 0 || memcmp(a, c, 32) == 0)
		return wrong(p, k->purpose, "HMAC-SHA256 gives a wrong answer");
	return KE_OK;
}

static int prove_pair(struct p11 *p, const struct key *k)
{
	uint8_t sig[64];
	int r = key_sign(p, k, sample, sizeof sample, sig);

	if (r == KE_OK && key_verify(k, sample, sizeof sample, sig) != KE_OK)
		return wrong(p, k->purpose, "its signature does not verify under its public key");
	return r;
}

/* The very primitive of sealed values (hsm/role/sealed.c), both ways. */
static int prove_class(struct p11 *p, const struct key *k)
{
	static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
	uint8_t sealed[32 + crypto_aead_xchacha20poly1305_ietf_ABYTES], plain[32];
	unsigned long long n;

	crypto_aead_xchacha20poly1305_ietf_encrypt(
	    sealed, &n, sample, 32, (const uint8_t *)aad, sizeof aad, NULL, nonce, k->secret);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed, n,
		(const uint8_t *)aad, sizeof aad, nonce, k->secret) != 0 ||
	    memcmp(plain, sample, 32) != 0)
		return wrong(p, k->purpose, "XChaCha20-Poly1305 gives a wrong answer");
	sealed[20] ^= 1;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed, n,
		(const uint8_t *)aad, sizeof aad, nonce, k->secret) == 0)
		return wrong(p, k->purpose, "XChaCha20-Poly1305 opens a changed value");
	return KE_OK;
}

/* The module must let nobody read what it unwraps: a busy or broken one has not said so. */
static int try_reveal(struct p11 *p, const struct key *k, const uint8_t *blob, size_t n)
{
	int r = chainkey_reveal(p, k->handle, blob, n);

	if (r == KE_OK)
		return p11_fail(p, KE_NOTFOUND,
		    "token %s does not keep CKA_UNWRAP_TEMPLATE: a deposit key could be read",
		    p->label);
	return r == KE_UNAVAIL ? r : KE_OK;
}

/* Unwraps, signs, compares with the public half, and destroys. */
static int prove_wrapped(
    struct p11 *p, const struct key *k, const uint8_t *blob, size_t n, const uint8_t *pub)
{
	struct chainkey_sig sig;
	CK_OBJECT_HANDLE h;
	int r = chainkey_unwrap(p, k->handle, blob, n, CHAINKEY_SIGN, &h), d;

	if (r != KE_OK)
		return r;
	memcpy(sig.digest, sample, sizeof sig.digest);
	r = chainkey_sign(p, h, pub, &sig);
	if (r == KE_CRYPTO)
		r = wrong(p, k->purpose, "an unwrapped key signs for another public key");
	d = op_destroy(p, h);
	return r != KE_OK ? r : d;
}

/* Does it know the curve? A module that does not is told from one that is unwell. */
static int make_chainkey(struct p11 *p, CK_OBJECT_HANDLE *h, uint8_t pub[SECP_POINT])
{
	int r = chainkey_make(p, h, pub);

	if (r != KE_OK && (p->rv == CKR_CURVE_NOT_SUPPORTED || p->rv == CKR_DOMAIN_PARAMS_INVALID ||
			      p->rv == CKR_ATTRIBUTE_VALUE_INVALID))
		return p11_fail(p, KE_NOTFOUND, "token %s lacks the curve secp256k1", p->label);
	return r;
}

static int prove_deposit(struct p11 *p, const struct key *k)
{
	uint8_t blob[CHAINKEY_BLOB_MAX], pub[SECP_POINT];
	CK_OBJECT_HANDLE h;
	size_t n = 0;
	int r = make_chainkey(p, &h, pub), d;

	if (r != KE_OK)
		return r;
	r = chainkey_wrap(p, k->handle, h, blob, &n);
	d = op_destroy(p, h);
	if (r == KE_OK)
		r = d;
	if (r == KE_OK)
		r = prove_wrapped(p, k, blob, n, pub);
	if (r == KE_OK)
		r = try_reveal(p, k, blob, n);
	if (r != KE_OK)
		return r;
	blob[3] ^= 1;
	if (prove_wrapped(p, k, blob, n, pub) == KE_OK)
		return wrong(p, k->purpose, "a changed wrapping opens");
	return KE_OK;
}

int prove_keys(struct p11 *p, const struct key_ring *ring, unsigned purposes)
{
	static int (*const tests[KEY_PURPOSES])(struct p11 *, const struct key *) = {
	    [KEY_MASTER] = prove_master,
	    [KEY_SEED] = prove_seed,
	    [KEY_MAC] = prove_mac,
	    [KEY_TOKEN] = prove_pair,
	    [KEY_LOG] = prove_pair,
	    [KEY_TLS] = prove_pair,
	    [KEY_DATA] = prove_class,
	    [KEY_DEPOSIT25519] = prove_class,
	    [KEY_DEPOSIT] = prove_deposit,
	};
	int r = key_ring_demand(p, ring, purposes);

	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++)
		if ((purposes & (1u << i)) != 0)
			r = tests[i](p, key_ring_get(ring, (enum key_purpose)i, 0));
	return r;
}

int canary_make(struct p11 *p, const struct key_ring *ring, struct canary *c)
{
	const struct key *seed = key_ring_get(ring, KEY_SEED, 0);
	uint8_t value[32];
	CK_OBJECT_HANDLE h;
	int r = seal_sample(p, key_ring_get(ring, KEY_MASTER, 0), c->sealed), d;

	if (r == KE_OK)
		r = op_seed_make(p, &h);
	if (r != KE_OK)
		return r;
	r = op_seed_wrap(p, seed->handle, h, c->wrapped);
	d = op_destroy(p, h);
	if (r == KE_OK)
		r = d;
	if (r == KE_OK)
		r = reveal(p, seed, c->wrapped, value);
	if (r == KE_OK)
		hash_sha256(c->commit, value, sizeof value);
	sodium_memzero(value, sizeof value);
	return r;
}

static int canary_lives(struct p11 *p, const struct key_ring *ring, const struct canary *c)
{
	uint8_t value[32], digest[32];
	int r = open_sample(p, key_ring_get(ring, KEY_MASTER, 0), c->sealed);

	if (r == KE_OK)
		r = reveal(p, key_ring_get(ring, KEY_SEED, 0), c->wrapped, value);
	if (r != KE_OK)
		return KE_UNAVAIL;
	hash_sha256(digest, value, sizeof value);
	sodium_memzero(value, sizeof value);
	return memcmp(digest, c->commit, 32) == 0 ? KE_OK : KE_UNAVAIL;
}

int canary_judge(
    struct p11 *p, const struct key_ring *ring, const struct canary *c, int r, unsigned *tries)
{
	if (r != KE_AGAIN && r != KE_CRYPTO)
		return r;
	if (canary_lives(p, ring, c) != KE_OK)
		return KE_UNAVAIL;
	return (*tries)++ == 0 ? KE_AGAIN : KE_CRYPTO;
}
