/*
 * The module's ways, by trying: see learn.h. Runs in hsm, tlskey, keyadm and kleroctl hsm check.
 */
#include "hsm/p11/learn.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "hsm/p11/op.h"

static const char aad[] = "kleroterion/1/known-answer";
static const uint8_t text[32] = "kleroterion/1/known-answer";

int learn_open_key(
    struct p11 *p, CK_MECHANISM_TYPE make, CK_OBJECT_HANDLE *h, uint8_t value[OP_SEED_LEN])
{
	CK_MECHANISM m = {make, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = OP_SEED_LEN;
	CK_ATTRIBUTE t[] = {
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &no, sizeof no},
	    {CKA_EXTRACTABLE, &yes, sizeof yes},
	    {CKA_VALUE_LEN, &len, sizeof len},
	    {make == CKM_AES_KEY_GEN ? CKA_ENCRYPT : CKA_SIGN, &yes, sizeof yes},
	    {CKA_WRAP, &yes, sizeof yes},
	};
	size_t n = make == CKM_AES_KEY_GEN ? 7 : 6;
	int r =
	    p11_check(p, "C_GenerateKey", p->f->C_GenerateKey(p->session, &m, t, (CK_ULONG)n, h));

	if (r != KE_OK)
		return r;
	p->made++;
	r = op_seed_read(p, *h, value);
	if (r != KE_OK && op_destroy(p, *h) != KE_OK)
		return KE_UNAVAIL;
	return r;
}

/* Opens iv ‖ ciphertext ‖ tag in software; true when it is the text. */
static bool is_gcm(const uint8_t key[32], const uint8_t sealed[32 + OP_SEAL_EXTRA])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t out[32], tag[OP_TAG_LEN];
	int n;
	bool ok;

	memcpy(tag, sealed + OP_IV_LEN + 32, sizeof tag);
	ok = c != NULL && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, sealed) == 1 &&
	     EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)aad, sizeof aad) == 1 &&
	     EVP_DecryptUpdate(c, out, &n, sealed + OP_IV_LEN, 32) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
	     EVP_DecryptFinal_ex(c, out + n, &n) == 1 && memcmp(out, text, sizeof text) == 0;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

static bool is_kwp(
    const uint8_t key[32], const uint8_t value[OP_SEED_LEN], const uint8_t blob[OP_SEED_BLOB])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t out[OP_SEED_BLOB + 16];
	int n = 0;
	bool ok;

	if (c == NULL)
		return false;
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = EVP_EncryptInit_ex(c, EVP_aes_256_wrap_pad(), NULL, key, NULL) == 1 &&
	     EVP_EncryptUpdate(c, out, &n, value, OP_SEED_LEN) == 1 && n == OP_SEED_BLOB &&
	     memcmp(out, blob, OP_SEED_BLOB) == 0;
	EVP_CIPHER_CTX_free(c);
	sodium_memzero(out, sizeof out);
	return ok;
}

int learn_tried(struct p11 *p, int r, bool right)
{
	if (r == KE_OK)
		return right ? KE_OK : KE_NOTFOUND;
	switch (p->rv) {
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_REMOVED:
	case CKR_DEVICE_MEMORY:
	case CKR_HOST_MEMORY:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_SESSION_CLOSED:
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_CRYPTOKI_NOT_INITIALIZED:
		return r;
	default:
		return KE_NOTFOUND;
	}
}

int learn_gcm(struct p11 *p)
{
	uint8_t value[32], sealed[32 + OP_SEAL_EXTRA];
	CK_OBJECT_HANDLE h;
	int r = learn_open_key(p, CKM_AES_KEY_GEN, &h, value), d;

	if (r != KE_OK)
		return r;
	for (unsigned brief = 0; brief < 2; brief++) {
		p->ways.gcm_brief = brief != 0;
		r = op_seal(p, h, aad, sizeof aad, text, sizeof text, sealed);
		r = learn_tried(p, r, r == KE_OK && is_gcm(value, sealed));
		if (r != KE_NOTFOUND)
			break;
	}
	sodium_memzero(value, sizeof value);
	d = op_destroy(p, h);
	if (r == KE_NOTFOUND)
		return p11_fail(
		    p, r, "token %s: CKM_AES_GCM is not AES-GCM as we know it", p->label);
	return r == KE_OK ? d : r;
}

