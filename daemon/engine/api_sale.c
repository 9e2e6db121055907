/*
 * The sale: charge, issue and book in one step (DESIGN.md "The way of a sale"), and the own
 * tickets. The first sale to a holder waits for hsm to make the holder's salt; every later one is
 * one step. Runs in engine.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/list.h"
#include "daemon/engine/money.h"
#include "daemon/engine/raffle.h"
#include "db/db_ledger.h"
#include "db/db_ticket.h"
#include "policy/leaf.h"
#include "policy/text.h"
#include "policy/ticketid.h"

enum { F_ID, F_QUANTITY, F_SEED };

#define QUANTITY_MAX 100

/* A sale on its way through one step. */
struct sale {
	struct db_sale raffle;
	struct db_holder holder;
	bool has_holder;
	int64_t quantity, cost, first; /* first: index of the first ticket */
	const char *seed;
	size_t seed_len;
	struct db_ticket tickets[QUANTITY_MAX];
	struct merkle_subtree done[MERKLE_SUBTREES]; /* that the tickets complete in their log */
	size_t ndone;
	struct db_account wallet;
};
_Static_assert(QUANTITY_MAX < 256, "one sale completes at most one subtree of 256 tickets");

/* The holder's id in leaves: the user's UUID in canonical text. */
#define HOLDER_LEN 36

static void holder_id(const struct rq *q, char id[HOLDER_LEN + 1])
{
	text_uuid(id, q->user);
}

/* Reads what the sale is about; refuses what policy refuses. */
static int prepare(struct rq *q, struct sale *s)
{
	const struct api_value *seed = rq_field(q, F_SEED);
	struct rules_sale facts;
	enum rules_no no;
	int r = db_raffle_sale(q->e->db, rq_field(q, F_ID)->p, &s->raffle);

	if (r == KE_NOTFOUND || (r == KE_OK && !raffle_visible(q, s->raffle.state)))
		return rq_refuse(q, PB_NOT_FOUND);
	if (r == KE_OK)
		r = db_holder_get(q->e->db, s->raffle.no, q->user, &s->holder);
	s->ndone = 0;
	s->has_holder = r == KE_OK;
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	s->quantity = rq_field(q, F_QUANTITY)->i;
	s->first = s->raffle.sold;
	s->seed = seed->present ? (const char *)seed->p : "";
	s->seed_len = seed->present ? seed->n : 0;
	facts = (struct rules_sale){.state = s->raffle.state,
	    .sold = s->raffle.sold,
	    .capacity = s->raffle.capacity,
	    .per_person = s->raffle.per_person,
	    .held = s->has_holder ? s->holder.tickets : 0,
	    .price = s->raffle.price};
	no = rules_sale(&facts, s->quantity, &s->cost);
	if (s->raffle.format == RAFFLE_V2 &&
	    (s->raffle.state != RAFFLE_OPEN || q->now_ms / 1000 >= s->raffle.sales_close_s))
		no = RULES_NOT_OPEN;
	return no == RULES_YES ? KE_OK : rq_refuse(q, money_problem(no));
}

/* From the wallet into the raffle's pot, where it stays. */
static int charge(struct rq *q, struct sale *s)
{
	struct db_account pot;
	int r = db_account_get(q->e->db, DB_ACCOUNT_USER, q->user, s->raffle.currency, &s->wallet);

	if (r == KE_NOTFOUND)
		return rq_refuse(q, PB_FUNDS);
	if (r == KE_OK)
		r = db_account_open(
		    q->e->db, DB_ACCOUNT_POT, s->raffle.id, s->raffle.currency, &pot);
	if (r == KE_OK)
		r = db_ledger_transfer(
		    q->e->db, &s->wallet, &pot, s->cost, "buy", s->raffle.id, q->now_ms, NULL);
	if (r == KE_FUNDS)
		return rq_refuse(q, PB_FUNDS);
	return r == KE_RANGE ? rq_refuse(q, PB_AMOUNT) : r;
}

/* A v2 raffle's is found by its id. */
static int make_id(struct rq *q, const struct sale *s, struct db_ticket *t, const uint8_t rnd[10])
{
	if (s->raffle.format == RAFFLE_V2)
		return ticketid_make(t->id, q->now_ms, s->raffle.no, t->index, rnd);
	text_uuid7(t->id, q->now_ms, rnd);
	return KE_OK;
}

/* Tickets, their leaves in the tree, their seeds in the aggregate. */
static int make_tickets(struct rq *q, struct sale *s)
{
	uint8_t rnd[QUANTITY_MAX][10], bytes[LEAF_LEN], hash[32], seed_hash[32];
	char holder[HOLDER_LEN + 1];
	struct leaf leaf = {.issued_ms = (uint64_t)q->now_ms};

	holder_id(q, holder);
	memcpy(leaf.raffle, s->raffle.id, sizeof leaf.raffle);
	leaf_holder_commit(leaf.holder_commit, s->holder.salt, holder, HOLDER_LEN);
	leaf_client_seed_hash(leaf.client_seed_hash, s->seed, s->seed_len);
	hash_sha256(seed_hash, s->seed, s->seed_len); /* v1's aggregate knows no domain tag */
	randombytes_buf(rnd, (size_t)s->quantity * sizeof rnd[0]);
	for (int64_t i = 0; i < s->quantity; i++) {
		struct db_ticket *t = &s->tickets[i];

		*t = (struct db_ticket){.index = s->first + i,
		    .issued_ms = q->now_ms,
		    .client_seed = s->seed,
		    .client_seed_len = s->seed_len};
		if (make_id(q, s, t, rnd[i]) != KE_OK)
			return KE_INTERNAL;
		leaf.index = (uint64_t)t->index;
		memcpy(leaf.ticket, t->id, sizeof leaf.ticket);
		leaf_encode(bytes, &leaf);
		merkle_leaf_hash(hash, bytes, sizeof bytes);
		s->ndone += merkle_range_grow(&s->raffle.range, hash, s->done + s->ndone);
		hash_run_add(s->raffle.aggregate, seed_hash, sizeof seed_hash);
	}
	s->raffle.sold += s->quantity;
	return KE_OK;
}

