/*
 * Class keys over the life of the keys above and beside them: what keyadm leaves in a real SoftHSM
 * token, and what klerod-hsm makes of it.
 */
#include "tests/unit/officers.h"

#include "hsm/p11/class.h"

/* The class keys of the token, as hsm would load them. */
struct opened {
	struct anchor anchor;
	struct class_objects all;
	struct key_ring ring;
	struct class_room room;
	int r;
};

static void token_open(struct p11 *p, bool write)
{
	struct rconf_token t = fx_token(&ctx.f, FX_KEYS);
	static char *env[1];

	env[0] = ctx.f.env;
	*p = (struct p11){.f = NULL};
	assert_int_equal(p11_load(p, t.module, env, 1), KE_OK);
	assert_int_equal(p11_open(p, t.label, write), KE_OK);
	assert_int_equal(p11_login(p, t.pin), KE_OK);
}

static void load(struct opened *o)
{
	struct p11 p;

	token_open(&p, false);
	assert_int_equal(data_load(&p, &o->anchor), KE_OK);
	assert_int_equal(class_list(&p, &o->all), KE_OK);
	assert_int_equal(key_ring_find(&p, &o->ring), KE_OK);
	o->r = class_load(&p, &o->ring, o->anchor.appliance, &o->room);
	p11_close(&p);
}

static bool is_under(const struct opened *o, unsigned purpose, unsigned version, unsigned master)
{
	for (size_t i = 0; i < o->all.n; i++)
		if (o->all.o[i].purpose == purpose && o->all.o[i].version == version &&
		    o->all.o[i].master == master)
			return true;
	return false;
}

/* klerod-hsm starts, or ends with that code. */
static void serves(void)
{
	static struct peer p;

	start_role(&p, ROLE_HSM);
	stop_role(&p);
}

static void ends_with(int code)
{
	static struct peer p;

	p = (struct peer){.fd = -1, .self = ROLE_HSM};
	fx_spawn(&ctx.f, &p.c, "klerod-hsm", "hsm");
	configure(&p, FX_KEYS, FX_PIN);
	assert_int_equal(fx_wait(&p.c), code);
}

static void test_made(void **state)
{
	static struct opened o;
	struct rconf_keyadm_done done;

	(void)state;
	load(&o);
	assert_int_equal(o.r, KE_OK);
	assert_int_equal(o.all.n, 2);
	assert_true(is_under(&o, KEY_DATA, 1, 1) && is_under(&o, KEY_DEPOSIT25519, 1, 1));
	assert_memory_not_equal(o.room.key[0], o.room.key[1], 32);
	serves();
	assert_int_equal(enrol(2, &done), KE_OK);
}

/* Under both master versions, until the older one goes: always the same key. */
static void test_master_turns_over(void **state)
{
	static struct opened before, after;
	struct rconf_keyadm_done done;

	(void)state;
	load(&before);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_MASTER, 0, 3, &done), KE_OK);
	load(&after);
	assert_int_equal(after.r, KE_OK);
	assert_int_equal(after.all.n, 4);
	assert_true(is_under(&after, KEY_DATA, 1, 1) && is_under(&after, KEY_DATA, 1, 2));
	assert_true(is_under(&after, KEY_DEPOSIT25519, 1, 2));
	assert_int_equal(after.room.n, 2);
	assert_memory_equal(key_ring_get(&after.ring, KEY_DATA, 1)->secret,
	    key_ring_get(&before.ring, KEY_DATA, 1)->secret, 32);
	serves();
	assert_int_equal(act(PROPOSE_ABANDON, KEY_MASTER, 1, 3, &done), KE_OK);
	load(&after);
	assert_int_equal(after.all.n, 2);
	assert_true(is_under(&after, KEY_DATA, 1, 2));
	assert_memory_equal(key_ring_get(&after.ring, KEY_DATA, 1)->secret,
	    key_ring_get(&before.ring, KEY_DATA, 1)->secret, 32);
	serves();
	/* in an emergency nothing is sealed under the compromised one any more */
	assert_int_equal(act(PROPOSE_COMPROMISE, KEY_MASTER, 2, 3, &done), KE_OK);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DATA, 0, 3, &done), KE_OK);
	load(&after);
	assert_true(is_under(&after, KEY_DATA, 1, 2) && is_under(&after, KEY_DATA, 1, 3));
	assert_true(is_under(&after, KEY_DATA, 2, 3) && !is_under(&after, KEY_DATA, 2, 2));
	serves();
}

