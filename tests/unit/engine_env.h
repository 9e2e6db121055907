/*
 * A running engine with its real hsm and kdf, for engine's tests and measurements: the test is
 * parent, net and kleroctl. A throw-away SoftHSM token and store in a temporary folder. Header
 * only, since each test is one file.
 */
#ifndef TESTS_UNIT_ENGINE_ENV_H
#define TESTS_UNIT_ENGINE_ENV_H

#include <poll.h>
#include <sodium.h>
#include <sys/mman.h>

#include "daemon/api/apimsg.h"
#include "daemon/api/problem.h"
#include "policy/json.h"
#include "policy/text.h"
#include "tests/unit/hsm_fixture.h"

#define ENV_JSON     (4u << 20)
#define ENV_PASSWORD "correct horse battery"
#define ENV_UID      59901

struct env {
	struct fx f;
	struct rconf_keyadm_done keys;
	struct rconf_limit limit;
	uint32_t passes; /* of kdf */
	char store[96];
	struct fx_child hsm, kdf, engine;
	int net, ctl;
	uint64_t id;
	uint8_t buf[MSG_MAX];
	struct api_ans ans; /* the last answer */
	char *json;         /* its body, terminated */
	size_t len;
};

/* One request in the making. */
struct ask {
	struct api_req q;
	uint8_t raw[ROUTE_FIELDS][16];
};

#define ENV_MUST(x)                                                                                \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* --- parent --- */

__attribute__((unused)) static void env_conf(struct env *e, struct fx_child *c, uint16_t type,
    const struct wire_out *w, uint16_t ready, enum role role)
{
	struct msg m;

	ENV_MUST(w->err == KE_OK);
	ENV_MUST(msg_send(c->ctl, type, 0, w->buf, w->len, -1) == KE_OK);
	if (ready == 0)
		return;
	ENV_MUST(msg_recv(c->ctl, ROLE_PARENT, role, RUN, e->buf, &m) == KE_OK);
	ENV_MUST(m.type == ready);
}

__attribute__((unused)) static void env_peer(
    struct fx_child *c, uint16_t type, enum role role, uint8_t index, int fd)
{
	fx_introduce(c, type, &(struct start_peer){role, index, 1}, fd);
	close(fd);
}

__attribute__((unused)) static void env_deadline(int fd)
{
	struct timeval deadline = {.tv_sec = FX_WAIT_S};

	ENV_MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) == 0);
}

__attribute__((unused)) static void env_start_hsm(struct env *e)
{
	struct rconf_hsm c = {.token = fx_token(&e->f, FX_KEYS), .objects = 100000};
	struct wire_out w;

	fx_spawn(&e->f, &e->hsm, "klerod-hsm", "hsm");
	snprintf(c.host, sizeof c.host, FX_HOST);
	snprintf(c.folder, sizeof c.folder, "%s", e->f.tokens);
	wire_out_init(&w, e->buf, MSG_BODY_MAX);
	rconf_put_hsm(&w, &c);
	env_conf(e, &e->hsm, MSG_HSM_CONF, &w, MSG_HSM_READY, ROLE_HSM);
}

__attribute__((unused)) static void env_start_kdf(struct env *e)
{
	struct rconf_kdf c = {.memory_kib = 8192, .passes = e->passes};
	struct wire_out w;

	fx_spawn(&e->f, &e->kdf, "klerod-kdf", "kdf");
	wire_out_init(&w, e->buf, MSG_BODY_MAX);
	rconf_put_kdf(&w, &c);
	env_conf(e, &e->kdf, MSG_KDF_CONF, &w, MSG_KDF_READY, ROLE_KDF);
}

__attribute__((unused)) static void env_join_hsm(struct env *e)
{
	int sv[2];

	ENV_MUST(msg_pair(sv) == KE_OK);
	env_peer(&e->hsm, MSG_HSM_PEER, ROLE_ENGINE, 0, sv[0]);
	env_peer(&e->engine, MSG_ENGINE_PEER, ROLE_HSM, 0, sv[1]);
}

__attribute__((unused)) static void env_join_kdf(struct env *e)
{
	int sv[2];

	ENV_MUST(msg_pair(sv) == KE_OK);
	env_peer(&e->kdf, MSG_KDF_PEER, ROLE_ENGINE, 0, sv[0]);
	env_peer(&e->engine, MSG_ENGINE_PEER, ROLE_KDF, 0, sv[1]);
}

__attribute__((unused)) static void env_join_net(struct env *e)
{
	int sv[2];

	if (e->net >= 0)
		close(e->net);
	ENV_MUST(msg_pair(sv) == KE_OK);
	env_peer(&e->engine, MSG_ENGINE_PEER, ROLE_NET, 0, sv[1]);
	e->net = sv[0];
	env_deadline(e->net);
}

