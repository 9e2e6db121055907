/*
 * The ledger (db_ledger.h): accounts, transfers, entries. Runs in engine.
 * New balances are computed here, checked, from an account read in the same savepoint; the store
 * guards them again (CHECK, the trigger balances_follow_entries).
 */
#include <string.h>

#include "db/db_behind.h"
#include "db/db_ledger.h"
#include "db/db_sql.h"
#include "policy/rules.h"

enum { GET, MAKE, MAKE_BALANCE, TRANSFER, ENTRY, MOVE, MOVE_FIRST, HOLD, WALLET, READ_ENTRY };
static const char *const texts[] = {
    [GET] = "SELECT a.id, b.balance, b.held, b.last_entry"
	    " FROM accounts a JOIN " DB_BALANCES " b ON b.account = a.id"
	    " WHERE a.owner = $1 AND a.kind = $2 AND a.currency = $3",
    [MAKE] = "INSERT INTO accounts (id, owner, kind, currency) VALUES ($1, $2, $3, $4)",
    [MAKE_BALANCE] = "INSERT INTO balances (account, may_owe) VALUES ($1, $2)",
    [TRANSFER] = "INSERT INTO transfers (id, kind, ref, at_ms) VALUES ($1, $2, $3, $4)",
    [ENTRY] = "INSERT INTO entries (seq, account, transfer, amount, balance_after, prev)"
	      " VALUES ($1, $2, $3, $4, $5, $6)",
    [MOVE] = "UPDATE recent_balances SET balance = $2, last_entry = $3"
	     " WHERE account = $1 AND last_entry = $4 AND held = $5",
    /* only if that is how balances has it: a trigger looks (db_behind.c) */
    [MOVE_FIRST] = "INSERT INTO recent_balances (account, may_owe, balance, held, last_entry)"
		   " VALUES ($1, $4, $2, $5, $3)",
    [HOLD] = "UPDATE balances SET held = held + $2 WHERE account = $1",
    [WALLET] = "SELECT a.id, a.currency, b.balance, b.held, b.last_entry"
	       " FROM accounts a JOIN " DB_BALANCES " b ON b.account = a.id"
	       " WHERE a.owner = $1 AND a.kind = $2 ORDER BY a.currency",
    [READ_ENTRY] = "SELECT e.account, e.transfer, e.amount, e.balance_after, e.prev,"
		   " t.kind, t.ref, t.at_ms"
		   " FROM entries e JOIN transfers t ON t.id = e.transfer WHERE e.seq = $1",
};
DB_SQL_LIST(ledger, texts);

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_ledger, i);
}

static int copy_word(char *dst, size_t cap, const char *s)
{
	size_t n = strlen(s);

	if (n >= cap)
		return KE_LONG;
	memcpy(dst, s, n + 1);
	return KE_OK;
}

int db_account_get(struct db *d, enum db_account_kind kind, const uint8_t owner[16],
    const char *currency, struct db_account *a)
{
	struct db_st *st = sql(d, GET);

	int r = copy_word(a->currency, sizeof a->currency, currency);
	if (r)
		return r;
	a->kind = kind;
	memcpy(a->owner, owner, 16);
	db_in_id(st, owner);
	db_in_int(st, kind);
	db_in_cstr(st, currency);
	r = db_step(st);
	if (r)
		return r;
	a->id = db_out_int(st);
	a->balance = db_out_int(st);
	a->held = db_out_int(st);
	a->last_entry = db_out_int(st);
	return db_end(st);
}

static int make(struct db *d, const struct db_account *a)
{
	struct db_st *st = sql(d, MAKE);

	db_in_int(st, a->id);
	db_in_id(st, a->owner);
	db_in_int(st, a->kind);
	db_in_cstr(st, a->currency);
	int r = db_exec(st);
	if (r)
		return r;
	st = sql(d, MAKE_BALANCE);
	db_in_int(st, a->id);
	db_in_int(st, a->kind == DB_ACCOUNT_PROVIDER);
	return db_exec(st);
}

int db_account_open(struct db *d, enum db_account_kind kind, const uint8_t owner[16],
    const char *currency, struct db_account *a)
{
	int r = db_account_get(d, kind, owner, currency, a);

	if (r != KE_NOTFOUND)
		return r;
	a->id = ++db_head(d)->account;
	a->balance = 0;
	a->held = 0;
	a->last_entry = 0;
	return make(d, a);
}

