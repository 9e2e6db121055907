/*
 * Modules that do things otherwise, and the ways around it: SoftHSM with single functions replaced
 * by what other modules do. Another number for RFC 5649, the older layout of GCM's parameters,
 * attributes that are not kept, no data objects; and modules that claim a mechanism and mean
 * another. Real other modules: tests/modules/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>

#include "hsm/p11/data.h"
#include "hsm/p11/key.h"
#include "hsm/p11/learn.h"
#include "hsm/p11/op.h"
#include "tests/unit/hsm_fixture.h"

static struct fx fx;
static struct p11 p;
static CK_FUNCTION_LIST other, *real;

static int start(void **state)
{
	char *env[] = {fx.env};

	(void)state;
	memset(&p, 0, sizeof p);
	if (p11_load(&p, fx_module(), env, 1) != KE_OK || p11_open(&p, FX_KEYS, true) != KE_OK ||
	    p11_login(&p, FX_PIN) != KE_OK)
		return 1;
	real = p.f;
	other = *p.f;
	p.f = &other;
	return 0;
}

static int end(void **state)
{
	(void)state;
	p.f = real;
	p11_close(&p);
	return 0;
}

static void test_softhsm(void **state)
{
	(void)state;
	p.ways = (struct p11_ways){0};
	assert_int_equal(learn_ways(&p, true), KE_OK);
	assert_int_equal(p.ways.wrap, CKM_AES_KEY_WRAP_PAD);
	assert_false(p.ways.gcm_brief || p.ways.no_local || p.ways.copies_forget);
}

/* --- wrapping --- */

/* As NSS: 0x210B is RFC 5649, 0x210A pads in another manner. */
static CK_RV wrap_as_nss(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key,
    CK_OBJECT_HANDLE inner, CK_BYTE_PTR out, CK_ULONG_PTR n)
{
	CK_MECHANISM pad = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
	CK_RV rv;

	if (m->mechanism != P11_AES_KEY_WRAP_KWP && m->mechanism != CKM_AES_KEY_WRAP_PAD)
		return CKR_MECHANISM_INVALID;
	rv = real->C_WrapKey(s, &pad, key, inner, out, n);
	if (rv == CKR_OK && m->mechanism == CKM_AES_KEY_WRAP_PAD)
		out[5] ^= 1; /* the right length, and not RFC 5649 */
	return rv;
}

static CK_RV wrap_never(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key,
    CK_OBJECT_HANDLE inner, CK_BYTE_PTR out, CK_ULONG_PTR n)
{
	CK_MECHANISM as = {P11_AES_KEY_WRAP_KWP, NULL, 0};
	CK_RV rv = wrap_as_nss(s, &as, key, inner, out, n);

	(void)m;
	if (rv == CKR_OK)
		out[0] ^= 1;
	return rv;
}

static CK_RV wrap_lost(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key,
    CK_OBJECT_HANDLE inner, CK_BYTE_PTR out, CK_ULONG_PTR n)
{
	(void)s;
	(void)m;
	(void)key;
	(void)inner;
	(void)out;
	(void)n;
	return CKR_DEVICE_REMOVED;
}

static void test_wrap(void **state)
{
	(void)state;
	other.C_WrapKey = wrap_as_nss;
	assert_int_equal(learn_wrap(&p), KE_OK);
	assert_int_equal(p.ways.wrap, P11_AES_KEY_WRAP_KWP);
	other.C_WrapKey = wrap_never;
	assert_int_equal(learn_wrap(&p), KE_NOTFOUND);
	assert_non_null(strstr(p.why, "is RFC 5649"));
	/* a device that is gone is no device that cannot */
	other.C_WrapKey = wrap_lost;
	assert_int_equal(learn_wrap(&p), KE_UNAVAIL);
}

/* --- GCM --- */

struct brief {
	CK_BYTE_PTR iv;
	CK_ULONG iv_len;
	CK_BYTE_PTR aad;
	CK_ULONG aad_len, tag_bits;
};

static bool gcm_ignores_aad;

static CK_RV init_brief(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key,
    CK_RV (*init)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE))
{
	const struct brief *b = m->pParameter;
	CK_GCM_PARAMS full;
	CK_MECHANISM own = {CKM_AES_GCM, &full, sizeof full};

	if (m->ulParameterLen != sizeof *b)
		return CKR_MECHANISM_PARAM_INVALID;
	full = (CK_GCM_PARAMS){b->iv, b->iv_len, b->iv_len * 8, b->aad, b->aad_len, b->tag_bits};
	return init(s, &own, key);
}

static CK_RV encrypt_brief(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key)
{
	return init_brief(s, m, key, real->C_EncryptInit);
}

static CK_RV decrypt_brief(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key)
{
	return init_brief(s, m, key, real->C_DecryptInit);
}

/* Takes the parameters, and authenticates something else. */
static CK_RV encrypt_lax(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key)
{
	static CK_BYTE none[1];
	CK_GCM_PARAMS full;
	CK_MECHANISM own = {CKM_AES_GCM, &full, sizeof full};

	if (m->ulParameterLen != sizeof full)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&full, m->pParameter, sizeof full);
	full = (CK_GCM_PARAMS){full.pIv, 12, 96, none, gcm_ignores_aad ? 1 : 0, 128};
	return real->C_EncryptInit(s, &own, key);
}

