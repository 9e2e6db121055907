/*
 * Pools: see pool.h. Runs in engine.
 */
#include "daemon/engine/pool.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "policy/base58.h"
#include "policy/chain.h"
#include "policy/evm.h"

int pool_find(struct rq *q, struct db_pool *p)
{
	int r = db_pool_get(q->e->db, rq_field(q, 0)->p, p);

	return r == KE_NOTFOUND ? rq_refuse(q, PB_NOT_FOUND) : r;
}

void pool_address(char out[DB_POOL_ADDRESS_MAX + 1], enum payout_kind chain, const uint8_t *raw)
{
	if (chain == PAYOUT_EVM)
		evm_address_text(out, raw);
	else
		base58_put(out, raw, 32);
}

int pool_address_parse(uint8_t raw[32], enum payout_kind chain, const uint8_t *text, size_t n)
{
	if (chain == PAYOUT_EVM)
		return evm_address_parse(raw, (const char *)text, n);
	return base58_get(raw, 32, (const char *)text, n);
}

int pool_take(struct wire_in *in, struct db_pool *p)
{
	uint8_t raw[20];

	p->public_len = wire_get_u8(in);
	if (in->err != KE_OK || p->public_len != payout_pub_len(p->chain))
		return KE_PEER;
	wire_get_raw(in, p->public_key, p->public_len);
	wire_get_cstr(in, p->key, sizeof p->key);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (p->chain == PAYOUT_EVM)
		evm_address(raw, p->public_key);
	/* Solana's address is the public key itself */
	pool_address(p->address, p->chain, p->chain == PAYOUT_EVM ? raw : p->public_key);
	return KE_OK;
}

void pool_put(struct jsonw *w, const struct db_pool *p)
{
	static const uint8_t nobody[16];

	jsonw_object(w);
	jsonw_kuuid(w, "id", p->id);
	jsonw_kcstr(w, "name", p->name);
	jsonw_kcstr(w, "chain", p->chain == PAYOUT_EVM ? "evm" : "solana");
	if (p->chain == PAYOUT_EVM)
		jsonw_kint(w, "chain_id", p->network);
	else if (chain_cluster(p->network) != NULL)
		jsonw_kcstr(w, "cluster", chain_cluster(p->network));
	jsonw_kcstr(w, "address", p->address);
	jsonw_khex(w, "public_key", p->public_key, p->public_len);
	jsonw_kcstr(w, "key", p->imported ? "imported" : "generated");
	jsonw_ktime(w, "created_at", p->created_ms);
	if (memcmp(p->created_by, nobody, 16) != 0)
		jsonw_kuuid(w, "created_by", p->created_by);
	jsonw_object_end(w);
}
