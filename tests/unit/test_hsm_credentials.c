/*
 * Credentials in klerod-hsm: what it seals, for whom it opens, and what it refuses to whoever
 * speaks to it in engine's place.
 */
#include "tests/unit/officers.h"

#include "hsm/p11/blob.h"

#define PHC                                                                                        \
	"$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$"                                   \
	"aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"

static struct peer hsm;
static const uint8_t ada[16] = "the id of Ada L", bob[16] = "the id of Bob M";

/* One question about one credential; text is the answer. */
static int one(uint16_t type, const uint8_t user[16], const char *in, char text[500])
{
	uint8_t body[600];
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, user, 16);
	wire_put_cstr(&w, in);
	r = ask(&hsm, type, body, w.len);
	text[0] = '\0';
	if (r != KE_OK)
		return r;
	wire_get_cstr(&hsm.in, text, 500);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	return r;
}

static void test_round(void **state)
{
	char sealed[500], again[500], phc[500];

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, sealed), KE_OK);
	assert_int_equal(strncmp(sealed, "klero:1:data:v000001:", 21), 0);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, phc), KE_OK);
	assert_string_equal(phc, PHC);
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, again), KE_OK);
	assert_string_not_equal(sealed, again);
	/* another's does not open for me */
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, bob, sealed, phc), KE_CRYPTO);
	assert_string_equal(phc, "");
	/* "the id of Bob M", in hex: the row */
	assert_true(fx_logged(&ctx.f,
	    "sealed value users.phc of row 746865206964206f6620426f62204d00 does not open"));
}

/* hsm is no sealer of whatever engine brings. */
static void test_what_is_sealed(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "$",
	    "a secret of another kind",
	    "$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
	    "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
	    "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2hvcnQ",
	    "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA",
	    "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
	    "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
	    PHC "A",
	    PHC " ",
	};
	uint8_t body[300];
	char text[500];
	struct wire_out w;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, wrong[i], text), KE_FORMAT);
	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, ada, 16);
	wire_put_str(&w, PHC "\0", sizeof PHC); /* a NUL inside */
	assert_int_equal(ask(&hsm, MSG_HSM_SEAL_CREDENTIAL, body, w.len), KE_FORMAT);
	/* and nothing else opens as a credential */
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, PHC, text), KE_FORMAT);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, ctx.keys.sealed_dbkey, text), KE_FORMAT);
	assert_int_equal(
	    one(MSG_HSM_OPEN_CREDENTIAL, ada, "klero:1:data:v000009:AAAA", text), KE_FORMAT);
}

/* The answer's next: its result, and text when there is one. */
static int next(char text[500])
{
	int r = wire_get_i32(&hsm.in);

	wire_get_cstr(&hsm.in, text, 500);
	return r;
}

static void put(struct wire_out *w, const uint8_t user[16], const char *text)
{
	wire_put_raw(w, user, 16);
	wire_put_cstr(w, text);
}

static void test_reseal(void **state)
{
	static uint8_t body[MSG_BODY_MAX];
	struct rconf_keyadm_done done;
	char sealed[500], text[500], phc[500];
	struct wire_out w;

	(void)state;
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, sealed), KE_OK);
	stop_role(&hsm);
	assert_int_equal(enrol(2, &done), KE_OK);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DATA, 0, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, phc), KE_OK);
	wire_out_init(&w, body, sizeof body);
	wire_put_u16(&w, 5);
	put(&w, ada, sealed);
	put(&w, bob, sealed); /* not his */
	put(&w, bob, PHC);    /* of before */
	put(&w, bob, "nonsense");
	put(&w, bob, "");
	assert_int_equal(ask(&hsm, MSG_HSM_RESEAL_CREDENTIALS, body, w.len), KE_OK);
	assert_int_equal(next(text), KE_OK);
	assert_int_equal(strncmp(text, "klero:1:data:v000002:", 21), 0);
	memcpy(sealed, text, sizeof sealed);
	assert_int_equal(next(text), KE_CRYPTO);
	assert_string_equal(text, "");
	assert_int_equal(next(text), KE_OK);
	assert_int_equal(strncmp(text, "klero:1:data:v000002:", 21), 0);
	assert_int_equal(next(phc), KE_FORMAT);
	assert_int_equal(next(phc), KE_FORMAT);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, phc), KE_OK);
	assert_string_equal(phc, PHC);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, bob, text, phc), KE_OK);
	assert_string_equal(phc, PHC);
	/* none is fine; a count that is not the truth is not */
	assert_int_equal(ask(&hsm, MSG_HSM_RESEAL_CREDENTIALS, "\0\0", 2), KE_OK);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	body[0] = 6;
	expect_blame(&hsm, MSG_HSM_RESEAL_CREDENTIALS, body, w.len);
	body[0] = 4;
	expect_blame(&hsm, MSG_HSM_RESEAL_CREDENTIALS, body, w.len);
	body[0] = 201;
	expect_blame(&hsm, MSG_HSM_RESEAL_CREDENTIALS, body, w.len);
}

