/*
 * Beacons' values in the store: every function and every refusal, on a real one.
 */
#include "tests/unit/db_env.h"

#include "db/db_beacon.h"

static struct db_beacon *value(enum beacon_kind kind, uint64_t at)
{
	static struct db_beacon v;

	v = (struct db_beacon){.b = {.kind = kind, .chain = 2}, .stored_ms = 77};
	memset(v.b.chain_hash, 0xc4, 32);
	if (kind == BEACON_DRAND)
		v.b.round = at;
	else
		v.b.at_ms = at;
	memset(v.b.signature, (int)at, sizeof v.b.signature);
	memset(v.pulse, 0x11, v.pulse_len = kind == BEACON_NIST2 ? 1200 : 0);
	return &v;
}

static void test_values(void **state)
{
	struct env *e = *state;
	struct db_beacon got;

	env_ok(e, db_beacon_put(e->d, value(BEACON_DRAND, 9)));
	assert_int_equal(db_beacon_put(e->d, value(BEACON_DRAND, 9)), KE_EXISTS);
	got = *value(BEACON_DRAND, 9);
	memset(got.b.signature, 0, sizeof got.b.signature);
	env_ok(e, db_beacon_get(e->d, &got));
	assert_memory_equal(got.b.signature, value(BEACON_DRAND, 9)->b.signature, BLS_SIG_LEN);
	assert_int_equal(got.pulse_len, 0);
	assert_int_equal(got.before_len, 0);
	assert_int_equal(got.stored_ms, 77);
	/* another round, another chain, another kind */
	got = *value(BEACON_DRAND, 10);
	assert_int_equal(db_beacon_get(e->d, &got), KE_NOTFOUND);
	got = *value(BEACON_DRAND, 9);
	got.b.chain_hash[31]++;
	assert_int_equal(db_beacon_get(e->d, &got), KE_NOTFOUND);
	got = *value(BEACON_NIST2, 9);
	assert_int_equal(db_beacon_get(e->d, &got), KE_NOTFOUND);
	assert_int_equal(db_beacon_put(e->d, value(BEACON_DRAND, UINT64_MAX)), KE_RANGE);
	assert_int_equal(db_beacon_get(e->d, value(BEACON_DRAND, UINT64_MAX)), KE_RANGE);
	assert_int_equal(db_beacon_put(e->d, value(BEACON_DRAND, 0)), KE_RANGE);
	assert_int_equal(env_raw(e, "UPDATE beacons SET stored_ms = 1"), SQLITE_CONSTRAINT_TRIGGER);
	assert_int_equal(env_raw(e, "DELETE FROM beacons"), SQLITE_CONSTRAINT_TRIGGER);
}

static void test_pulses(void **state)
{
	struct env *e = *state;
	struct db_beacon v = *value(BEACON_NIST2, 60000), got;

	env_ok(e, db_beacon_put(e->d, &v));
	v = *value(BEACON_NIST2, 120000);
	memset(v.pulse, 0x22, v.pulse_len = PULSE_PACKED_MAX);
	memset(v.before, 0x33, v.before_len = 1100);
	env_ok(e, db_beacon_put(e->d, &v));
	env_commit(e);
	got = *value(BEACON_NIST2, 60000);
	env_ok(e, db_beacon_get(e->d, &got));
	assert_int_equal(got.pulse_len, 1200);
	assert_int_equal(got.before_len, 0);
	got = *value(BEACON_NIST2, 120000);
	env_ok(e, db_beacon_get(e->d, &got));
	assert_int_equal(got.pulse_len, PULSE_PACKED_MAX);
	assert_memory_equal(got.pulse, v.pulse, v.pulse_len);
	assert_int_equal(got.before_len, 1100);
	assert_memory_equal(got.before, v.before, v.before_len);
	got.b.chain++;
	assert_int_equal(db_beacon_get(e->d, &got), KE_NOTFOUND);
}

static void test_newest(void **state)
{
	struct env *e = *state;
	struct beacon got = value(BEACON_DRAND, 0)->b;

	assert_int_equal(db_beacon_newest(e->d, &got), KE_NOTFOUND);
	env_ok(e, db_beacon_newest_put(e->d, &value(BEACON_DRAND, 100)->b, 5));
	env_ok(e, db_beacon_newest_put(e->d, &value(BEACON_DRAND, 99)->b, 6)); /* stays as it is */
	env_ok(e, db_beacon_newest(e->d, &got));
	assert_int_equal(got.round, 100);
	assert_int_equal(got.signature[0], 100);
	env_ok(e, db_beacon_newest_put(e->d, &value(BEACON_DRAND, 101)->b, 7));
	env_ok(e, db_beacon_newest(e->d, &got));
	assert_int_equal(got.round, 101);
	assert_int_equal(got.kind, BEACON_DRAND);
	got.chain_hash[0]++;
	assert_int_equal(db_beacon_newest(e->d, &got), KE_NOTFOUND);
	assert_int_equal(
	    db_beacon_newest_put(e->d, &value(BEACON_DRAND, UINT64_MAX)->b, 7), KE_RANGE);
	assert_int_equal(db_beacon_newest_put(e->d, &value(BEACON_DRAND, 0)->b, 7), KE_RANGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start_turn, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_values), T(test_pulses), T(test_newest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
