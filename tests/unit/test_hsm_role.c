/*
 * klerod-hsm in the role hsm as it runs: the real program in its sandbox, a real SoftHSM token, the
 * test as parent and engine. Life, keys, sessions, and what breaks the protocol; tokens are
 * verified by OpenSSL and policy/ alone. Seeds and draws: test_hsm_draw.c.
 */
#include <sodium.h>
#include <time.h>

#include "policy/p256.h"
#include "policy/hash.h"
#include "policy/json.h"
#include "policy/note.h"
#include "policy/text.h"
#include "tests/unit/hsm_peer.h"

struct pubs {
	uint8_t token[65], log[32];
};

static void get_keys(struct peer *p, struct pubs *k)
{
	assert_int_equal(ask(p, MSG_HSM_KEYS, NULL, 0), KE_OK);
	assert_int_equal(wire_get_u8(&p->in), 1);
	assert_int_equal(wire_get_u32(&p->in), 1);
	assert_int_equal(wire_get_u8(&p->in), NOTE_ED25519);
	wire_get_raw(&p->in, k->log, 32);
	assert_int_equal(wire_get_u8(&p->in), 1);
	assert_int_equal(wire_get_u32(&p->in), 1);
	wire_get_raw(&p->in, k->token, 65);
	assert_int_equal(wire_end(&p->in), KE_OK);
}

static void test_keys(void **state)
{
	static struct peer p;
	struct note_key vkey;
	struct pubs k;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_keys(&p, &k);
	assert_int_equal(
	    note_vkey_parse(&vkey, ctx.keys.log_vkey, strlen(ctx.keys.log_vkey)), KE_OK);
	assert_string_equal(vkey.name, LOG_NAME);
	assert_memory_equal(vkey.pub, k.log, 32);
	stop_role(&p);
}

static int open_dbkey(struct peer *p, const char *text, const char *appliance)
{
	uint8_t body[512];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, text);
	wire_put_raw(&w, appliance, 16);
	return ask(p, MSG_HSM_OPEN_DBKEY, body, w.len);
}

static void test_dbkey(void **state)
{
	static struct peer p;
	uint8_t a[32], b[32], zero[32] = {0};
	char bad[512];

	(void)state;
	start_role(&p, ROLE_HSM);
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, FX_APPLIANCE), KE_OK);
	wire_get_raw(&p.in, a, 32);
	assert_int_equal(wire_end(&p.in), KE_OK);
	assert_memory_not_equal(a, zero, 32);
	/* once per channel */
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, FX_APPLIANCE), KE_DENIED);
	connect_as(&p, ROLE_ENGINE, 0);
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, FX_APPLIANCE), KE_OK);
	wire_get_raw(&p.in, b, 32);
	assert_memory_equal(a, b, 32);
	/* another appliance's, a changed one, another version, another class: none opens, hsm lives
	 */
	connect_as(&p, ROLE_ENGINE, 0);
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, "another-applianc"), KE_DENIED);
	connect_as(&p, ROLE_ENGINE, 0);
	snprintf(bad, sizeof bad, "%s", ctx.keys.sealed_dbkey);
	bad[30] = bad[30] == 'A' ? 'B' : 'A';
	assert_int_equal(open_dbkey(&p, bad, FX_APPLIANCE), KE_CRYPTO);
	connect_as(&p, ROLE_ENGINE, 0);
	snprintf(bad, sizeof bad, "%s", ctx.keys.sealed_dbkey);
	bad[17] = '2';
	assert_int_equal(open_dbkey(&p, bad, FX_APPLIANCE), KE_VERSION);
	connect_as(&p, ROLE_ENGINE, 0);
	assert_int_equal(open_dbkey(&p, "klero:2:db:v000001:AAAA", FX_APPLIANCE), KE_VERSION);
	connect_as(&p, ROLE_ENGINE, 0);
	assert_int_equal(open_dbkey(&p, "klero:1:seed:v000001:AAAA", FX_APPLIANCE), KE_FORMAT);
	connect_as(&p, ROLE_ENGINE, 0);
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, FX_APPLIANCE), KE_OK);
	stop_role(&p);
}