/* With both values known: is what the module wraps what RFC 5649 gives? */
static int try_wraps(struct p11 *p, CK_OBJECT_HANDLE key, const uint8_t value[32],
    CK_OBJECT_HANDLE inner, const uint8_t seed[OP_SEED_LEN])
{
	static const CK_MECHANISM_TYPE ways[] = {CKM_AES_KEY_WRAP_PAD, P11_AES_KEY_WRAP_KWP};
	int r = KE_NOTFOUND;

	for (size_t i = 0; r == KE_NOTFOUND && i < sizeof ways / sizeof ways[0]; i++) {
		uint8_t blob[OP_SEED_BLOB];

		p->ways.wrap = ways[i];
		r = op_seed_wrap(p, key, inner, blob);
		r = learn_tried(p, r, r == KE_OK && is_kwp(value, seed, blob));
	}
	if (r == KE_NOTFOUND)
		return p11_fail(p, r,
		    "token %s: neither CKM_AES_KEY_WRAP_PAD nor CKM_AES_KEY_WRAP_KWP is RFC 5649: "
		    "server seeds cannot be kept",
		    p->label);
	return r;
}

int learn_wrap(struct p11 *p)
{
	uint8_t value[32], seed[OP_SEED_LEN];
	CK_OBJECT_HANDLE key, inner;
	int r = learn_open_key(p, CKM_AES_KEY_GEN, &key, value), d = KE_OK;

	if (r != KE_OK)
		return r;
	r = learn_open_key(p, CKM_GENERIC_SECRET_KEY_GEN, &inner, seed);
	if (r == KE_OK) {
		r = try_wraps(p, key, value, inner, seed);
		d = op_destroy(p, inner);
	}
	sodium_memzero(value, sizeof value);
	sodium_memzero(seed, sizeof seed);
	if (op_destroy(p, key) != KE_OK)
		d = KE_UNAVAIL;
	return r == KE_OK ? d : r;
}

/* --- attributes --- */

static int flag_of(struct p11 *p, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type, bool *on)
{
	CK_BBOOL value = CK_FALSE;
	size_t n;
	int r = p11_attribute(p, h, type, &value, sizeof value, &n);

	*on = n == sizeof value && value != CK_FALSE;
	return r;
}

/* Does the copy of a closed key say that it has always been closed, as its original does? */
static int look_at_copy(struct p11 *p, CK_OBJECT_HANDLE h)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE change[] = {{CKA_TOKEN, &no, sizeof no}};
	CK_OBJECT_HANDLE copy;
	bool always, never;
	int r, d;

	/* what a copy may be refused for is key_ring_copy's and make_key's to find out */
	if (p->f->C_CopyObject(p->session, h, change, 1, &copy) != CKR_OK)
		return KE_OK;
	p->made++;
	r = flag_of(p, copy, CKA_ALWAYS_SENSITIVE, &always);
	if (r == KE_OK)
		r = flag_of(p, copy, CKA_NEVER_EXTRACTABLE, &never);
	if (r == KE_OK && !(always && never))
		p->ways.copies_forget = true;
	d = op_destroy(p, copy);
	return r == KE_OK ? d : r;
}

static int look(struct p11 *p, CK_OBJECT_HANDLE h)
{
	bool local;
	int r = flag_of(p, h, CKA_LOCAL, &local);

	if (r == KE_OK && !local)
		p->ways.no_local = true;
	return r == KE_OK ? look_at_copy(p, h) : r;
}

/* Is a key that the token has just made itself marked so? */
static int learn_attributes(struct p11 *p)
{
	static const uint8_t curve[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	CK_MECHANISM m = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, sizeof no}, {CKA_VERIFY, &yes, sizeof yes},
	    {CKA_EC_PARAMS, p11_in(curve), sizeof curve}};
	CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, sizeof no}, {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
	    {CKA_SIGN, &yes, sizeof yes}};
	CK_OBJECT_HANDLE h[2];
	int r = p11_check(p, "C_GenerateKeyPair",
	    p->f->C_GenerateKeyPair(p->session, &m, pub, 3, priv, 5, &h[0], &h[1]));

	if (r != KE_OK)
		return r;
	p->made += 2;
	r = look(p, h[1]);
	for (size_t i = 0; i < 2; i++) {
		int d = op_destroy(p, h[i]);

		r = r == KE_OK ? d : r;
	}
	return r;
}

int learn_ways(struct p11 *p, bool symmetric)
{
	int r = learn_attributes(p);

	if (r == KE_OK && symmetric)
		r = learn_gcm(p);
	if (r == KE_OK && symmetric)
		r = learn_wrap(p);
	return r;
}
