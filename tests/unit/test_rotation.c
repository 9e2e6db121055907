/*
 * klerod-hsm over the life of its keys: what a fresh one signs, wraps and authenticates with after
 * officers have rotated, rolled back or given up a key, and what of the old ones still counts.
 */
#include "tests/unit/officers.h"

#include <sys/mman.h>

#include "hsm/p11/blob.h"
#include "policy/hash.h"
#include "policy/roles.h"

static struct peer hsm;

/* What HSM_KEYS says. */
struct known {
	uint32_t log, token[16];
	uint8_t n;
};

static void get_known(struct known *k)
{
	uint8_t skip[65];

	assert_int_equal(ask(&hsm, MSG_HSM_KEYS, NULL, 0), KE_OK);
	(void)wire_get_u8(&hsm.in);
	k->log = wire_get_u32(&hsm.in);
	assert_int_equal(wire_get_u8(&hsm.in), NOTE_ED25519);
	wire_get_raw(&hsm.in, skip, 32);
	k->n = wire_get_u8(&hsm.in);
	assert_in_range(k->n, 1, 16);
	for (uint8_t i = 0; i < k->n; i++) {
		k->token[i] = wire_get_u32(&hsm.in);
		wire_get_raw(&hsm.in, skip, 65);
	}
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

struct seed {
	uint8_t raffle[16], commit[32];
	char text[BLOB_TEXT_MAX];
};

static void new_seed(struct seed *s)
{
	uint8_t skip[32];

	randombytes_buf(s->raffle, 16);
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, s->raffle, 16), KE_OK);
	wire_get_raw(&hsm.in, s->commit, 32);
	wire_get_raw(&hsm.in, skip, 32);
	wire_get_cstr(&hsm.in, s->text, sizeof(s->text));
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

static int rewrap(struct seed *s)
{
	uint8_t body[512];
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof(body));
	wire_put_raw(&w, s->raffle, 16);
	wire_put_raw(&w, s->commit, 32);
	wire_put_cstr(&w, s->text);
	r = ask(&hsm, MSG_HSM_REWRAP_SEED, body, w.len);
	if (r == KE_OK)
		wire_get_cstr(&hsm.in, s->text, sizeof(s->text));
	return r;
}

static int reveal(const struct seed *s, uint8_t value[32])
{
	uint8_t body[1024], zero[32] = {0};
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof(body));
	wire_put_raw(&w, s->raffle, 16);
	wire_put_raw(&w, s->commit, 32);
	wire_put_u64(&w, 5);
	wire_put_raw(&w, zero, 32);
	wire_put_raw(&w, zero, 32);
	wire_put_cstr(&w, "entropy");
	wire_put_cstr(&w, s->text);
	r = ask(&hsm, MSG_HSM_REVEAL_SEED, body, w.len);
	if (r == KE_OK)
		wire_get_raw(&hsm.in, value, 32);
	return r;
}

static int dbkey(uint16_t type, const char *text)
{
	uint8_t body[512];
	struct wire_out w;

	wire_out_init(&w, body, sizeof(body));
	wire_put_cstr(&w, text);
	wire_put_raw(&w, FX_APPLIANCE, 16);
	return ask(&hsm, type, body, w.len);
}

/* A session's refresh token, and the kid of its access token's header in kid. */
static void session(char refresh[256], char kid[256])
{
	uint8_t body[64], header[200];
	char access[2048], *dot;
	struct wire_out w;
	size_t n;

	wire_out_init(&w, body, sizeof(body));
	wire_put_raw(&w, "user-id-16-bytes", 16);
	wire_put_raw(&w, "family-16-bytes.", 16);
	wire_put_u8(&w, ROLE_BIT_USER);
	wire_put_u32(&w, 1);
	wire_put_u64(&w, (uint64_t)time(NULL));
	assert_int_equal(ask(&hsm, MSG_HSM_SESSION, body, w.len), KE_OK);
	wire_get_cstr(&hsm.in, access, sizeof(access));
	(void)wire_get_u64(&hsm.in);
	wire_get_cstr(&hsm.in, refresh, 256);
	dot = strchr(access, '.');
	assert_int_equal(
	    text_unb64url(header, sizeof(header), &n, access, (size_t)(dot - access)), KE_OK);
	snprintf(kid, 256, "%.*s", (int)n, (const char *)header);
}