static void test_class_turns_over(void **state)
{
	static struct opened before, after;
	struct rconf_keyadm_done done;

	(void)state;
	load(&before); /* data is at version 2 */
	assert_memory_not_equal(key_ring_get(&before.ring, KEY_DATA, 1)->secret,
	    key_ring_get(&before.ring, KEY_DATA, 2)->secret, 32);
	assert_int_equal(act(PROPOSE_ROLL_BACK, KEY_DATA, 1, 3, &done), KE_OK);
	assert_int_equal(act(PROPOSE_DESTROY, KEY_DATA, 1, 3, &done), KE_STATE);
	assert_int_equal(act(PROPOSE_DESTROY, KEY_DATA, 2, 3, &done), KE_OK);
	load(&after);
	assert_int_equal(after.r, KE_OK);
	assert_null(key_ring_get(&after.ring, KEY_DATA, 2));
	assert_false(is_under(&after, KEY_DATA, 2, 3));
	assert_memory_equal(key_ring_get(&after.ring, KEY_DATA, 1)->secret,
	    key_ring_get(&before.ring, KEY_DATA, 1)->secret, 32);
	/* a number is never given twice */
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DATA, 0, 3, &done), KE_OK);
	load(&after);
	assert_true(is_under(&after, KEY_DATA, 3, 3));
	serves();
}

/* Puts an object of the test's own making into the token. */
static void plant(enum key_purpose purpose, unsigned version, unsigned master, const char *text)
{
	struct p11 p;
	char label[64];

	snprintf(
	    label, sizeof label, "klero/%s/v%06u/m%06u", purpose_words[purpose], version, master);
	token_open(&p, true);
	assert_int_equal(data_create(&p, label, text, strlen(text)), KE_OK);
	p11_close(&p);
}

static void uproot(unsigned purpose, unsigned version)
{
	struct p11 p;

	token_open(&p, true);
	assert_int_equal(class_destroy(&p, purpose, version), KE_OK);
	p11_close(&p);
}

static void value_of(struct opened *o, unsigned purpose, unsigned version, char *text)
{
	struct p11 p;
	size_t n = 0;

	token_open(&p, false);
	assert_int_equal(class_list(&p, &o->all), KE_OK);
	for (size_t i = 0; i < o->all.n; i++)
		if (o->all.o[i].purpose == purpose && o->all.o[i].version == version)
			assert_int_equal(p11_attribute(&p, o->all.o[i].handle, CKA_VALUE, text,
					     BLOB_TEXT_MAX, &n),
			    KE_OK);
	text[n] = '\0';
	p11_close(&p);
}

/* Whoever can write the token cannot pass one version's key off as another's. */
static void test_swapped(void **state)
{
	static struct opened o;
	char text[BLOB_TEXT_MAX];

	(void)state;
	load(&o);
	value_of(&o, KEY_DATA, 1, text);
	plant(KEY_DATA, 4, 3, text);
	load(&o);
	assert_int_equal(o.r, KE_DAMAGED);
	ends_with(HSM_EXIT_FAILED);
	assert_true(fx_logged(&ctx.f, "klero/data/v000004/m000003 does not open"));
	uproot(KEY_DATA, 4);
	/* neither under another class */
	value_of(&o, KEY_DEPOSIT25519, 1, text);
	plant(KEY_DATA, 4, 3, text);
	load(&o);
	assert_int_equal(o.r, KE_DAMAGED);
	uproot(KEY_DATA, 4);
	plant(KEY_DATA, 4, 3, "klero:1:data:v000003:");
	load(&o);
	assert_int_equal(o.r, KE_DAMAGED);
	uproot(KEY_DATA, 4);
	/* left by a cut under a master key that never served: passed over */
	plant(KEY_DATA, 1, 9, text);
	load(&o);
	assert_int_equal(o.r, KE_OK);
	serves();
}

