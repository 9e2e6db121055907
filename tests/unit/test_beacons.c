/*
 * Engine's beacons: what is asked of out and of beacon, what becomes of each answer, and the clock.
 * The test is both of them, honest and captured; the store is a real one, the time is the test's.
 */
#include "tests/unit/db_env.h"

#include "policy/pulse.h"
#include "tests/unit/beacons_peers.h"
#include "tests/unit/vectors.h"

static uint8_t hash[32];

/* --- an engine --- */

#define ROUND 1000000

static int64_t at(uint64_t round)
{
	uint64_t s;

	assert_int_equal(drand_round_time(&drand_quicknet, round, &s), KE_OK);
	return (int64_t)s * 1000;
}

static int start(void **state)
{
	struct env *env;

	if (env_start(state) != 0)
		return -1;
	env = *state;
	env_open(env, DB_CREATE);
	memset(&e, 0, sizeof e);
	e.db = env->d;
	e.conf.beacons.nchains = 1;
	e.conf.beacons.chains[0] = drand_quicknet;
	snprintf(e.conf.beacons.relays[0], RCONF_PATH, "https://a.test");
	snprintf(e.conf.beacons.relays[1], RCONF_PATH, "https://b.test");
	snprintf(e.conf.beacons.nists[0], RCONF_PATH, "https://n.test");
	drand_chain_hash(hash, &drand_quicknet);
	e.base = event_base_new();
	steady_ms = 5000000;
	wall_ms = at(ROUND) + 500;
	blamed = 0;
	turn_init(&e);
	kdf_init(&e);
	beacons_start(&e);
	join(ROLE_OUT, &out);
	join(ROLE_BEACON, &beacon);
	return 0;
}

static int stop(void **state)
{
	beacons_stop(&e);
	assert_int_equal(e.jobs.waiting, 0);
	close(out);
	close(beacon);
	out = beacon = -1;
	turns();
	event_base_free(e.base);
	return env_stop(state);
}

static struct beacon wanted(uint64_t round)
{
	struct beacon b = {.kind = BEACON_DRAND, .round = round};

	memcpy(b.chain_hash, hash, 32);
	return b;
}

/* The clock is seen to, so that only wants are asked for from here on. */
static void settle(void)
{
	pass(0);
	came(asked(-1, 0), ROUND, 7);
	verdict(ROUND, 7, KE_OK);
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OK);
}

static uint64_t lies(void)
{
	return e.metrics.counter[METRIC_BEACON_LIES];
}

/* --- tests --- */

static void test_newest(void **state)
{
	struct beacon b;

	(void)state;
	assert_int_equal(beacons_newest(&e, hash, &b), KE_NOTFOUND);
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_UNKNOWN);
	settle();
	assert_int_equal(beacons_newest(&e, hash, &b), KE_OK);
	assert_true(b.round == ROUND && b.signature[0] == 7);
	pass(1000);
	quiet(ROLE_OUT); /* not every second */
	pass(30000);
	came(asked(-1, 0), ROUND + 10, 8);
	verdict(ROUND + 10, 8, KE_OK);
	assert_int_equal(beacons_newest(&e, hash, &b), KE_OK);
	assert_true(b.round == ROUND + 10);
	b.chain_hash[0]++;
	assert_int_equal(beacons_newest(&e, b.chain_hash, &b), KE_STATE);
}

static void test_clock(void **state)
{
	(void)state;
	settle();
	wall_ms += 60000;
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OK);
	wall_ms += 4000; /* the period, and the half second of before */
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OFF);
	wall_ms -= 64000 + 61000;
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OFF);
	wall_ms += 61000;
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OK);
	steady_ms += 901000;
	wall_ms += 901000;
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_UNKNOWN);
	/* a round that was verified is past, for ever */
	wall_ms = at(ROUND) - 61000;
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OFF);
}

/* One relay is behind: the other says so. Both are: then it is our clock. */
static void test_stale(void **state)
{
	(void)state;
	pass(0);
	came(asked(0, 0), ROUND - 100, 1);
	verdict(ROUND - 100, 1, KE_OK);
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_UNKNOWN);
	pass(0);
	came(asked(1, 0), ROUND, 2);
	verdict(ROUND, 2, KE_OK);
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OK);
	wall_ms += 300000; /* somebody sets the clock; what is known goes on without it */
	assert_int_equal(beacons_clock(&e), BEACONS_CLOCK_OFF);
	assert_int_equal(lies(), 0);
}

static void test_want(void **state)
{
	struct beacon b = wanted(ROUND + 5), got, other = b;

	(void)state;
	settle();
	other.chain_hash[5] ^= 1;
	assert_int_equal(beacons_value(&e, &other, &got), KE_STATE);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(1000);
	quiet(ROLE_OUT); /* not before its time */
	pass(14000);
	came(asked(-1, ROUND + 5), ROUND + 5, 9);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND); /* nobody has verified it */
	verdict(ROUND + 5, 9, KE_OK);
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
	assert_true(got.round == ROUND + 5 && got.signature[0] == 9);
	pass(2000);
	quiet(ROLE_OUT);
}

