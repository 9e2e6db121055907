/*
 * klerod-engine when its disk is full: every answer that rests on a turn whose commit fails is a
 * 503, nothing of it stays, who only reads is served, and everything goes on once there is room
 * again. The store lies in a small tmpfs, which only root can mount; without root the test says so
 * and is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/mount.h>

#include "tests/unit/engine_ask.h"

static bool mounted;

static int small_store(void **state)
{
	char options[64];

	(void)state;
	env_provision(&env);
	snprintf(options, sizeof options, "size=6m,mode=700,uid=%d,gid=%d", ENV_UID, ENV_UID);
	mounted = mount("none", env.store, "tmpfs", 0, options) == 0;
	if (mounted) {
		env_write_keys(&env);
		env_start_hsm(&env);
		env_start_kdf(&env);
		env_start_engine(&env);
	}
	return 0;
}

/* Also after a failed test: a mount or a process must not stay behind. */
static int no_store(void **state)
{
	(void)state;
	free(admin);
	free(user);
	if (!mounted) {
		fx_end(&env.f);
		free(env.json);
		return 0;
	}
	env_stop_engine(&env);
	if (umount2(env.store, MNT_DETACH) != 0)
		return -1;
	env_end_rest(&env);
	return 0;
}

static void fill(const char *path)
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
		;
	close(fd);
}

/* What those who ask in one turn are told: one reads, one buys, one reads. */
struct told {
	unsigned before, sale, after;
};

static struct told in_one_turn(const char *raffle, const char *key)
{
	struct ask wallet = ask_new(RT_wallet, user), sale = buy(user, raffle, 100, key);
	struct told t = {0};
	uint64_t first = env.id + 1;

	assert_int_equal(kill(env.engine.pid, SIGSTOP), 0);
	env_send(&env, &wallet);
	env_send(&env, at(&sale));
	env_send(&env, &wallet);
	assert_int_equal(kill(env.engine.pid, SIGCONT), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t which = env_receive(&env, NULL) - first;

		*(which == 0 ? &t.before : which == 1 ? &t.sale : &t.after) = env.ans.status;
		if (env.ans.status == 503)
			assert_string_equal(env_get(&env, "code"), "store-unavailable");
	}
	return t;
}

static void full_disk(void **state)
{
	char path[160], *id, bought[64];
	unsigned refused = 0, sold = 2; /* alone, before and after */
	struct told t;
	struct ask a;

	(void)state;
	if (!mounted) {
		print_message("no tmpfs can be mounted here: skipped\n");
		skip();
	}
	admin = env_admin(&env, "admin@klero.example");
	user = env_person(&env, "user@klero.example");
	env_fund(&env, admin, user, 100000);
	id = env_raffle(&env, admin, 1, 100000, 1, 0);
	a = buy(user, id, 1, "before");
	expect_ok(at(&a), 201);
	snprintf(path, sizeof path, "%s/filler", env.store);
	fill(path);
	/* the log's file has pages to reuse for a while */
	for (int i = 0; i < 2000 && refused < 5; i++) {
		char key[32];

		snprintf(key, sizeof key, "full-%d", i);
		t = in_one_turn(id, key);
		assert_int_equal(t.before, 200);
		assert_int_equal(t.sale, t.sale == 201 ? 201 : 503);
		refused += t.sale == 503;
		sold += t.sale == 201 ? 100 : 0;
	}
	assert_int_equal(refused, 5);
	/* known to be full: who reads behind a sale does not share its turn's end either */
	t = in_one_turn(id, "full");
	assert_int_equal(t.before, 200);
	assert_int_equal(t.sale, 503);
	assert_int_equal(t.after, 200);
	a = ask_new(RT_health, NULL);
	expect_ok(&a, 200);
	assert_string_equal(env_get(&env, "database"), "unavailable");
	assert_int_equal(unlink(path), 0);
	/* engine finds out by itself */
	for (int i = 0; i < 400; i++) {
		expect_ok(&a, 200);
		if (strcmp(env_get(&env, "database"), "ok") == 0)
			break;
		usleep(50000);
	}
	a = buy(user, id, 1, "after");
	expect_ok(at(&a), 201);
	a = ask_new(RT_health, NULL);
	expect_ok(&a, 200);
	assert_string_equal(env_get(&env, "database"), "ok");
	/* what was sold is what was said to be, and what was paid */
	a = on_raffle(RT_raffle_get, NULL, id);
	expect_ok(at(&a), 200);
	strcpy(bought, env_get(&env, "sold"));
	assert_int_equal(atoi(bought), sold);
	a = ask_new(RT_wallet, user);
	expect_ok(&a, 200);
	snprintf(path, sizeof path, "\"available\":{\"amount\":%d,", 100000 - atoi(bought));
	assert_non_null(strstr(env.json, path));
	free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(full_disk, small_store, no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
