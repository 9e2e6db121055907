/*
 * Payouts over the API: payout_begin writes the row and reserves its place on the chain → hsm
 * builds the transaction and signs it → payout_signed stores it. Whatever dies in between, the row
 * stands: the same request (its Idempotency-Key says that it is the same) goes on with it, and so
 * does the background (payout.h). What hsm signs only with the officers' approval is answered as
 * "requested": it has a proposal of the same id, and the background goes on with it. Sending the
 * transaction to its chain is no part of this: no role of the appliance speaks to one yet. Runs in
 * engine.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/idem.h"
#include "daemon/engine/list.h"
#include "daemon/engine/payout.h"
#include "daemon/engine/pool.h"
#include "policy/text.h"

enum { POOL, TO, VALUE, NONCE, MAX_FEE, PRIORITY_FEE, GAS_LIMIT, LAMPORTS, BLOCKHASH };

/* --- the request's fields --- */

/* Each chain has its fields: those and no others. */
static int check_fields(struct rq *q, bool evm)
{
	int r = KE_OK;

	for (unsigned i = VALUE; r == KE_OK && i <= GAS_LIMIT; i++)
		r = rq_demand(q, i, evm);
	for (unsigned i = LAMPORTS; r == KE_OK && i <= BLOCKHASH; i++)
		r = rq_demand(q, i, !evm);
	return r;
}

static int take_address(struct rq *q, unsigned field, enum payout_kind chain, uint8_t raw[32])
{
	const struct api_value *v = rq_field(q, field);
	int r = pool_address_parse(raw, chain, v->p, v->n);
	char pointer[32];

	if (r == KE_OK)
		return KE_OK;
	snprintf(pointer, sizeof pointer, "/%s", q->row->fields[field].name);
	return rq_refuse_field(q, pointer, r == KE_CRYPTO ? "checksum" : "format");
}

static int take_evm(struct rq *q, struct payout *p)
{
	static const struct u256 zero;
	const struct api_value *value = rq_field(q, VALUE);

	p->nonce = (uint64_t)rq_field(q, NONCE)->i;
	p->max_fee = (uint64_t)rq_field(q, MAX_FEE)->i;
	p->priority_fee = (uint64_t)rq_field(q, PRIORITY_FEE)->i;
	p->gas_limit = (uint64_t)rq_field(q, GAS_LIMIT)->i;
	if (u256_parse(&p->value, (const char *)value->p, value->n) != KE_OK ||
	    u256_cmp(&p->value, &zero) == 0)
		return rq_refuse_field(q, "/value", "range");
	if (p->priority_fee > p->max_fee)
		return rq_refuse_field(q, "/max_priority_fee_per_gas", "more-than-max-fee");
	return KE_OK;
}

static int take_fields(struct rq *q, const struct db_pool *pool, struct payout *p)
{
	bool evm = pool->chain == PAYOUT_EVM;
	char to[DB_POOL_ADDRESS_MAX + 1];
	struct u256 cost;
	int r = check_fields(q, evm);

	if (r == KE_OK)
		r = take_address(q, TO, pool->chain, p->to);
	if (r != KE_OK)
		return r;
	p->kind = (uint8_t)pool->chain;
	p->chain_id = evm ? (uint64_t)pool->network : 0;
	if (evm) {
		r = take_evm(q, p);
	} else {
		p->value = u256_of((uint64_t)rq_field(q, LAMPORTS)->i);
		r = take_address(q, BLOCKHASH, pool->chain, p->blockhash);
	}
	if (r != KE_OK)
		return r;
	if (sodium_is_zero(p->to, sizeof p->to)) /* whoever leaves an address out burns money */
		return rq_refuse_field(q, "/to", "zero-address");
	pool_address(to, pool->chain, p->to);
	if (strcmp(to, pool->address) == 0)
		return rq_refuse_field(q, "/to", "own-address");
	return payout_cost(p, &cost) == KE_OK ? KE_OK : rq_refuse_field(q, "", "range");
}

/* --- signing --- */

static int answer(struct rq *q, const struct db_payout *p)
{
	payout_put_json(rq_json(q), p);
	return rq_json_end(q);
}

