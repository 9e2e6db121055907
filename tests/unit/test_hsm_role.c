/*
 * klerod-keyadm and klerod-hsm as they run: the real programs, a real SoftHSM token, the test as
 * parent, engine and net. Every message, in order, out of order, malformed and foreign; what comes
 * out is verified by OpenSSL, libsodium and policy/ alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "hsm/p11/blob.h"
#include "hsm/p11/p11.h"
#include "hsm/p11/verify.h"
#include "hsm/role/exit.h"
#include "hsm/role/hsm.h"
#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/json.h"
#include "policy/leaf.h"
#include "policy/note.h"
#include "policy/record.h"
#include "policy/text.h"
#include "tests/unit/hsm_fixture.h"

#define LOG_NAME FX_HOST "/klero/log"

struct ctx {
	struct fx f;
	struct rconf_keyadm_done keys, tls;
};

/* A running role and one peer's channel to it. */
struct peer {
	struct fx_child c;
	enum role self, role;
	int fd;
	uint64_t id;
	uint8_t buf[MSG_MAX];
	struct wire_in in; /* the last answer, after its result */
};

static struct ctx ctx;

/* --- the harness --- */

static void configure(struct peer *p, const char *label, const char *pin)
{
	static uint8_t buf[MSG_MAX];
	struct rconf_hsm c = {.token = fx_token(&ctx.f, label)};
	struct wire_out w;

	snprintf(c.token.pin, sizeof c.token.pin, "%s", pin);
	snprintf(c.host, sizeof c.host, FX_HOST);
	snprintf(c.folder, sizeof c.folder, "%s", ctx.f.tokens);
	wire_out_init(&w, buf, MSG_BODY_MAX);
	rconf_put_hsm(&w, &c);
	assert_int_equal(w.err, KE_OK);
	assert_int_equal(msg_send(p->c.ctl, p->self == ROLE_HSM ? MSG_HSM_CONF : MSG_TLSKEY_CONF, 0,
			     buf, w.len, -1),
	    KE_OK);
}

/* A fresh channel of that peer, handed over as parent does. */
static void connect_as(struct peer *p, enum role role, uint8_t index)
{
	uint8_t body[2] = {(uint8_t)role, index};
	struct timeval deadline = {.tv_sec = FX_WAIT_S};
	int sv[2];

	if (p->fd >= 0)
		close(p->fd);
	assert_int_equal(msg_pair(sv), KE_OK);
	assert_int_equal(msg_send(p->c.ctl, p->self == ROLE_HSM ? MSG_HSM_PEER : MSG_TLSKEY_PEER, 0,
			     body, 2, sv[1]),
	    KE_OK);
	close(sv[1]);
	assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
	p->fd = sv[0];
	p->role = role;
}

static void start_role(struct peer *p, enum role self)
{
	struct msg m;

	p->fd = -1;
	p->self = self;
	p->id = 1;
	fx_spawn(&ctx.f, &p->c, "klerod-hsm", role_word(self));
	configure(p, self == ROLE_HSM ? FX_KEYS : FX_TLS, FX_PIN);
	assert_int_equal(msg_recv(p->c.ctl, ROLE_PARENT, self, RUN, p->buf, &m), KE_OK);
	assert_int_equal(m.type, self == ROLE_HSM ? MSG_HSM_READY : MSG_TLSKEY_READY);
	connect_as(p, self == ROLE_HSM ? ROLE_ENGINE : ROLE_NET, 0);
}

static void stop_role(struct peer *p)
{
	assert_int_equal(msg_send(p->c.ctl, p->self == ROLE_HSM ? MSG_HSM_STOP : MSG_TLSKEY_STOP, 0,
			     NULL, 0, -1),
	    KE_OK);
	assert_int_equal(fx_wait(&p->c), HSM_EXIT_PLANNED);
	if (p->fd >= 0)
		close(p->fd);
}

