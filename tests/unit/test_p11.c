/*
 * hsm/p11/ and hsm/setup/ against a throw-away SoftHSM token: each wrapper, what it refuses, and
 * the one line that each failed start gives. Modules that lack something are the real module with
 * one function taken away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>

#include "hsm/p11/blob.h"
#include "hsm/p11/ckr.h"
#include "hsm/p11/make.h"
#include "hsm/p11/op.h"
#include "hsm/p11/prove.h"
#include "policy/p256.h"
#include "policy/hash.h"
#include "tests/unit/hsm_fixture.h"

#define HSM_PURPOSES                                                                               \
	(1u << KEY_MASTER | 1u << KEY_SEED | 1u << KEY_MAC | 1u << KEY_TOKEN | 1u << KEY_LOG)

static struct fx fx;
static CK_FUNCTION_LIST patched; /* the module's functions, some replaced */

static void patch(struct p11 *p)
{
	patched = *p->f;
	p->f = &patched;
}

static void load(struct p11 *p)
{
	char *env[] = {fx.env};

	*p = (struct p11){.dl = NULL};
	assert_int_equal(p11_load(p, fx_module(), env, 1), KE_OK);
}

static void enter(struct p11 *p, const char *label, bool write)
{
	load(p);
	assert_int_equal(p11_open(p, label, write), KE_OK);
	assert_int_equal(p11_login(p, FX_PIN), KE_OK);
}

static CK_OBJECT_HANDLE handle(const struct key_ring *ring, enum key_purpose purpose)
{
	const struct key *k = key_ring_get(ring, purpose, 0);

	assert_non_null(k);
	return k->handle;
}

/* The keys of the token FX_KEYS as hsm has them. */
static void enter_with_keys(struct p11 *p, struct key_ring *ring)
{
	bool copied;

	enter(p, FX_KEYS, false);
	assert_int_equal(key_ring_find(p, ring), KE_OK);
	assert_int_equal(key_ring_copy(p, ring, &copied), KE_OK);
	assert_true(copied);
}

/* --- return values --- */

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(ckr_name(CKR_OK), "CKR_OK");
	assert_string_equal(ckr_name(CKR_DEVICE_REMOVED), "CKR_DEVICE_REMOVED");
	assert_string_equal(ckr_name(0x7fffffff), "CKR_?");
	assert_int_equal(ckr_class(CKR_OK), KE_OK);
	assert_int_equal(ckr_class(CKR_PIN_INCORRECT), KE_AUTH);
	assert_int_equal(ckr_class(CKR_PIN_LOCKED), KE_LIMIT);
	assert_int_equal(ckr_class(CKR_GENERAL_ERROR), KE_AGAIN);
	assert_int_equal(ckr_class(CKR_WRAPPED_KEY_INVALID), KE_CRYPTO);
	assert_int_equal(ckr_class(CKR_DEVICE_ERROR), KE_UNAVAIL);
	assert_int_equal(ckr_class(CKR_SESSION_HANDLE_INVALID), KE_UNAVAIL);
	assert_int_equal(ckr_class(0x7fffffff), KE_UNAVAIL);
}

/* --- setup --- */

static void test_setup(void **state)
{
	struct rconf_token t = fx_token(&fx, "fresh");
	enum setup_what what;
	char why[256];

	(void)state;
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_OK);
	assert_int_equal(what, SETUP_INITIALISED);
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_OK);
	assert_int_equal(what, SETUP_FOUND);
	snprintf(t.label, sizeof t.label, "a label of more than thirty-two bytes");
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_LONG);
	t.label[0] = '\0';
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_LONG);
	snprintf(t.label, sizeof t.label, "fresh");
	snprintf(t.module, sizeof t.module, "/nowhere/module.so");
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_NOTFOUND);
	assert_non_null(strstr(why, "/nowhere/module.so"));
}

/* An Ed25519 key in the token is what libp11 stumbles over: it must not hang or fail setup. */
static void test_setup_beside_ed25519(void **state)
{
	struct rconf_token t = fx_token(&fx, FX_KEYS);
	enum setup_what what;
	char why[256];

	(void)state;
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_OK);
	assert_int_equal(what, SETUP_FOUND);
}

