/*
 * The old platform's deposit keys, taken over once (policy/legacy.h). Runs in hsm: see hsm.h.
 *
 * The one place where an EVM key is in clear outside the HSM: between the opening of the old value
 * and C_CreateObject, in locked memory of hsm, which no other process sees. The 32-byte key of the
 * old platform comes in a sealed box to a key pair of this process, so that engine, which carries
 * it, cannot read it.
 */
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/deposit.h"

#define BOX (LEGACY_KEY_LEN + crypto_box_SEALBYTES)

struct import {
	const uint8_t *pool, *box, *value;
	unsigned kind, layout;
	size_t n;
};

/* AES-256-GCM, SP 800-38D, iv of 12 or 16 bytes, no associated data; out has room for the text. */
static int open_gcm(const uint8_t key[32], const struct legacy *l, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[sizeof l->tag], last[16];
	int n, r = KE_CRYPTO;

	memcpy(tag, l->tag, sizeof tag);
	if (ctx == NULL)
		return KE_NOMEM;
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, (int)l->iv_len, NULL) != 1 ||
	    EVP_DecryptInit_ex(ctx, NULL, NULL, key, l->iv) != 1 ||
	    EVP_DecryptUpdate(ctx, out, &n, l->text, (int)l->text_len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, (int)sizeof tag, tag) != 1)
		r = KE_INTERNAL;
	else if (EVP_DecryptFinal_ex(ctx, last, &n) == 1)
		r = KE_OK;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

/*
 * Test case 14 of McGrew and Viega's submission of GCM to NIST: key, iv and block of zeros. It
 * warms up what libcrypto loads, too.
 */
static int prove_gcm(struct hsm *h)
{
	static const uint8_t text[] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e,
	    0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18};
	static const uint8_t tag[] = {0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b,
	    0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
	static const uint8_t zero[32];
	struct legacy l = {.iv_len = 12, .text_len = sizeof text};
	uint8_t out[sizeof text];

	memcpy(l.text, text, sizeof text);
	memcpy(l.tag, tag, sizeof tag);
	if (open_gcm(zero, &l, out) != KE_OK || memcmp(out, zero, sizeof out) != 0)
		return p11_fail(&h->p, KE_INTERNAL, "libcrypto's AES-256-GCM gives a wrong answer");
	l.tag[0] ^= 1;
	if (open_gcm(zero, &l, out) != KE_CRYPTO)
		return p11_fail(
		    &h->p, KE_INTERNAL, "libcrypto's AES-256-GCM opens a changed value");
	return KE_OK;
}

int import_prepare(struct hsm *h)
{
	int r = deposit_prepare(h);

	return r == KE_OK ? prove_gcm(h) : r;
}

int hsm_answer_import_key(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	(void)peer;
	(void)m; /* empty, by the table */
	if (hsm_result(h, w, KE_OK))
		wire_put_raw(w, h->secrets->box_pub, sizeof h->secrets->box_pub);
	return KE_OK;
}

/* The secret into h->secrets->seed. */
static int open_value(struct hsm *h, const struct import *i)
{
	struct hsm_secrets *s = h->secrets;
	struct legacy l;
	int r = legacy_parse(&l, i->layout, (const char *)i->value, i->n);

	if (r == KE_OK &&
	    crypto_box_seal_open(s->legacy_key, i->box, BOX, s->box_pub, s->box_secret) != 0)
		r = KE_WRONG_KEY;
	if (r == KE_OK)
		r = open_gcm(s->legacy_key, &l, s->plain);
	if (r == KE_OK)
		r = legacy_secret(s->seed, i->kind, (const char *)s->plain, l.text_len);
	sodium_memzero(s->legacy_key, sizeof s->legacy_key);
	sodium_memzero(s->plain, sizeof s->plain);
	return r;
}

/* The 64-byte form of a Solana key says its public half itself. */
static int check_half(struct hsm *h, const struct import *i)
{
	int r = KE_OK;

	if (i->kind == PAYOUT_SOLANA)
		r = deposit_signer(h, h->secrets->seed + 32);
	return r == KE_CRYPTO ? KE_FORMAT : r;
}

static int import(
    struct hsm *h, const struct import *i, uint8_t pub[PAYOUT_PUB_MAX], char *text, size_t cap)
{
	int r = open_value(h, i);

	if (r == KE_OK)
		r = check_half(h, i);
	if (r == KE_OK)
		r = deposit_keep(h, i->pool, i->kind, pub, text, cap);
	deposit_wipe(h);
	return r;
}

int hsm_answer_import_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	uint8_t pub[PAYOUT_PUB_MAX];
	char text[BLOB_TEXT_MAX];
	struct import i;
	struct wire_in in;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	i.pool = wire_get_view(&in, 16);
	i.kind = wire_get_u8(&in);
	i.layout = wire_get_u8(&in);
	i.box = wire_get_view(&in, BOX);
	i.value = wire_get_str(&in, LEGACY_MAX, &i.n);
	if (wire_end(&in) != KE_OK || payout_pub_len(i.kind) == 0 ||
	    i.layout >= LEGACY_LAYOUT_COUNT)
		return KE_PEER;
	return deposit_tell(h, w, import(h, &i, pub, text, sizeof text), i.kind, pub, text);
}