static const uint8_t user[16] = {1, 2, 3}, family[16] = {9, 8, 7};

static int session(struct peer *p, uint8_t roles, uint32_t generation, uint64_t now_s)
{
	uint8_t body[45];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, user, 16);
	wire_put_raw(&w, family, 16);
	wire_put_u8(&w, roles);
	wire_put_u32(&w, generation);
	wire_put_u64(&w, now_s);
	return ask(p, MSG_HSM_SESSION, body, w.len);
}

struct tokens {
	char access[2048], refresh[256];
	size_t access_len;
};

static void get_tokens(struct peer *p, uint64_t now_s, struct tokens *t)
{
	assert_int_equal(session(p, 9, 3, now_s), KE_OK);
	wire_get_cstr(&p->in, t->access, sizeof t->access);
	assert_true(wire_get_u64(&p->in) == now_s + 900);
	wire_get_cstr(&p->in, t->refresh, sizeof t->refresh);
	assert_int_equal(wire_end(&p->in), KE_OK);
	t->access_len = strlen(t->access);
}

/* The part of a JWT between two dots, decoded and checked as JSON. */
static size_t part(const char *from, const char *to, char *out, size_t cap, struct json_tok *toks)
{
	size_t n, count;

	assert_int_equal(text_unb64url(out, cap, &n, from, (size_t)(to - from)), KE_OK);
	assert_int_equal(json_check(out, n, 64, &count, NULL), KE_OK);
	assert_int_equal(json_split(out, n, toks, count), KE_OK);
	return count;
}

static void expect_claim(
    const char *json, const struct json_tok *toks, size_t n, const char *name, const char *want)
{
	size_t at = json_member(json, toks, n, 0, name);

	assert_true(at > 0);
	assert_int_equal(toks[at].end - toks[at].start, strlen(want));
	assert_memory_equal(json + toks[at].start, want, strlen(want));
}

static void test_access_token(void **state)
{
	static struct peer p;
	static struct tokens t;
	struct json_tok toks[64];
	char json[2048], number[32], id[37];
	const char *dot1, *dot2;
	uint64_t now = (uint64_t)time(NULL);
	uint8_t sig[64], digest[32];
	struct pubs k;
	size_t n;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_keys(&p, &k);
	get_tokens(&p, now, &t);
	dot1 = strchr(t.access, '.');
	dot2 = strrchr(t.access, '.');
	assert_true(dot1 != NULL && dot2 > dot1);
	n = part(t.access, dot1, json, sizeof json, toks);
	expect_claim(json, toks, n, "alg", "ES256");
	expect_claim(json, toks, n, "typ", "at+jwt");
	expect_claim(json, toks, n, "kid", "token-v000001");
	n = part(dot1 + 1, dot2, json, sizeof json, toks);
	expect_claim(json, toks, n, "iss", "https://" FX_HOST);
	expect_claim(json, toks, n, "aud", "https://" FX_HOST);
	expect_claim(json, toks, n, "client_id", "klero");
	text_uuid(id, user);
	expect_claim(json, toks, n, "sub", id);
	text_uuid(id, family);
	expect_claim(json, toks, n, "sid", id);
	expect_claim(json, toks, n, "roles", "[\"user\",\"admin\"]");
	snprintf(number, sizeof number, "%llu", (unsigned long long)now);
	expect_claim(json, toks, n, "iat", number);
	snprintf(number, sizeof number, "%llu", (unsigned long long)now + 900);
	expect_claim(json, toks, n, "exp", number);
	assert_true(json_member(json, toks, n, 0, "jti") > 0);
	/* RFC 7515: over the text as it stands */
	assert_int_equal(text_unb64url(sig, sizeof sig, &n, dot2 + 1, strlen(dot2 + 1)), KE_OK);
	assert_int_equal(n, 64);
	hash_sha256(digest, t.access, (size_t)(dot2 - t.access));
	assert_int_equal(p256_verify(k.token, digest, sig), KE_OK);
	digest[0] ^= 1;
	assert_int_equal(p256_verify(k.token, digest, sig), KE_CRYPTO);
	stop_role(&p);
}