__attribute__((unused)) static void env_join_ctl(struct env *e)
{
	uint8_t uid[4] = {0};
	int sv[2];

	if (e->ctl >= 0)
		close(e->ctl);
	ENV_MUST(msg_pair(sv) == KE_OK);
	ENV_MUST(msg_send(e->engine.ctl, MSG_ENGINE_CLIENT, 0, uid, sizeof uid, sv[1]) == KE_OK);
	close(sv[1]);
	e->ctl = sv[0];
	env_deadline(e->ctl);
}

/* Sends engine its configuration and hsm; does not wait until it is ready. */
__attribute__((unused)) static void env_launch_engine(struct env *e)
{
	struct rconf_engine c = {.nets = 1, .kdfs = 1, .kdf_queue = 16, .user = e->limit};
	struct wire_out w;

	if (geteuid() == 0)
		c.id = (struct rconf_identity){.drop = true, .uid = ENV_UID, .gid = ENV_UID};
	fx_spawn(&e->f, &e->engine, "klerod-engine", "engine");
	snprintf(c.store, sizeof c.store, "%s", e->store);
	snprintf(c.host, sizeof c.host, FX_HOST);
	snprintf(c.currencies, sizeof c.currencies, "EUR XTS");
	wire_out_init(&w, e->buf, MSG_BODY_MAX);
	rconf_put_engine(&w, &c);
	env_conf(e, &e->engine, MSG_ENGINE_CONF, &w, 0, ROLE_ENGINE);
	env_join_hsm(e);
}

__attribute__((unused)) static void env_start_engine(struct env *e)
{
	struct msg m;

	env_launch_engine(e);
	if (msg_recv(e->engine.ctl, ROLE_PARENT, ROLE_ENGINE, RUN, e->buf, &m) != KE_OK ||
	    m.type != MSG_ENGINE_READY) {
		fx_logged(&e->f, "");
		fprintf(stderr, "engine does not start:\n%s", e->f.said);
		abort();
	}
	env_join_kdf(e);
	env_join_net(e);
}

