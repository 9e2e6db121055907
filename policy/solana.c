/*
 * Solana: see solana.h. Every length of ours is below 128, where compact-u16 is one byte.
 */
#include "policy/solana.h"

#include <string.h>

#include "policy/canon.h"

/* The system program's address is 32 zero bytes, its transfer is instruction 2. */
static const uint8_t system_program[32];

/* Signers that write 1, of them read-only 0; read-only others 1, the program; 3 account keys. */
static const uint8_t head[] = {1, 0, 1, 3};
/* 1 instruction: program is key 2, its 2 accounts are keys 0 and 1, 12 bytes of data. */
static const uint8_t instruction[] = {1, 2, 2, 0, 1, 12, 2, 0, 0, 0};

static void put(struct canon *io, const void *p, size_t n)
{
	uint8_t copy[64];

	memcpy(copy, p, n);
	canon_raw(io, copy, n);
}

int solana_message(
    const struct payout *p, const uint8_t pub[32], uint8_t *out, size_t cap, size_t *len)
{
	struct canon io = {.out = out, .cap = cap};
	uint64_t lamports;
	int r = u256_to_u64(&p->value, &lamports);

	if (r != KE_OK || memcmp(pub, p->to, 32) == 0)
		return KE_RANGE;
	put(&io, head, sizeof head);
	put(&io, pub, 32);
	put(&io, p->to, 32);
	put(&io, system_program, sizeof system_program);
	put(&io, p->blockhash, 32);
	put(&io, instruction, sizeof instruction);
	canon_uint(&io, &lamports, 8);
	*len = io.len;
	return io.err;
}

int solana_signed(
    const uint8_t sig[64], const uint8_t *message, size_t n, uint8_t *out, size_t cap, size_t *len)
{
	if (cap < 65 || n > cap - 65)
		return KE_FULL;
	out[0] = 1;
	memcpy(out + 1, sig, 64);
	memcpy(out + 65, message, n);
	*len = 65 + n;
	return KE_OK;
}
