/*
 * The life of raffles in klerod-engine as it runs, with the real hsm and kdf: sales, every wrong
 * order, draws, proofs that verify, and the deaths of each process on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "db/db_idem.h"
#include "policy/bundle.h"
#include "tests/unit/engine_ask.h"

static void wrong_orders(void **state)
{
	char *id = env_raffle(&env, admin, 100, 10, 2, 1);
	struct ask a;

	(void)state;
	a = on_raffle(RT_raffle_open, admin, id);
	expect(at(&a), PB_RAFFLE_NOT_DRAFT);
	a = enter(admin, id);
	expect(at(&a), PB_RAFFLE_NOT_CLOSED);
	a = on_raffle(RT_raffle_draw, admin, id);
	expect(at(&a), PB_RAFFLE_NOT_CLOSED);
	a = on_raffle(RT_raffle_proof, NULL, id);
	expect(at(&a), PB_RAFFLE_NOT_DRAWN);
	a = buy(user, id, 11, "wo-1");
	expect(at(&a), PB_SOLD_OUT);
	a = on_raffle(RT_raffle_close, user, id);
	expect(at(&a), PB_FORBIDDEN);
	a = on_raffle(RT_raffle_close, admin, id);
	expect_ok(at(&a), 200);
	expect(at(&a), PB_RAFFLE_NOT_OPEN);
	a = buy(user, id, 1, "wo-2");
	expect(at(&a), PB_RAFFLE_NOT_OPEN);
	a = on_raffle(RT_raffle_draw, admin, id);
	expect(at(&a), PB_RAFFLE_EMPTY);
	free(id);
}

static void check_proof(const char *id, unsigned tickets)
{
	struct ask a = on_raffle(RT_raffle_proof, NULL, id);
	struct bundle_result res;
	struct note_key key;

	expect_ok(at(&a), 200);
	assert_int_equal(env.ans.flags & API_ANS_FILE, API_ANS_FILE);
	assert_int_equal(
	    note_vkey_parse(&key, env.keys.log_vkey, strcspn(env.keys.log_vkey, "\n")), KE_OK);
	if (bundle_check(env.json, env.len, &key, NULL, &res) != KE_OK)
		fail_msg("%s: %s", bundle_step_words(res.step), res.why);
	assert_int_equal(res.tickets, tickets);
}

static void sell_and_draw(void **state)
{
	char *id = env_raffle(&env, admin, 100, 2500, 3, 2), seed[512], key[32];
	unsigned drops = 0;
	struct ask a;

	(void)state;
	a = buy(user, id, 1, "sd-poor");
	expect(at(&a), PB_FUNDS);
	env_fund(&env, admin, user, 250000);
	a = buy(user, id, 2, "sd-1");
	at(&a);
	env_send(&env, &a);
	env_receive(&env, &drops);
	assert_int_equal(env.ans.status, 201);
	assert_int_equal(drops, 1);
	strcpy(seed, env_get(&env, "tickets"));
	assert_string_equal(env_get(&env, "balance"), "{\"amount\":249800,\"currency\":\"EUR\"}");
	/* a retry changes nothing and says the same */
	expect_ok(&a, 201);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	assert_string_equal(env_get(&env, "tickets"), seed);
	for (int i = 0; i < 24; i++) {
		snprintf(key, sizeof key, "sd-more-%d", i);
		a = buy(user, id, 100, key);
		expect_ok(at(&a), 201);
	}
	assert_string_equal(env_get(&env, "balance"), "{\"amount\":9800,\"currency\":\"EUR\"}");
	a = on_raffle(RT_raffle_tickets, user, id);
	expect_ok(at(&a), 200);
	assert_non_null(strstr(env.json, "\"index\":2401"));

	a = on_raffle(RT_raffle_close, admin, id);
	expect_ok(at(&a), 200);
	a = on_raffle(RT_raffle_draw, admin, id);
	expect(at(&a), PB_ENTROPY_MISSING);
	a = enter(admin, id);
	expect_ok(at(&a), 200);
	expect(at(&a), PB_ENTROPY_SET);
	a = on_raffle(RT_raffle_draw, admin, id);
	ask_idem(&a, "sd-draw");
	expect_ok(at(&a), 200);
	strcpy(seed, env_get(&env, "server_seed"));
	assert_int_equal(strlen(seed), 64);
	expect_ok(at(&a), 200);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	ask_idem(&a, "sd-draw-again");
	expect(&a, PB_RAFFLE_DRAWN);
	check_proof(id, 2402);
	a = on_raffle(RT_raffle_verify, NULL, id);
	expect_ok(at(&a), 200);
	assert_string_equal(env_get(&env, "verified"), "true");
	a = on_raffle(RT_raffle_get, NULL, id);
	expect_ok(at(&a), 200);
	assert_string_equal(env_get(&env, "server_seed"), seed);
	assert_string_not_equal(env_get(&env, "reserves"), "");
	free(id);
}

