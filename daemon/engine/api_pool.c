/*
 * Pools over the API: a deposit address is made by hsm and stored with its wrapped or sealed key
 * before anybody hears of it; a key whose answer is lost was never an address. Runs in engine.
 */
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/list.h"
#include "daemon/engine/pool.h"

enum { NAME, CHAIN, CHAIN_ID, CLUSTER };

static int answer(struct rq *q, const struct db_pool *p)
{
	pool_put(rq_json(q), p);
	return rq_json_end(q);
}

static int pool_made(struct rq *q, int r, struct wire_in *in)
{
	struct db_pool *p = q->state;

	if (r != KE_OK)
		return r == KE_STATE ? rq_refuse(q, PB_NO_DEPOSIT_KEY) : KE_UNAVAIL;
	r = pool_take(in, p);
	if (r == KE_OK)
		r = db_pool_create(q->e->db, p);
	if (r == KE_OK)
		r = audit_add(q, q->user, "pool-create", p->id, "{\"address\":\"%s\"}", p->address);
	if (r != KE_OK)
		return r;
	rq_location(q, "/api/v1/pools/", p->id);
	return answer(q, p);
}

int api_pool_create(struct rq *q)
{
	bool evm = rq_field(q, CHAIN)->i == 0;
	const struct api_value *name = rq_field(q, NAME);
	struct db_pool *p;
	int r = rq_demand(q, CHAIN_ID, evm);

	if (r == KE_OK)
		r = rq_demand(q, CLUSTER, !evm);
	if (r != KE_OK)
		return r;
	p = rq_state(q, sizeof *p);
	engine_uuid(&q->e->ids, p->id, q->now_ms);
	memcpy(p->name, name->p, name->n);
	p->chain = evm ? PAYOUT_EVM : PAYOUT_SOLANA;
	p->network = evm ? rq_field(q, CHAIN_ID)->i : rq_field(q, CLUSTER)->i + 1;
	memcpy(p->created_by, q->user, sizeof p->created_by);
	p->created_ms = q->now_ms;
	return eng_hsm_new_deposit(q, "pool_made", pool_made, p->id, (uint8_t)p->chain);
}

static int put_item(void *arg, const struct db_pool *p)
{
	struct list *l = arg;

	if (list_take(l, p->id))
		pool_put(l->w, p);
	return KE_OK;
}

int api_pools(struct rq *q)
{
	struct list l;
	int r = list_begin(&l, q, 0, "", 16);

	if (r == KE_OK)
		r = db_pool_page(q->e->db, l.from ? l.pos : NULL, list_wanted(&l), put_item, &l);
	return r == KE_OK ? list_end(&l) : r;
}

int api_pool_get(struct rq *q)
{
	struct db_pool p;
	int r = pool_find(q, &p);

	return r == KE_OK ? answer(q, &p) : r;
}