static void test_setup_half_done(void **state)
{
	struct rconf_token t = fx_token(&fx, "half");
	CK_UTF8CHAR label[32] = "half                            ";
	CK_UTF8CHAR so[] = FX_SO_PIN;
	CK_SLOT_ID slots[32];
	CK_ULONG n = 32;
	CK_TOKEN_INFO info;
	enum setup_what what;
	struct p11 p;
	char why[256];

	(void)state;
	/* a token that an interrupted setup has left: labelled, without a user PIN */
	load(&p);
	assert_int_equal(p.f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++) {
		assert_int_equal(p.f->C_GetTokenInfo(slots[i], &info), CKR_OK);
		if ((info.flags & CKF_TOKEN_INITIALIZED) == 0) {
			assert_int_equal(
			    p.f->C_InitToken(slots[i], so, sizeof so - 1, label), CKR_OK);
			break;
		}
	}
	p11_close(&p);
	assert_int_equal(
	    setup_token(&t, "not the so pin", FX_PIN, &what, why, sizeof why), KE_AUTH);
	assert_non_null(strstr(why, "half"));
	assert_int_equal(setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why), KE_OK);
	assert_int_equal(what, SETUP_INITIALISED);
	enter(&p, "half", false);
	p11_close(&p);
}

/* --- failed starts, each with its own line --- */

static void test_missing_token(void **state)
{
	struct p11 p;

	(void)state;
	load(&p);
	assert_int_equal(p11_open(&p, "klero-key", false), KE_NOTFOUND); /* no prefix match */
	assert_non_null(strstr(p.why, "no token labelled klero-key "));
	assert_non_null(strstr(p.why, "kleroctl setup"));
	p11_close(&p);
}

static void test_two_tokens(void **state)
{
	static const char command[] =
	    "SOFTHSM2_CONF=%s softhsm2-util --init-token --free --label twin --so-pin 12345678 "
	    "--pin 12345678 >/dev/null";
	char line[256];
	struct p11 p;

	(void)state;
	snprintf(line, sizeof line, command, fx.conf);
	assert_int_equal(system(line), 0);
	assert_int_equal(system(line), 0);
	load(&p);
	assert_int_equal(p11_open(&p, "twin", false), KE_EXISTS);
	assert_non_null(strstr(p.why, "2 tokens are labelled twin"));
	p11_close(&p);
}

static void test_wrong_pin(void **state)
{
	struct p11 p;

	(void)state;
	load(&p);
	assert_int_equal(p11_open(&p, FX_KEYS, false), KE_OK);
	assert_int_equal(p11_login(&p, "wrong pin"), KE_AUTH);
	assert_non_null(strstr(p.why, "CKR_PIN_INCORRECT"));
	assert_non_null(strstr(p.why, "not tried again"));
	p11_close(&p);
}

static CK_FLAGS pin_flags;
static CK_RV info_with_flags(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
	(void)slot;
	*info = (CK_TOKEN_INFO){.flags = pin_flags};
	return CKR_OK;
}

static CK_RV no_login(CK_SESSION_HANDLE s, CK_USER_TYPE type, CK_UTF8CHAR_PTR pin, CK_ULONG n)
{
	(void)s;
	(void)type;
	(void)pin;
	(void)n;
	fail_msg("the PIN was tried");
	return CKR_OK;
}

static void test_last_try(void **state)
{
	struct p11 p;

	(void)state;
	load(&p);
	assert_int_equal(p11_open(&p, FX_KEYS, false), KE_OK);
	patch(&p);
	patched.C_GetTokenInfo = info_with_flags;
	patched.C_Login = no_login;
	pin_flags = CKF_USER_PIN_FINAL_TRY;
	assert_int_equal(p11_login(&p, FX_PIN), KE_LIMIT);
	assert_non_null(strstr(p.why, "one last PIN"));
	pin_flags = CKF_USER_PIN_LOCKED;
	assert_int_equal(p11_login(&p, FX_PIN), KE_LIMIT);
	assert_non_null(strstr(p.why, "has locked its PIN"));
	p11_close(&p);
}