/* A replay says what the first answer said, also where that does not fit the store's row. */
static void many_picks(void **state)
{
	char *id = env_raffle(&env, admin, 1, 1100, 1000, 100), *first, key[32];
	struct ask a;

	(void)state;
	env_fund(&env, admin, user, 1100);
	for (int i = 0; i < 11; i++) {
		snprintf(key, sizeof key, "mp-%d", i);
		a = buy(user, id, 100, key);
		expect_ok(at(&a), 201);
	}
	a = on_raffle(RT_raffle_close, admin, id);
	expect_ok(at(&a), 200);
	a = enter(admin, id);
	expect_ok(at(&a), 200);
	a = on_raffle(RT_raffle_draw, admin, id);
	ask_idem(&a, "mp-draw");
	expect_ok(at(&a), 200);
	assert_true(env.len > DB_ANSWER_MAX && (env.ans.flags & API_ANS_REPLAY) == 0);
	first = strdup(env.json);
	expect_ok(at(&a), 200);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	assert_string_equal(env.json, first);
	free(first);
	free(id);
}

/* Fewer tickets than winners and reserves: winners first. */
static void few_tickets(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 2, 5);
	struct ask a;

	(void)state;
	env_fund(&env, admin, user, 10);
	a = buy(user, id, 3, "few");
	expect_ok(at(&a), 201);
	a = on_raffle(RT_raffle_close, admin, id);
	expect_ok(at(&a), 200);
	a = enter(admin, id);
	expect_ok(at(&a), 200);
	a = on_raffle(RT_raffle_draw, admin, id);
	expect_ok(at(&a), 200);
	check_proof(id, 3);
	free(id);
}

/* Many at once: one turn, every answer its own. */
static void together(void **state)
{
	char *id = env_raffle(&env, admin, 1, 63, 1, 0), key[64][32];
	bool seen[64] = {false};
	uint64_t first;
	struct ask a;

	(void)state;
	env_fund(&env, admin, user, 64);
	first = env.id + 1;
	for (int i = 0; i < 64; i++) {
		snprintf(key[i], sizeof key[i], "together-%d", i);
		a = buy(user, id, 1, key[i]);
		env_send(&env, at(&a));
	}
	for (int i = 0, sold = 0; i < 64; i++) {
		uint64_t got = env_receive(&env, NULL) - first;

		assert_true(got < 64 && !seen[got]);
		seen[got] = true;
		sold += env.ans.status == 201;
		if (i == 63)
			assert_int_equal(sold, 63);
	}
	a = on_raffle(RT_raffle_get, NULL, id);
	expect_ok(at(&a), 200);
	assert_string_equal(env_get(&env, "sold"), "63");
	free(id);
}

/* --- deaths --- */

static void hsm_dies(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 1, 0), *fresh;
	struct ask a;

	(void)state;
	fresh = env_person(&env, "fresh@klero.example");
	env_fund(&env, admin, fresh, 10);
	env_kill(&env.hsm, SIGKILL);
	a = buy(fresh, id, 1, "hsm-dies");
	expect(at(&a), PB_HSM_UNAVAILABLE);
	a = ask_new(RT_health, NULL);
	expect_ok(&a, 200);
	assert_string_equal(env_get(&env, "hsm"), "unavailable");
	assert_string_equal(env_get(&env, "database"), "ok");
	a = ask_new(RT_health_ready, NULL);
	expect(&a, PB_HSM_UNAVAILABLE);
	env_start_hsm(&env);
	env_join_hsm(&env);
	/* a 503 is not the key's answer */
	a = buy(fresh, id, 1, "hsm-dies");
	expect_ok(at(&a), 201);
	a = ask_new(RT_health_ready, NULL);
	expect_ok(&a, 200);
	free(fresh);
	free(id);
}