static int refresh(const char *token)
{
	uint8_t body[300];
	struct wire_out w;

	wire_out_init(&w, body, sizeof(body));
	wire_put_cstr(&w, token);
	return ask(&hsm, MSG_HSM_REFRESH, body, w.len);
}

/* What the officers decide, and the fresh hsm that parent would start then. */
static void decide(enum proposal_action action, enum key_purpose purpose, uint64_t version)
{
	struct rconf_keyadm_done done;

	stop_role(&hsm);
	assert_int_equal(act(action, purpose, version, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
}

static int setup(void **state)
{
	struct rconf_keyadm_done done;

	if (officers_setup(state) != 0)
		return 1;
	assert_int_equal(enrol(2, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	return 0;
}

static int teardown(void **state)
{
	stop_role(&hsm);
	return peer_teardown(state);
}

static void test_seed(void **state)
{
	struct seed s, other, foreign;
	uint8_t value[32], digest[32];

	(void)state;
	new_seed(&s);
	new_seed(&other);
	assert_non_null(strstr(s.text, ":v000001:"));
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	new_seed(&foreign);
	assert_non_null(strstr(foreign.text, ":v000002:"));
	/* the seed stays inside and stays what it is */
	assert_int_equal(rewrap(&s), KE_OK);
	assert_non_null(strstr(s.text, ":v000002:"));
	assert_int_equal(reveal(&s, value), KE_OK);
	hash_sha256(digest, value, 32);
	assert_memory_equal(digest, s.commit, 32);
	/* also what was not wrapped again opens, as long as its key is there */
	assert_int_equal(reveal(&other, value), KE_OK);
	/* a blob of another row, a flipped bit, a version that never was */
	memcpy(other.commit, foreign.commit, 32);
	assert_int_not_equal(rewrap(&other), KE_OK);
	memcpy(foreign.text + strlen("klero:1:seed:v00000"), "9", 1);
	assert_int_equal(rewrap(&foreign), KE_VERSION);
}

static void test_destroyed_seed_key(void **state)
{
	struct seed s;
	uint8_t value[32];

	(void)state;
	new_seed(&s);
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	decide(PROPOSE_ABANDON, KEY_SEED, 2);
	assert_int_equal(reveal(&s, value), KE_VERSION);
	assert_int_equal(rewrap(&s), KE_VERSION);
}

static void not_destroyed(enum key_purpose purpose, uint64_t version, const char *why)
{
	struct rconf_keyadm_done done;

	assert_int_equal(act(PROPOSE_DESTROY, purpose, version, 3, &done), KE_STATE);
	assert_non_null(strstr(done.reason, why));
}

/*
 * What stands under a version keeps it, whatever engine says and however often hsm has been started
 * anew in between: hsm alone has counted.
 */
static void test_counted(void **state)
{
	struct seed s[3];
	uint8_t value[32];
	uint64_t version;
	struct seen seen;

	(void)state;
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	look(FX_KEYS, &seen);
	version = anchor_active(&seen.anchor, KEY_SEED, (uint64_t)time(NULL))->version;
	for (int i = 0; i < 3; i++)
		new_seed(&s[i]);
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	not_destroyed(KEY_SEED, version, "hsm counts 3 that stand under version");
	/* the same one again and again is one */
	for (int i = 0; i < 5; i++) {
		struct seed again = s[0];

		assert_int_equal(rewrap(&again), KE_OK);
	}
	not_destroyed(KEY_SEED, version, "hsm counts 2 ");
	assert_int_equal(reveal(&s[1], value), KE_OK);
	assert_int_equal(reveal(&s[1], value), KE_OK);
	not_destroyed(KEY_SEED, version, "hsm counts 1 ");
	/* neither a seed of another key nor one that is refused ends the last */
	assert_int_equal(rewrap(&s[0]), KE_OK);
	memcpy(s[0].commit, s[2].commit, 32);
	assert_int_not_equal(rewrap(&s[0]), KE_OK);
	not_destroyed(KEY_SEED, version, "hsm counts 1 ");
	assert_int_equal(rewrap(&s[2]), KE_OK);
	decide(PROPOSE_DESTROY, KEY_SEED, version);
	/* and the new one holds two: the first is revealed by its old blob no more */
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	not_destroyed(KEY_SEED, version + 1, "hsm counts ");
}

/* What no journal tells from the beginning is not known to be empty. */
static void test_not_counted(void **state)
{
	struct rconf_keyadm_done done;
	int had = ctx.f.journal;
	struct seen seen;
	uint64_t version;

	(void)state;
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	look(FX_KEYS, &seen);
	version = anchor_active(&seen.anchor, KEY_SEED, (uint64_t)time(NULL))->version;
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	ctx.f.journal = -1;
	not_destroyed(KEY_SEED, version, "has not counted from the beginning");
	ctx.f.journal = memfd_create("lost", MFD_CLOEXEC);
	assert_int_equal(fcntl(ctx.f.journal, F_SETFL, O_APPEND), 0);
	not_destroyed(KEY_SEED, version, "has not counted from the beginning");
	close(ctx.f.journal);
	ctx.f.journal = had;
	assert_int_equal(act(PROPOSE_DESTROY, KEY_SEED, version, 3, &done), KE_OK);
}

/* The database key as it is sealed at last. */
static char sealed[BLOB_TEXT_MAX];

static void test_dbkey(void **state)
{
	uint8_t first[32], again[32];
	char text[BLOB_TEXT_MAX];

	(void)state;
	assert_int_equal(dbkey(MSG_HSM_OPEN_DBKEY, ctx.keys.sealed_dbkey), KE_OK);
	wire_get_raw(&hsm.in, first, 32);
	decide(PROPOSE_ROTATE, KEY_MASTER, 0);
	not_destroyed(KEY_MASTER, 1, "hsm counts 1 ");
	assert_int_equal(dbkey(MSG_HSM_RESEAL_DBKEY, ctx.keys.sealed_dbkey), KE_OK);
	wire_get_cstr(&hsm.in, text, sizeof(text));
	assert_int_equal(strncmp(text, "klero:1:db:v000002:", 19), 0);
	decide(PROPOSE_DESTROY, KEY_MASTER, 1);
	not_destroyed(KEY_MASTER, 2, "state of the key");
	assert_int_equal(dbkey(MSG_HSM_OPEN_DBKEY, text), KE_OK);
	wire_get_raw(&hsm.in, again, 32);
	assert_memory_equal(first, again, 32);
	/* resealing needs no second opening, and gives no key away */
	assert_int_equal(dbkey(MSG_HSM_RESEAL_DBKEY, ctx.keys.sealed_dbkey), KE_VERSION);
	assert_int_equal(dbkey(MSG_HSM_OPEN_DBKEY, text), KE_DENIED);
	memcpy(sealed, text, sizeof sealed);
}

static void test_tokens(void **state)
{
	char old[256], fresh[256], kid[256];
	struct known k;

	(void)state;
	session(old, kid);
	assert_non_null(strstr(kid, "token-v000001"));
	decide(PROPOSE_ROTATE, KEY_MAC, 0);
	session(fresh, kid);
	assert_int_equal(refresh(old), KE_OK);
	assert_int_equal(refresh(fresh), KE_OK);
	/* published, and not used for a while */
	decide(PROPOSE_ROTATE, KEY_TOKEN, 0);
	get_known(&k);
	assert_int_equal(k.n, 2);
	assert_int_equal(k.token[0], 1);
	assert_int_equal(k.token[1], 2);
	session(fresh, kid);
	assert_non_null(strstr(kid, "token-v000001"));
	/* given up: gone from what is published, the third one signs at once */
	decide(PROPOSE_COMPROMISE, KEY_TOKEN, 1);
	session(fresh, kid);
	get_known(&k);
	for (uint8_t i = 0; i < k.n; i++)
		assert_int_not_equal(k.token[i], 1);
	assert_null(strstr(kid, "token-v000001"));
	/* and so for what authenticates refresh tokens */
	decide(PROPOSE_COMPROMISE, KEY_MAC, 1);
	assert_int_equal(refresh(old), KE_VERSION);
	assert_int_equal(refresh(fresh), KE_OK);
}

static void test_log(void **state)
{
	struct known k;

	(void)state;
	decide(PROPOSE_ROTATE, KEY_LOG, 0);
	get_known(&k);
	assert_int_equal(k.log, 2);
	decide(PROPOSE_ROLL_BACK, KEY_LOG, 1);
	get_known(&k);
	assert_int_equal(k.log, 1);
}

static void test_anchor(void **state)
{
	char text[ANCHOR_TEXT_MAX];
	static struct anchor a;

	(void)state;
	assert_int_equal(ask(&hsm, MSG_HSM_ANCHOR, NULL, 0), KE_OK);
	wire_get_cstr(&hsm.in, text, sizeof(text));
	assert_int_equal(anchor_parse(&a, text, strlen(text)), KE_OK);
	assert_int_equal(a.officers.n, OFFICERS);
	assert_true(a.keys > KEY_PURPOSES);
}

/* Every change of a value's text that somebody might try; the n-th, false when there is none. */
static bool change(char out[BLOB_TEXT_MAX], const char *text, const char *other, size_t n)
{
	static const char *const heads[] = {"klero:2:", "klero:0:", "Klero:1:", "v1:", ":", "",
	    "klero:1:deposit:v000001:", "klero:1:data:v000001:", "klero:1:mac:v000001:",
	    "klero:1:seed:v000000:", "klero:1:seed:v1:", "klero:1:seed:v0000001:",
	    "klero:1:seed:v999999:", "klero:1:db:v000000:", "klero:1:db:v999999:", "klero:1:db::"};
	const size_t count = sizeof heads / sizeof heads[0];
	const char *body = strrchr(text, ':') + 1;
	size_t len = strlen(body);

	if (n < count)
		snprintf(out, BLOB_TEXT_MAX, "%s%s", heads[n], body);
	else if (n < count + len) /* shorter and shorter: no tag, half a tag, … */
		snprintf(out, BLOB_TEXT_MAX, "%.*s", (int)(strlen(text) - 1 - (n - count)), text);
	else if (n < count + len + 24) /* longer */
		snprintf(out, BLOB_TEXT_MAX, "%s%.*s", text, (int)(n - count - len + 1),
		    "AAAAAAAAAAAAAAAAAAAAAAAA");
	else if (n == count + len + 24) /* of that version, under another one's name */
		snprintf(out, BLOB_TEXT_MAX, "%.*s%s", (int)(strrchr(other, ':') + 1 - other),
		    other, body);
	else if (n < count + len + 25 + (size_t)(body - text))
		snprintf(out, BLOB_TEXT_MAX, "%s", text);
	else
		return false;
	if (n > count + len + 24) /* each sign of its head */
		out[n - count - len - 25] ^= 1;
	return true;
}

/*
 * A value of another version, purpose or format, with a tag of another length, without one: hsm
 * opens none of them, and says so without dying.
 */
static void test_bad_values(void **state)
{
	struct seed s, later, bad;
	char db[BLOB_TEXT_MAX], fresh[BLOB_TEXT_MAX], text[BLOB_TEXT_MAX];
	uint8_t value[32];

	(void)state;
	decide(PROPOSE_ROTATE, KEY_MASTER, 0);
	new_seed(&s);
	assert_int_equal(dbkey(MSG_HSM_OPEN_DBKEY, sealed), KE_OK);
	assert_int_equal(dbkey(MSG_HSM_RESEAL_DBKEY, sealed), KE_OK);
	wire_get_cstr(&hsm.in, db, sizeof(db));
	decide(PROPOSE_ROTATE, KEY_SEED, 0);
	decide(PROPOSE_ROTATE, KEY_MASTER, 0);
	new_seed(&later);
	assert_int_equal(dbkey(MSG_HSM_RESEAL_DBKEY, db), KE_OK);
	wire_get_cstr(&hsm.in, fresh, sizeof(fresh));
	bad = s;
	for (size_t n = 0; change(bad.text, s.text, later.text, n); n++) {
		assert_int_not_equal(rewrap(&bad), KE_OK);
		assert_int_not_equal(reveal(&bad, value), KE_OK);
		assert_int_not_equal(dbkey(MSG_HSM_RESEAL_DBKEY, bad.text), KE_OK);
	}
	for (size_t n = 0; change(text, db, fresh, n); n++) {
		assert_int_not_equal(dbkey(MSG_HSM_RESEAL_DBKEY, text), KE_OK);
		connect_as(&hsm, ROLE_ENGINE, 0);
		assert_int_not_equal(dbkey(MSG_HSM_OPEN_DBKEY, text), KE_OK);
	}
	/* and the honest ones open as before */
	assert_int_equal(reveal(&s, value), KE_OK);
	connect_as(&hsm, ROLE_ENGINE, 0);
	assert_int_equal(dbkey(MSG_HSM_OPEN_DBKEY, fresh), KE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seed),
	    cmocka_unit_test(test_destroyed_seed_key),
	    cmocka_unit_test(test_counted),
	    cmocka_unit_test(test_not_counted),
	    cmocka_unit_test(test_dbkey),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_anchor),
	    cmocka_unit_test(test_bad_values),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