static CK_RV no_hmac(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info)
{
	(void)slot;
	(void)info;
	return type == CKM_SHA256_HMAC || (type | 1) == P11_AES_KEY_WRAP_KWP ? CKR_MECHANISM_INVALID
									     : CKR_OK;
}

static void test_missing_mechanism(void **state)
{
	struct p11 p;

	(void)state;
	enter(&p, FX_KEYS, false);
	assert_int_equal(p11_need(&p, P11_NEED_KEYS), KE_OK);
	patch(&p);
	patched.C_GetMechanismInfo = no_hmac;
	assert_int_equal(p11_need(&p, P11_NEED_KEYS), KE_NOTFOUND);
	assert_non_null(strstr(p.why, "CKM_SHA256_HMAC (no commitments and no refresh tokens)"));
	assert_non_null(strstr(p.why, "CKM_AES_KEY_WRAP_PAD (server seeds cannot be kept)"));
	assert_int_equal(p11_need(&p, P11_NEED_TLS), KE_OK);
	p11_close(&p);
}

/* --- keys --- */

static void make_all(void)
{
	struct key k;
	struct p11 p;

	enter(&p, FX_KEYS, true);
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if ((HSM_PURPOSES & (1u << i)) != 0)
			assert_int_equal(make_key(&p, (enum key_purpose)i, 1, &k), KE_OK);
	p11_close(&p);
}

static void test_keys(void **state)
{
	struct key_ring ring;
	struct p11 p;

	(void)state;
	enter_with_keys(&p, &ring);
	assert_int_equal(ring.n, 5);
	assert_int_equal(key_ring_demand(&p, &ring, HSM_PURPOSES), KE_OK);
	assert_int_equal(key_ring_demand(&p, &ring, 1u << KEY_TLS), KE_NOTFOUND);
	assert_non_null(strstr(p.why, "klero/tls"));
	assert_null(key_ring_get(&ring, KEY_MAC, 2));
	assert_non_null(key_ring_get(&ring, KEY_MAC, 1));
	assert_int_equal(prove_keys(&p, &ring, HSM_PURPOSES), KE_OK);
	p11_close(&p);
}

/* A secret key with a label of ours that is not of our making: one flag at a time. */
static int find_after(const char *label, CK_ATTRIBUTE_TYPE odd, bool value, const char *names)
{
	CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE, flag = value ? CK_TRUE : CK_FALSE;
	CK_ULONG len = 32;
	CK_BYTE id[] = "seed\0\0\0\x02 randomly";
	CK_ATTRIBUTE t[] = {{CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1}, {CKA_SENSITIVE, &yes, 1},
	    {CKA_EXTRACTABLE, &no, 1}, {CKA_WRAP, &yes, 1}, {CKA_UNWRAP, &yes, 1},
	    {CKA_ENCRYPT, &no, 1}, {CKA_DECRYPT, &no, 1}, {CKA_SIGN, &no, 1}, {CKA_VERIFY, &no, 1},
	    {CKA_DERIVE, &no, 1}, {CKA_VALUE_LEN, &len, sizeof len},
	    {CKA_LABEL, p11_in(label), (CK_ULONG)strlen(label)}, {CKA_ID, id, 16}};
	CK_OBJECT_HANDLE h;
	struct key_ring ring;
	struct p11 p;
	int r;

	id[7] = label[strlen(label) - 1] == '1' ? 1 : 2;
	enter(&p, FX_KEYS, true);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		if (t[i].type == odd)
			t[i].pValue = odd == CKA_ID ? p11_in(label) : &flag;
	assert_int_equal(p.f->C_GenerateKey(p.session, &m, t, sizeof t / sizeof t[0], &h), CKR_OK);
	r = key_ring_find(&p, &ring);
	assert_int_equal(p.f->C_DestroyObject(p.session, h), CKR_OK);
	p11_close(&p);
	if (names != NULL && strstr(p.why, names) == NULL)
		fail_msg("not told: %s, but: %s", names, p.why);
	return r;
}