__attribute__((unused)) static void env_write(
    const struct env *e, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", e->store, name);
	f = fopen(path, "w");
	ENV_MUST(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
	if (geteuid() == 0)
		ENV_MUST(chown(path, ENV_UID, ENV_UID) == 0);
}

/* What setup leaves in the store's folder. */
__attribute__((unused)) static void env_write_keys(const struct env *e)
{
	char text[1024], id[33];

	text_hex(id, FX_APPLIANCE, 16);
	snprintf(text, sizeof text, "appliance %s\ndbkey %s\n", id, e->keys.sealed_dbkey);
	env_write(e, "klero.keys", text);
	env_write(e, "klero.new", "");
}

/* Token, keys, an empty store; nothing runs yet. */
__attribute__((unused)) static void env_provision(struct env *e)
{
	struct rconf_keyadm action;
	int code;

	*e = (struct env){.net = -1, .ctl = -1, .limit = {1000000, 900}, .passes = 1};
	e->json = malloc(ENV_JSON);
	ENV_MUST(e->json != NULL && sodium_init() >= 0);
	fx_start(&e->f);
	fx_make_token(&e->f, FX_KEYS);
	action = fx_action(&e->f, KEYADM_PROVISION_KEYS);
	ENV_MUST(fx_keyadm(&e->f, &action, &e->keys, &code) == KE_OK);
	snprintf(e->store, sizeof e->store, "%s/store", e->f.dir);
	ENV_MUST(mkdir(e->store, 0700) == 0);
	/* root's engine becomes somebody else, as it does below parent */
	if (geteuid() == 0)
		ENV_MUST(chmod(e->f.dir, 0711) == 0 && chown(e->store, ENV_UID, ENV_UID) == 0);
	env_write_keys(e);
}

__attribute__((unused)) static void env_start(struct env *e)
{
	env_provision(e);
	env_start_hsm(e);
	env_start_kdf(e);
	env_start_engine(e);
}

/* The child must die by itself soon, or by our hand at once; the code as fx_wait(). */
__attribute__((unused)) static int env_kill(struct fx_child *c, int sig)
{
	if (sig != 0)
		kill(c->pid, sig);
	return fx_wait(c);
}

__attribute__((unused)) static int env_stop_engine(struct env *e)
{
	ENV_MUST(msg_send(e->engine.ctl, MSG_ENGINE_STOP, 0, NULL, 0, -1) == KE_OK);
	close(e->net);
	e->net = -1;
	return fx_wait(&e->engine);
}

/* Everything but engine. */
__attribute__((unused)) static void env_end_rest(struct env *e)
{
	env_kill(&e->hsm, SIGKILL);
	env_kill(&e->kdf, SIGKILL);
	if (e->ctl >= 0)
		close(e->ctl);
	fx_end(&e->f);
	free(e->json);
}

__attribute__((unused)) static void env_end(struct env *e)
{
	env_stop_engine(e);
	env_end_rest(e);
}

/* --- net --- */

__attribute__((unused)) static struct ask ask_new(enum route_id route, const char *token)
{
	struct ask a = {.q = {.route = (uint16_t)route}};

	a.q.address[10] = a.q.address[11] = 0xff;
	a.q.address[12] = 127;
	a.q.address[15] = 1;
	randombytes_buf(a.q.request_id, sizeof a.q.request_id);
	if (token != NULL) {
		a.q.token = (const uint8_t *)token;
		a.q.token_len = strlen(token);
	}
	return a;
}

__attribute__((unused)) static void ask_idem(struct ask *a, const char *key)
{
	a->q.idem = (const uint8_t *)key;
	a->q.idem_len = strlen(key);
}

__attribute__((unused)) static void ask_bytes(struct ask *a, unsigned i, const void *p, size_t n)
{
	a->q.v[i] = (struct api_value){.present = true, .p = p, .n = n};
}

__attribute__((unused)) static void ask_text(struct ask *a, unsigned i, const char *s)
{
	ask_bytes(a, i, s, strlen(s));
}

__attribute__((unused)) static void ask_int(struct ask *a, unsigned i, int64_t v)
{
	a->q.v[i] = (struct api_value){.present = true, .i = v};
}

/* The array lives in the ask, so an ask is used where it was made. */
__attribute__((unused)) static void ask_uuid(struct ask *a, unsigned i, const char *text)
{
	ENV_MUST(text_unuuid(a->raw[i], text, strlen(text)) == KE_OK);
	ask_bytes(a, i, a->raw[i], 16);
}

__attribute__((unused)) static void ask_money(
    struct ask *a, unsigned i, int64_t amount, const char *currency)
{
	ask_text(a, i, currency);
	a->q.v[i].i = amount;
}

__attribute__((unused)) static void env_send(struct env *e, const struct ask *a)
{
	struct wire_out w;

	wire_out_init(&w, e->buf, MSG_BODY_MAX);
	apimsg_put_req(&w, &a->q);
	ENV_MUST(w.err == KE_OK);
	ENV_MUST(msg_send(e->net, MSG_API_REQ, ++e->id, e->buf, w.len, -1) == KE_OK);
}

__attribute__((unused)) static void env_body(struct env *e, int fd)
{
	size_t done = 0;

	if ((e->ans.flags & API_ANS_FILE) == 0) {
		memcpy(e->json, e->ans.body, e->ans.body_len);
		e->len = e->ans.body_len;
	} else {
		ENV_MUST(fd >= 0 && e->ans.file_len < ENV_JSON);
		while (done < e->ans.file_len) {
			ssize_t n = pread(fd, e->json + done, e->ans.file_len - done, (off_t)done);

			ENV_MUST(n > 0);
			done += (size_t)n;
		}
		e->len = done;
		close(fd);
	}
	e->json[e->len] = '\0';
}

/* The next answer; its id. Orders to drop cached answers are counted in *drops (may be NULL). */
__attribute__((unused)) static uint64_t env_receive(struct env *e, unsigned *drops)
{
	struct wire_in in;
	struct msg m;
	int r;

	for (;;) {
		r = msg_recv(e->net, ROLE_NET, ROLE_ENGINE, RUN, e->buf, &m);
		if (r != KE_OK) {
			fx_logged(&e->f, "");
			fprintf(stderr, "no answer: %s\n%s", ke_words(r), e->f.said);
			abort();
		}
		if (m.type != MSG_CACHE_DROP)
			break;
		if (drops != NULL)
			++*drops;
	}
	ENV_MUST(m.type == MSG_API_ANS);
	wire_in_init(&in, m.body, m.len);
	ENV_MUST(apimsg_get_ans(&in, &e->ans) == KE_OK);
	env_body(e, m.fd);
	return m.id;
}

/* One request and its answer; the status. */
__attribute__((unused)) static unsigned env_call(struct env *e, const struct ask *a)
{
	env_send(e, a);
	ENV_MUST(env_receive(e, NULL) == e->id);
	return e->ans.status;
}

/* A string or number of the answer's top level, as text; "" when it is not there. */
__attribute__((unused)) static const char *env_get(const struct env *e, const char *name)
{
	static struct json_tok toks[65536];
	static char out[4][4096];
	static unsigned turn;
	char *to = out[turn++ % 4];
	size_t n, i, len;

	to[0] = '\0';
	if (json_check(e->json, e->len, 65536, &n, NULL) != KE_OK ||
	    json_split(e->json, e->len, toks, n) != KE_OK)
		return to;
	i = json_member(e->json, toks, n, 0, name);
	if (i == 0)
		return to;
	if (toks[i].type == JSON_STRING) {
		ENV_MUST(json_string(e->json, &toks[i], to, 4095, &len) == KE_OK);
	} else {
		len = (size_t)(toks[i].end - toks[i].start);
		len = len < 4095 ? len : 4095;
		memcpy(to, e->json + toks[i].start, len);
	}
	to[len] = '\0';
	return to;
}

/* --- people --- */

__attribute__((unused)) static unsigned env_register(struct env *e, const char *email)
{
	struct ask a = ask_new(RT_register, NULL);

	ask_text(&a, 0, email);
	ask_text(&a, 1, ENV_PASSWORD);
	return env_call(e, &a);
}

__attribute__((unused)) static unsigned env_login(
    struct env *e, const char *email, const char *password)
{
	struct ask a = ask_new(RT_login, NULL);

	ask_text(&a, 0, email);
	ask_text(&a, 1, password);
	return env_call(e, &a);
}

/* A fresh account's access token, the caller's to free. */
__attribute__((unused)) static char *env_person(struct env *e, const char *email)
{
	ENV_MUST(env_register(e, email) == 201);
	ENV_MUST(env_login(e, email, ENV_PASSWORD) == 200);
	return strdup(env_get(e, "access_token"));
}

__attribute__((unused)) static int env_ctl(
    struct env *e, uint16_t type, const struct wire_out *w, char *words, size_t cap)
{
	struct wire_in in;
	struct msg m;
	int r;

	ENV_MUST(msg_send(e->ctl, type, 7, w->buf, w->len, -1) == KE_OK);
	r = msg_recv(e->ctl, ROLE_CTL, ROLE_ENGINE, RUN, e->buf, &m);
	if (r != KE_OK)
		return r;
	ENV_MUST(m.type == type + 1 && m.id == 7);
	wire_in_init(&in, m.body, m.len);
	r = wire_get_i32(&in);
	wire_get_cstr(&in, words, cap);
	ENV_MUST(wire_end(&in) == KE_OK);
	return r;
}

/* An admin by kleroctl's way; the token. */
__attribute__((unused)) static char *env_admin(struct env *e, const char *email)
{
	uint8_t body[1024];
	struct wire_out w;
	char words[512];

	env_join_ctl(e);
	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, email);
	wire_put_cstr(&w, ENV_PASSWORD);
	ENV_MUST(env_ctl(e, MSG_CTL_ADMIN, &w, words, sizeof words) == KE_OK);
	ENV_MUST(env_login(e, email, ENV_PASSWORD) == 200);
	return strdup(env_get(e, "access_token"));
}