static void test_gcm(void **state)
{
	(void)state;
	other.C_EncryptInit = encrypt_brief;
	other.C_DecryptInit = decrypt_brief;
	assert_int_equal(learn_gcm(&p), KE_OK);
	assert_true(p.ways.gcm_brief);
	other.C_EncryptInit = encrypt_lax;
	gcm_ignores_aad = true;
	assert_int_equal(learn_gcm(&p), KE_NOTFOUND);
	assert_non_null(strstr(p.why, "not AES-GCM as we know it"));
}

/* --- attributes --- */

static CK_RV forgetful(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_PTR a, CK_ULONG n)
{
	CK_BBOOL token = CK_TRUE;
	CK_ATTRIBUTE t = {CKA_TOKEN, &token, sizeof token};
	CK_RV rv = real->C_GetAttributeValue(s, h, a, n);

	(void)real->C_GetAttributeValue(s, h, &t, 1);
	if (rv != CKR_OK)
		return rv;
	if (a->type == CKA_LOCAL ||
	    (!token && (a->type == CKA_ALWAYS_SENSITIVE || a->type == CKA_NEVER_EXTRACTABLE)))
		*(CK_BBOOL *)a->pValue = CK_FALSE;
	return rv;
}

static void test_attributes(void **state)
{
	(void)state;
	other.C_GetAttributeValue = forgetful;
	assert_int_equal(learn_ways(&p, false), KE_OK);
	assert_true(p.ways.no_local);
	assert_true(p.ways.copies_forget);
}

/* --- data objects --- */

static CK_RV no_data(CK_SESSION_HANDLE s, CK_ATTRIBUTE_PTR t, CK_ULONG n, CK_OBJECT_HANDLE_PTR h)
{
	CK_OBJECT_CLASS class = *(CK_OBJECT_CLASS *)t[0].pValue;

	return class == CKO_DATA ? CKR_ATTRIBUTE_VALUE_INVALID : real->C_CreateObject(s, t, n, h);
}

static void test_carrier(void **state)
{
	static char big[ANCHOR_TEXT_MAX], back[ANCHOR_TEXT_MAX];
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	char label[DATA_LABEL_MAX];
	uint8_t id[64];
	struct key_ring ring;
	CK_ULONG n;
	size_t len;

	(void)state;
	memset(big, 'x', sizeof big);
	other.C_CreateObject = no_data;
	assert_int_equal(data_create(&p, "klero/one", "a text", 6), KE_OK);
	assert_int_equal(data_create(&p, "klero/two", big, sizeof big), KE_OK);
	assert_int_equal(data_find(&p, "klero/two", found, &n), KE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(data_read(&p, found[0], back, sizeof back, &len), KE_OK);
	assert_true(len == sizeof big && memcmp(big, back, len) == 0);
	assert_int_equal(data_read(&p, found[0], back, sizeof back - 1, &len), KE_DAMAGED);
	assert_int_equal(op_destroy(&p, found[0]), KE_OK);
	assert_int_equal(data_find(&p, "", found, &n), KE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(data_label(&p, found[0], label), KE_OK);
	assert_string_equal(label, "klero/one");
	/* no key of the ring */
	assert_int_equal(key_ring_find(&p, &ring), KE_OK);
	assert_int_equal(ring.n, 0);
	/* every bit of it counts */
	assert_int_equal(p11_attribute(&p, found[0], CKA_ID, id, sizeof id, &len), KE_OK);
	for (size_t i = 0; i < len; i++) {
		CK_ATTRIBUTE a = {CKA_ID, id, len};

		id[i] ^= 1;
		assert_int_equal(real->C_SetAttributeValue(p.session, found[0], &a, 1), CKR_OK);
		assert_int_equal(data_read(&p, found[0], back, sizeof back, &len), KE_DAMAGED);
		id[i] ^= 1;
		len = a.ulValueLen;
	}
	assert_int_equal(op_destroy(&p, found[0]), KE_OK);
}

static void test_anchor(void **state)
{
	static struct anchor a, back;

	(void)state;
	other.C_CreateObject = no_data;
	assert_int_equal(data_load(&p, &back), KE_NOTFOUND);
	for (uint64_t i = 1; i <= 3; i++) {
		CK_OBJECT_HANDLE found[P11_FIND_MAX];
		CK_ULONG n;

		memcpy(a.appliance, FX_APPLIANCE, 16);
		anchor_written(&a, 1700000000);
		assert_int_equal(data_store(&p, &a), KE_OK);
		assert_int_equal(data_load(&p, &back), KE_OK);
		assert_true(back.serial == a.serial);
		assert_int_equal(data_find(&p, "", found, &n), KE_OK);
		assert_int_equal(n, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_softhsm, start, end),
	    cmocka_unit_test_setup_teardown(test_wrap, start, end),
	    cmocka_unit_test_setup_teardown(test_gcm, start, end),
	    cmocka_unit_test_setup_teardown(test_attributes, start, end),
	    cmocka_unit_test_setup_teardown(test_carrier, start, end),
	    cmocka_unit_test_setup_teardown(test_anchor, start, end),
	};
	int bad;

	if (sodium_init() < 0)
		return 1;
	fx_start(&fx);
	fx_make_token(&fx, FX_KEYS);
	bad = cmocka_run_group_tests(tests, NULL, NULL);
	fx_end(&fx);
	/* SoftHSM crashes in exit handlers under OpenSSL 3 */
	fflush(stdout);
	_exit(bad);
}
