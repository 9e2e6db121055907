/*
 * Paying back after an abort: each holder gets what the tickets cost out of the raffle's pot, once
 * (a row of refunds per holder, in the savepoint of the transfer), a few holders a step. Runs in
 * engine: see life.h.
 */
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_ledger.h"
#include "policy/rules.h"

#define STEP_HOLDERS 10

struct batch {
	struct db_refund due[STEP_HOLDERS];
	size_t n;
};

static int take(void *arg, const struct db_refund *r)
{
	struct batch *b = arg;

	b->due[b->n++] = *r;
	return KE_OK;
}

static int pay(struct engine *e, const struct life_file *f, const struct db_refund *d)
{
	struct db_account pot, wallet;
	int64_t amount, transfer, now_ms = turn_now_ms(e);
	int r = rules_money_mul(f->r.price, d->tickets, &amount);

	if (r == KE_OK)
		r = db_account_get(e->db, DB_ACCOUNT_POT, f->r.id, f->r.currency, &pot);
	if (r == KE_OK)
		r = db_account_open(e->db, DB_ACCOUNT_USER, d->user, f->r.currency, &wallet);
	if (r == KE_OK)
		r = db_ledger_transfer(
		    e->db, &pot, &wallet, amount, "refund", f->r.id, now_ms, &transfer);
	return r == KE_OK ? db_refund_put(e->db, d->holder, transfer, amount, now_ms) : r;
}

/* All have it back, and the pot is empty: what else is in it was never paid in by a sale. */
static int finish(struct engine *e, const struct life_file *f)
{
	struct db_account pot;
	int64_t n, amount;
	int r = db_refund_sum(e->db, f->r.no, &n, &amount);

	if (r != KE_OK)
		return r;
	r = db_account_get(e->db, DB_ACCOUNT_POT, f->r.id, f->r.currency, &pot);
	if (r == KE_OK && pot.balance != 0) {
		log_error("the pot of an aborted raffle is not empty after all refunds");
		return KE_DAMAGED;
	}
	if (r == KE_OK || (r == KE_NOTFOUND && f->r.sold == 0))
		r = db_life_set_refunded(e->db, f->r.no, turn_now_ms(e));
	if (r == KE_OK)
		turn_dirty(e, CACHE_RAFFLES);
	return r == KE_OK ? db_audit_append(
				e->db, turn_now_ms(e), NULL, "raffle-refunded", f->r.id, "{}", 2)
			  : r;
}

int refund_step(struct engine *e, struct maint_run *run, const struct life_file *f)
{
	struct batch b = {.n = 0};
	int r = db_refund_due(e->db, f->r.no, run->after, STEP_HOLDERS, take, &b);

	for (size_t i = 0; r == KE_OK && i < b.n; i++)
		r = pay(e, f, &b.due[i]);
	if (r != KE_OK)
		return r;
	if (b.n == 0)
		return finish(e, f);
	memcpy(run->after, b.due[b.n - 1].user, sizeof run->after);
	return KE_AGAIN;
}
