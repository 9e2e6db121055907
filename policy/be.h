/*
 * Big-endian integers, as DRAW.md writes them. Pure.
 */
#ifndef POLICY_BE_H
#define POLICY_BE_H

#include <stdint.h>

static inline void be_put16(uint8_t p[2], uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void be_put32(uint8_t p[4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void be_put64(uint8_t p[8], uint64_t v)
{
	be_put32(p, (uint32_t)(v >> 32));
	be_put32(p + 4, (uint32_t)v);
}

static inline uint32_t be_get32(const uint8_t p[4])
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t be_get64(const uint8_t p[8])
{
	return (uint64_t)be_get32(p) << 32 | be_get32(p + 4);
}

#endif
