/*
 * What the tests of engine share: one appliance with two admins and a user, requests about
 * raffles, and what their answers must be. Each test program includes it once.
 */
#ifndef TESTS_UNIT_ENGINE_ASK_H
#define TESTS_UNIT_ENGINE_ASK_H

#include "tests/unit/engine_env.h"

static struct env env;
static char *admin, *other_admin, *user;

__attribute__((unused)) static int setup(void **state)
{
	(void)state;
	env_start(&env);
	admin = env_admin(&env, "admin@klero.example");
	other_admin = env_admin(&env, "second@klero.example");
	user = env_person(&env, "user@klero.example");
	return 0;
}

__attribute__((unused)) static int teardown(void **state)
{
	(void)state;
	free(admin);
	free(other_admin);
	free(user);
	env_end(&env);
	return 0;
}

/* A problem with this code came back. */
__attribute__((unused)) static void expect(const struct ask *a, enum problem p)
{
	unsigned status = env_call(&env, a);

	if (strcmp(env_get(&env, "code"), problem_table[p].code) != 0)
		fail_msg("wanted %s, got %u %s", problem_table[p].code, status, env.json);
	assert_int_equal(status, problem_table[p].status);
	assert_int_equal(env.ans.type, API_PROBLEM);
	if (status == 503 || status == 429)
		assert_true(env.ans.retry_after_s > 0);
}

__attribute__((unused)) static void expect_ok(const struct ask *a, unsigned want)
{
	unsigned status = env_call(&env, a);

	if (status != want)
		fail_msg("wanted %u, got %u %s", want, status, env.json);
}

__attribute__((unused)) static struct ask on_raffle(
    enum route_id route, const char *token, const char *id)
{
	struct ask a = ask_new(route, token);

	assert_int_equal(text_unuuid(a.raw[0], id, strlen(id)), KE_OK);
	return a;
}

__attribute__((unused)) static struct ask buy(
    const char *token, const char *raffle, int64_t n, const char *key)
{
	struct ask a = on_raffle(RT_raffle_buy, token, raffle);

	ask_int(&a, 1, n);
	ask_text(&a, 2, "my seed ✓");
	ask_idem(&a, key);
	return a;
}

/* The array of the ask moves with it: point to it where it stands. */
__attribute__((unused)) static struct ask *at(struct ask *a)
{
	a->q.v[0] = (struct api_value){.present = true, .p = a->raw[0], .n = 16};
	return a;
}

__attribute__((unused)) static struct ask enter(const char *token, const char *raffle)
{
	struct ask a = on_raffle(RT_raffle_entropy, token, raffle);

	ask_bytes(&a, 1, "lottery 1 2 3", 13);
	return a;
}

#endif
