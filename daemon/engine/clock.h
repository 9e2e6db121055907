/*
 * The clocks that engine reads, and the ids that it makes. Runs in engine.
 */
#ifndef DAEMON_ENGINE_CLOCK_H
#define DAEMON_ENGINE_CLOCK_H

#include <stdint.h>

/* Milliseconds and microseconds that only go forward, for deadlines and durations. */
int64_t engine_clock_ms(void);
int64_t engine_clock_us(void);
/* Unix milliseconds. */
int64_t engine_now_ms(void);
/* A fresh UUIDv7. */
void engine_uuid(uint8_t id[16], int64_t now_ms);

#endif