static void test_planted_keys(void **state)
{
	static const char v2[] = "klero/seed/v000002";

	(void)state;
	assert_int_equal(find_after(v2, 0, false, NULL), KE_OK); /* the pattern itself is good */
	assert_int_equal(find_after(v2, CKA_EXTRACTABLE, true, "CKA_EXTRACTABLE"), KE_DAMAGED);
	assert_int_equal(find_after(v2, CKA_SENSITIVE, false, "CKA_SENSITIVE"), KE_DAMAGED);
	assert_int_equal(find_after(v2, CKA_DECRYPT, true, "CKA_DECRYPT"), KE_DAMAGED);
	assert_int_equal(find_after(v2, CKA_SIGN, true, "CKA_SIGN"), KE_DAMAGED);
	assert_int_equal(find_after(v2, CKA_WRAP, false, "CKA_WRAP"), KE_DAMAGED);
	assert_int_equal(find_after(v2, CKA_ID, true, "CKA_ID"), KE_DAMAGED);
	assert_int_equal(find_after("klero/seed/v000003", 0, false, "CKA_ID"), KE_DAMAGED);
	assert_int_equal(find_after("klero/seed/v000001", 0, false, "two keys"), KE_EXISTS);
	assert_int_equal(find_after("klero/seed/v000000", 0, false, "no key of ours"), KE_DAMAGED);
	assert_int_equal(find_after("klero/seed/v1", 0, false, "no key of ours"), KE_DAMAGED);
	assert_int_equal(find_after("klero/other/v000001", 0, false, "no key of ours"), KE_DAMAGED);
	assert_int_equal(find_after("klero/token/v000002", 0, false, "no key of ours"), KE_DAMAGED);
	assert_int_equal(find_after("somebody else's", 0, false, NULL), KE_OK);
}

static CK_RV no_copy(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_PTR t, CK_ULONG n,
    CK_OBJECT_HANDLE_PTR out)
{
	(void)s;
	(void)h;
	(void)t;
	(void)n;
	(void)out;
	return CKR_FUNCTION_NOT_SUPPORTED;
}

static CK_RV no_digest_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h)
{
	(void)s;
	(void)h;
	return CKR_FUNCTION_NOT_SUPPORTED;
}

/* A module without C_CopyObject and C_DigestKey still works, with its keys in the token. */
static void test_poor_module(void **state)
{
	struct key_ring ring, before;
	struct p11 p;
	bool copied;

	(void)state;
	enter(&p, FX_KEYS, false);
	patch(&p);
	patched.C_CopyObject = no_copy;
	patched.C_DigestKey = no_digest_key;
	assert_int_equal(key_ring_find(&p, &ring), KE_OK);
	before = ring;
	assert_int_equal(key_ring_copy(&p, &ring, &copied), KE_OK);
	assert_false(copied);
	assert_memory_equal(&ring, &before, sizeof ring);
	assert_true(p.has_digest_key);
	assert_int_equal(prove_keys(&p, &ring, HSM_PURPOSES), KE_OK);
	assert_false(p.has_digest_key);
	p11_close(&p);
}

/* --- operations --- */

static void test_signatures(void **state)
{
	struct key_ring ring;
	struct p11 p;
	uint8_t digest[32] = {7}, sig[64];
	const struct key *k;

	(void)state;
	enter_with_keys(&p, &ring);
	k = key_ring_get(&ring, KEY_TOKEN, 0);
	assert_int_equal(op_sign_ecdsa(&p, k->handle, digest, sig), KE_OK);
	assert_int_equal(p256_verify(k->pub, digest, sig), KE_OK);
	sig[40] ^= 1;
	assert_int_equal(p256_verify(k->pub, digest, sig), KE_CRYPTO);
	k = key_ring_get(&ring, KEY_LOG, 0);
	assert_int_equal(op_sign_ed25519(&p, k->handle, "text", 4, sig), KE_OK);
	assert_int_equal(crypto_sign_verify_detached(sig, (const uint8_t *)"text", 4, k->pub), 0);
	/* a key does what it is for */
	assert_int_equal(op_sign_ecdsa(&p, handle(&ring, KEY_MASTER), digest, sig), KE_UNAVAIL);
	assert_int_equal(op_hmac(&p, handle(&ring, KEY_SEED), "x", 1, digest), KE_UNAVAIL);
	p11_close(&p);
}

