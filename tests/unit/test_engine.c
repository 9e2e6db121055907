/*
 * klerod-engine as it runs, with the real hsm and kdf, SoftHSM and SQLCipher: the test is parent,
 * net and kleroctl. Accounts, tokens forged and revoked, roles, money, lists, a net that sends
 * garbage, and starts that must fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine_ask.h"

enum { STATE_OPEN = 1 }; /* position of the word "open" in the field */

/* --- accounts --- */

static void accounts(void **state)
{
	struct ask a;

	(void)state;
	/* the same answer for a known address */
	assert_int_equal(env_register(&env, "user@klero.example"), 201);
	assert_string_equal(env_get(&env, "status"), "registered");
	assert_int_equal(env_login(&env, "user@klero.example", "wrong password"), 401);
	assert_string_equal(env_get(&env, "code"), "credentials-invalid");
	assert_int_equal(env_login(&env, "nobody@klero.example", "wrong password"), 401);
	assert_string_equal(env_get(&env, "code"), "credentials-invalid");

	a = ask_new(RT_me_get, user);
	expect_ok(&a, 200);
	assert_string_equal(env_get(&env, "email"), "user@klero.example");
	assert_string_equal(env_get(&env, "roles"), "[\"user\"]");
	assert_int_equal(env.ans.version, 1);
	assert_int_equal(env.ans.limit, 1000000);
	assert_int_equal(env.ans.flags, 0);

	a = ask_new(RT_me_patch, user);
	ask_text(&a, 0, "Somebody");
	expect(&a, PB_VERSION_REQUIRED);
	a.q.if_match = 7;
	expect(&a, PB_VERSION_CONFLICT);
	a.q.if_match = 1;
	expect_ok(&a, 200);
	assert_string_equal(env_get(&env, "display_name"), "Somebody");
	assert_int_equal(env.ans.version, 2);
	expect(&a, PB_VERSION_CONFLICT);
	ask_int(&a, 1, 2);
	expect(&a, PB_VALIDATION);

	a = ask_new(RT_metrics, user);
	expect(&a, PB_FORBIDDEN);
	a = ask_new(RT_metrics, admin);
	expect_ok(&a, 200);
	assert_int_equal(env.ans.type, API_TEXT_METRICS);
	assert_non_null(strstr(env.json, "klero_requests_total{route=\"login\",status=\"401\"} 2"));
	assert_non_null(strstr(env.json, "klero_commit_seconds_count"));
}

static void guessing_is_slowed(void **state)
{
	unsigned status = 0;

	(void)state;
	for (int i = 0; i < 8 && status != 429; i++)
		status = env_login(&env, "victim@klero.example", "guess");
	assert_int_equal(status, 429);
	assert_string_equal(env_get(&env, "code"), "too-many-attempts");
	assert_true(env.ans.retry_after_s >= 1);
}

static void refuse_token(const char *token, enum problem p, bool counted)
{
	struct ask a = ask_new(RT_auth_me, token);

	expect(&a, p);
	assert_int_equal((env.ans.flags & API_ANS_AUTHBAD) != 0, counted);
}

static void tokens(void **state)
{
	char forged[2048];
	const char *payload = strchr(user, '.');

	(void)state;
	refuse_token(NULL, PB_UNAUTHENTICATED, false);
	refuse_token("x", PB_TOKEN_INVALID, true);
	refuse_token("..", PB_TOKEN_INVALID, true);
	/* alg none, with and without a signature: {"alg":"none"} */
	snprintf(forged, sizeof forged, "eyJhbGciOiJub25lIn0%s", payload);
	refuse_token(forged, PB_TOKEN_INVALID, true);
	*strrchr(forged, '.') = '\0';
	strcat(forged, ".");
	refuse_token(forged, PB_TOKEN_INVALID, true);
	/* one character of the payload */
	snprintf(forged, sizeof forged, "%s", user);
	forged[payload - user + 20] ^= 1;
	refuse_token(forged, PB_TOKEN_INVALID, true);
	/* one of the signature */
	snprintf(forged, sizeof forged, "%s", user);
	forged[strlen(forged) - 10] = forged[strlen(forged) - 10] == 'A' ? 'B' : 'A';
	refuse_token(forged, PB_TOKEN_INVALID, true);
}

static void refresh_with(const char *token, unsigned want)
{
	struct ask a = ask_new(RT_refresh, NULL);

	ask_text(&a, 0, token);
	expect_ok(&a, want);
}