static int answer_made(struct rq *q, const struct db_payout *p)
{
	char prefix[64] = "/api/v1/pools/";

	if (p->state == DB_PAYOUT_REFUSED)
		return rq_problem(q, PB_PAYOUT_REFUSED);
	text_uuid(prefix + strlen(prefix), p->pool);
	memcpy(prefix + strlen(prefix), "/payouts/", sizeof "/payouts/");
	rq_location(q, prefix, p->say.id);
	return answer(q, p);
}

static int payout_signed(struct rq *q, int r, struct wire_in *in)
{
	struct db_payout *p = q->state;
	int err = payout_settle(q->e, p, r, in);

	if (err == KE_OK)
		return answer_made(q, p);
	/* hsm's own trouble; the row stays, for the same request to come again */
	return err == r ? KE_UNAVAIL : err;
}

/* Is it the payout of this very request? What is not the client's is the row's. */
static bool is_same(const struct db_payout *row, const struct db_payout *p)
{
	uint8_t a[PAYOUT_WIRE_MAX], b[PAYOUT_WIRE_MAX];
	size_t n, m;

	return memcmp(row->pool, p->pool, 16) == 0 &&
	       payout_put(&row->say, a, sizeof a, &n) == KE_OK &&
	       payout_put(&p->say, b, sizeof b, &m) == KE_OK && n == m &&
	       memcmp(a + 16, b + 16, n - 16) == 0; /* behind the id */
}

/* A fresh row, or the one that this request made before something died. */
static int reserve(struct rq *q, struct db_payout *p)
{
	struct db_payout row;
	int r = db_payout_by_idem(q->e->db, p->idem, &row);

	if (r == KE_OK && !is_same(&row, p))
		return rq_refuse(q, PB_IDEM_MISMATCH);
	if (r == KE_OK)
		*p = row;
	if (r != KE_NOTFOUND)
		return r;
	r = db_payout_create(q->e->db, p);
	if (r == KE_EXISTS)
		return rq_refuse(q, p->say.kind == PAYOUT_EVM ? PB_NONCE_USED : PB_PAYOUT_REPEATED);
	if (r == KE_OK)
		r = audit_add(q, q->user, "payout-request", p->say.id, "{}");
	return r;
}

int api_payout_create(struct rq *q)
{
	struct db_idem_name name;
	struct db_payout *p;
	struct db_pool pool;
	bool proposed = false;
	int r = pool_find(q, &pool);

	if (r != KE_OK)
		return r;
	p = rq_state(q, sizeof *p);
	r = take_fields(q, &pool, &p->say);
	if (r != KE_OK)
		return r;
	engine_uuid(&q->e->ids, p->say.id, q->now_ms);
	memcpy(p->pool, pool.id, sizeof p->pool);
	memcpy(p->created_by, q->user, sizeof p->created_by);
	p->created_ms = q->now_ms;
	r = idem_name(q, &name);
	if (r != KE_OK)
		return r;
	memcpy(p->idem, name.scope, sizeof p->idem);
	r = reserve(q, p);
	if (r != KE_OK)
		return r;
	r = payout_is_proposed(q->e, p, &proposed);
	if (r != KE_OK)
		return r;
	if (p->state != DB_PAYOUT_REQUESTED || proposed)
		return answer_made(q, p);
	return eng_hsm_sign_payout(q, "payout_signed", payout_signed, &pool, &p->say);
}

/* --- looking --- */

static int put_item(void *arg, const struct db_payout *p)
{
	struct list *l = arg;

	if (list_take(l, p->say.id))
		payout_put_json(l->w, p);
	return KE_OK;
}

int api_payouts(struct rq *q)
{
	struct db_pool pool;
	char scope[37];
	struct list l;
	int r = pool_find(q, &pool);

	text_uuid(scope, pool.id);
	if (r == KE_OK)
		r = list_begin(&l, q, 1, scope, 16);
	if (r == KE_OK)
		r = db_payout_page(
		    q->e->db, pool.id, l.from ? l.pos : NULL, list_wanted(&l), put_item, &l);
	return r == KE_OK ? list_end(&l) : r;
}

int api_payout_get(struct rq *q)
{
	struct db_payout p;
	int r = db_payout_get(q->e->db, rq_field(q, 1)->p, &p);

	if (r == KE_NOTFOUND || (r == KE_OK && memcmp(p.pool, rq_field(q, 0)->p, 16) != 0))
		return rq_refuse(q, PB_NOT_FOUND);
	return r == KE_OK ? answer(q, &p) : r;
}
