/*
 * Opening an escrow: see escrow_open.h. Pure.
 */
#include "policy/escrow_open.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <string.h>

#include "policy/draw.h"
#include "policy/escrow_canon.h"
#include "policy/hash.h"

/* --- the text between officers --- */

void escrow_step_begin(struct escrow_step *s, const struct escrow *e, const char *text, size_t n)
{
	hash_sha256(s->bundle, text, n);
	s->nshares = e->nshares;
	s->used = e->used;
	for (size_t i = 0; i < e->nshares; i++)
		s->share[i] = (struct escrow_opened){
		    e->share[i].officers, e->share[i].officers, e->share[i].at, e->share[i].len};
	memcpy(s->data, e->data, e->used);
}

static void io_opened(struct canon *io, struct escrow_step *s, struct escrow_opened *o)
{
	size_t n = o->len;

	if (canon_reads(io))
		o->at = s->used;
	canon_lit(io, "{\"officers\":");
	ecanon_bits(io, &o->officers);
	canon_lit(io, ",\"left\":");
	ecanon_bits(io, &o->left);
	canon_lit(io, ",\"sealed\":");
	ecanon_b64(io, s->data + o->at, sizeof(s->data) - o->at, &n);
	canon_lit(io, "}");
	if (canon_reads(io) && io->err == KE_OK) {
		o->len = n;
		s->used += n;
	}
}

static void io_step(struct canon *io, struct escrow_step *s)
{
	size_t i;

	canon_lit(io, "{\"format\":\"" ESCROW_STEP_FORMAT "\",\n\"bundle\":");
	ecanon_hex(io, s->bundle, 32);
	canon_lit(io, ",\n\"shares\":[\n");
	for (i = 0; ecanon_item(io, i, s->nshares, "{", ESCROW_SHARES_MAX); i++)
		io_opened(io, s, &s->share[i]);
	if (canon_reads(io))
		s->nshares = i;
	canon_lit(io, "]}\n");
}

int escrow_step_text(struct escrow_step *s, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};

	io_step(&io, s);
	*len = io.len;
	return io.err;
}

/* The lower layers of a share of this bundle, at their length? */
static bool belongs(const struct escrow *e, const struct escrow_opened *o)
{
	unsigned above = o->officers & ~o->left;

	for (size_t i = 0; i < e->nshares; i++)
		if (e->share[i].officers == o->officers)
			return o->left != 0 && (o->left & ~o->officers) == 0 &&
			       (above == 0 || above > o->left) &&
			       o->len == escrow_layers_len(&e->officers, o->left);
	return false;
}

int escrow_step_parse(struct escrow_step *s, const struct escrow *e, const char *text, size_t n,
    const char *step, size_t step_len)
{
	struct canon io = {.in = (const uint8_t *)step, .cap = step_len};
	uint8_t bundle[32];

	memset(s, 0, sizeof(*s));
	io_step(&io, s);
	if (io.err != KE_OK || io.len != step_len)
		return KE_FORMAT;
	hash_sha256(bundle, text, n);
	if (memcmp(bundle, s->bundle, 32) != 0)
		return KE_WRONG_KEY;
	for (size_t i = 0; i < s->nshares; i++)
		if (!belongs(e, &s->share[i]))
			return KE_FORMAT;
	return KE_OK;
}

int escrow_promised(const struct escrow *e, const char *text, size_t n, const struct record2 *open,
    const char **why)
{
	uint8_t hash[32];

	hash_sha256(hash, text, n);
	if (open->kind != RECORD2_OPEN)
		*why = "that is no open record";
	else if (open->escrow_n == 0)
		*why = "the open record promises no escrow";
	else if (memcmp(open->escrow, hash, 32) != 0)
		*why = "the open record promises another bundle";
	else if (memcmp(open->raffle, e->raffle, 16) != 0)
		*why = "the bundle is of another raffle than the open record";
	else if (memcmp(open->seed_commit, e->seed_commit, 32) != 0)
		*why = "the bundle is of another seed than the open record";
	else if (open->escrow_m != e->officers.m || open->escrow_n != e->officers.n)
		*why = "the open record promises other officers";
	else
		return KE_OK;
	return KE_DENIED;
}

/* --- layers --- */

static int oaep_open(EVP_PKEY *key, const EVP_MD *md, const uint8_t *in, size_t n, uint8_t out[32])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t plain[ESCROW_MODULUS_MAX];
	size_t len = sizeof(plain);
	int r = KE_CRYPTO;

	if (ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
	    EVP_PKEY_decrypt(ctx, plain, &len, in, n) == 1 && len == 32) {
		memcpy(out, plain, 32);
		r = KE_OK;
	}
	sodium_memzero(plain, sizeof(plain));
	EVP_PKEY_CTX_free(ctx);
	return r;
}

