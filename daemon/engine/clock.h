/*
 * The clocks that engine reads, and the ids that it makes. Runs in engine.
 */
#ifndef DAEMON_ENGINE_CLOCK_H
#define DAEMON_ENGINE_CLOCK_H

#include <stdint.h>

/* Milliseconds and microseconds that only go forward, for deadlines and durations. */
int64_t engine_clock_ms(void);
int64_t engine_clock_us(void);
/* The same in seconds, never 0: for limits and delays, which nobody's setting of a clock may end.
 */
int64_t engine_clock_s(void);
/* Unix milliseconds; a clock before 1970 stands still at its beginning. */
int64_t engine_now_ms(void);

/* Where both clocks stood at the last look; zeroed at first. */
struct clock_watch {
	int64_t wall_ms, steady_ms;
};

/*
 * By how many milliseconds somebody has set the wall clock since the last look, forward or (below
 * 0) back; 0 when it went on by itself, give or take a minute.
 */
int64_t engine_clock_step(struct clock_watch *w, int64_t wall_ms, int64_t steady_ms);

/* The last id's time and its place among those of the same millisecond; zeroed at first. */
struct ids {
	int64_t ms;
	uint16_t place;
};

/*
 * A fresh UUIDv7 above all that this process has made, so that the order of ids is the order of
 * making also within a millisecond and when the clock steps back (RFC 9562 section 6.2, method 1:
 * rand_a counts).
 */
void engine_uuid(struct ids *s, uint8_t id[16], int64_t now_ms);

#endif