static void sessions(void **state)
{
	char first[256], second[256], third[256], access[2048];
	struct ask a;

	(void)state;
	assert_int_equal(env_login(&env, "user@klero.example", ENV_PASSWORD), 200);
	strcpy(first, env_get(&env, "refresh_token"));
	refresh_with("nonsense", 401);
	assert_string_equal(env_get(&env, "code"), "refresh-token-invalid");
	refresh_with(first, 200);
	strcpy(second, env_get(&env, "refresh_token"));
	assert_string_not_equal(first, second);
	/* the parent again, within its grace: the very same successor */
	refresh_with(first, 200);
	assert_string_equal(env_get(&env, "refresh_token"), second);
	refresh_with(second, 200);
	strcpy(third, env_get(&env, "refresh_token"));
	strcpy(access, env_get(&env, "access_token"));
	a = ask_new(RT_auth_me, access);
	expect_ok(&a, 200);
	/* a grandparent: somebody else has it */
	refresh_with(first, 401);
	assert_string_equal(env_get(&env, "code"), "refresh-token-reused");
	refresh_with(third, 401);
	assert_string_equal(env_get(&env, "code"), "refresh-token-invalid");
	expect(&a, PB_TOKEN_INVALID);

	assert_int_equal(env_login(&env, "user@klero.example", ENV_PASSWORD), 200);
	strcpy(access, env_get(&env, "access_token"));
	strcpy(first, env_get(&env, "refresh_token"));
	a = ask_new(RT_logout, access);
	expect_ok(&a, 204);
	expect(&a, PB_TOKEN_INVALID);
	refresh_with(first, 401);
}

static void roles_count_at_once(void **state)
{
	uint8_t body[256];
	struct wire_out w;
	char words[512];
	struct ask a = ask_new(RT_audit, user);

	(void)state;
	expect(&a, PB_FORBIDDEN);
	env_join_ctl(&env);
	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, "user@klero.example");
	wire_put_u8(&w, ROLE_BIT_USER | ROLE_BIT_AUDITOR);
	assert_int_equal(env_ctl(&env, MSG_CTL_ROLES, &w, words, sizeof words), KE_OK);
	expect_ok(&a, 200);
	body[w.len - 1] = ROLE_BIT_USER;
	assert_int_equal(env_ctl(&env, MSG_CTL_ROLES, &w, words, sizeof words), KE_OK);
	expect(&a, PB_FORBIDDEN);
	/* garbage closes the client and nothing else */
	body[w.len - 1] = 0x80;
	assert_int_equal(env_ctl(&env, MSG_CTL_ROLES, &w, words, sizeof words), KE_CLOSED);
	a = ask_new(RT_auth_me, user);
	expect_ok(&a, 200);
}

/* --- money --- */

static void money(void **state)
{
	char deposit[64];
	struct ask a, c;

	(void)state;
	a = ask_new(RT_deposit, admin);
	ask_money(&a, 0, 1000, "EUR");
	ask_int(&a, 1, 0);
	expect(&a, PB_IDEM_REQUIRED);
	ask_idem(&a, "money-1");
	ask_money(&a, 0, 1000, "ZZZ");
	expect(&a, PB_CURRENCY);
	/* the refusal belongs to its key now */
	ask_money(&a, 0, 1000, "EUR");
	expect(&a, PB_IDEM_MISMATCH);
	ask_idem(&a, "money-2");
	expect_ok(&a, 202);
	strcpy(deposit, env_get(&env, "id"));
	expect_ok(&a, 202);
	assert_true((env.ans.flags & API_ANS_REPLAY) != 0);
	assert_string_equal(env_get(&env, "id"), deposit);

	c = on_raffle(RT_deposit_confirm, admin, deposit);
	ask_uuid(&c, 0, deposit);
	expect(&c, PB_SELF_APPROVAL);
	c.q.token = (const uint8_t *)other_admin;
	c.q.token_len = strlen(other_admin);
	expect_ok(&c, 200);
	assert_string_equal(env_get(&env, "state"), "confirmed");
	expect(&c, PB_DEPOSIT_DECIDED);
	c.q.v[0].p = (const uint8_t *)"no such deposit!";
	expect(&c, PB_NOT_FOUND);

	a = ask_new(RT_wallet, admin);
	expect_ok(&a, 200);
	assert_non_null(strstr(env.json, "\"available\":{\"amount\":1000,\"currency\":\"EUR\"}"));
	a = ask_new(RT_wallet_entries, admin);
	expect_ok(&a, 200);
	assert_non_null(strstr(env.json, "\"kind\":\"deposit\""));
	ask_text(&a, 1, "AAAA");
	expect(&a, PB_CURSOR);
}

/* --- raffles --- */

static void drafts_are_hidden(void **state)
{
	struct ask c = ask_new(RT_raffle_create, admin), a;
	char id[64];

	(void)state;
	ask_text(&c, 0, "Hidden");
	ask_money(&c, 2, INT64_C(9007199254740991), "EUR");
	ask_int(&c, 3, 2);
	ask_int(&c, 5, 1);
	expect(&c, PB_AMOUNT);
	ask_money(&c, 2, 100, "EUR");
	ask_int(&c, 5, 3);
	expect(&c, PB_VALIDATION);
	ask_int(&c, 5, 1);
	expect_ok(&c, 201);
	strcpy(id, env_get(&env, "id"));
	assert_memory_equal(env.ans.location, "/api/v1/raffles/", 16);
	a = on_raffle(RT_raffle_get, NULL, id);
	expect(at(&a), PB_NOT_FOUND);
	a = on_raffle(RT_raffle_get, user, id);
	expect(at(&a), PB_NOT_FOUND);
	a = buy(user, id, 1, "hidden");
	expect(at(&a), PB_NOT_FOUND);
	a = on_raffle(RT_raffle_get, admin, id);
	expect_ok(at(&a), 200);
	assert_int_equal(env.ans.flags & API_ANS_CACHE, 0);
	a = ask_new(RT_raffles, NULL);
	ask_int(&a, 0, 0);
	expect(&a, PB_UNAUTHENTICATED);
	a = ask_new(RT_raffles, user);
	ask_int(&a, 0, 0);
	expect(&a, PB_FORBIDDEN);
	a = ask_new(RT_raffles, NULL);
	expect_ok(&a, 200);
	assert_int_equal(env.ans.flags & API_ANS_CACHE, API_ANS_CACHE);
	assert_null(strstr(env.json, id));
}

