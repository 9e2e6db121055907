/*
 * Wallets and deposits: what a user holds, and how money comes in by the manual provider: pending
 * until an admin who is not the depositor confirms it. Runs in engine.
 */
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/list.h"
#include "daemon/engine/money.h"
#include "db/db_deposit.h"
#include "db/db_ledger.h"
#include "policy/be.h"
#include "policy/rules.h"

/* --- wallet --- */

static int put_balance(void *arg, const struct db_account *a)
{
	struct jsonw *w = arg;

	jsonw_object(w);
	jsonw_kcstr(w, "currency", a->currency);
	jsonw_kmoney(w, "available", a->balance - a->held, a->currency);
	jsonw_kmoney(w, "held", a->held, a->currency);
	jsonw_object_end(w);
	return KE_OK;
}

int api_wallet(struct rq *q)
{
	struct jsonw *w = rq_json(q);
	int r;

	jsonw_object(w);
	jsonw_key(w, "balances");
	jsonw_array(w);
	r = db_wallet_list(q->e->db, q->user, put_balance, w);
	jsonw_array_end(w);
	jsonw_object_end(w);
	return r == KE_OK ? rq_json_end(q) : r;
}

static int put_entry(void *arg, const struct db_entry *en)
{
	struct jsonw *w = arg;

	jsonw_object(w);
	jsonw_kint(w, "entry", en->seq);
	jsonw_kcstr(w, "kind", en->kind);
	jsonw_kmoney(w, "money", en->amount, en->currency);
	jsonw_kmoney(w, "balance_after", en->balance_after, en->currency);
	jsonw_kuuid(w, "reference_id", en->ref);
	jsonw_ktime(w, "at", en->at_ms);
	jsonw_object_end(w);
	return KE_OK;
}

_Static_assert(CURSOR_POS >= 8 * DB_WALLET_MAX, "a cursor has room for every currency");

/* The position of this list: a number for each currency that has more. */
static int read_where(const struct list *l, struct db_entries_at *at)
{
	at->n = l->from ? l->pos_len / 8 : 0;
	if (l->from && (l->pos_len % 8 != 0 || at->n == 0 || at->n > DB_WALLET_MAX))
		return KE_RANGE;
	for (size_t i = 0; i < at->n; i++)
		at->seq[i] = (int64_t)be_get64(l->pos + 8 * i);
	return KE_OK;
}

static void write_where(struct list *l, const struct db_entries_at *at)
{
	uint8_t pos[8 * DB_WALLET_MAX];

	for (size_t i = 0; i < at->n; i++)
		be_put64(pos + 8 * i, (uint64_t)at->seq[i]);
	list_goes_on(l, pos, 8 * at->n);
}

int api_wallet_entries(struct rq *q)
{
	struct list l;
	struct db_entries_at at;
	int r = list_begin(&l, q, 0, "next", LIST_ANY);

	if (r == KE_OK)
		r = read_where(&l, &at);
	if (r == KE_OK)
		r = db_wallet_entries(q->e->db, q->user, &at, l.limit, put_entry, l.w);
	if (r == KE_RANGE)
		return rq_refuse(q, PB_CURSOR); /* another's */
	if (r != KE_OK)
		return r;
	write_where(&l, &at);
	return list_end(&l);
}

/* --- deposits --- */

static void put_deposit(struct jsonw *w, const struct db_deposit *p, bool whose)
{
	jsonw_object(w);
	jsonw_kuuid(w, "id", p->id);
	if (whose)
		jsonw_kuuid(w, "user_id", p->user);
	jsonw_kcstr(w, "state", db_deposit_word(p->state));
	jsonw_kmoney(w, "money", p->amount, p->currency);
	jsonw_kcstr(w, "provider", p->provider);
	if (p->reference[0] != '\0')
		jsonw_kcstr(w, "reference", p->reference);
	jsonw_ktime(w, "created_at", p->created_ms);
	if (p->decided_ms != 0)
		jsonw_ktime(w, "decided_at", p->decided_ms);
	if (p->decided_ms != 0 && whose)
		jsonw_kuuid(w, "decided_by", p->decided_by);
	jsonw_object_end(w);
}