static void test_session_refusals(void **state)
{
	static struct peer p;
	uint64_t now = (uint64_t)time(NULL);

	(void)state;
	start_role(&p, ROLE_HSM);
	assert_int_equal(session(&p, 16, 1, now), KE_RANGE);
	assert_int_equal(session(&p, 1, 1, now + 400), KE_RANGE);
	assert_int_equal(session(&p, 1, 1, now - 400), KE_RANGE);
	assert_int_equal(session(&p, 1, 1, UINT64_MAX), KE_RANGE);
	assert_int_equal(session(&p, 1, 1, 0), KE_RANGE);
	assert_int_equal(session(&p, 1, 1, now), KE_OK);
	stop_role(&p);
}

static int refresh(struct peer *p, const char *text)
{
	uint8_t body[300];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, text);
	return ask(p, MSG_HSM_REFRESH, body, w.len);
}

static void test_refresh_token(void **state)
{
	static struct peer p;
	static struct tokens t, again;
	uint8_t raw[64], got[16];
	size_t n;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_tokens(&p, (uint64_t)time(NULL), &t);
	get_tokens(&p, (uint64_t)time(NULL), &again);
	/* the same family and generation give the same token: the grace of 30 s needs no store */
	assert_string_equal(t.refresh, again.refresh);
	assert_string_not_equal(t.access, again.access);
	assert_int_equal(refresh(&p, t.refresh), KE_OK);
	wire_get_raw(&p.in, got, 16);
	assert_memory_equal(got, family, 16);
	assert_int_equal(wire_get_u32(&p.in), 3);
	assert_int_equal(wire_end(&p.in), KE_OK);
	/* every byte counts */
	assert_int_equal(text_unb64url(raw, sizeof raw, &n, t.refresh, strlen(t.refresh)), KE_OK);
	assert_int_equal(n, 57);
	for (size_t i = 0; i < n; i++) {
		int want = i == 0 ? KE_FORMAT : i < 5 ? KE_VERSION : KE_AUTH;

		raw[i] ^= 1;
		assert_true(text_b64url(again.refresh, sizeof again.refresh, raw, n) > 0);
		assert_int_equal(refresh(&p, again.refresh), want);
		raw[i] ^= 1;
	}
	memset(raw + 1, 0, 4); /* version 0 is nobody's */
	assert_true(text_b64url(again.refresh, sizeof again.refresh, raw, n) > 0);
	assert_int_equal(refresh(&p, again.refresh), KE_VERSION);
	assert_int_equal(refresh(&p, "no token!"), KE_FORMAT);
	assert_int_equal(refresh(&p, "AAAAAAAA"), KE_FORMAT);
	stop_role(&p);
}

static void test_holder(void **state)
{
	static struct peer p;
	uint8_t body[48] = {1}, a[32], b[32];

	(void)state;
	start_role(&p, ROLE_HSM);
	assert_int_equal(ask(&p, MSG_HSM_HOLDER, body, 48), KE_OK);
	wire_get_raw(&p.in, a, 32);
	assert_int_equal(wire_end(&p.in), KE_OK);
	assert_int_equal(ask(&p, MSG_HSM_HOLDER, body, 48), KE_OK);
	wire_get_raw(&p.in, b, 32);
	assert_memory_equal(a, b, 32);
	body[47] ^= 1;
	assert_int_equal(ask(&p, MSG_HSM_HOLDER, body, 48), KE_OK);
	wire_get_raw(&p.in, b, 32);
	assert_memory_not_equal(a, b, 32);
	stop_role(&p);
}

