/*
 * Escrow bundles: see escrow.h. Runs in hsm. The seed stays an object of the token's; what is
 * outside is closed to the first officer already. Engine gets the bundle, which is public, and hsm
 * remembers which ones it has made, so that no open record promises another one.
 */
#include "hsm/role/escrow.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/escrow.h"
#include "hsm/p11/op.h"
#include "hsm/role/seeds.h"
#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/text.h"

struct hsm_escrow {
	struct escrow_officers officers;
	CK_OBJECT_HANDLE key[ESCROW_OFFICERS_MAX];
	struct escrow bundle;
	char text[ESCROW_TEXT_MAX];
	size_t len;
};

/* --- layers in software --- */

static int oaep_close(const struct escrow_key *k, const uint8_t once[32], uint8_t *out)
{
	const uint8_t *at = k->der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)k->len);
	EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	size_t len = k->modulus;
	int r = KE_INTERNAL;

	if (ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_encrypt(ctx, out, &len, once, 32) == 1 && len == k->modulus)
		r = KE_OK;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

/* out has room for n bytes and the tag behind them; it may be in. */
static int gcm_close(const uint8_t key[32], const uint8_t iv[ESCROW_IV],
    const uint8_t aad[ESCROW_AAD], const uint8_t *in, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int len, r = KE_INTERNAL;

	if (c != NULL && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
	    EVP_EncryptUpdate(c, NULL, &len, aad, ESCROW_AAD) == 1 &&
	    EVP_EncryptUpdate(c, out, &len, in, (int)n) == 1 && len == (int)n &&
	    EVP_EncryptFinal_ex(c, out + n, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, ESCROW_TAG, out + n) == 1)
		r = KE_OK;
	EVP_CIPHER_CTX_free(c);
	return r;
}

/* A layer of that officer's around the n bytes at p, which has room for it. */
static int close_layer(
    const struct escrow *e, unsigned share, unsigned officer, unsigned below, uint8_t *p, size_t n)
{
	const struct escrow_key *k = &e->officers.key[officer];
	uint8_t once[32], *iv = p + k->modulus, aad[ESCROW_AAD];
	int r;

	memmove(iv + ESCROW_IV, p, n);
	randombytes_buf(once, sizeof once);
	randombytes_buf(iv, ESCROW_IV);
	escrow_aad(aad, e, share, below);
	r = gcm_close(once, iv, aad, iv + ESCROW_IV, n, iv + ESCROW_IV);
	if (r == KE_OK)
		r = oaep_close(k, once, p);
	sodium_memzero(once, sizeof once);
	return r;
}

/* --- bundles --- */

static int make_share(struct hsm *h, CK_OBJECT_HANDLE seed, unsigned share, uint8_t *p)
{
	struct hsm_escrow *x = h->escrow;
	unsigned done = 0, below = 0;
	int r = KE_OK;

	for (unsigned i = 0; r == KE_OK && i < x->officers.n; i++) {
		if ((share & (1u << i)) == 0)
			continue;
		r = below == 0
			? op_escrow_wrap(&h->p, x->key[i], seed, p, x->officers.key[i].modulus)
			: close_layer(&x->bundle, share, i, below, p,
			      escrow_layers_len(&x->officers, done));
		done |= 1u << i;
		below++;
	}
	return r;
}

/* The bundle of a seed that is inside, as text. */
static int make_bundle(struct hsm *h, const uint8_t raffle[16], CK_OBJECT_HANDLE seed)
{
	struct hsm_escrow *x = h->escrow;
	struct escrow *e = &x->bundle;
	int r;

	memcpy(e->raffle, raffle, 16);
	e->wrap = h->p.ways.oaep == CKM_SHA_1 ? ESCROW_OAEP_SHA1 : ESCROW_OAEP_SHA256;
	e->officers = x->officers;
	e->used = 0;
	r = op_kdf(&h->p, seed, DRAW_COMMIT_LABEL, raffle, 16, e->seed_commit);
	for (unsigned s = escrow_first(&x->officers); r == KE_OK && s != 0;
	     s = escrow_next(&x->officers, s)) {
		r = make_share(h, seed, s, e->data + e->used);
		e->used += escrow_layers_len(&x->officers, s);
	}
	return r == KE_OK ? escrow_text(e, x->text, sizeof x->text, &x->len) : r;
}