/* How many passwords kdf has been given so far. */
static long kdf_calls(void)
{
	static const char name[] = "\nklero_kdf_calls_total ";
	struct ask a = ask_new(RT_metrics, admin);
	const char *at;

	expect_ok(&a, 200);
	at = strstr(env.json, name);
	assert_non_null(at);
	return atol(at + sizeof name - 1);
}

static long calls_of_login(const char *email, const char *password, unsigned want)
{
	long before = kdf_calls();

	assert_int_equal(env_login(&env, email, password), want);
	return kdf_calls() - before;
}

/* After an hsm has come back engine has a dummy made anew: kdf is to have nothing to do. */
static void kdf_rests(void)
{
	long before;

	do {
		before = kdf_calls();
		assert_int_equal(env_login(&env, "user@klero.example", ENV_PASSWORD), 200);
		usleep(600000); /* engine looks each quarter of a second whether it wants one */
	} while (kdf_calls() != before + 1);
}

static void kdf_dies(void **state)
{
	struct ask a = ask_new(RT_login, NULL);

	(void)state;
	kdf_rests();
	kill(env.kdf.pid, SIGSTOP);
	ask_text(&a, 0, "user@klero.example");
	ask_text(&a, 1, ENV_PASSWORD);
	env_send(&env, &a);
	usleep(500000);
	env_kill(&env.kdf, SIGKILL);
	env_receive(&env, NULL);
	assert_int_equal(env.ans.status, 503);
	assert_string_equal(env_get(&env, "code"), "restarting");
	env_start_kdf(&env);
	env_join_kdf(&env);
	assert_int_equal(env_login(&env, "user@klero.example", ENV_PASSWORD), 200);
}

/* A dearer hash is stored at the next login, once; strangers cost what friends cost. */
static void cost_is_raised(void **state)
{
	(void)state;
	assert_int_equal(calls_of_login("user@klero.example", ENV_PASSWORD, 200), 1);
	assert_int_equal(calls_of_login("user@klero.example", "a wrong password", 401), 1);
	assert_int_equal(calls_of_login("stranger@klero.example", ENV_PASSWORD, 401), 1);
	env_kill(&env.kdf, SIGKILL);
	env.passes = 2;
	env_start_kdf(&env);
	env_join_kdf(&env);
	assert_int_equal(calls_of_login("user@klero.example", ENV_PASSWORD, 200), 2);
	assert_int_equal(calls_of_login("user@klero.example", ENV_PASSWORD, 200), 1);
}

static void queue_of_passwords_is_bounded(void **state)
{
	char email[32][64];
	unsigned full = 0, failed = 0;

	(void)state;
	kill(env.kdf.pid, SIGSTOP);
	for (int i = 0; i < 32; i++) {
		struct ask a = ask_new(RT_login, NULL);

		snprintf(email[i], sizeof email[i], "q%d@klero.example", i);
		ask_text(&a, 0, email[i]);
		ask_text(&a, 1, "some password");
		env_send(&env, &a);
	}
	for (int i = 0; i < 32; i++) {
		env_receive(&env, NULL);
		if (i == 0) /* kdf answers none yet: this one found the queue full */
			kill(env.kdf.pid, SIGCONT);
		full += strcmp(env_get(&env, "code"), "password-queue-full") == 0;
		failed += env.ans.status == 401;
	}
	assert_true(full > 0 && failed > 0);
	assert_int_equal(full + failed, 32);
}

