/*
 * Holders and tickets (db_ticket.h). Runs in engine.
 */
#include <string.h>

#include "db/db_behind.h"
#include "db/db_ticket.h"

#define ROW                                                                                        \
	"SELECT t.idx, t.id, t.issued_ms, t.client_seed, t.prev, h.user_id, h.salt"                \
	" FROM tickets t JOIN holders h ON h.no = t.holder"

enum { GET, MAKE, MAKE_HOLDING, ISSUE, COUNT, COUNT_FIRST, AT, RANGE, CHAIN };
static const char *const texts[] = {
    [GET] = "SELECT h.no, h.salt, g.tickets, g.last"
	    " FROM holders h JOIN " DB_HOLDINGS " g ON g.holder = h.no"
	    " WHERE h.raffle = $1 AND h.user_id = $2",
    [MAKE] = "INSERT INTO holders (no, raffle, user_id, salt) VALUES ($1, $2, $3, $4)",
    [MAKE_HOLDING] = "INSERT INTO holdings (holder) VALUES ($1)",
    [ISSUE] = "INSERT INTO tickets (raffle, idx, id, holder, issued_ms, client_seed, prev)"
	      " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [COUNT] = "UPDATE recent_holdings SET tickets = $2, last = $3"
	      " WHERE holder = $1 AND tickets = $4 AND last = $5",
    [COUNT_FIRST] = "INSERT INTO recent_holdings (holder, tickets, last)"
		    " SELECT holder, $2, $3 FROM holdings"
		    " WHERE holder = $1 AND tickets = $4 AND last = $5"
		    " ON CONFLICT (holder) DO NOTHING",
    [AT] = ROW " WHERE t.raffle = $1 AND t.idx = $2",
    [RANGE] = ROW " WHERE t.raffle = $1 AND t.idx >= $2 ORDER BY t.idx LIMIT $3",
    [CHAIN] = "SELECT idx, id, issued_ms, client_seed, prev FROM tickets"
	      " WHERE raffle = $1 AND idx = $2 AND holder = $3",
};
DB_SQL_LIST(ticket, texts);

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_ticket, i);
}

int db_holder_get(struct db *d, int64_t raffle, const uint8_t user[16], struct db_holder *h)
{
	struct db_st *st = sql(d, GET);

	db_in_int(st, raffle);
	db_in_id(st, user);
	int r = db_step(st);
	if (r)
		return r;
	h->raffle = raffle;
	memcpy(h->user, user, 16);
	h->no = db_out_int(st);
	db_out_blob(st, h->salt, 32);
	h->tickets = db_out_int(st);
	h->last = db_out_int(st);
	return db_end(st);
}

int db_holder_create(struct db *d, int64_t raffle, const uint8_t user[16], const uint8_t salt[32],
    struct db_holder *h)
{
	struct db_st *st = sql(d, MAKE);

	*h = (struct db_holder){.no = ++db_head(d)->holder, .raffle = raffle, .last = -1};
	memcpy(h->user, user, 16);
	memcpy(h->salt, salt, 32);
	db_in_int(st, h->no);
	db_in_int(st, raffle);
	db_in_id(st, user);
	db_in_blob(st, salt, 32);
	int r = db_exec(st);
	if (r)
		return r;
	st = sql(d, MAKE_HOLDING);
	db_in_int(st, h->no);
	return db_exec(st);
}

static int issue(struct db *d, const struct db_holder *h, const struct db_ticket *t, int64_t prev)
{
	struct db_st *st = sql(d, ISSUE);

	if (t->client_seed_len > DB_CLIENT_SEED_MAX)
		return KE_LONG;
	db_in_int(st, h->raffle);
	db_in_int(st, t->index);
	db_in_id(st, t->id);
	db_in_int(st, h->no);
	db_in_int(st, t->issued_ms);
	db_in_text(st, t->client_seed, t->client_seed_len);
	db_in_int(st, prev);
	return db_exec(st);
}

