/*
 * Keccak-256: see keccak.h. Names as in FIPS 202, sections 3.2 and 3.3: the state is 5 by 5 lanes
 * of 64 bits, lane (x, y) at 5y + x; bytes are little-endian.
 */
#include "policy/keccak.h"

#include <string.h>

#define RATE 136 /* bytes: 1600 - 2 * 256 bits */

static const uint64_t round_constants[24] = {0x0000000000000001, 0x0000000000008082,
    0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b,
    0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080,
    0x0000000080000001, 0x8000000080008008};

static uint64_t rotate(uint64_t v, unsigned n)
{
	return n == 0 ? v : v << n | v >> (64 - n);
}

static void theta(uint64_t a[25])
{
	uint64_t c[5];

	for (unsigned x = 0; x < 5; x++)
		c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	for (unsigned i = 0; i < 25; i++)
		a[i] ^= c[(i + 4) % 5] ^ rotate(c[(i + 1) % 5], 1);
}

/* rho and pi together: from lane to lane along the orbit of (1, 0). */
static void rho_pi(uint64_t a[25])
{
	uint64_t moved = a[1];
	unsigned x = 1, y = 0;

	for (unsigned t = 0; t < 24; t++) {
		unsigned next = (2 * x + 3 * y) % 5;
		uint64_t there;

		x = y;
		y = next;
		there = a[5 * y + x];
		a[5 * y + x] = rotate(moved, (t + 1) * (t + 2) / 2 % 64);
		moved = there;
	}
}

static void chi(uint64_t a[25])
{
	for (unsigned y = 0; y < 25; y += 5) {
		uint64_t row[5];

		memcpy(row, a + y, sizeof row);
		for (unsigned x = 0; x < 5; x++)
			a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
	}
}

static void permute(uint64_t a[25])
{
	for (unsigned i = 0; i < 24; i++) {
		theta(a);
		rho_pi(a);
		chi(a);
		a[0] ^= round_constants[i];
	}
}

static void absorb(uint64_t a[25], const uint8_t block[RATE])
{
	for (unsigned i = 0; i < RATE; i++)
		a[i / 8] ^= (uint64_t)block[i] << (8 * (i % 8));
	permute(a);
}

void keccak_256(uint8_t out[32], const void *p, size_t n)
{
	const uint8_t *in = p;
	uint8_t last[RATE] = {0};
	uint64_t a[25] = {0};

	for (; n >= RATE; n -= RATE, in += RATE)
		absorb(a, in);
	if (n > 0)
		memcpy(last, in, n);
	last[n] = 0x01;
	last[RATE - 1] |= 0x80;
	absorb(a, last);
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}
