/*
 * Payouts: see payout.h.
 */
#include "policy/payout.h"

#include <string.h>

#include "policy/canon.h"

#define EVM_GAS_LEAST   21000 /* of a transfer */
#define SOLANA_FEE_LAMP 5000  /* per signature; no priority fee is asked for */

size_t payout_pub_len(unsigned kind)
{
	return kind == PAYOUT_EVM ? 65 : kind == PAYOUT_SOLANA ? 32 : 0;
}

size_t payout_to_len(unsigned kind)
{
	return kind == PAYOUT_EVM ? 20 : kind == PAYOUT_SOLANA ? 32 : 0;
}

int payout_check(const struct payout *p)
{
	static const struct payout none;
	uint64_t lamports;

	if (u256_cmp(&p->value, &none.value) == 0 || memcmp(p->to, none.to, sizeof p->to) == 0)
		return KE_RANGE;
	if (p->kind == PAYOUT_SOLANA)
		return u256_to_u64(&p->value, &lamports);
	if (p->kind != PAYOUT_EVM || p->chain_id == 0 || p->gas_limit < EVM_GAS_LEAST ||
	    p->priority_fee > p->max_fee)
		return KE_RANGE;
	return KE_OK;
}

int payout_cost(const struct payout *p, struct u256 *cost)
{
	struct u256 fee = u256_of(SOLANA_FEE_LAMP);
	int r = payout_check(p);

	if (p->kind == PAYOUT_EVM)
		fee = u256_mul(p->gas_limit, p->max_fee);
	return r == KE_OK ? u256_add(cost, &p->value, &fee) : r;
}

static void io_evm(struct canon *io, struct payout *p)
{
	canon_uint(io, &p->chain_id, 8);
	canon_uint(io, &p->nonce, 8);
	canon_uint(io, &p->priority_fee, 8);
	canon_uint(io, &p->max_fee, 8);
	canon_uint(io, &p->gas_limit, 8);
	canon_raw(io, p->to, 20);
	canon_raw(io, p->value.be, 32);
}

static void io_solana(struct canon *io, struct payout *p)
{
	uint64_t lamports = 0;

	if (u256_to_u64(&p->value, &lamports) != KE_OK)
		canon_fail(io, KE_RANGE);
	canon_raw(io, p->blockhash, 32);
	canon_raw(io, p->to, 32);
	canon_uint(io, &lamports, 8);
	p->value = u256_of(lamports);
}

static void io_wire(struct canon *io, struct payout *p)
{
	uint64_t kind = p->kind;

	canon_raw(io, p->id, 16);
	canon_uint(io, &kind, 1);
	p->kind = (uint8_t)kind;
	if (p->kind == PAYOUT_EVM)
		io_evm(io, p);
	else if (p->kind == PAYOUT_SOLANA)
		io_solana(io, p);
	else
		canon_fail(io, KE_FORMAT);
}

int payout_put(const struct payout *p, void *out, size_t cap, size_t *len)
{
	struct canon io = {.out = out, .cap = cap};
	struct payout copy = *p;
	int r = payout_check(p);

	if (r != KE_OK)
		return r;
	io_wire(&io, &copy);
	*len = io.len;
	return io.err;
}

int payout_get(struct payout *p, const void *in, size_t n)
{
	struct canon io = {.in = in, .cap = n};

	*p = (struct payout){.kind = 0};
	io_wire(&io, p);
	return io.err == KE_OK && io.len == n && payout_check(p) == KE_OK ? KE_OK : KE_FORMAT;
}
