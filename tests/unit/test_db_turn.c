/*
 * Turns and savepoints of the store: what stays, what is refused out of order, and a store that is
 * only read for a while.
 */
#include "tests/unit/db_env.h"

#include "db/db_meta.h"

static void test_turns(void **state)
{
	struct env *e = *state;
	char buf[8];
	size_t n;
	bool wrote = true;

	env_open(e, DB_CREATE);
	assert_int_equal(db_turn_commit(e->d, NULL), KE_STATE);
	assert_int_equal(db_savepoint(e->d), KE_STATE);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_get(e->d, "a", buf, sizeof buf, &n), KE_NOTFOUND);
	assert_false(db_turn_wrote(e->d));
	assert_int_equal(db_turn_commit(e->d, &wrote), KE_OK);
	assert_false(wrote);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_savepoint(e->d), KE_OK);
	assert_int_equal(db_savepoint(e->d), KE_STATE);
	assert_int_equal(db_meta_set(e->d, "a", "1", 1), KE_OK);
	assert_int_equal(db_release(e->d), KE_OK);
	assert_int_equal(db_release(e->d), KE_STATE);
	assert_int_equal(db_savepoint(e->d), KE_OK);
	assert_int_equal(db_meta_set(e->d, "a", "2", 1), KE_OK);
	assert_int_equal(db_rollback_to(e->d), KE_OK);
	assert_int_equal(db_rollback_to(e->d), KE_STATE);
	assert_true(db_turn_wrote(e->d));
	assert_int_equal(db_turn_commit(e->d, &wrote), KE_OK);
	assert_true(wrote);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_set(e->d, "a", "3", 1), KE_OK);
	db_turn_rollback(e->d);
	env_close(e);
	env_open(e, 0);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_get(e->d, "a", buf, sizeof buf, &n), KE_OK);
	assert_int_equal(buf[0], '1');
}

/* While writes are refused nothing is begun that a commit could fail at, and reads go on. */
static void test_refused_writes(void **state)
{
	struct env *e = *state;
	char buf[8];
	size_t n;
	bool wrote;

	env_open(e, DB_CREATE);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_set(e->d, "a", "1", 1), KE_OK);
	db_refuse_writes(e->d, true);
	assert_int_equal(db_meta_set(e->d, "a", "2", 1), KE_IO);
	assert_false(db_turn_lost(e->d));
	assert_int_equal(db_turn_commit(e->d, &wrote), KE_OK); /* what was written before */
	assert_true(wrote);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_savepoint(e->d), KE_OK);
	assert_int_equal(db_meta_set(e->d, "a", "2", 1), KE_IO);
	assert_int_equal(db_rollback_to(e->d), KE_OK);
	assert_int_equal(db_meta_get(e->d, "a", buf, sizeof buf, &n), KE_OK);
	assert_int_equal(buf[0], '1');
	assert_false(db_turn_wrote(e->d));
	assert_int_equal(db_turn_commit(e->d, &wrote), KE_OK);
	assert_false(wrote);
	db_refuse_writes(e->d, false);
	assert_int_equal(db_turn_begin(e->d), KE_OK);
	assert_int_equal(db_meta_set(e->d, "a", "2", 1), KE_OK);
	assert_int_equal(db_turn_commit(e->d, &wrote), KE_OK);
	assert_true(wrote);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_turns), T(test_refused_writes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