/* A raffle as a fact's value. */
static int remember(struct hsm *h, const uint8_t raffle[16])
{
	uint8_t hash[32], value[32] = {0};

	memcpy(value, raffle, 16);
	hash_sha256(hash, h->escrow->text, h->escrow->len);
	return once_tell(&h->once, ONCE_ESCROW, hash, sizeof hash, value);
}

static int answer(struct hsm *h, const uint8_t raffle[16], const uint8_t *text, size_t n)
{
	CK_OBJECT_HANDLE seed;
	int r, d;

	if (h->escrow == NULL)
		return KE_NOTFOUND;
	r = seeds_inside(h, raffle, text, n, &seed);
	if (r != KE_OK)
		return r;
	r = make_bundle(h, raffle, seed);
	d = op_destroy(&h->p, seed);
	if (r == KE_OK)
		r = d;
	return r == KE_OK ? remember(h, raffle) : r;
}

int hsm_answer_escrow(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const uint8_t *raffle, *text;
	struct wire_in in;
	size_t n;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	raffle = wire_get_view(&in, 16);
	text = wire_get_str(&in, BLOB_TEXT_MAX, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, answer(h, raffle, text, n)))
		wire_put_str(w, h->escrow->text, h->escrow->len);
	return KE_OK;
}

int escrow_vouch(struct hsm *h, const struct record2 *open)
{
	uint8_t value[32] = {0};
	int r;

	if (h->escrow == NULL)
		return open->escrow_n == 0 ? KE_OK : KE_DENIED;
	if (open->escrow_m != h->escrow->officers.m || open->escrow_n != h->escrow->officers.n)
		return KE_DENIED;
	memcpy(value, open->raffle, 16);
	r = once_ask(&h->once, ONCE_ESCROW, open->escrow, 32, value);
	return r == KE_NOTFOUND ? KE_DENIED : r;
}

/* --- start --- */

static int bad_key(struct hsm *h, unsigned i, int r)
{
	if (r == KE_RANGE)
		return p11_fail(&h->p, r,
		    "escrow key %u is not of %d to %d bits with exponent 65537", i + 1,
		    ESCROW_BITS_MIN, ESCROW_BITS_MAX);
	return p11_fail(&h->p, r, "escrow key %u is no RSA public key in PEM", i + 1);
}

static int read_keys(struct hsm *h, const struct rconf_hsm *c, struct escrow_officers *o)
{
	int r;

	o->m = c->escrow_m;
	for (o->n = 0; o->n < RCONF_ESCROW && c->escrow[o->n][0] != '\0'; o->n++) {
		const char *pem = c->escrow[o->n];

		r = escrow_key_pem(&o->key[o->n], pem, strlen(pem));
		if (r != KE_OK)
			return bad_key(h, o->n, r);
	}
	r = escrow_officers_check(o);
	if (r == KE_EXISTS)
		return p11_fail(&h->p, r, "escrow: a key stands twice");
	if (r == KE_LIMIT)
		return p11_fail(&h->p, r,
		    "escrow: %u of %u officers' keys of this size make a bundle that is too large: "
		    "fewer, or smaller keys",
		    o->m, o->n);
	return r == KE_OK ? r : p11_fail(&h->p, r, "escrow: %u of %u officers", o->m, o->n);
}

/* Every path once, on a seed that is for nothing. */
static int rehearse(struct hsm *h)
{
	static const uint8_t raffle[16];
	CK_OBJECT_HANDLE seed;
	int r = op_seed_make(&h->p, &seed), d;

	if (r != KE_OK)
		return r;
	r = make_bundle(h, raffle, seed);
	d = op_destroy(&h->p, seed);
	return r == KE_OK ? d : r;
}

int escrow_prepare(struct hsm *h, const struct rconf_hsm *c)
{
	struct hsm_escrow *x;
	int r;

	if (c->escrow_m == 0)
		return KE_OK;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return p11_fail(&h->p, KE_NOMEM, "out of memory");
	h->escrow = x;
	r = read_keys(h, c, &x->officers);
	if (r == KE_OK)
		r = learn_escrow(&h->p);
	for (unsigned i = 0; r == KE_OK && i < x->officers.n; i++)
		r = op_escrow_key(&h->p, &x->officers.key[i], &x->key[i]);
	return r == KE_OK ? rehearse(h) : r;
}