/* The anchor names a version that is not there. */
static void test_lost(void **state)
{
	char text[BLOB_TEXT_MAX];
	static struct opened o;

	(void)state;
	load(&o);
	value_of(&o, KEY_DATA, 3, text);
	uproot(KEY_DATA, 3);
	ends_with(HSM_EXIT_FAILED);
	assert_true(fx_logged(&ctx.f, "lacks the key klero/data/v000003"));
	plant(KEY_DATA, 3, 3, text);
	serves();
}

/* Makes the token what a setup of before class keys has left. */
static void age(bool anchor)
{
	static struct anchor a;
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	CK_ULONG n = 0;
	struct p11 p;
	size_t kept = 0;

	token_open(&p, true);
	assert_int_equal(data_load(&p, &a), KE_OK);
	for (size_t i = 0; i < a.keys; i++)
		if (!key_is_class(a.key[i].purpose))
			a.key[kept++] = a.key[i];
	a.keys = kept;
	a.serial++;
	assert_int_equal(data_store(&p, &a), KE_OK);
	for (unsigned version = 1; version < 5; version++) {
		assert_int_equal(class_destroy(&p, KEY_DATA, version), KE_OK);
		assert_int_equal(class_destroy(&p, KEY_DEPOSIT25519, version), KE_OK);
	}
	if (!anchor) {
		assert_int_equal(p11_find(&p, CKO_DATA, "klero/anchor", found, &n), KE_OK);
		while (n-- > 0)
			assert_int_equal(p.f->C_DestroyObject(p.session, found[n]), CKR_OK);
	}
	p11_close(&p);
}

static void test_old_token(void **state)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_COMPLETE);
	struct rconf_keyadm_done done;
	static struct opened o;

	(void)state;
	age(true);
	ends_with(HSM_EXIT_OLD);
	assert_true(fx_logged(&ctx.f, "made by an older klerod: it has no key data yet"));
	assert_int_equal(run(&c, &done), KE_OK);
	load(&o);
	assert_int_equal(o.r, KE_OK);
	assert_int_equal(o.anchor.officers.n, OFFICERS);
	assert_true(is_under(&o, KEY_DATA, 1, 3) && is_under(&o, KEY_DEPOSIT25519, 1, 3));
	serves();
	/* again: nothing is missing, so nothing is made */
	assert_int_equal(run(&c, &done), KE_OK);
	load(&o);
	assert_int_equal(o.all.n, 2);
}

/* Of before anchors: nobody could rotate then, so every version counts from 1. */
static void test_oldest_token(void **state)
{
	struct rconf_keyadm keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_COMPLETE);
	struct rconf_keyadm_done done;
	static struct opened o;
	int code;

	(void)state;
	fx_end(&ctx.f);
	fx_start(&ctx.f);
	fx_make_token(&ctx.f, FX_KEYS);
	keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	c = fx_action(&ctx.f, KEYADM_COMPLETE);
	/* a token without any key is nobody's, and is left alone */
	assert_int_equal(run(&c, &done), KE_NOTFOUND);
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &ctx.keys, &code), KE_OK);
	age(false);
	ends_with(HSM_EXIT_OLD);
	assert_int_equal(run(&c, &done), KE_OK);
	load(&o);
	assert_int_equal(o.r, KE_OK);
	assert_int_equal(o.anchor.officers.n, 0);
	assert_memory_equal(o.anchor.appliance, FX_APPLIANCE, 16);
	assert_int_equal(o.all.n, 2);
	serves();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_made),
	    cmocka_unit_test(test_master_turns_over),
	    cmocka_unit_test(test_class_turns_over),
	    cmocka_unit_test(test_swapped),
	    cmocka_unit_test(test_lost),
	    cmocka_unit_test(test_old_token),
	    cmocka_unit_test(test_oldest_token),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
