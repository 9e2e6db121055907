/*
 * Time and fresh ids: see clock.h. Runs in engine.
 */
#include "daemon/engine/clock.h"

#include <sodium.h>
#include <time.h>

#include "policy/text.h"

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

int64_t engine_now_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
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