/* One request and its answer; returns the result, leaves p->in behind it. */
static int ask(struct peer *p, uint16_t type, const void *body, size_t n)
{
	struct msg m;
	int r;

	assert_int_equal(msg_send(p->fd, type, ++p->id, body, n, -1), KE_OK);
	r = msg_recv(p->fd, p->role, p->self, RUN, p->buf, &m);
	if (r != KE_OK)
		return r;
	assert_int_equal(m.type, type + 1);
	assert_true(m.id == p->id);
	wire_in_init(&p->in, m.body, m.len);
	r = wire_get_i32(&p->in);
	if (r != KE_OK)
		assert_int_equal(wire_end(&p->in), KE_OK);
	return r;
}

/* The request breaks the protocol: no answer, the channel closed, the peer blamed. */
static void expect_blame(struct peer *p, uint16_t type, const void *body, size_t n)
{
	enum role role = p->role;
	struct msg m;

	assert_int_equal(ask(p, type, body, n), KE_CLOSED);
	assert_int_equal(msg_recv(p->c.ctl, ROLE_PARENT, p->self, RUN, p->buf, &m), KE_OK);
	assert_int_equal(m.type, p->self == ROLE_HSM ? MSG_HSM_BLAME : MSG_TLSKEY_BLAME);
	assert_int_equal(m.body[0], role);
	connect_as(p, role, 0);
}

/* --- keyadm --- */

static void test_provision(void **state)
{
	struct rconf_keyadm keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	struct rconf_keyadm tls = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	int code;

	(void)state;
	snprintf(tls.names[0], RCONF_PATH, "localhost");
	snprintf(tls.names[1], RCONF_PATH, "127.0.0.1");
	snprintf(tls.names[2], RCONF_PATH, "::1");
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &ctx.keys, &code), KE_OK);
	assert_int_equal(code, 0);
	assert_int_equal(strncmp(ctx.keys.sealed_dbkey, "klero:1:db:v000001:", 19), 0);
	assert_int_equal(fx_keyadm(&ctx.f, &tls, &ctx.tls, &code), KE_OK);
	assert_int_equal(code, 0);
}

static void test_provision_twice(void **state)
{
	struct rconf_keyadm keys = fx_action(&ctx.f, KEYADM_PROVISION_KEYS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	assert_int_equal(fx_keyadm(&ctx.f, &keys, &done, &code), KE_EXISTS);
	assert_int_not_equal(code, 0);
	assert_non_null(strstr(done.reason, FX_KEYS));
	assert_non_null(strstr(done.reason, "nothing was changed"));
	assert_string_equal(done.sealed_dbkey, "");
}

static void test_provision_refusals(void **state)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	snprintf(c.token.label, sizeof c.token.label, "elsewhere");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_NOTFOUND);
	assert_non_null(strstr(done.reason, "no token labelled elsewhere"));
	c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	snprintf(c.token.pin, sizeof c.token.pin, "not the pin");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_AUTH);
	assert_non_null(strstr(done.reason, "refuses the PIN"));
	c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	snprintf(c.token.module, sizeof c.token.module, "/nowhere/module.so");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_NOTFOUND);
	assert_non_null(strstr(done.reason, "/nowhere/module.so"));
}

/* A failed action leaves no key behind: the same token serves the next one. */
static void test_provision_undone(void **state)
{
	struct rconf_keyadm c = fx_action(&ctx.f, KEYADM_PROVISION_TLS);
	struct rconf_keyadm_done done;
	int code;

	(void)state;
	fx_make_token(&ctx.f, "undone");
	snprintf(c.token.label, sizeof c.token.label, "undone");
	snprintf(c.names[0], RCONF_PATH, "bad name,DNS:evil");
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_FORMAT);
	assert_non_null(strstr(done.reason, "bad name"));
	c.names[0][0] = '\0';
	assert_int_equal(fx_keyadm(&ctx.f, &c, &done, &code), KE_OK);
}