/* Money for this person, confirmed by admin. */
__attribute__((unused)) static void env_fund(
    struct env *e, const char *admin, const char *token, int64_t amount)
{
	static unsigned n;
	char key[32];
	struct ask d = ask_new(RT_deposit, token), c = ask_new(RT_deposit_confirm, admin);

	snprintf(key, sizeof key, "fund-%u", ++n);
	ask_idem(&d, key);
	ask_money(&d, 0, amount, "EUR");
	ask_int(&d, 1, 0);
	ENV_MUST(env_call(e, &d) == 202);
	ask_uuid(&c, 0, env_get(e, "id"));
	ENV_MUST(env_call(e, &c) == 200);
}

/* An open raffle's id in text, the caller's to free. */
__attribute__((unused)) static char *env_raffle(struct env *e, const char *admin, int64_t price,
    int64_t capacity, int64_t winners, int64_t reserves)
{
	struct ask c = ask_new(RT_raffle_create, admin), o = ask_new(RT_raffle_open, admin);
	char *id;

	ask_text(&c, 0, "A raffle");
	ask_money(&c, 2, price, "EUR");
	ask_int(&c, 3, capacity);
	ask_int(&c, 5, winners);
	ask_int(&c, 6, reserves);
	ENV_MUST(env_call(e, &c) == 201);
	id = strdup(env_get(e, "id"));
	ask_uuid(&o, 0, id);
	ENV_MUST(env_call(e, &o) == 200);
	return id;
}

#endif