/* Engine dies without warning; what it said stays true. */
static void engine_dies(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 1, 0), bought[512];
	struct ask a;

	(void)state;
	env_fund(&env, admin, user, 10);
	a = buy(user, id, 2, "engine-dies");
	expect_ok(at(&a), 201);
	strcpy(bought, env_get(&env, "tickets"));
	env_kill(&env.engine, SIGKILL);
	/* a dead engine takes its channels along: hsm and kdf get fresh ones, as from parent */
	env_start_engine(&env);
	a = buy(user, id, 2, "engine-dies");
	expect_ok(at(&a), 201);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	assert_string_equal(env_get(&env, "tickets"), bought);
	free(id);
}

static void audit_trail(void **state)
{
	struct ask a = ask_new(RT_audit, admin);

	(void)state;
	ask_int(&a, 0, 100);
	expect_ok(&a, 200);
	assert_non_null(strstr(env.json, "\"action\":\"buy\""));
	assert_non_null(strstr(env.json, "\"action\":\"raffle-draw\""));
	assert_null(strstr(env.json, "user@klero.example"));
	fx_logged(&env.f, "");
	assert_null(strstr(env.f.said, "user@klero.example"));
	assert_null(strstr(env.f.said, ENV_PASSWORD));
}

/* The first sale to somebody waits for hsm; meanwhile its key is taken. */
static void a_key_in_flight(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 1, 0),
	     *fresh = env_person(&env, "flight@klero.example");
	struct ask a = buy(fresh, id, 1, "in-flight");
	uint64_t first;

	(void)state;
	env_fund(&env, admin, fresh, 10);
	kill(env.hsm.pid, SIGSTOP);
	env_send(&env, at(&a));
	first = env.id;
	expect(&a, PB_IDEM_IN_FLIGHT);
	kill(env.hsm.pid, SIGCONT);
	assert_true(env_receive(&env, NULL) == first);
	assert_int_equal(env.ans.status, 201);
	expect_ok(&a, 201);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	free(fresh);
	free(id);
}

/* An hsm that hangs: 503 in the end; its late answer harms nobody. */
static void hsm_is_silent(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 1, 0),
	     *fresh = env_person(&env, "silent@klero.example");
	struct ask a = buy(fresh, id, 1, "silent");

	(void)state;
	env_fund(&env, admin, fresh, 10);
	kill(env.hsm.pid, SIGSTOP);
	expect(at(&a), PB_HSM_UNAVAILABLE);
	kill(env.hsm.pid, SIGCONT);
	expect_ok(&a, 201);
	free(fresh);
	free(id);
}

/* Engine dies while hsm has its question; the draw is asked for again. */
static void engine_dies_in_a_draw(void **state)
{
	char *id = env_raffle(&env, admin, 1, 10, 2, 1);
	struct ask a;

	(void)state;
	env_fund(&env, admin, user, 10);
	a = buy(user, id, 5, "dies-in-draw");
	expect_ok(at(&a), 201);
	a = on_raffle(RT_raffle_close, admin, id);
	expect_ok(at(&a), 200);
	a = enter(admin, id);
	expect_ok(at(&a), 200);
	kill(env.hsm.pid, SIGSTOP);
	a = on_raffle(RT_raffle_draw, admin, id);
	env_send(&env, at(&a));
	usleep(100000);
	env_kill(&env.engine, SIGKILL);
	kill(env.hsm.pid, SIGCONT);
	env_start_engine(&env);
	expect_ok(&a, 200);
	/* and once more before the proof is written */
	env_kill(&env.engine, SIGKILL);
	env_start_engine(&env);
	check_proof(id, 5);
	free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_orders),
	    cmocka_unit_test(sell_and_draw),
	    cmocka_unit_test(many_picks),
	    cmocka_unit_test(few_tickets),
	    cmocka_unit_test(together),
	    cmocka_unit_test(a_key_in_flight),
	    cmocka_unit_test(hsm_is_silent),
	    cmocka_unit_test(hsm_dies),
	    cmocka_unit_test(kdf_dies),
	    cmocka_unit_test(cost_is_raised),
	    cmocka_unit_test(queue_of_passwords_is_bounded),
	    cmocka_unit_test(engine_dies),
	    cmocka_unit_test(engine_dies_in_a_draw),
	    cmocka_unit_test(audit_trail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