static void test_sealing(void **state)
{
	struct key_ring ring;
	struct p11 p;
	uint8_t plain[32] = {1, 2, 3}, sealed[60], again[60], out[60];
	CK_OBJECT_HANDLE k;
	size_t n;

	(void)state;
	enter_with_keys(&p, &ring);
	k = handle(&ring, KEY_MASTER);
	assert_int_equal(op_seal(&p, k, "aad", 3, plain, 32, sealed), KE_OK);
	assert_int_equal(op_seal(&p, k, "aad", 3, plain, 32, again), KE_OK);
	assert_memory_not_equal(sealed, again, 12);
	assert_int_equal(op_open(&p, k, "aad", 3, sealed, 60, out, &n), KE_OK);
	assert_int_equal(n, 32);
	assert_memory_equal(out, plain, 32);
	for (size_t i = 0; i < 60; i++) {
		sealed[i] ^= 1;
		assert_int_equal(op_open(&p, k, "aad", 3, sealed, 60, out, &n), KE_AGAIN);
		sealed[i] ^= 1;
	}
	assert_int_equal(op_open(&p, k, "aae", 3, sealed, 60, out, &n), KE_AGAIN);
	assert_int_equal(op_open(&p, k, "aad", 3, sealed, 27, out, &n), KE_CRYPTO);
	/* no associated data, no sealing */
	assert_int_equal(op_seal(&p, k, "", 0, plain, 32, sealed), KE_RANGE);
	assert_int_equal(op_open(&p, k, "", 0, sealed, 60, out, &n), KE_CRYPTO);
	p11_close(&p);
}

static void test_seeds(void **state)
{
	struct key_ring ring;
	struct p11 p;
	uint8_t blob[OP_SEED_BLOB], value[32], got[32], want[32];
	CK_OBJECT_HANDLE k, seed, out;
	uint32_t made;

	(void)state;
	enter_with_keys(&p, &ring);
	made = p.made;
	k = handle(&ring, KEY_SEED);
	assert_int_equal(op_seed_make(&p, &seed), KE_OK);
	assert_int_equal(op_seed_read(&p, seed, value), KE_UNAVAIL); /* CKR_ATTRIBUTE_SENSITIVE */
	assert_int_equal(p.rv, CKR_ATTRIBUTE_SENSITIVE);
	assert_int_equal(op_seed_wrap(&p, k, seed, blob), KE_OK);
	assert_int_equal(op_seed_unwrap(&p, k, blob, false, &out), KE_OK);
	assert_int_equal(op_seed_read(&p, out, value), KE_UNAVAIL);
	assert_int_equal(op_seed_unwrap(&p, k, blob, true, &out), KE_OK);
	assert_int_equal(op_seed_read(&p, out, value), KE_OK);
	assert_int_equal(op_seed_digest(&p, seed, got), KE_OK);
	hash_sha256(want, value, 32);
	assert_memory_equal(got, want, 32);
	assert_int_equal(op_kdf(&p, seed, "label", "context", 7, got), KE_OK);
	hash_kdf(want, value, "label", "context", 7);
	assert_memory_equal(got, want, 32);
	for (size_t i = 0; i < OP_SEED_BLOB; i++) {
		blob[i] ^= 0x80;
		assert_int_equal(op_seed_unwrap(&p, k, blob, true, &out), KE_AGAIN);
		blob[i] ^= 0x80;
	}
	/* long-lived keys cannot be wrapped out */
	assert_int_equal(op_seed_wrap(&p, k, handle(&ring, KEY_MAC), blob), KE_UNAVAIL);
	assert_int_equal(p.rv, CKR_KEY_UNEXTRACTABLE);
	assert_int_equal(op_destroy(&p, seed), KE_OK);
	assert_int_equal(op_destroy(&p, seed), KE_UNAVAIL);
	assert_int_equal(p.made, made + 3);
	p11_close(&p);
}