static X509 *certificate(void)
{
	BIO *bio = BIO_new_mem_buf(ctx.tls.cert_pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

static void test_certificate(void **state)
{
	X509 *x = certificate();
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *verify = X509_STORE_CTX_new();

	(void)state;
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	assert_int_equal(X509_check_host(x, FX_HOST, 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_STORE_add_cert(store, x), 1);
	assert_int_equal(X509_STORE_CTX_init(verify, store, x, NULL), 1);
	X509_STORE_CTX_set_purpose(verify, X509_PURPOSE_SSL_SERVER);
	X509_STORE_CTX_set_flags(verify, X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_verify_cert(verify), 1);
	X509_STORE_CTX_free(verify);
	X509_STORE_free(store);
	X509_free(x);
}

/* --- hsm --- */

struct pubs {
	uint8_t token[65], log[32];
};

static void get_keys(struct peer *p, struct pubs *k)
{
	assert_int_equal(ask(p, MSG_HSM_KEYS, NULL, 0), KE_OK);
	assert_int_equal(wire_get_u32(&p->in), 1);
	wire_get_raw(&p->in, k->token, 65);
	assert_int_equal(wire_get_u32(&p->in), 1);
	wire_get_raw(&p->in, k->log, 32);
	assert_int_equal(wire_get_u8(&p->in), 1);
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
	assert_int_equal(open_dbkey(&p, ctx.keys.sealed_dbkey, "another-applianc"), KE_CRYPTO);
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
	assert_int_equal(verify_p256(k.token, digest, sig), KE_OK);
	digest[0] ^= 1;
	assert_int_equal(verify_p256(k.token, digest, sig), KE_CRYPTO);
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

/* --- seeds and draws --- */

struct raffle {
	uint8_t id[16], commit1[32], commit2[32];
	char blob[512];
	uint64_t tickets;
	uint8_t root[32], aggregate[32];
	char entropy[300];
	uint8_t seed[32];
};

static int new_seed(struct peer *p, struct raffle *r)
{
	int e = ask(p, MSG_HSM_NEW_SEED, r->id, 16);

	if (e != KE_OK)
		return e;
	wire_get_raw(&p->in, r->commit1, 32);
	wire_get_raw(&p->in, r->commit2, 32);
	wire_get_cstr(&p->in, r->blob, sizeof r->blob);
	assert_int_equal(wire_end(&p->in), KE_OK);
	return KE_OK;
}

static int reveal(struct peer *p, struct raffle *r)
{
	uint8_t body[2048];
	struct wire_out w;
	int e;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, r->id, 16);
	wire_put_raw(&w, r->commit1, 32);
	wire_put_u64(&w, r->tickets);
	wire_put_raw(&w, r->root, 32);
	wire_put_raw(&w, r->aggregate, 32);
	wire_put_cstr(&w, r->entropy);
	wire_put_cstr(&w, r->blob);
	assert_int_equal(w.err, KE_OK);
	e = ask(p, MSG_HSM_REVEAL_SEED, body, w.len);
	if (e == KE_OK) {
		wire_get_raw(&p->in, r->seed, 32);
		assert_int_equal(wire_end(&p->in), KE_OK);
	}
	return e;
}

static void make_raffle(struct peer *p, struct raffle *r, uint8_t n)
{
	*r = (struct raffle){.id = {n, 0xaf}, .tickets = 1000, .root = {5}, .aggregate = {6}};
	snprintf(r->entropy, sizeof r->entropy, "the weather of tomorrow");
	assert_int_equal(new_seed(p, r), KE_OK);
}

static void test_seed(void **state)
{
	static struct peer p;
	struct raffle r, again;
	uint8_t want[32];

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	assert_int_equal(strncmp(r.blob, "klero:1:seed:v000001:", 21), 0);
	assert_int_equal(reveal(&p, &r), KE_OK);
	hash_sha256(want, r.seed, 32);
	assert_memory_equal(want, r.commit1, 32);
	hash_kdf(want, r.seed, DRAW_COMMIT_LABEL, r.id, 16);
	assert_memory_equal(want, r.commit2, 32);
	/* the very same again: after a crash engine must get it */
	again = r;
	memset(again.seed, 0, 32);
	assert_int_equal(reveal(&p, &again), KE_OK);
	assert_memory_equal(again.seed, r.seed, 32);
	stop_role(&p);
}

static void test_reveal_once(void **state)
{
	static struct peer p;
	struct raffle r, x, other;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	make_raffle(&p, &other, 2);
	/* before anything is revealed: a seed of this process for another raffle */
	x = r;
	memcpy(x.id, other.id, 16);
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	x = r;
	x.tickets = 0;
	assert_int_equal(reveal(&p, &x), KE_RANGE);
	x = r;
	x.entropy[0] = '\0';
	assert_int_equal(reveal(&p, &x), KE_RANGE);
	memset(x.entropy, 'e', 257);
	x.entropy[257] = '\0';
	assert_int_equal(reveal(&p, &x), KE_RANGE);
	assert_int_equal(reveal(&p, &r), KE_OK);
	x = r;
	x.tickets++;
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	x = r;
	x.root[31] ^= 1;
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	x = r;
	x.aggregate[0] ^= 1;
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	x = r;
	x.entropy[0] ^= 1;
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	/* another seed for the same raffle, old or new */
	x = r;
	memcpy(x.commit1, other.commit1, 32);
	memcpy(x.blob, other.blob, sizeof x.blob);
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	x = r;
	assert_int_equal(new_seed(&p, &x), KE_DENIED);
	assert_int_equal(reveal(&p, &r), KE_OK);
	assert_int_equal(reveal(&p, &other), KE_OK);
	assert_true(fx_logged(&ctx.f, "a second reveal with other facts"));
	stop_role(&p);
}

static void test_reveal_bad_rows(void **state)
{
	static struct peer p;
	struct raffle r, x, other;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	make_raffle(&p, &other, 2);
	x = r;
	x.blob[25] = x.blob[25] == 'A' ? 'B' : 'A';
	assert_int_equal(
	    reveal(&p, &x), KE_CRYPTO); /* damaged: the canary says that the HSM is well */
	x = r;
	memcpy(x.blob, other.blob, sizeof x.blob);
	assert_int_equal(reveal(&p, &x), KE_CRYPTO); /* another row's */
	x = r;
	x.commit1[0] ^= 1;
	assert_int_equal(reveal(&p, &x), KE_CRYPTO);
	x = r;
	x.blob[19] = '7';
	assert_int_equal(reveal(&p, &x), KE_VERSION);
	x = r;
	snprintf(x.blob, sizeof x.blob, "klero:1:seed:v000001:AAAAAAAAAAA");
	assert_int_equal(reveal(&p, &x), KE_FORMAT);
	x = r;
	snprintf(x.blob, sizeof x.blob, "%s", ctx.keys.sealed_dbkey);
	assert_int_equal(reveal(&p, &x), KE_FORMAT);
	assert_int_equal(reveal(&p, &r), KE_OK); /* none of it has left a mark */
	stop_role(&p);
}

static struct record_pick picks[RECORD1_PICKS_MAX];

static void make_record(
    const struct raffle *r, uint32_t winners, uint32_t reserves, struct record1 *rec)
{
	*rec = (struct record1){.tickets = r->tickets,
	    .entropy_len = strlen(r->entropy),
	    .entropy_ms = 1700000000000,
	    .drawn_ms = 1700000001000,
	    .winners = winners,
	    .reserves = reserves,
	    .picks = picks};
	memcpy(rec->raffle, r->id, 16);
	memcpy(rec->seed_commit, r->commit1, 32);
	memcpy(rec->server_seed, r->seed, 32);
	memcpy(rec->root, r->root, 32);
	memcpy(rec->aggregate, r->aggregate, 32);
	memcpy(rec->entropy, r->entropy, rec->entropy_len);
	assert_int_equal(record1_draw(rec), KE_OK);
	for (uint32_t i = 0; i < winners + reserves; i++)
		memset(picks[i].ticket, (int)i, 16);
}

static int sign_draw(struct peer *p, const char *origin, const struct record1 *rec)
{
	static uint8_t body[MSG_BODY_MAX];
	struct wire_out w;
	size_t n;

	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, origin);
	assert_int_equal(record1_wire(rec, body + w.len, sizeof body - w.len, &n), KE_OK);
	return ask(p, MSG_HSM_SIGN_DRAW1, body, w.len + n);
}

/* The answer as the C2SP note that the appliance publishes. */
static void expect_note(struct peer *p, const struct record1 *rec)
{
	static char note[RECORD1_TEXT_MAX + 512];
	struct note_key k;
	uint8_t id[4], sig[64];
	size_t n, line, text;

	wire_get_raw(&p->in, id, 4);
	wire_get_raw(&p->in, sig, 64);
	assert_int_equal(wire_end(&p->in), KE_OK);
	assert_int_equal(note_vkey_parse(&k, ctx.keys.log_vkey, strlen(ctx.keys.log_vkey)), KE_OK);
	assert_int_equal(record1_text(rec, note, sizeof note, &n), KE_OK);
	assert_int_equal(crypto_sign_verify_detached(sig, (const uint8_t *)note, n, k.pub), 0);
	note[n] = '\n';
	assert_int_equal(
	    note_sig_line(LOG_NAME, id, sig, note + n + 1, sizeof note - n - 1, &line), KE_OK);
	assert_int_equal(note_open(note, n + 1 + line, &k, &text), KE_OK);
	assert_int_equal(text, n);
}

static void test_sign_draw(void **state)
{
	static struct peer p;
	struct raffle r;
	struct record1 rec;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	/* asked again after a crash, a second later */
	rec.drawn_ms += 1000;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	/* a thousand and a thousand is the most */
	make_raffle(&p, &r, 2);
	r.tickets = 100000000;
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 1000, 1000, &rec);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	stop_role(&p);
}

static void test_sign_draw_refusals(void **state)
{
	static struct peer p;
	struct raffle r;
	struct record1 rec;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	assert_int_equal(sign_draw(&p, "other.example/klero/log", &rec), KE_DENIED);
	assert_int_equal(sign_draw(&p, "", &rec), KE_DENIED);
	rec.tickets++;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	rec.tickets--;
	rec.root[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	rec.root[0] ^= 1;
	rec.entropy_len--;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	rec.entropy_len++;
	rec.server_seed[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_CRYPTO);
	rec.server_seed[0] ^= 1;
	rec.draw_key[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_CRYPTO);
	rec.draw_key[0] ^= 1;
	picks[1].index ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_CRYPTO);
	picks[1].index ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	/* signed: now nothing but drawn-at may change */
	picks[0].ticket[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	picks[0].ticket[0] ^= 1;
	rec.entropy_by[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	rec.entropy_by[0] ^= 1;
	make_record(&r, 4, 2, &rec);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	stop_role(&p);
}

/* A fresh hsm knows nothing of a reveal: it wants it repeated, then signs. */
static void test_sign_after_restart(void **state)
{
	static struct peer p;
	struct raffle r;
	struct record1 rec;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r, 1);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	stop_role(&p);
	start_role(&p, ROLE_HSM);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	assert_int_equal(reveal(&p, &r), KE_OK);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	stop_role(&p);
}

static void test_malformed(void **state)
{
	static struct peer p;
	static uint8_t body[2048];
	struct raffle r;
	struct record1 rec;
	struct pubs k;
	size_t n;

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
	make_raffle(&p, &r, 1);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	memcpy(body,
	    "\x03\x00"
	    "abc",
	    5);
	assert_int_equal(record1_wire(&rec, body + 5, sizeof body - 5, &n), KE_OK);
	expect_blame(&p, MSG_HSM_SIGN_DRAW1, body, n + 4); /* one byte short */
	expect_blame(&p, MSG_HSM_SIGN_DRAW1, body, n + 6); /* one too many */
	get_keys(&p, &k);                                  /* and hsm is well */
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

/* --- tlskey --- */

/* The input of RFC 8446 section 4.4.3, with a transcript hash of n bytes. */
static size_t tls_input(uint8_t out[256], size_t n)
{
	memset(out, ' ', 64);
	memcpy(out + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(out + 98, 0x5a, n);
	return 98 + n;
}

static void cert_point(uint8_t pub[65])
{
	X509 *x = certificate();
	size_t n;

	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(X509_get0_pubkey(x), "encoded-pub-key", pub, 65, &n),
	    1);
	assert_int_equal(n, 65);
	X509_free(x);
}

static void test_tls_sign(void **state)
{
	static struct peer p;
	uint8_t in[256], sig[64], digest[32], pub[65];
	const size_t lengths[] = {32, 48};

	(void)state;
	start_role(&p, ROLE_TLSKEY);
	cert_point(pub);
	for (size_t i = 0; i < 2; i++) {
		size_t n = tls_input(in, lengths[i]);

		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_OK);
		wire_get_raw(&p.in, sig, 64);
		assert_int_equal(wire_end(&p.in), KE_OK);
		hash_sha256(digest, in, n);
		assert_int_equal(verify_p256(pub, digest, sig), KE_OK);
	}
	stop_role(&p);
}

static void test_tls_refusals(void **state)
{
	static struct peer p;
	uint8_t in[256];
	size_t n = tls_input(in, 32);

	(void)state;
	start_role(&p, ROLE_TLSKEY);
	/* each of the 98 fixed bytes matters */
	for (size_t i = 0; i < 98; i++) {
		in[i] ^= 1;
		assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
		in[i] ^= 1;
	}
	memcpy(in + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_DENIED);
	n = tls_input(in, 33);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 0);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	n = tls_input(in, 64);
	expect_blame(&p, MSG_TLS_SIGN, in, n);
	expect_blame(&p, MSG_TLS_SIGN, in, 97);
	expect_blame(&p, MSG_HSM_NEW_SEED, in, 16); /* not tlskey's */
	n = tls_input(in, 32);
	assert_int_equal(ask(&p, MSG_TLS_SIGN, in, n), KE_OK);
	assert_true(fx_logged(&ctx.f, "net 0 asked for a signature on something else"));
	stop_role(&p);
}

/* --- */

static int setup(void **state)
{
	(void)state;
	fx_start(&ctx.f);
	fx_make_token(&ctx.f, FX_KEYS);
	fx_make_token(&ctx.f, FX_TLS);
	return sodium_init() < 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_end(&ctx.f);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_provision),
	    cmocka_unit_test(test_provision_twice),
	    cmocka_unit_test(test_provision_refusals),
	    cmocka_unit_test(test_provision_undone),
	    cmocka_unit_test(test_certificate),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_dbkey),
	    cmocka_unit_test(test_access_token),
	    cmocka_unit_test(test_session_refusals),
	    cmocka_unit_test(test_refresh_token),
	    cmocka_unit_test(test_holder),
	    cmocka_unit_test(test_seed),
	    cmocka_unit_test(test_reveal_once),
	    cmocka_unit_test(test_reveal_bad_rows),
	    cmocka_unit_test(test_sign_draw),
	    cmocka_unit_test(test_sign_draw_refusals),
	    cmocka_unit_test(test_sign_after_restart),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_bad_starts),
	    cmocka_unit_test(test_tls_sign),
	    cmocka_unit_test(test_tls_refusals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
