/*
 * One probe for each row of need.def: see check.h. Each leaves no object behind but the two session
 * keys that later ones use, which end with the session. Runs in a child of kleroctl.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hsm/check/check.h"
#include "hsm/p11/chainkey.h"
#include "hsm/p11/escrow.h"

#include "hsm/p11/ckr.h"
#include "hsm/p11/learn.h"
#include "policy/hash.h"
#include "policy/p256.h"

static const uint8_t text[32] = "kleroterion/1/hsm-check";
static const char aad[] = "kleroterion/1/hsm-check";

static double now_us(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Runs an expression CHECK_TIMES times, until it fails; its result in r, its time in res->us. */
#define TIMED(res, r, expression)                                                                  \
	do {                                                                                       \
		double began_ = now_us();                                                          \
		(r) = KE_OK;                                                                       \
		for (unsigned i_ = 0; (r) == KE_OK && i_ < CHECK_TIMES; i_++)                      \
			(r) = (expression);                                                        \
		(res)->us = (now_us() - began_) / CHECK_TIMES;                                     \
	} while (0)

static int wrong(struct check *c, const char *what)
{
	return p11_fail(&c->p, KE_DAMAGED, "%s", what);
}

static int probe_random(struct check *c, struct check_result *res)
{
	uint8_t a[32], b[32];
	int r;

	TIMED(res, r, op_random(&c->p, a, sizeof a));
	if (r == KE_OK)
		r = op_random(&c->p, b, sizeof b);
	if (r != KE_OK)
		return r;
	return memcmp(a, b, sizeof a) == 0 ? wrong(c, "it repeats itself") : KE_OK;
}

/* --- key pairs --- */

static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t ed25519_oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t ed25519_name[] = "\x13\x0c"
				      "edwards25519";

struct pair {
	CK_OBJECT_HANDLE pub, priv;
	uint8_t point[KEY_PUB_MAX + 16];
	size_t n;
};

static int make_pair(
    struct check *c, CK_MECHANISM_TYPE make, const uint8_t *curve, size_t len, struct pair *k)
{
	CK_MECHANISM m = {make, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, sizeof no}, {CKA_VERIFY, &yes, sizeof yes},
	    {CKA_EC_PARAMS, p11_in(curve), len}};
	CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, sizeof no}, {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
	    {CKA_SIGN, &yes, sizeof yes}};
	int r = p11_check(&c->p, "C_GenerateKeyPair",
	    c->p.f->C_GenerateKeyPair(c->p.session, &m, pub, 3, priv, 5, &k->pub, &k->priv));

	return r == KE_OK
		   ? p11_attribute(&c->p, k->pub, CKA_EC_POINT, k->point, sizeof k->point, &k->n)
		   : r;
}

static int drop_pair(struct check *c, const struct pair *k, int r)
{
	int a = op_destroy(&c->p, k->pub), b = op_destroy(&c->p, k->priv);

	return r != KE_OK ? r : a != KE_OK ? a : b;
}

static int probe_ec_make(struct check *c, struct check_result *res)
{
	struct pair k;
	int r;

	TIMED(res, r,
	    make_pair(c, CKM_EC_KEY_PAIR_GEN, p256, sizeof p256, &k) == KE_OK
		? drop_pair(c, &k, KE_OK)
		: KE_UNAVAIL);
	return r;
}

static int probe_ecdsa(struct check *c, struct check_result *res)
{
	struct pair k;
	uint8_t sig[64];
	int r = make_pair(c, CKM_EC_KEY_PAIR_GEN, p256, sizeof p256, &k);

	if (r != KE_OK)
		return r;
	TIMED(res, r, op_sign_ecdsa(&c->p, k.priv, text, sig));
	if (r == KE_OK && (k.n < 65 || p256_verify(k.point + k.n - 65, text, sig) != KE_OK))
		r = wrong(c, "its signature does not verify");
	return drop_pair(c, &k, r);
}

