/*
 * Time and fresh ids: see clock.h. Runs in engine.
 */
#include "daemon/engine/clock.h"

#include <sodium.h>
#include <stdbool.h>
#include <time.h>

#include "policy/text.h"

#define STEP_MS 60000

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t engine_clock_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t engine_clock_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t engine_clock_s(void)
{
	return engine_clock_ms() / 1000 + 1;
}

int64_t engine_now_ms(void)
{
	int64_t ms = clock_us(CLOCK_REALTIME) / 1000;

	return ms > 0 ? ms : 0;
}

int64_t engine_clock_step(struct clock_watch *w, int64_t wall_ms, int64_t steady_ms)
{
	int64_t step = (wall_ms - w->wall_ms) - (steady_ms - w->steady_ms);
	bool first = w->steady_ms == 0;

	*w = (struct clock_watch){wall_ms, steady_ms};
	return first || (step < STEP_MS && step > -STEP_MS) ? 0 : step;
}

#define IDS_PER_MS 4096 /* 12 bits of rand_a */

void engine_uuid(struct ids *s, uint8_t id[16], int64_t now_ms)
{
	uint8_t rnd[10];

	if (now_ms > s->ms)
		*s = (struct ids){.ms = now_ms};
	else if (++s->place == IDS_PER_MS)
		*s = (struct ids){.ms = s->ms + 1};
	randombytes_buf(rnd, sizeof rnd);
	rnd[0] = (uint8_t)(s->place >> 8);
	rnd[1] = (uint8_t)s->place;
	text_uuid7(id, s->ms, rnd);
}