static int raise_to(uint8_t purpose, uint32_t version, uint32_t *least)
{
	uint8_t body[5];
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, purpose);
	wire_put_u32(&w, version);
	r = ask(&hsm, MSG_HSM_RAISE, body, sizeof body);
	*least = r == KE_OK ? wire_get_u32(&hsm.in) : 0;
	return r;
}

/* What engine says has nothing under it opens no more: never beyond the active one, never back. */
static void test_raise(void **state)
{
	struct rconf_keyadm_done done;
	char sealed[500], other[500], text[500];
	uint8_t body[5] = {KEY_MASTER, 1};
	uint32_t least;

	(void)state;
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, sealed), KE_OK); /* under 2 */
	stop_role(&hsm);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DATA, 0, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(raise_to(KEY_DATA, 2, &least), KE_OK);
	assert_int_equal(least, 2);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_OK);
	assert_int_equal(raise_to(KEY_DATA, 99, &least), KE_OK);
	assert_int_equal(least, 3);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_VERSION);
	assert_int_equal(raise_to(KEY_DATA, 1, &least), KE_OK);
	assert_int_equal(least, 3);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_VERSION);
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, other), KE_OK);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, other, text), KE_OK);
	assert_int_equal(raise_to(KEY_DEPOSIT25519, 7, &least), KE_OK);
	assert_int_equal(least, 1);
	expect_blame(&hsm, MSG_HSM_RAISE, body, sizeof body); /* no class key's */
	body[0] = KEY_PURPOSES;
	expect_blame(&hsm, MSG_HSM_RAISE, body, sizeof body);
	body[0] = 255;
	expect_blame(&hsm, MSG_HSM_RAISE, body, sizeof body);
	/* a fresh one has not heard of it: nothing is lost by a lie */
	stop_role(&hsm);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_OK);
}

/* 200 of the longest there can be fit into one question, and their answers into one answer. */
static void test_full_question(void **state)
{
	static uint8_t body[MSG_BODY_MAX];
	char text[500];
	struct wire_out w;

	(void)state;
	wire_out_init(&w, body, sizeof body);
	wire_put_u16(&w, 200);
	for (int i = 0; i < 200; i++)
		put(&w, ada,
		    "$argon2id$v=19$m=999999,t=10,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
		    "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
	assert_int_equal(w.err, KE_OK);
	assert_int_equal(ask(&hsm, MSG_HSM_RESEAL_CREDENTIALS, body, w.len), KE_OK);
	for (int i = 0; i < 200; i++)
		assert_int_equal(next(text), KE_OK);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

/* Of a version that is destroyed nothing opens, ever. */
static void test_destroyed(void **state)
{
	struct rconf_keyadm_done done;
	char sealed[500], text[500];

	(void)state;
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, sealed), KE_OK); /* under 3 */
	stop_role(&hsm);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DATA, 0, 3, &done), KE_OK);
	assert_int_equal(act(PROPOSE_DESTROY, KEY_DATA, 3, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_VERSION);
	assert_string_equal(text, "");
}

/* Who empties the store leaves a line. */
static void test_drain(void **state)
{
	char sealed[500], text[500];

	(void)state;
	assert_int_equal(one(MSG_HSM_SEAL_CREDENTIAL, ada, PHC, sealed), KE_OK);
	assert_false(fx_logged(&ctx.f, "more than logins explain"));
	for (int i = 0; i < 3000; i++)
		assert_int_equal(one(MSG_HSM_OPEN_CREDENTIAL, ada, sealed, text), KE_OK);
	assert_true(fx_logged(&ctx.f, "3000 credentials were opened within 60 s"));
	stop_role(&hsm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round),
	    cmocka_unit_test(test_what_is_sealed),
	    cmocka_unit_test(test_reseal),
	    cmocka_unit_test(test_raise),
	    cmocka_unit_test(test_full_question),
	    cmocka_unit_test(test_destroyed),
	    cmocka_unit_test(test_drain),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