/* A forgery, and another round: neither is stored, the other relay is asked, and has it. */
static void test_liars(void **state)
{
	struct beacon b = wanted(ROUND - 5), got;

	(void)state;
	settle();
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	came(asked(1, ROUND - 5), ROUND - 5, 3); /* the newest round came from the other one */
	verdict(ROUND - 5, 3, KE_CRYPTO);
	assert_int_equal(lies(), 1);
	pass(1000);
	came(asked(0, ROUND - 5), ROUND - 4, 4);
	quiet(ROLE_BEACON);
	assert_int_equal(lies(), 2);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(30000);
	quiet(ROLE_OUT); /* both are left alone */
	pass(31000);     /* a minute long: nobody else is there */
	while (e.beacons.chain[0].running || e.beacons.want[0].running) {
		struct wire_in in;
		uint64_t id = hear(ROLE_OUT, MSG_OUT_ROUND, &in), round;

		(void)wire_get_u8(&in);
		(void)wire_get_u8(&in);
		round = wire_get_u64(&in);
		came(id, round == 0 ? ROUND + 200 : round, 5);
		verdict(round == 0 ? ROUND + 200 : round, 5, KE_OK);
	}
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
	assert_int_equal(got.signature[0], 5);
}

/* Each way not to answer: the other relay comes next, after a while the first one again. */
static void test_failures(void **state)
{
	static const int results[] = {KE_NOTFOUND, KE_UNAVAIL, KE_TIMEOUT};
	struct beacon b = wanted(ROUND - 5), got;

	(void)state;
	settle();
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	for (size_t i = 0; i < 3; i++) {
		say_result(ROLE_OUT, MSG_OUT_ROUND_ANS, asked(-1, ROUND - 5), results[i]);
		pass(8000);
	}
	assert_int_equal(lies(), 0);
	came(asked(-1, ROUND - 5), ROUND - 5, 6);
	verdict(ROUND - 5, 6, KE_OK);
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
}

/* The next question to out is answered: the newest round by an honest one, others by nobody. */
static uint64_t answer_one(uint8_t *relay)
{
	struct wire_in in;
	uint64_t id = hear(ROLE_OUT, MSG_OUT_ROUND, &in), round, now = ROUND;

	*relay = wire_get_u8(&in);
	(void)wire_get_u8(&in);
	round = wire_get_u64(&in);
	if (round != 0) {
		say_result(ROLE_OUT, MSG_OUT_ROUND_ANS, id, KE_NOTFOUND);
		return round;
	}
	while (at(now + 1) <= wall_ms)
		now++;
	came(id, now, 1);
	verdict(now, 1, KE_OK);
	return 0;
}

/*
 * Whoever waits for a value asks every relay in turn, also one that has failed before, whatever
 * else is asked meanwhile: two wants and the polls for the newest round in step with them.
 */
static void test_in_turn(void **state)
{
	struct beacon want[2] = {wanted(ROUND - 5), wanted(ROUND - 6)}, got;
	unsigned heard[2][2] = {{0}}, polls = 0;
	uint8_t relay;

	(void)state;
	settle();
	e.beacons.relay[1].fails = 3; /* long over */
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 2; k++)
			assert_int_equal(beacons_value(&e, &want[k], &got), KE_NOTFOUND);
		pass(30000); /* all are due */
		for (;;) {
			bool runs = e.beacons.chain[0].running;
			uint64_t round;

			for (int k = 0; k < 2; k++)
				runs |= e.beacons.want[k].running;
			if (!runs)
				break;
			round = answer_one(&relay);
			assert_in_range(relay, 0, 1);
			if (round == 0)
				polls++;
			else
				heard[ROUND - 5 - round][relay]++;
		}
	}
	assert_true(polls > 20);
	for (int k = 0; k < 2; k++) {
		assert_true(heard[k][0] + heard[k][1] > 20);
		assert_true(heard[k][0] <= heard[k][1] + 1 && heard[k][1] <= heard[k][0] + 1);
	}
}

/* Whoever dies in the middle, the value is asked for again. */
static void test_deaths(void **state)
{
	struct beacon b = wanted(ROUND - 5), got;

	(void)state;
	settle();
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	(void)asked(-1, ROUND - 5);
	join(ROLE_OUT, &out);
	turns();
	pass(1000);
	came(asked(-1, ROUND - 5), ROUND - 5, 6);
	join(ROLE_BEACON, &beacon);
	turns();
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(6000);
	came(asked(-1, ROUND - 5), ROUND - 5, 6);
	verdict(ROUND - 5, 6, KE_OK);
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
	assert_int_equal(blamed, 0);
}

/* A captured one: bodies that do not decode, answers to nothing. It is blamed, nothing is believed.
 */