static CK_RV sick(
    CK_SESSION_HANDLE s, CK_BYTE_PTR in, CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR len)
{
	(void)s;
	(void)in;
	(void)n;
	(void)out;
	(void)len;
	return CKR_GENERAL_ERROR;
}

static void test_canary(void **state)
{
	struct key_ring ring;
	struct canary c;
	struct p11 p;
	unsigned tries = 0;

	(void)state;
	enter_with_keys(&p, &ring);
	assert_int_equal(canary_make(&p, &ring, &c), KE_OK);
	assert_int_equal(canary_judge(&p, &ring, &c, KE_AGAIN, &tries), KE_AGAIN);
	assert_int_equal(canary_judge(&p, &ring, &c, KE_AGAIN, &tries), KE_CRYPTO);
	assert_int_equal(canary_judge(&p, &ring, &c, KE_OK, &tries), KE_OK);
	patch(&p);
	patched.C_Decrypt = sick;
	assert_int_equal(canary_judge(&p, &ring, &c, KE_AGAIN, &tries), KE_UNAVAIL);
	p11_close(&p);
}

static void test_blobs(void **state)
{
	char text[BLOB_TEXT_MAX];
	uint8_t data[] = {1, 2, 3, 4, 5}, out[BLOB_DATA_MAX];
	uint32_t v;
	size_t n;

	(void)state;
	assert_int_equal(blob_put(text, sizeof text, "seed", 42, data, 5), KE_OK);
	assert_string_equal(text, "klero:1:seed:v000042:AQIDBAU");
	assert_int_equal(blob_get(text, strlen(text), "seed", &v, out, sizeof out, &n), KE_OK);
	assert_int_equal(v, 42);
	assert_int_equal(n, 5);
	assert_memory_equal(out, data, 5);
	assert_int_equal(blob_get(text, strlen(text), "db", &v, out, sizeof out, &n), KE_FORMAT);
	assert_int_equal(blob_get(text, strlen(text), "seed", &v, out, 4, &n), KE_FORMAT);
	assert_int_equal(blob_put(text, 25, "seed", 42, data, 5), KE_FULL);
	assert_int_equal(blob_put(text, sizeof text, "seed", 0, data, 5), KE_RANGE);
	assert_int_equal(blob_put(text, sizeof text, "seed", 1000000, data, 5), KE_RANGE);
	static const char *const bad[] = {"", "klero:1:seed:", "klero:1:seed:v000000:AQ",
	    "klero:1:seed:v00001:AQI", "klero:1:seed:v0000001:AQ", "klero:1:seed:v00004x:AQ",
	    "klero:1:seed:v000042", "klero:1:seed:v000042;AQ",
	    "klero:1:seed:v000042:AQ=", "klero:1:seed:v000042:A!", "klero:1:seed:V000042:AQ",
	    "Klero:1:seed:v000042:AQ"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    blob_get(bad[i], strlen(bad[i]), "seed", &v, out, sizeof out, &n), KE_FORMAT);
	assert_int_equal(
	    blob_get("klero:2:seed:v000042:AQ", 23, "seed", &v, out, sizeof out, &n), KE_VERSION);
}

/* --- */

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return 1;
	fx_start(&fx);
	fx_make_token(&fx, FX_KEYS);
	make_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_end(&fx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_setup),
	    cmocka_unit_test(test_setup_beside_ed25519),
	    cmocka_unit_test(test_setup_half_done),
	    cmocka_unit_test(test_missing_token),
	    cmocka_unit_test(test_two_tokens),
	    cmocka_unit_test(test_wrong_pin),
	    cmocka_unit_test(test_last_try),
	    cmocka_unit_test(test_missing_mechanism),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_planted_keys),
	    cmocka_unit_test(test_poor_module),
	    cmocka_unit_test(test_signatures),
	    cmocka_unit_test(test_sealing),
	    cmocka_unit_test(test_seeds),
	    cmocka_unit_test(test_canary),
	    cmocka_unit_test(test_blobs),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	fflush(NULL);
	_exit(failed != 0); /* SoftHSM crashes in exit handlers */
}