static void test_malformed(void **state)
{
	static struct peer p;
	static uint8_t body[2048];
	struct pubs k;

	(void)state;
	start_role(&p, ROLE_HSM);
	expect_blame(&p, MSG_HSM_KEYS, body, 1);
	expect_blame(&p, MSG_HSM_SESSION, body, 44);
	expect_blame(&p, MSG_HSM_NEW_SEED, body, 17);
	expect_blame(&p, MSG_TLS_SIGN, body, 130);   /* not hsm's */
	expect_blame(&p, MSG_HSM_PING, NULL, 0);     /* parent's alone */
	expect_blame(&p, MSG_HSM_KEYS_ANS, body, 4); /* an answer */
	expect_blame(&p, 0x7777, body, 4);
	memset(body, 0xff, sizeof body);
	expect_blame(&p, MSG_HSM_REFRESH, body, 20); /* a str longer than the body */
	expect_blame(&p, MSG_HSM_OPEN_DBKEY, body, 40);
	expect_blame(&p, MSG_HSM_REVEAL_SEED, body, 300);
	expect_blame(&p, MSG_HSM_SIGN_DRAW1, body, 300);
	memset(body, 0, sizeof body);
	expect_blame(&p, MSG_HSM_REFRESH, body, 20); /* bytes behind the last field */
	get_keys(&p, &k);                            /* and hsm is well */
	stop_role(&p);
}

/* Engine dies, parent pings, hsm lives on; parent dies, hsm goes. */
static void test_life(void **state)
{
	static struct peer p;
	struct pubs k;
	struct msg m;

	(void)state;
	start_role(&p, ROLE_HSM);
	close(p.fd);
	p.fd = -1;
	assert_int_equal(msg_send(p.c.ctl, MSG_HSM_PING, 0, NULL, 0, -1), KE_OK);
	assert_int_equal(msg_recv(p.c.ctl, ROLE_PARENT, ROLE_HSM, RUN, p.buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_HSM_PONG);
	connect_as(&p, ROLE_ENGINE, 0);
	get_keys(&p, &k);
	assert_int_equal(shutdown(p.c.ctl, SHUT_RDWR), 0);
	assert_int_equal(fx_wait(&p.c), HSM_EXIT_PLANNED);
	close(p.fd);
}

static void test_bad_starts(void **state)
{
	static struct peer p;

	(void)state;
	p = (struct peer){.fd = -1, .self = ROLE_HSM};
	fx_spawn(&ctx.f, &p.c, "klerod-hsm", "hsm");
	configure(&p, FX_KEYS, "not the pin");
	assert_int_equal(fx_wait(&p.c), HSM_EXIT_PIN);
	assert_true(fx_logged(&ctx.f, "token klero-keys refuses the PIN (CKR_PIN_INCORRECT)"));
	fx_spawn(&ctx.f, &p.c, "klerod-hsm", "hsm");
	configure(&p, "nobody", FX_PIN);
	assert_int_equal(fx_wait(&p.c), HSM_EXIT_FAILED);
	assert_true(fx_logged(&ctx.f, "no token labelled nobody"));
	fx_spawn(&ctx.f, &p.c, "klerod-hsm", "hsm");
	configure(&p, FX_TLS, FX_PIN);
	assert_int_equal(fx_wait(&p.c), HSM_EXIT_FAILED);
	assert_true(fx_logged(&ctx.f, "token klero-tls has no key klero/master"));
	fx_spawn(&ctx.f, &p.c, "klerod-hsm", "anything");
	assert_int_equal(fx_wait(&p.c), HSM_EXIT_FAILED);
}

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_dbkey),
	    cmocka_unit_test(test_access_token),
	    cmocka_unit_test(test_session_refusals),
	    cmocka_unit_test(test_refresh_token),
	    cmocka_unit_test(test_holder),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_bad_starts),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