static int probe_ed25519(struct check *c, struct check_result *res)
{
	struct pair k;
	uint8_t sig[64];
	int r = make_pair(c, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519_oid, sizeof ed25519_oid, &k);

	if (r != KE_OK)
		r = make_pair(
		    c, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519_name, sizeof ed25519_name - 1, &k);
	if (r != KE_OK)
		return r;
	TIMED(res, r, op_sign_ed25519(&c->p, k.priv, text, sizeof text, sig));
	if (r == KE_OK && (k.n < 32 || crypto_sign_verify_detached(
					   sig, text, sizeof text, k.point + k.n - 32) != 0))
		r = wrong(c, "its signature does not verify");
	return drop_pair(c, &k, r);
}

/* --- secret keys --- */

/* A closed AES key of this session; more is one attribute besides, or NULL. */
static int make_aes(struct check *c, bool wraps, const CK_ATTRIBUTE *more, CK_OBJECT_HANDLE *h)
{
	CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[10] = {
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes},
	    {CKA_EXTRACTABLE, &no, sizeof no},
	    {CKA_VALUE_LEN, &len, sizeof len},
	    {wraps ? CKA_WRAP : CKA_ENCRYPT, &yes, sizeof yes},
	    {wraps ? CKA_UNWRAP : CKA_DECRYPT, &yes, sizeof yes},
	};
	CK_ULONG n = 7;

	if (more != NULL)
		t[n++] = *more;
	return p11_check(&c->p, "C_GenerateKey", c->p.f->C_GenerateKey(c->p.session, &m, t, n, h));
}

static int probe_aes_make(struct check *c, struct check_result *res)
{
	CK_OBJECT_HANDLE h;
	int r;

	TIMED(res, r, make_aes(c, false, NULL, &h) == KE_OK ? op_destroy(&c->p, h) : KE_UNAVAIL);
	if (r == KE_OK)
		r = make_aes(c, false, NULL, &c->seal);
	return r == KE_OK ? make_aes(c, true, NULL, &c->wrap) : r;
}

static int probe_closed(struct check *c, struct check_result *res)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL want;
		const char *wrong;
	} flags[] = {
	    {CKA_SENSITIVE, CK_TRUE, "CKA_SENSITIVE is not kept"},
	    {CKA_EXTRACTABLE, CK_FALSE, "CKA_EXTRACTABLE is not false"},
	    {CKA_ALWAYS_SENSITIVE, CK_TRUE, "CKA_ALWAYS_SENSITIVE is not true"},
	    {CKA_NEVER_EXTRACTABLE, CK_TRUE, "CKA_NEVER_EXTRACTABLE is not true"},
	};
	CK_BBOOL value;
	uint8_t secret[64];
	size_t n;
	int r;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		r = p11_attribute(&c->p, c->seal, flags[i].type, &value, sizeof value, &n);
		if (r != KE_OK)
			return r;
		if (n != sizeof value || (value != CK_FALSE) != (flags[i].want != CK_FALSE))
			return wrong(c, flags[i].wrong);
	}
	if (p11_attribute(&c->p, c->seal, CKA_VALUE, secret, sizeof secret, &n) == KE_OK && n > 0)
		return wrong(c, "the value of a sensitive key can be read");
	r = p11_attribute(&c->p, c->seal, CKA_LOCAL, &value, sizeof value, &n);
	if (r == KE_OK && (n != sizeof value || value == CK_FALSE))
		snprintf(res->how, sizeof res->how, "CKA_LOCAL is not kept");
	return KE_OK;
}

static int open_once(struct check *c, const uint8_t *sealed, const char *with)
{
	uint8_t plain[32 + OP_SEAL_EXTRA];
	size_t n;
	int r = op_open(&c->p, c->seal, with, sizeof aad, sealed, 32 + OP_SEAL_EXTRA, plain, &n);

	return r == KE_OK && (n != 32 || memcmp(plain, text, 32) != 0)
		   ? wrong(c, "it opens to something else")
		   : r;
}

