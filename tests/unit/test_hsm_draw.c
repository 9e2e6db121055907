/*
 * Server seeds and draw records in klerod-hsm as it runs: commitments against the revealed seed,
 * the once-only rules, the signed note by libsodium. See test_hsm_role.c.
 */
#include <sodium.h>

#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/note.h"
#include "policy/record.h"
#include "tests/unit/hsm_peer.h"

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

/* One that no hsm has heard of. */
static void make_raffle(struct peer *p, struct raffle *r)
{
	*r = (struct raffle){.tickets = 1000, .root = {5}, .aggregate = {6}};
	randombytes_buf(r->id, sizeof r->id);
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
	make_raffle(&p, &r);
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
	make_raffle(&p, &r);
	make_raffle(&p, &other);
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
	make_raffle(&p, &r);
	make_raffle(&p, &other);
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
	assert_int_equal(wire_get_u8(&p->in), NOTE_ED25519);
	wire_get_raw(&p->in, sig, 64);
	assert_int_equal(wire_end(&p->in), KE_OK);
	assert_int_equal(note_vkey_parse(&k, ctx.keys.log_vkey, strlen(ctx.keys.log_vkey)), KE_OK);
	assert_int_equal(record1_text(rec, note, sizeof note, &n), KE_OK);
	assert_int_equal(crypto_sign_verify_detached(sig, (const uint8_t *)note, n, k.pub), 0);
	note[n] = '\n';
	assert_int_equal(note_sig_line(LOG_NAME, NOTE_ED25519, id, sig, note + n + 1,
			     sizeof note - n - 1, &line),
	    KE_OK);
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
	make_raffle(&p, &r);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	/* asked again after a crash, a second later */
	rec.drawn_ms += 1000;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	/* a thousand and a thousand is the most */
	make_raffle(&p, &r);
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
	make_raffle(&p, &r);
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

/* A fresh hsm knows what the one before it has revealed and signed, and what it has not. */
static void test_after_restart(void **state)
{
	static struct peer p;
	struct raffle r, x, unseen;
	struct record1 rec;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	make_raffle(&p, &unseen);
	/* however it ends */
	assert_int_equal(kill(p.c.pid, SIGKILL), 0);
	assert_int_equal(fx_wait(&p.c), 1000 + SIGKILL);
	close(p.fd);
	start_role(&p, ROLE_HSM);
	x = r;
	x.entropy[0] ^= 1;
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	assert_int_equal(new_seed(&p, &x), KE_DENIED);
	x = unseen;
	memcpy(x.id, r.id, 16);
	assert_int_equal(reveal(&p, &x), KE_DENIED);
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	expect_note(&p, &rec);
	stop_role(&p);
	start_role(&p, ROLE_HSM);
	picks[0].ticket[0] ^= 1;
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_DENIED);
	assert_int_equal(reveal(&p, &r), KE_OK);
	assert_int_equal(reveal(&p, &unseen), KE_OK);
	stop_role(&p);
}

static void test_malformed_record(void **state)
{
	static struct peer p;
	static uint8_t body[2048] = "\x03\x00"
				    "abc";
	struct raffle r;
	struct record1 rec;
	size_t n;

	(void)state;
	start_role(&p, ROLE_HSM);
	make_raffle(&p, &r);
	assert_int_equal(reveal(&p, &r), KE_OK);
	make_record(&r, 3, 2, &rec);
	assert_int_equal(record1_wire(&rec, body + 5, sizeof body - 5, &n), KE_OK);
	expect_blame(&p, MSG_HSM_SIGN_DRAW1, body, n + 4); /* one byte short */
	expect_blame(&p, MSG_HSM_SIGN_DRAW1, body, n + 6); /* one too many */
	assert_int_equal(sign_draw(&p, LOG_NAME, &rec), KE_OK);
	stop_role(&p);
}

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seed),
	    cmocka_unit_test(test_reveal_once),
	    cmocka_unit_test(test_reveal_bad_rows),
	    cmocka_unit_test(test_sign_draw),
	    cmocka_unit_test(test_sign_draw_refusals),
	    cmocka_unit_test(test_after_restart),
	    cmocka_unit_test(test_malformed_record),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