/* The balance follows its entry: where it is kept already since the last sweep, or from now on. */
static int move(struct db *d, const struct db_account *a, int64_t balance, int64_t seq)
{
	struct db_st *st = sql(d, MOVE);

	db_in_int(st, a->id);
	db_in_int(st, balance);
	db_in_int(st, seq);
	db_in_int(st, a->last_entry);
	db_in_int(st, a->held);
	int r = db_exec_one(st);
	if (r != KE_NOTFOUND)
		return r;
	st = sql(d, MOVE_FIRST);
	db_in_int(st, a->id);
	db_in_int(st, balance);
	db_in_int(st, seq);
	db_in_int(st, a->kind == DB_ACCOUNT_PROVIDER);
	db_in_int(st, a->held);
	return db_exec(st);
}

/* Writes one side of a transfer: the entry, then the balance that follows it. */
static int book(struct db *d, struct db_account *a, int64_t amount, int64_t transfer)
{
	struct db_st *st = sql(d, ENTRY);
	int64_t seq = ++db_head(d)->entry;
	int64_t balance = a->balance + amount;

	db_in_int(st, seq);
	db_in_int(st, a->id);
	db_in_int(st, transfer);
	db_in_int(st, amount);
	db_in_int(st, balance);
	db_in_int(st, a->last_entry);
	int r = db_exec(st);
	if (r)
		return r;
	r = move(d, a, balance, seq);
	if (r)
		return r == KE_EXISTS || r == KE_STATE ? KE_CONFLICT : r;
	db_behind_grew(d, 1);
	a->balance = balance;
	a->last_entry = seq;
	db_walk_moved(&db_head(d)->walk, a->id, a->currency, amount);
	return KE_OK;
}

/* May amount leave *from and enter *to? Sums cannot overflow: all are within ±RULES_MONEY_MAX. */
static int may_move(const struct db_account *from, const struct db_account *to, int64_t amount)
{
	if (from->id == to->id || strcmp(from->currency, to->currency) != 0)
		return KE_FORMAT;
	if (amount <= 0 || amount > RULES_MONEY_MAX)
		return KE_RANGE;
	if (from->kind != DB_ACCOUNT_PROVIDER && from->balance - from->held < amount)
		return KE_FUNDS;
	if (from->balance < amount - RULES_MONEY_MAX || to->balance > RULES_MONEY_MAX - amount)
		return KE_RANGE;
	return KE_OK;
}

int db_ledger_transfer(struct db *d, struct db_account *from, struct db_account *to, int64_t amount,
    const char *kind, const uint8_t ref[16], int64_t now_ms, int64_t *transfer)
{
	struct db_st *st = sql(d, TRANSFER);

	int r = may_move(from, to, amount);
	if (!r && strlen(kind) > DB_KIND_MAX)
		r = KE_LONG;
	if (r)
		return r;
	int64_t id = ++db_head(d)->transfer;
	db_in_int(st, id);
	db_in_cstr(st, kind);
	db_in_id(st, ref);
	db_in_int(st, now_ms);
	r = db_exec(st);
	if (!r)
		r = book(d, from, -amount, id);
	if (!r)
		r = book(d, to, amount, id);
	if (!r && transfer)
		*transfer = id;
	return r;
}

int db_ledger_hold(struct db *d, struct db_account *a, int64_t amount)
{
	struct db_st *st = sql(d, HOLD);

	if (amount > RULES_MONEY_MAX || amount < -a->held)
		return KE_RANGE;
	if (a->kind != DB_ACCOUNT_PROVIDER && a->balance - a->held < amount)
		return KE_FUNDS;
	int r = db_behind_settle(d, a->id);
	if (r)
		return r;
	db_in_int(st, a->id);
	db_in_int(st, amount);
	r = db_exec_one(st);
	if (r)
		return r == KE_RANGE ? KE_CONFLICT : r;
	a->held += amount;
	return KE_OK;
}

struct wallet {
	int (*each)(void *arg, const struct db_account *a);
	void *arg;
	const uint8_t *user;
};

static int wallet_row(struct db_st *st, void *arg)
{
	const struct wallet *w = arg;
	struct db_account a = {.kind = DB_ACCOUNT_USER};

	memcpy(a.owner, w->user, 16);
	a.id = db_out_int(st);
	db_out_text(st, a.currency, sizeof a.currency);
	a.balance = db_out_int(st);
	a.held = db_out_int(st);
	a.last_entry = db_out_int(st);
	return w->each(w->arg, &a);
}

int db_wallet_list(struct db *d, const uint8_t user[16],
    int (*each)(void *arg, const struct db_account *a), void *arg)
{
	struct db_st *st = sql(d, WALLET);
	struct wallet w = {each, arg, user};

	db_in_id(st, user);
	db_in_int(st, DB_ACCOUNT_USER);
	return db_each(st, wallet_row, &w);
}

