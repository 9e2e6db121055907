/*
 * How many durable sales engine makes a second, alone: no TLS, no net. The test's own process keeps
 * N requests under way over one channel; hsm is not on the path once each buyer is known.
 *
 *	bench_engine [UNDER_WAY [SECONDS]]
 */
#include <time.h>

#include "tests/unit/engine_env.h"

#define BUYERS 16

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct bench {
	struct env env;
	char *admin, *buyer[BUYERS], *raffle;
	uint8_t id[16];
	unsigned long sent, refused;
};

static void buy(struct bench *b)
{
	struct ask a = ask_new(RT_raffle_buy, b->buyer[b->sent % BUYERS]);
	char key[32];

	snprintf(key, sizeof key, "bench-%lu", b->sent++);
	ask_bytes(&a, 0, b->id, sizeof b->id);
	ask_int(&a, 1, 1);
	ask_text(&a, 2, "a client seed");
	ask_idem(&a, key);
	env_send(&b->env, &a);
}

static void prepare(struct bench *b)
{
	b->env.limit = (struct rconf_limit){1000000000, 900};
	env_start(&b->env);
	b->admin = env_admin(&b->env, "admin@klero.example");
	b->raffle = env_raffle(&b->env, b->admin, 1, 100000000, 3, 2);
	ENV_MUST(text_unuuid(b->id, b->raffle, 36) == KE_OK);
	for (int i = 0; i < BUYERS; i++) {
		char email[64];

		snprintf(email, sizeof email, "buyer%d@klero.example", i);
		b->buyer[i] = env_person(&b->env, email);
		env_fund(&b->env, b->admin, b->buyer[i], 100000000);
		buy(b);
		env_receive(&b->env, NULL);
		ENV_MUST(b->env.ans.status == 201);
	}
}

int main(int argc, char **argv)
{
	static struct bench b;
	int under_way = argc > 1 ? atoi(argv[1]) : 32, seconds = argc > 2 ? atoi(argv[2]) : 5;
	unsigned long done = 0;
	double began, end;

	prepare(&b);
	began = now_s();
	end = began + seconds;
	for (int i = 0; i < under_way; i++)
		buy(&b);
	while (now_s() < end) {
		env_receive(&b.env, NULL);
		b.refused += b.env.ans.status != 201;
		done++;
		buy(&b);
	}
	printf("%d under way: %.0f sales/s, %lu refused\n", under_way,
	    (double)done / (now_s() - began), b.refused);
	for (int i = 0; i < under_way; i++)
		env_receive(&b.env, NULL);
	env_end(&b.env);
	return 0;
}