static int probe_gcm(struct check *c, struct check_result *res)
{
	uint8_t sealed[32 + OP_SEAL_EXTRA];
	int r = learn_gcm(&c->p);

	if (r != KE_OK)
		return r;
	if (c->p.ways.gcm_brief)
		snprintf(res->how, sizeof res->how, "parameters as in PKCS#11 2.20");
	TIMED(res, r, op_seal(&c->p, c->seal, aad, sizeof aad, text, sizeof text, sealed));
	return r == KE_OK ? open_once(c, sealed, aad) : r;
}

static int probe_gcm_tamper(struct check *c, struct check_result *res)
{
	static const char other[sizeof aad] = "kleroterion/1/hsm-chick";
	uint8_t sealed[32 + OP_SEAL_EXTRA];
	int r = op_seal(&c->p, c->seal, aad, sizeof aad, text, sizeof text, sealed);

	if (r != KE_OK)
		return r;
	if (open_once(c, sealed, other) == KE_OK)
		return wrong(c, "it opens with other associated data");
	for (size_t i = 0; i < sizeof sealed; i++) {
		sealed[i] ^= 1;
		if (open_once(c, sealed, aad) == KE_OK)
			return wrong(c, "it opens a changed value");
		sealed[i] ^= 1;
	}
	snprintf(res->how, sizeof res->how, "%s", ckr_name(c->p.rv));
	return open_once(c, sealed, aad);
}

static int probe_generic(struct check *c, struct check_result *res)
{
	CK_OBJECT_HANDLE h;
	int r;

	TIMED(res, r, op_seed_make(&c->p, &h) == KE_OK ? op_destroy(&c->p, h) : KE_UNAVAIL);
	return r;
}