/* A user's entries of one currency, from the newest towards the oldest. */
struct chain {
	int64_t account;
	char currency[DB_CURRENCY_MAX + 1];
	struct db_entry next; /* seq 0: it has ended */
};

struct chains {
	struct chain c[DB_WALLET_MAX];
	size_t n;
};

static int add_chain(void *arg, const struct db_account *a)
{
	struct chains *ch = arg;

	if (ch->n == DB_WALLET_MAX)
		return KE_LIMIT;
	ch->c[ch->n].account = a->id;
	ch->c[ch->n].next.seq = a->last_entry;
	memcpy(ch->c[ch->n++].currency, a->currency, sizeof a->currency);
	return KE_OK;
}

static int read_entry(struct db *d, int64_t seq, struct db_entry *e)
{
	struct db_st *st = sql(d, READ_ENTRY);

	db_in_int(st, seq);
	int r = db_step(st);
	if (r)
		return r;
	e->seq = seq;
	e->account = db_out_int(st);
	e->transfer = db_out_int(st);
	e->amount = db_out_int(st);
	e->balance_after = db_out_int(st);
	e->prev = db_out_int(st);
	db_out_text(st, e->kind, sizeof e->kind);
	db_out_blob(st, e->ref, 16);
	e->at_ms = db_out_int(st);
	return db_end(st);
}

/* The chain goes on with this entry, which must be there, for the chain leads to it; 0: it ends. */
static int follow(struct db *d, struct chain *c, int64_t seq)
{
	c->next.seq = 0;
	if (seq == 0)
		return KE_OK;
	int r = read_entry(d, seq, &c->next);
	if (r)
		return r == KE_NOTFOUND ? db_fail(d, KE_DAMAGED, "an entry is missing") : r;
	memcpy(c->next.currency, c->currency, sizeof c->currency);
	return KE_OK;
}

/* The chain with the newest entry, NULL when all have ended. */
static struct chain *newest_chain(struct chains *ch)
{
	struct chain *best = NULL;

	for (size_t i = 0; i < ch->n; i++)
		if (ch->c[i].next.seq && (!best || ch->c[i].next.seq > best->next.seq))
			best = &ch->c[i];
	return best;
}

/* The chain that an entry is of, NULL when it is another user's. */
static struct chain *chain_of(struct chains *ch, int64_t account)
{
	for (size_t i = 0; i < ch->n; i++)
		if (ch->c[i].account == account)
			return &ch->c[i];
	return NULL;
}

static int from_newest(struct db *d, struct chains *ch)
{
	int r = KE_OK;

	for (size_t i = 0; !r && i < ch->n; i++)
		r = follow(d, &ch->c[i], ch->c[i].next.seq);
	return r;
}

/* Each chain from where the page before has left it; those that are not named have ended. */
static int from_where(struct db *d, struct chains *ch, const struct db_entries_at *at)
{
	for (size_t i = 0; i < ch->n; i++)
		ch->c[i].next.seq = 0;
	for (size_t i = 0; i < at->n; i++) {
		struct db_entry e;
		int r = read_entry(d, at->seq[i], &e);
		struct chain *c = r ? NULL : chain_of(ch, e.account);

		if (r && r != KE_NOTFOUND)
			return r;
		if (!c || c->next.seq)
			return KE_RANGE;
		memcpy(e.currency, c->currency, sizeof e.currency);
		c->next = e;
	}
	return KE_OK;
}

static void where_now(const struct chains *ch, struct db_entries_at *at)
{
	at->n = 0;
	for (size_t i = 0; i < ch->n; i++)
		if (ch->c[i].next.seq)
			at->seq[at->n++] = ch->c[i].next.seq;
}

int db_wallet_entries(struct db *d, const uint8_t user[16], struct db_entries_at *at, int64_t limit,
    int (*each)(void *arg, const struct db_entry *e), void *arg)
{
	struct chains ch = {.n = 0};
	struct chain *c;

	int r = db_wallet_list(d, user, add_chain, &ch);
	if (!r)
		r = at->n ? from_where(d, &ch, at) : from_newest(d, &ch);
	for (int64_t k = 0; !r && k < limit && (c = newest_chain(&ch)) != NULL; k++) {
		r = each(arg, &c->next);
		if (!r)
			r = follow(d, c, c->next.prev);
	}
	if (!r)
		where_now(&ch, at);
	return r;
}