static int count(struct db *d, size_t how, const struct db_holder *h, int64_t tickets, int64_t last)
{
	struct db_st *st = sql(d, how);

	db_in_int(st, h->no);
	db_in_int(st, tickets);
	db_in_int(st, last);
	db_in_int(st, h->tickets);
	db_in_int(st, h->last);
	return db_exec_one(st);
}

int db_ticket_issue(struct db *d, struct db_holder *h, const struct db_ticket *t, size_t n)
{
	int64_t tickets = h->tickets + (int64_t)n, last = h->last;

	for (size_t i = 0; i < n; i++) {
		int r = issue(d, h, &t[i], last);
		if (r)
			return r;
		last = t[i].index;
	}
	int r = count(d, COUNT, h, tickets, last);
	if (r == KE_NOTFOUND)
		r = count(d, COUNT_FIRST, h, tickets, last);
	if (r)
		return r == KE_NOTFOUND ? KE_CONFLICT : r;
	db_behind_grew(d, n);
	h->tickets = tickets;
	h->last = last;
	return KE_OK;
}

static void read_ticket(struct db_st *st, struct db_ticket *t)
{
	t->index = db_out_int(st);
	db_out_blob(st, t->id, 16);
	t->issued_ms = db_out_int(st);
	t->client_seed = db_out_view(st, &t->client_seed_len);
	if (!t->client_seed)
		t->client_seed = "";
	t->prev = db_out_int(st);
}

struct rows {
	int (*each)(void *arg, const struct db_ticket_row *r);
	void *arg;
};

static int one_row(struct db_st *st, void *arg)
{
	const struct rows *rs = arg;
	struct db_ticket_row r;

	read_ticket(st, &r.t);
	db_out_blob(st, r.user, 16);
	db_out_blob(st, r.salt, 32);
	return rs->each(rs->arg, &r);
}

int db_ticket_range(struct db *d, int64_t raffle, int64_t first, int64_t n,
    int (*each)(void *arg, const struct db_ticket_row *r), void *arg)
{
	struct db_st *st = sql(d, RANGE);
	struct rows rs = {each, arg};

	db_in_int(st, raffle);
	db_in_int(st, first);
	db_in_int(st, n);
	return db_each(st, one_row, &rs);
}

int db_ticket_at(struct db *d, int64_t raffle, int64_t index,
    int (*each)(void *arg, const struct db_ticket_row *r), void *arg)
{
	struct db_st *st = sql(d, AT);
	struct rows rs = {each, arg};

	db_in_int(st, raffle);
	db_in_int(st, index);
	int r = db_step(st);
	if (r)
		return r;
	r = one_row(st, &rs);
	int e = db_end(st);
	return r ? r : e;
}

/* A view's text lives until the statement ends: the caller's function runs before that. */
static int chain_step(struct db *d, const struct db_holder *h, int64_t index,
    int (*each)(void *arg, const struct db_ticket *t), void *arg, int64_t *prev)
{
	struct db_st *st = sql(d, CHAIN);
	struct db_ticket t;

	db_in_int(st, h->raffle);
	db_in_int(st, index);
	db_in_int(st, h->no);
	int r = db_step(st);
	if (r)
		return r;
	read_ticket(st, &t);
	*prev = t.prev;
	if (each)
		r = each(arg, &t);
	int e = db_end(st);
	return r ? r : e;
}

int db_ticket_page(struct db *d, int64_t raffle, const uint8_t user[16], int64_t before, int64_t n,
    int (*each)(void *arg, const struct db_ticket *t), void *arg)
{
	struct db_holder h;
	int64_t at;

	int r = db_holder_get(d, raffle, user, &h);
	if (r)
		return r == KE_NOTFOUND ? KE_OK : r;
	at = h.last;
	if (before >= 0) {
		r = chain_step(d, &h, before, NULL, NULL, &at);
		if (r)
			return r == KE_NOTFOUND ? KE_RANGE : r;
	}
	for (; n > 0 && at >= 0; n--) {
		r = chain_step(d, &h, at, each, arg, &at);
		if (r)
			return r == KE_NOTFOUND ? db_fail(d, KE_DAMAGED, "a ticket is missing") : r;
	}
	return KE_OK;
}
