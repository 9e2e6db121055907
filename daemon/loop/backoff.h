/*
 * How long to leave alone what keeps failing. In any process; pure.
 */
#ifndef KLERO_LOOP_BACKOFF_H
#define KLERO_LOOP_BACKOFF_H

#include <stdint.h>

/* After `fails` failures in a row before this one: first_ms, twice as long each time, most_ms. */
static inline int64_t backoff_ms(int64_t first_ms, unsigned fails, int64_t most_ms)
{
	int64_t ms = first_ms;

	while (fails-- > 0 && ms < most_ms)
		ms *= 2;
	return ms < most_ms ? ms : most_ms;
}

#endif