static void pages(void **state)
{
	char *ids[3], cursor[80];
	struct ask a;

	(void)state;
	for (int i = 0; i < 3; i++)
		ids[i] = env_raffle(&env, admin, 100, 10, 1, 0);
	a = ask_new(RT_raffles, NULL);
	ask_int(&a, 0, STATE_OPEN);
	ask_int(&a, 1, 2);
	expect_ok(&a, 200);
	assert_non_null(strstr(env.json, ids[2]));
	assert_non_null(strstr(env.json, ids[1]));
	assert_null(strstr(env.json, ids[0]));
	assert_null(strstr(env.json, "\"description\"")); /* which only the raffle itself says */
	strcpy(cursor, env_get(&env, "next_cursor"));
	ask_text(&a, 2, cursor);
	expect_ok(&a, 200);
	assert_non_null(strstr(env.json, ids[0]));
	/* another list's cursor, an edited one */
	ask_int(&a, 0, STATE_OPEN + 1);
	expect(&a, PB_CURSOR);
	ask_int(&a, 0, STATE_OPEN);
	cursor[5] = cursor[5] == 'A' ? 'B' : 'A';
	expect(&a, PB_CURSOR);
	for (int i = 0; i < 3; i++)
		free(ids[i]);
}

static void garbage_from_net(void **state)
{
	struct pollfd p = {.fd = env.net, .events = POLLIN};
	uint8_t garbage[64] = {0xff, 0xff};
	struct start_peer who;
	struct wire_in in;
	struct msg m;

	(void)state;
	assert_int_equal(msg_send(env.net, MSG_API_REQ, 1, garbage, sizeof garbage, -1), KE_OK);
	assert_int_equal(poll(&p, 1, FX_WAIT_S * 1000), 1);
	assert_int_equal(msg_recv(env.net, ROLE_NET, ROLE_ENGINE, RUN, env.buf, &m), KE_CLOSED);
	assert_int_equal(
	    msg_recv(env.engine.ctl, ROLE_PARENT, ROLE_ENGINE, RUN, env.buf, &m), KE_OK);
	assert_int_equal(m.type, MSG_ENGINE_BLAME);
	wire_in_init(&in, m.body, m.len);
	assert_int_equal(start_get_peer(&in, &who), KE_OK);
	assert_true(who.role == ROLE_NET && who.index == 0 && who.life == 1);
	env_join_net(&env);
}

/* --- starts that must fail --- */

static void expect_no_start(struct env *e, const char *words)
{
	e->f.nsaid = 0;
	env_launch_engine(e);
	assert_int_not_equal(fx_wait(&e->engine), 0);
	if (!fx_logged(&e->f, words))
		fail_msg("wanted \"%s\" in: %s", words, e->f.said);
}

static void failed_starts(void **state)
{
	struct env e;
	char path[128], keep[160];

	(void)state;
	env_provision(&e);
	env_start_hsm(&e);
	snprintf(path, sizeof path, "%s/klero.new", e.store);
	unlink(path);
	expect_no_start(&e, "restore");
	snprintf(path, sizeof path, "%s/klero.keys", e.store);
	snprintf(keep, sizeof keep, "%s/klero.kept", e.store);
	assert_int_equal(rename(path, keep), 0);
	expect_no_start(&e, "klero.keys: No such file or directory: run 'kleroctl setup'");
	env_write(&e, "klero.keys", "appliance 00\ndbkey x\n");
	expect_no_start(&e, "klero.keys: the appliance id is malformed");
	env_write(&e, "klero.keys",
	    "appliance 000102030405060708090a0b0c0d0e0f\ndbkey klero:1:db:v000001:AAAA\n");
	expect_no_start(&e, "the database key in klero.keys does not open");
	env_kill(&e.hsm, SIGKILL);
	fx_end(&e.f);
	free(e.json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accounts),
	    cmocka_unit_test(guessing_is_slowed),
	    cmocka_unit_test(tokens),
	    cmocka_unit_test(sessions),
	    cmocka_unit_test(roles_count_at_once),
	    cmocka_unit_test(money),
	    cmocka_unit_test(drafts_are_hidden),
	    cmocka_unit_test(pages),
	    cmocka_unit_test(garbage_from_net),
	    cmocka_unit_test(failed_starts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