/* n bytes of ciphertext and its tag behind them. */
static int gcm_open(const uint8_t key[32], const uint8_t iv[ESCROW_IV],
    const uint8_t aad[ESCROW_AAD], const uint8_t *in, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t tag[ESCROW_TAG];
	int len, r = KE_CRYPTO;

	memcpy(tag, in + n, sizeof(tag));
	if (c != NULL && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
	    EVP_DecryptUpdate(c, NULL, &len, aad, ESCROW_AAD) == 1 &&
	    EVP_DecryptUpdate(c, out, &len, in, (int)n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	    EVP_DecryptFinal_ex(c, out + n, &len) == 1)
		r = KE_OK;
	EVP_CIPHER_CTX_free(c);
	return r;
}

/* Opens the outermost layer, of the officer who holds the key, into out; *len its bytes. */
static int open_layer(const struct escrow *e, const struct escrow_opened *o, const uint8_t *in,
    EVP_PKEY *key, uint8_t *out, size_t *len)
{
	unsigned last = escrow_last(o->left), rest = o->left & ~(1u << last);
	unsigned below = (unsigned)__builtin_popcount(rest);
	size_t modulus = e->officers.key[last].modulus;
	uint8_t once[32], aad[ESCROW_AAD];
	int r;

	if (below == 0) {
		*len = ESCROW_SEED;
		return oaep_open(
		    key, e->wrap == ESCROW_OAEP_SHA1 ? EVP_sha1() : EVP_sha256(), in, modulus, out);
	}
	*len = escrow_layers_len(&e->officers, rest);
	escrow_aad(aad, e, o->officers, below);
	r = oaep_open(key, EVP_sha256(), in, modulus, once);
	if (r == KE_OK)
		r = gcm_open(once, in + modulus, aad, in + modulus + ESCROW_IV, *len, out);
	sodium_memzero(once, sizeof(once));
	return r;
}

/* --- officers --- */

/* Whose private key is it? */
static int find_officer(const struct escrow *e, EVP_PKEY *key, unsigned *officer)
{
	uint8_t der[ESCROW_DER_MAX], *at = der;
	int len = EVP_PKEY_is_a(key, "RSA") ? i2d_PUBKEY(key, NULL) : 0;

	if (len <= 0)
		return KE_FORMAT;
	if (len > ESCROW_DER_MAX || i2d_PUBKEY(key, &at) != len)
		return KE_WRONG_KEY;
	for (unsigned i = 0; i < e->officers.n; i++) {
		const struct escrow_key *k = &e->officers.key[i];

		if (k->len == (size_t)len && memcmp(k->der, der, k->len) == 0) {
			*officer = i;
			return KE_OK;
		}
	}
	return KE_WRONG_KEY;
}

/* A share shrinks with every layer, so what is opened takes its place. */
static int open_share(
    struct escrow_step *s, const struct escrow *e, struct escrow_opened o, EVP_PKEY *key)
{
	uint8_t out[ESCROW_SHARE_MAX];
	size_t len = 0;
	int r;

	if (o.len > sizeof(out))
		return KE_FORMAT;
	r = open_layer(e, &o, s->data + o.at, key, out, &len);
	if (r == KE_OK) {
		memmove(s->data + s->used, out, len);
		o.left &= ~(1u << escrow_last(o.left));
		o.at = s->used;
		o.len = len;
		s->share[s->nshares++] = o;
		s->used += len;
	}
	sodium_memzero(out, sizeof(out));
	return r;
}

static int open_all(struct escrow_step *s, const struct escrow *e, EVP_PKEY *key, unsigned officer)
{
	size_t n = s->nshares;
	int r = KE_STATE;

	s->nshares = 0;
	s->used = 0;
	for (size_t i = 0; i < n; i++) {
		if (s->share[i].left == 0 || escrow_last(s->share[i].left) != officer)
			continue;
		r = open_share(s, e, s->share[i], key);
		if (r != KE_OK)
			return r;
	}
	return r;
}

int escrow_step_open(
    struct escrow_step *s, const struct escrow *e, const char *pem, size_t n, unsigned *officer)
{
	BIO *bio = n <= INT32_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	int r = key != NULL ? find_officer(e, key, officer) : KE_FORMAT;

	if (r == KE_OK)
		r = open_all(s, e, key, *officer);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return r;
}

int escrow_step_seed(const struct escrow_step *s, const struct escrow *e, uint8_t seed[ESCROW_SEED])
{
	uint8_t commit[32];

	for (size_t i = 0; i < s->nshares; i++) {
		if (s->share[i].left != 0)
			continue;
		hash_kdf(commit, s->data + s->share[i].at, DRAW_COMMIT_LABEL, e->raffle, 16);
		if (sodium_memcmp(commit, e->seed_commit, 32) != 0)
			return KE_CRYPTO;
		memcpy(seed, s->data + s->share[i].at, ESCROW_SEED);
		return KE_OK;
	}
	return KE_STATE;
}