static void test_captured(void **state)
{
	struct beacon b = wanted(ROUND - 5), got;
	uint8_t body[64] = {0};
	struct wire_out w;
	uint64_t id;

	(void)state;
	settle();
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	id = asked(-1, ROUND - 5);
	wire_out_init(&w, body, sizeof body);
	wire_put_i32(&w, KE_OK);
	wire_put_u64(&w, ROUND - 5); /* and no signature */
	say(ROLE_OUT, MSG_OUT_ROUND_ANS, id, &w);
	assert_int_equal(blamed, 1);
	assert_false(beacons_works(&e));
	join(ROLE_OUT, &out);
	pass(6000);
	id = asked(-1, ROUND - 5);
	say_result(ROLE_OUT, MSG_OUT_PULSE_ANS, id, KE_OK); /* of another kind */
	assert_int_equal(blamed, 2);
	join(ROLE_OUT, &out);
	say_result(ROLE_BEACON, MSG_BEACON_ROUND_ANS, UINT64_MAX, KE_OK); /* to nothing */
	assert_int_equal(blamed, 3);
	join(ROLE_BEACON, &beacon);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
}

/* --- NIST --- */

/* A pulse, and one that it follows; nobody has signed them, but the test is beacon. */
static void make_pulses(struct pulse *p, struct pulse *before)
{
	char json[PULSE_JSON_MAX];
	uint8_t packed[PULSE_PACKED_MAX];
	size_t n = vectors_file("nist/pulse-2-1884240.json", json, sizeof json);

	assert_int_equal(pulse_parse(p, json, n), KE_OK);
	*before = *p;
	before->pulse--;
	text_time(before->time, p->at_ms - 60000);
	assert_int_equal(pulse_unpack(before, packed, pulse_pack(before, packed)), KE_OK);
	memcpy(p->previous, before->output, PULSE_HASH);
	assert_int_equal(pulse_unpack(p, packed, pulse_pack(p, packed)), KE_OK);
}

static void pulse_asked(uint8_t what, uint64_t number, const struct pulse *answer)
{
	uint8_t packed[PULSE_PACKED_MAX], body[PULSE_PACKED_MAX + 8];
	struct wire_out w;
	struct wire_in in;
	uint64_t id = hear(ROLE_OUT, MSG_OUT_PULSE, &in);

	assert_int_equal(wire_get_u8(&in), 0);
	assert_int_equal(wire_get_u8(&in), what);
	assert_int_equal(wire_get_u64(&in), 2);
	assert_true(wire_get_u64(&in) == number);
	wire_out_init(&w, body, sizeof body);
	wire_put_i32(&w, KE_OK);
	wire_put_str(&w, packed, pulse_pack(answer, packed));
	say(ROLE_OUT, MSG_OUT_PULSE_ANS, id, &w);
}

static void pulse_verdict(int r)
{
	struct wire_in in;

	say_result(ROLE_BEACON, MSG_BEACON_PULSE_ANS, hear(ROLE_BEACON, MSG_BEACON_PULSE, &in), r);
}

static void test_pulses(void **state)
{
	struct beacon b = {.kind = BEACON_NIST2, .chain = 2}, got;
	struct pulse p, before;

	(void)state;
	make_pulses(&p, &before);
	e.conf.beacons.nchains = 0;
	wall_ms = p.at_ms + 1000;
	b.at_ms = (uint64_t)p.at_ms;
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	pulse_asked(0, b.at_ms, &p);
	pulse_verdict(KE_OK);
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
	assert_true(got.pulse == p.pulse);
	assert_memory_equal(got.output, p.output, PULSE_HASH);
	/* a moment between two of them: the predecessor shows that it is the first */
	b.at_ms -= 30000;
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	pulse_asked(0, b.at_ms, &p);
	pulse_verdict(KE_OK);
	pulse_asked(1, p.pulse - 1, &before);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pulse_verdict(KE_OK);
	assert_int_equal(beacons_value(&e, &b, &got), KE_OK);
	assert_int_equal(lies(), 0);
}

static void test_false_pulses(void **state)
{
	struct beacon b = {.kind = BEACON_NIST2, .chain = 2}, got;
	struct pulse p, before;

	(void)state;
	make_pulses(&p, &before);
	e.conf.beacons.nchains = 0;
	wall_ms = p.at_ms + 1000;
	/* its predecessor is not before the moment: it is not the first */
	b.at_ms = (uint64_t)p.at_ms - 90000;
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(0);
	pulse_asked(0, b.at_ms, &p);
	pulse_verdict(KE_OK);
	pulse_asked(1, p.pulse - 1, &before);
	pulse_verdict(KE_OK);
	assert_int_equal(lies(), 1);
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	/* one from before the moment, and one of another chain, are not even verified */
	b.at_ms = (uint64_t)p.at_ms + 500;
	e.beacons.nist[0].until_ms = 0;
	e.beacons.want[0].used = false;
	assert_int_equal(beacons_value(&e, &b, &got), KE_NOTFOUND);
	pass(1000);
	pulse_asked(0, b.at_ms, &p);
	assert_int_equal(lies(), 2);
	quiet(ROLE_BEACON);
	e.beacons.nist[0].until_ms = 0;
	p.chain = 3;
	pass(2000);
	pulse_asked(0, b.at_ms, &p);
	assert_int_equal(lies(), 3);
	quiet(ROLE_BEACON);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_newest), T(test_clock), T(test_stale),
	    T(test_want), T(test_liars), T(test_failures), T(test_in_turn), T(test_deaths),
	    T(test_captured), T(test_pulses), T(test_false_pulses)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
