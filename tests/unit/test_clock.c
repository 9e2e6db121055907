/*
 * Ids in the order of their making: within a millisecond, beyond its 4,096 places, and when the
 * clock steps back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "daemon/engine/clock.h"

static void ids_only_grow(void **state)
{
	static const int64_t clock[] = {1000, 1000, 1001, 999, 1001, 5000};
	struct ids s = {0};
	uint8_t last[16] = {0}, id[16];

	(void)state;
	for (size_t c = 0; c < sizeof clock / sizeof clock[0]; c++)
		for (int i = 0; i < 5000; i++) {
			engine_uuid(&s, id, clock[c]);
			assert_true(memcmp(last, id, 16) < 0);
			assert_int_equal(id[6] >> 4, 7);
			assert_int_equal(id[8] >> 6, 2);
			memcpy(last, id, 16);
		}
}

static void ids_tell_the_time(void **state)
{
	struct ids s = {0};
	uint8_t id[16];

	(void)state;
	engine_uuid(&s, id, 0x0123456789ab);
	assert_memory_equal(id, ((uint8_t[]){0x01, 0x23, 0x45, 0x67, 0x89, 0xab}), 6);
}

/* Hours and years, both ways; a clock that runs by itself, a little fast or slow, is not set. */
static void steps_are_seen(void **state)
{
	static const struct {
		int64_t wall_ms, steady_ms, step_ms;
	} look[] = {
	    {1000000000000, 5000, 0}, /* the first look knows of no other */
	    {1000000001000, 6000, 0}, {1000000001500, 7000, 0}, {1000003602500, 8000, 3600000},
	    {1000003603500, 9000, 0}, {1000003603500 + 31536000000, 9000, 31536000000},
	    {1000, 10000, 1000 - 1000 - 1000003603500 - 31536000000},
	    {3601000, 3610000, 0}, /* an hour in which nobody looked */
	};
	struct clock_watch w = {0};

	(void)state;
	for (size_t i = 0; i < sizeof look / sizeof look[0]; i++)
		assert_int_equal(
		    engine_clock_step(&w, look[i].wall_ms, look[i].steady_ms), look[i].step_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids_only_grow),
	    cmocka_unit_test(ids_tell_the_time),
	    cmocka_unit_test(steps_are_seen),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