static int probe_hmac(struct check *c, struct check_result *res)
{
	uint8_t value[32], want[32], got[32];
	CK_OBJECT_HANDLE h;
	int r = learn_open_key(&c->p, CKM_GENERIC_SECRET_KEY_GEN, &h, value), d;

	if (r != KE_OK)
		return r;
	TIMED(res, r, op_hmac(&c->p, h, text, sizeof text, got));
	crypto_auth_hmacsha256(want, text, sizeof text, value);
	if (r == KE_OK && memcmp(want, got, sizeof got) != 0)
		r = wrong(c, "it gives a wrong answer");
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

static int wrapped_seed(struct check *c, uint8_t blob[OP_SEED_BLOB])
{
	CK_OBJECT_HANDLE h;
	int r = op_seed_make(&c->p, &h), d;

	if (r != KE_OK)
		return r;
	r = op_seed_wrap(&c->p, c->wrap, h, blob);
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

static int unwrap_once(struct check *c, const uint8_t *blob, bool reveal, uint8_t value[32])
{
	CK_OBJECT_HANDLE h;
	int r = op_seed_unwrap(&c->p, c->wrap, blob, reveal, &h), d;

	if (r != KE_OK)
		return r;
	if (reveal)
		r = op_seed_read(&c->p, h, value);
	else if (op_seed_read(&c->p, h, value) == KE_OK)
		r = wrong(c, "a sensitive seed can be read");
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

static int probe_kwp(struct check *c, struct check_result *res)
{
	uint8_t blob[OP_SEED_BLOB], value[32];
	int r = learn_wrap(&c->p);

	if (r != KE_OK)
		return r;
	snprintf(res->how, sizeof res->how, "mechanism 0x%lx", c->p.ways.wrap);
	r = wrapped_seed(c, blob);
	if (r == KE_OK)
		TIMED(res, r, unwrap_once(c, blob, false, value));
	return r;
}

static int probe_kwp_tamper(struct check *c, struct check_result *res)
{
	uint8_t blob[OP_SEED_BLOB], value[32];
	int r = wrapped_seed(c, blob);

	if (r != KE_OK)
		return r;
	for (size_t i = 0; i < sizeof blob; i++) {
		blob[i] ^= 1;
		if (unwrap_once(c, blob, false, value) == KE_OK)
			return wrong(c, "it unwraps a changed value");
		blob[i] ^= 1;
	}
	snprintf(res->how, sizeof res->how, "%s", ckr_name(c->p.rv));
	return unwrap_once(c, blob, false, value);
}

static int probe_reveal(struct check *c, struct check_result *res)
{
	uint8_t blob[OP_SEED_BLOB], a[32], b[32] = {0};
	int r = wrapped_seed(c, blob);

	if (r == KE_OK)
		TIMED(res, r, unwrap_once(c, blob, true, a));
	if (r == KE_OK)
		r = unwrap_once(c, blob, true, b);
	return r == KE_OK && memcmp(a, b, 32) != 0 ? wrong(c, "two reveals differ") : r;
}

static int probe_digest_key(struct check *c, struct check_result *res)
{
	uint8_t value[32], want[32], got[32];
	CK_OBJECT_HANDLE h;
	int r = learn_open_key(&c->p, CKM_GENERIC_SECRET_KEY_GEN, &h, value), d;

	if (r != KE_OK)
		return r;
	TIMED(res, r, op_seed_digest(&c->p, h, got));
	hash_sha256(want, value, sizeof value);
	if (r == KE_OK && memcmp(want, got, sizeof got) != 0)
		r = wrong(c, "it gives a wrong answer");
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

/* --- deposit keys --- */

static int sign_unwrapped(struct check *c, const uint8_t *blob, size_t n, const uint8_t *pub)
{
	struct chainkey_sig sig;
	CK_OBJECT_HANDLE h;
	int r = chainkey_unwrap(&c->p, c->wrap, blob, n, CHAINKEY_SIGN, &h), d;

	if (r != KE_OK)
		return r;
	memcpy(sig.digest, text, sizeof sig.digest);
	r = chainkey_sign(&c->p, h, pub, &sig);
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

static int probe_secp256k1(struct check *c, struct check_result *res)
{
	uint8_t blob[CHAINKEY_BLOB_MAX], pub[SECP_POINT];
	CK_OBJECT_HANDLE h;
	size_t n = 0;
	int r = chainkey_make(&c->p, &h, pub), d;

	if (r != KE_OK)
		return r;
	r = chainkey_wrap(&c->p, c->wrap, h, blob, &n);
	d = op_destroy(&c->p, h);
	if (r == KE_OK)
		r = d;
	if (r == KE_OK)
		TIMED(res, r, sign_unwrapped(c, blob, n, pub));
	return r;
}

/* What it unwraps must be sensitive, whoever asks. */
static int probe_unwrap_template(struct check *c, struct check_result *res)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE inner = {CKA_SENSITIVE, &yes, sizeof yes};
	const CK_ATTRIBUTE more = {CKA_UNWRAP_TEMPLATE, &inner, sizeof inner};
	CK_OBJECT_HANDLE own = c->wrap;
	uint8_t blob[OP_SEED_BLOB], value[32];
	int r = make_aes(c, true, &more, &c->wrap), d;

	(void)res;
	if (r != KE_OK) {
		c->wrap = own;
		return r;
	}
	r = wrapped_seed(c, blob);
	if (r == KE_OK)
		r = unwrap_once(c, blob, false, value);
	if (r == KE_OK && unwrap_once(c, blob, true, value) == KE_OK)
		r = wrong(c, "it is taken and not kept");
	d = op_destroy(&c->p, c->wrap);
	c->wrap = own;
	return r == KE_OK ? d : r;
}

static int probe_escrow(struct check *c, struct check_result *res)
{
	int r = learn_escrow(&c->p);

	if (r == KE_OK)
		snprintf(res->how, sizeof res->how, "with %s",
		    c->p.ways.oaep == CKM_SHA_1 ? "SHA-1" : "SHA-256");
	return r;
}

/* --- objects --- */

/* Copies one, CHECK_TIMES times. */
static int copy_of(struct check *c, struct check_result *res, CK_OBJECT_HANDLE h)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE change = {CKA_TOKEN, &no, sizeof no};
	CK_OBJECT_HANDLE copy;
	int r;

	TIMED(res, r,
	    p11_check(&c->p, "C_CopyObject",
		c->p.f->C_CopyObject(c->p.session, h, &change, 1, &copy)) == KE_OK
		? op_destroy(&c->p, copy)
		: KE_UNAVAIL);
	return r;
}

/* Of a secret key and of a private one, as far as the token makes them. */
static int probe_copy(struct check *c, struct check_result *res)
{
	struct check_result fixed_one = {.us = 0};
	CK_BBOOL no = CK_FALSE;
	const CK_ATTRIBUTE fixed = {CKA_MODIFIABLE, &no, sizeof no};
	CK_OBJECT_HANDLE h;
	struct pair k;
	int r = make_pair(c, CKM_EC_KEY_PAIR_GEN, p256, sizeof p256, &k);

	if (r != KE_OK && c->seal == 0)
		return r;
	r = r == KE_OK ? drop_pair(c, &k, copy_of(c, res, k.priv)) : KE_OK;
	if (r == KE_OK && c->seal != 0)
		r = copy_of(c, res, c->seal);
	if (r != KE_OK || c->seal == 0 || make_aes(c, false, &fixed, &h) != KE_OK)
		return r;
	if (copy_of(c, &fixed_one, h) != KE_OK)
		snprintf(res->how, sizeof res->how, "only keys that are CKA_MODIFIABLE");
	return op_destroy(&c->p, h);
}

static int probe_data(struct check *c, struct check_result *res)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t back[sizeof text];
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes}, {CKA_LABEL, p11_in(aad), sizeof aad},
	    {CKA_VALUE, p11_in(text), sizeof text}};
	CK_OBJECT_HANDLE h;
	size_t n;
	int r = p11_check(&c->p, "C_CreateObject", c->p.f->C_CreateObject(c->p.session, t, 5, &h)),
	    d;

	(void)res;
	if (r != KE_OK)
		return r;
	r = p11_attribute(&c->p, h, CKA_VALUE, back, sizeof back, &n);
	if (r == KE_OK && (n != sizeof back || memcmp(back, text, n) != 0))
		r = wrong(c, "it reads back something else");
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

static int probe_allowed(struct check *c, struct check_result *res)
{
	CK_MECHANISM_TYPE only = CKM_AES_GCM, back = 0;
	const CK_ATTRIBUTE more = {CKA_ALLOWED_MECHANISMS, &only, sizeof only};
	CK_OBJECT_HANDLE h;
	size_t n;
	int r = make_aes(c, false, &more, &h), d;

	(void)res;
	if (r != KE_OK)
		return r;
	r = p11_attribute(&c->p, h, CKA_ALLOWED_MECHANISMS, &back, sizeof back, &n);
	if (r == KE_OK && (n != sizeof back || back != only))
		r = wrong(c, "it is taken and not kept");
	d = op_destroy(&c->p, h);
	return r == KE_OK ? d : r;
}

check_probe *const check_probes[NEEDS] = {
    [NEED_RANDOM] = probe_random,
    [NEED_EC_MAKE] = probe_ec_make,
    [NEED_ECDSA] = probe_ecdsa,
    [NEED_AES_MAKE] = probe_aes_make,
    [NEED_CLOSED] = probe_closed,
    [NEED_GCM] = probe_gcm,
    [NEED_GCM_TAMPER] = probe_gcm_tamper,
    [NEED_GENERIC_MAKE] = probe_generic,
    [NEED_HMAC] = probe_hmac,
    [NEED_KWP] = probe_kwp,
    [NEED_KWP_TAMPER] = probe_kwp_tamper,
    [NEED_REVEAL] = probe_reveal,
    [NEED_DIGEST_KEY] = probe_digest_key,
    [NEED_ED25519] = probe_ed25519,
    [NEED_SECP256K1] = probe_secp256k1,
    [NEED_UNWRAP_TEMPLATE] = probe_unwrap_template,
    [NEED_ESCROW] = probe_escrow,
    [NEED_COPY] = probe_copy,
    [NEED_DATA] = probe_data,
    [NEED_ALLOWED] = probe_allowed,
};