static int answer_deposit(struct rq *q, const struct db_deposit *p, bool whose)
{
	put_deposit(rq_json(q), p, whose);
	return rq_json_end(q);
}

int api_deposit(struct rq *q)
{
	enum { MONEY, PROVIDER, REFERENCE };
	const struct api_value *money = rq_field(q, MONEY), *reference = rq_field(q, REFERENCE);
	struct db_deposit p = {.amount = money->i, .created_ms = q->now_ms};
	int r;

	if (!money_currency(q->e, money, p.currency))
		return rq_refuse(q, PB_CURRENCY);
	engine_uuid(&q->e->ids, p.id, q->now_ms);
	memcpy(p.user, q->user, sizeof p.user);
	memcpy(p.provider, "manual", sizeof "manual");
	if (reference->present)
		memcpy(p.reference, reference->p, reference->n);
	r = db_deposit_create(q->e->db, &p);
	if (r == KE_OK)
		r = audit_add(q, q->user, "deposit", p.id, "{\"amount\":%lld,\"currency\":\"%s\"}",
		    (long long)p.amount, p.currency);
	return r == KE_OK ? answer_deposit(q, &p, false) : r;
}

static int put_deposit_item(void *arg, const struct db_deposit *p)
{
	struct list *l = arg;

	if (list_take(l, p->id))
		put_deposit(l->w, p, true);
	return KE_OK;
}

int api_deposits(struct rq *q)
{
	const struct api_value *state = rq_field(q, 0);
	int which = state->present ? (int)state->i : DB_DEPOSIT_ANY;
	struct list l;
	int r = list_begin(&l, q, 1, state->present ? q->row->fields[0].words[state->i] : "", 16);

	if (r == KE_OK)
		r = db_deposit_page(
		    q->e->db, which, l.from ? l.pos : NULL, list_wanted(&l), put_deposit_item, &l);
	return r == KE_OK ? list_end(&l) : r;
}

/* From the world outside into the depositor's wallet. */
static int credit(struct rq *q, const struct db_deposit *p)
{
	static const uint8_t outside[16];
	struct db_account from, to;
	int r = db_account_open(q->e->db, DB_ACCOUNT_PROVIDER, outside, p->currency, &from);

	if (r == KE_OK)
		r = db_account_open(q->e->db, DB_ACCOUNT_USER, p->user, p->currency, &to);
	if (r == KE_OK)
		r = db_ledger_transfer(
		    q->e->db, &from, &to, p->amount, "deposit", p->id, q->now_ms, NULL);
	return r;
}

static int decide(struct rq *q, enum db_deposit_state to, const char *action)
{
	struct db_deposit p;
	enum rules_no no = RULES_YES;
	int r = db_deposit_get(q->e->db, rq_field(q, 0)->p, &p);

	if (r != KE_OK)
		return r == KE_NOTFOUND ? rq_refuse(q, PB_NOT_FOUND) : r;
	if (to == DB_DEPOSIT_CONFIRMED)
		no = rules_deposit_confirm(q->user, p.user, p.state == DB_DEPOSIT_PENDING);
	else if (p.state != DB_DEPOSIT_PENDING)
		no = RULES_DECIDED;
	if (no != RULES_YES)
		return rq_refuse(q, money_problem(no));
	r = db_deposit_decide(q->e->db, p.id, to, q->user, q->now_ms);
	if (r == KE_OK && to == DB_DEPOSIT_CONFIRMED)
		r = credit(q, &p);
	if (r == KE_OK)
		r = audit_add(q, q->user, action, p.id, "{\"amount\":%lld,\"currency\":\"%s\"}",
		    (long long)p.amount, p.currency);
	if (r != KE_OK)
		return r == KE_RANGE ? rq_refuse(q, PB_AMOUNT) : r;
	p.state = to;
	p.decided_ms = q->now_ms;
	memcpy(p.decided_by, q->user, sizeof p.decided_by);
	return answer_deposit(q, &p, true);
}

int api_deposit_confirm(struct rq *q)
{
	return decide(q, DB_DEPOSIT_CONFIRMED, "deposit-confirmed");
}

int api_deposit_reject(struct rq *q)
{
	return decide(q, DB_DEPOSIT_REJECTED, "deposit-rejected");
}