/* A v2 raffle's tickets are the leaves of its log: they are in it with the sale, or not at all. */
static int log_tickets(struct rq *q, const struct sale *s)
{
	if (s->raffle.format != RAFFLE_V2)
		return KE_OK;
	ckpt_kick(q->e);
	return db_log_complete(q->e->db, s->raffle.no, s->done, s->ndone);
}

/* Where the proof will be that the ticket is in its raffle's log. */
static void put_receipt(struct jsonw *w, const uint8_t ticket[16])
{
	char id[37], link[sizeof id + 32];

	text_uuid(id, ticket);
	snprintf(link, sizeof link, "/api/v1/tickets/%s/receipt", id);
	jsonw_kcstr(w, "receipt", link);
}

static int answer_sale(struct rq *q, const struct sale *s)
{
	struct jsonw *w = rq_json(q);

	jsonw_object(w);
	jsonw_kuuid(w, "raffle_id", s->raffle.id);
	jsonw_kint(w, "quantity", s->quantity);
	jsonw_kmoney(w, "cost", s->cost, s->raffle.currency);
	jsonw_key(w, "tickets");
	jsonw_array(w);
	for (int64_t i = 0; i < s->quantity; i++) {
		jsonw_object(w);
		jsonw_kuuid(w, "id", s->tickets[i].id);
		jsonw_kint(w, "index", s->tickets[i].index);
		if (s->raffle.format == RAFFLE_V2)
			put_receipt(w, s->tickets[i].id);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
	jsonw_kmoney(w, "balance", s->wallet.balance, s->raffle.currency);
	jsonw_object_end(w);
	return rq_json_end(q);
}

static int sell(struct rq *q, struct sale *s)
{
	int r = charge(q, s);

	if (r != KE_OK)
		return r;
	r = make_tickets(q, s);
	if (r == KE_OK)
		r = db_ticket_issue(q->e->db, &s->holder, s->tickets, (size_t)s->quantity);
	if (r == KE_OK)
		r = db_raffle_sold(q->e->db, &s->raffle, s->first);
	if (r == KE_OK)
		r = log_tickets(q, s);
	if (r == KE_OK)
		r = audit_add(q, q->user, "buy", s->raffle.id,
		    "{\"first\":%lld,\"quantity\":%lld,\"amount\":%lld}", (long long)s->first,
		    (long long)s->quantity, (long long)s->cost);
	if (r != KE_OK)
		return r;
	turn_dirty(q->e, CACHE_RAFFLES);
	metrics_add(&q->e->metrics, METRIC_TICKETS_SOLD, (uint64_t)s->quantity);
	return answer_sale(q, s);
}

/* The salt has come; the raffle may have changed meanwhile, so everything is asked again. */
static int buy_salted(struct rq *q, int r, struct wire_in *in)
{
	uint8_t salt[32];
	struct sale s;

	if (r != KE_OK)
		return KE_UNAVAIL;
	wire_get_raw(in, salt, sizeof salt);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = prepare(q, &s);
	if (r == KE_OK && !s.has_holder)
		r = db_holder_create(q->e->db, s.raffle.no, q->user, salt, &s.holder);
	sodium_memzero(salt, sizeof salt);
	return r == KE_OK ? sell(q, &s) : r;
}

int api_raffle_buy(struct rq *q)
{
	char holder[HOLDER_LEN + 1];
	uint8_t hash[32];
	struct sale s;
	int r = prepare(q, &s);

	if (r != KE_OK)
		return r;
	if (s.has_holder)
		return sell(q, &s);
	holder_id(q, holder);
	hash_sha256(hash, holder, HOLDER_LEN);
	return eng_hsm_holder(q, "buy_salted", buy_salted, s.raffle.id, hash);
}

int api_raffle_tickets_buy(struct rq *q)
{
	return api_raffle_buy(q);
}

static int put_ticket(void *arg, const struct db_ticket *t)
{
	struct list *l = arg;

	if (!list_take_number(l, t->index))
		return KE_OK;
	jsonw_object(l->w);
	jsonw_kuuid(l->w, "id", t->id);
	jsonw_kint(l->w, "index", t->index);
	jsonw_kstr(l->w, "client_seed", t->client_seed, t->client_seed_len);
	jsonw_ktime(l->w, "issued_at", t->issued_ms);
	jsonw_object_end(l->w);
	return KE_OK;
}

int api_raffle_tickets(struct rq *q)
{
	struct db_sale s;
	struct list l;
	char id[HOLDER_LEN + 1];
	int r = db_raffle_sale(q->e->db, rq_field(q, F_ID)->p, &s);

	if (r == KE_NOTFOUND || (r == KE_OK && !raffle_visible(q, s.state)))
		return rq_refuse(q, PB_NOT_FOUND);
	text_uuid(id, rq_field(q, F_ID)->p);
	if (r == KE_OK)
		r = list_begin(&l, q, 1, id, 8);
	if (r == KE_OK)
		r = db_ticket_page(q->e->db, s.no, q->user, l.from ? list_number(&l) : -1,
		    list_wanted(&l), put_ticket, &l);
	if (r == KE_RANGE)
		return rq_refuse(q, PB_CURSOR); /* another's */
	return r == KE_OK ? list_end(&l) : r;
}
